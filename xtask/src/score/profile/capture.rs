//! Three profiles of one living service under traffic, of each kind that it gives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::Case;
use super::evidence::{Evidence, Runtime};
use crate::process::{printed_by, target_folder};
use crate::record::http;
use crate::record::service::{self, Service};
use crate::score::traffic::{AT_REQUESTS, under_traffic};

/// Bytes that each work request leaks: at the rate of Go's profile, a sample of half a mebibyte, some hundred samples between two
/// captures.
pub(super) const RATE_BYTES: usize = 64 * 1_024;
/// The Rust service with its profile, whose allocator is another one.
const RUST: &str = "rust-service-with-profile";
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
pub(super) fn build(root: &Path, folder: &Path, runtime: Runtime) -> Result<(), String> {
    match runtime {
        Runtime::Node => Ok(()),
        Runtime::Python => service::build_python(root, &folder.join(service::VENV)),
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
    let mut service = Service::start(&mut command(root, folder, case))?;
    if case.runtime == Runtime::Java {
        jcmd(&service, JFR_START)?;
    }
    under_traffic(&mut service, |service, n| {
        for evidence in &evidence {
            take_one(service, *evidence, &paths(folder, case, *evidence)[n])?;
        }
        Ok(())
    })
}

fn command(root: &Path, folder: &Path, case: &Case) -> Command {
    let mut command = match case.runtime {
        Runtime::Node => Command::new("node"),
        Runtime::Python => Command::new(service::python_of(&folder.join(service::VENV))),
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
    command.args(["--leak", case.leak, "--rate", &RATE_BYTES.to_string(), "--exit-with-stdin"]);
    command
}

fn take_one(service: &Service, evidence: Evidence, path: &Path) -> Result<(), String> {
    match evidence {
        Evidence::V8Sampling => fetch(service, "/debug/heapprofile", path),
        Evidence::Tracemalloc => fetch(service, "/debug/heap", path),
        Evidence::GoHeap => fetch(service, "/debug/pprof/heap?gc=1", path),
        Evidence::Goroutines => fetch(service, "/debug/pprof/goroutine", path),
        Evidence::GoroutineDump => fetch(service, "/debug/pprof/goroutine?debug=2", path),
        Evidence::JemallocPprof => fetch(service, "/debug/pprof/heap", path),
        Evidence::JemallocText => fetch(service, "/debug/pprof/heap?format=jemalloc", path),
        Evidence::ClassHistogram => {
            let printed = jcmd(service, &["GC.class_histogram"])?;
            written(path, printed.as_bytes())
        }
        Evidence::Jfr => {
            let to = format!("filename={}", path.display());
            jcmd(service, &["JFR.dump", "name=leakscope", "path-to-gc-roots=true", &to]).map(|_| ())
        }
    }
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
