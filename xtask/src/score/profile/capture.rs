//! Three profiles of one living service under traffic, of each kind that it gives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::Case;
use super::evidence::{Evidence, Runtime};
use crate::process::{printed_by, target_folder};
use crate::record::http;
use crate::record::service::{self, Service, done};
use crate::score::traffic::{AT_REQUESTS, under_traffic};

/// Bytes that each work request leaks: at the rate of Go's profile, a sample of half a mebibyte, some hundred samples between two
/// captures.
pub(in crate::score) const RATE_BYTES: usize = 64 * 1_024;
/// The Rust service with its profile, whose allocator is another one.
pub(in crate::score) const RUST: &str = "rust-service-with-profile";
/// The recording of a JVM, by its name and with nothing else in it.
const JFR_START: &[&str] = &[
    "JFR.start",
    "name=leakscope",
    "settings=none",
    "path-to-gc-roots=true",
    "+jdk.OldObjectSample#enabled=true",
    "+jdk.OldObjectSample#stackTrace=true",
    "+jdk.OldObjectSample#cutoff=infinity",
];

/// Where the three captures of a case lie in `folder`, whether they are there or not.
pub(super) fn paths(folder: &Path, case: &Case, evidence: Evidence) -> Vec<PathBuf> {
    let of_case = folder.join(format!("{}-{}", case.runtime.name(), case.leak));
    (1..=AT_REQUESTS.len()).map(|n| of_case.join(format!("{n}.{}", evidence.ending()))).collect()
}

/// Builds what is not run from source.
pub(in crate::score) fn build(root: &Path, folder: &Path, runtime: Runtime) -> Result<(), String> {
    match runtime {
        Runtime::Node => Ok(()),
        Runtime::Python => {
            service::build_python(root, &folder.join(service::VENV))?;
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "memray"];
            done(Command::new(python(folder)).args(install))
        }
        Runtime::Go => service::build_go(root, &folder.join(service::GO)),
        Runtime::Java => service::build_java(root, &folder.join(service::JAVA)),
        Runtime::Rust => {
            service::build_rust(root, &["profile"])?;
            // The next build of the service has no profile and would take its place.
            let built = target_folder(root).join("release/example-service");
            fs::copy(&built, folder.join(RUST))
                .map(|_| ())
                .map_err(|error| format!("`{}` not copyable: {error}", built.display()))
        }
    }
}

/// Takes the captures of a case anew.
pub(super) fn take(root: &Path, folder: &Path, case: &Case) -> Result<(), String> {
    let evidence: Vec<Evidence> = case.evidence().collect();
    for path in evidence.iter().flat_map(|evidence| paths(folder, case, *evidence)) {
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| format!("`{}` not creatable: {error}", parent.display()))?;
    }
    // Of memray and tracemalloc each would see the other's memory.
    let (alone, together): (Vec<Evidence>, Vec<Evidence>) =
        evidence.into_iter().partition(|evidence| *evidence == Evidence::Memray);
    for evidence in [together, alone].iter().filter(|evidence| !evidence.is_empty()) {
        take_together(root, folder, case, evidence)?;
    }
    Ok(())
}

