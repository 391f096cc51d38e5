//! Guesses the runtime of a process from what `/proc` shows of it.

use leakscope_model::Runtime;

/// What is known of a process; empty where it could not be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traces<'a> {
    /// Target of `/proc/PID/exe`.
    pub exe: &'a [u8],
    /// `/proc/PID/cmdline`: arguments, each ended by a zero byte.
    pub cmdline: &'a [u8],
    /// `/proc/PID/maps`.
    pub maps: &'a [u8],
    /// Whether the executable has a Go build-info section; maps do not tell.
    pub go_build_info: bool,
}

/// Names of executables; a version may follow: `python3.11`, `node22`.
const EXECUTABLES: &[(&str, Runtime)] = &[
    ("node", Runtime::Node),
    ("nodejs", Runtime::Node),
    ("python", Runtime::Python),
    ("pypy", Runtime::Python),
    ("uwsgi", Runtime::Python),
    ("java", Runtime::Jvm),
    ("dotnet", Runtime::DotNet),
    // Runtimes without a kind of their own: a native guess would promise too much.
    ("ruby", Runtime::Unknown),
    ("php", Runtime::Unknown),
    ("php-fpm", Runtime::Unknown),
    ("perl", Runtime::Unknown),
    ("beam.smp", Runtime::Unknown),
    ("bun", Runtime::Unknown),
    ("deno", Runtime::Unknown),
];

/// Libraries whose mapping gives an embedded runtime away.
const LIBRARIES: &[(&[u8], Runtime)] = &[
    (b"/libjvm.so", Runtime::Jvm),
    (b"/libcoreclr.so", Runtime::DotNet),
    (b"/libnode.so", Runtime::Node),
    (b"/libpython", Runtime::Python),
    (b"/libruby", Runtime::Unknown),
];

/// The runtime, best sign first: the executable's name, Go's build info, mapped libraries, the command's name. A process that shows an executable and none of these is native; one that shows nothing is unknown.
pub fn guess_runtime(traces: &Traces<'_>) -> Runtime {
    if let Some(runtime) = by_name(traces.exe) {
        return runtime;
    }
    if traces.go_build_info {
        return Runtime::Go;
    }
    for (library, runtime) in LIBRARIES {
        if memchr::memmem::find(traces.maps, library).is_some() {
            return *runtime;
        }
    }
    let command = traces.cmdline.split(|&byte| byte == 0).next().unwrap_or_default();
    match by_name(command) {
        Some(runtime) => runtime,
        None if traces.exe.is_empty() => Runtime::Unknown,
        None => Runtime::Native,
    }
}

fn by_name(path: &[u8]) -> Option<Runtime> {
    // The kernel marks an executable that was replaced by an upgrade.
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let name = std::str::from_utf8(file).ok()?;
    let stem = name.trim_end_matches(|char: char| char.is_ascii_digit() || matches!(char, '.' | '-'));
    let known = |wanted: &str| EXECUTABLES.iter().find(|(known, _)| *known == wanted).map(|(_, runtime)| *runtime);
    known(name).or_else(|| known(stem))
}