/// Takes kinds of profiles that one process can give.
fn take_together(root: &Path, folder: &Path, case: &Case, evidence: &[Evidence]) -> Result<(), String> {
    let recording = folder.join("memray.bin");
    let by_memray = evidence.contains(&Evidence::Memray);
    let mut command = if by_memray { Command::new(python(folder)) } else { command(root, folder, case) };
    if by_memray {
        let _ = fs::remove_file(&recording);
        command.args(["-m", "memray", "run", "-q", "-o"]).arg(&recording).arg(root.join(case.runtime.source()));
    }
    command.args(["--leak", case.leak, "--rate", &RATE_BYTES.to_string(), "--exit-with-stdin"]);
    let mut service = Service::start(&mut command)?;
    if case.runtime == Runtime::Java {
        jcmd(&service, JFR_START)?;
    }
    under_traffic(&mut service, |service, n| {
        for evidence in evidence {
            let path = &paths(folder, case, *evidence)[n];
            match evidence {
                Evidence::Memray => take_memray(root, folder, &recording, path)?,
                Evidence::V8Sampling => fetch(service, "/debug/heapprofile", path)?,
                Evidence::Tracemalloc => fetch(service, "/debug/heap", path)?,
                Evidence::GoHeap => fetch(service, "/debug/pprof/heap?gc=1", path)?,
                Evidence::Goroutines => fetch(service, "/debug/pprof/goroutine", path)?,
                Evidence::GoroutineDump => fetch(service, "/debug/pprof/goroutine?debug=2", path)?,
                Evidence::JemallocPprof => fetch(service, "/debug/pprof/heap", path)?,
                Evidence::JemallocText => fetch(service, "/debug/pprof/heap?format=jemalloc", path)?,
                Evidence::ClassHistogram => written(path, jcmd(service, &["GC.class_histogram"])?.as_bytes())?,
                Evidence::Jfr => dump_jfr(service, path)?,
            }
        }
        Ok(())
    })
}

/// Turns what memray has recorded so far into JSON; of a file that still grows a copy is read.
fn take_memray(root: &Path, folder: &Path, recording: &Path, path: &Path) -> Result<(), String> {
    let copy = recording.with_extension("copy");
    fs::copy(recording, &copy).map_err(|error| format!("`{}` not copyable: {error}", recording.display()))?;
    let agent = root.join("agents/python/leakscope_heap.py");
    done(Command::new(python(folder)).arg(agent).arg(&copy).arg(path))
}

pub(in crate::score) fn python(folder: &Path) -> PathBuf {
    service::python_of(&folder.join(service::VENV))
}

fn command(root: &Path, folder: &Path, case: &Case) -> Command {
    let mut command = match case.runtime {
        Runtime::Node => Command::new("node"),
        Runtime::Python => Command::new(python(folder)),
        Runtime::Go => Command::new(folder.join(service::GO)),
        Runtime::Java => Command::new("java"),
        Runtime::Rust => Command::new(folder.join(RUST)),
    };
    match case.runtime {
        Runtime::Node | Runtime::Python => command.arg(root.join(case.runtime.source())).arg("--profile"),
        Runtime::Java => {
            command.arg(format!("@{}", root.join("services/java/jvm.options").display()));
            command.arg("-cp").arg(folder.join(service::JAVA)).arg("Service")
        }
        Runtime::Rust => command.arg("--profile"),
        Runtime::Go => &mut command,
    };
    command
}

fn dump_jfr(service: &Service, path: &Path) -> Result<(), String> {
    let to = format!("filename={}", path.display());
    jcmd(service, &["JFR.dump", "name=leakscope", "path-to-gc-roots=true", &to]).map(|_| ())
}

fn fetch(service: &Service, url: &str, path: &Path) -> Result<(), String> {
    let bytes = http::get_bytes(service.address, url).map_err(|error| format!("`{url}`: {error}"))?;
    written(path, &bytes)
}

fn written(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("`{}` not writable: {error}", path.display()))
}

/// What `jcmd` prints of this service; it exits with 0 also where the JVM refused, but then says `Could not` or a warning.
fn jcmd(service: &Service, arguments: &[&str]) -> Result<String, String> {
    let pid = service.id().to_string();
    let printed = printed_by("jcmd", &[&[pid.as_str()], arguments].concat());
    let printed = printed.ok_or_else(|| format!("`jcmd {}` failed", arguments.join(" ")))?;
    match printed.lines().find(|line| line.starts_with("Could not") || line.starts_with("Warning!")) {
        Some(line) => Err(format!("`jcmd {}`: {line}", arguments.join(" "))),
        None => Ok(printed),
    }
}
