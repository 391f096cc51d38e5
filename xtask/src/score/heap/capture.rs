//! Three captures of one living service under traffic, at so many requests each.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::{Case, Runtime};
use crate::process::fresh_folder;
use crate::record::service::{self, Service, done};
use crate::score::traffic::{AT_REQUESTS, under_traffic, wait};

/// Bytes that each work request leaks, unless it is said otherwise.
pub(super) const RATE_BYTES: usize = 8 * 1_024;
/// Where the compiled Java service lies in the folder of the captures.
const CLASSES: &str = "classes";

/// Where the three captures of a case lie in `folder`, whether they are there or not.
pub(super) fn paths(folder: &Path, case: &Case) -> Vec<PathBuf> {
    let name = |n: usize| format!("{}-{}-{n}.{}", case.runtime.name(), case.leak, case.runtime.ending());
    (1..=AT_REQUESTS.len()).map(|n| folder.join(name(n))).collect()
}

/// Compiles what is not run from source.
pub(super) fn build(root: &Path, folder: &Path) -> Result<(), String> {
    service::build_java(root, &folder.join(CLASSES))
}

/// Takes the captures of a case anew; each request leaks so many bytes.
pub(super) fn take(root: &Path, folder: &Path, case: &Case, rate_bytes: usize) -> Result<(), String> {
    let raw = folder.join("raw");
    fresh_folder(&raw)?;
    let mut command = command(root, folder, &raw, case);
    let mut service = Service::start(command.args(["--rate", &rate_bytes.to_string()]))?;
    let captured = capture_each(&mut service, &raw, &paths(folder, case));
    drop(service);
    fs::remove_dir_all(&raw).map_err(|error| format!("`{}` not removable: {error}", raw.display()))?;
    captured
}

fn command(root: &Path, folder: &Path, raw: &Path, case: &Case) -> Command {
    let mut command = match case.runtime {
        Runtime::Node => {
            let mut command = Command::new("node");
            command.arg("--heapsnapshot-signal=SIGUSR2").arg(format!("--diagnostic-dir={}", raw.display()));
            command.arg(root.join("services/node/server.js"));
            command
        }
        Runtime::Java => {
            let mut command = Command::new("java");
            command.arg(format!("@{}", root.join("services/java/jvm.options").display()));
            command.arg("-cp").arg(folder.join(CLASSES)).arg("Service");
            command
        }
    };
    command.args(["--leak", case.leak, "--exit-with-stdin"]);
    command
}

fn capture_each(service: &mut Service, raw: &Path, paths: &[PathBuf]) -> Result<(), String> {
    under_traffic(service, |service, n| {
        let path = &paths[n];
        if path.extension().is_some_and(|ending| ending == Runtime::Java.ending()) {
            dump_jvm(service.id(), path)
        } else {
            snapshot_node(service, raw, path)
        }
    })
}

/// `jcmd` collects first, so that the dump holds what is live.
fn dump_jvm(pid: u32, path: &Path) -> Result<(), String> {
    if path.exists() {
        fs::remove_file(path).map_err(|error| format!("`{}` not removable: {error}", path.display()))?;
    }
    done(Command::new("jcmd").arg(pid.to_string()).arg("GC.heap_dump").arg(path))
}

/// Node writes the snapshot on its main thread under a name of its own; it is whole when its last brackets are there.
fn snapshot_node(service: &mut Service, raw: &Path, path: &Path) -> Result<(), String> {
    done(Command::new("sh").args(["-c", &format!("kill -USR2 {}", service.id())]))?;
    let mut written = None;
    wait(service, "its snapshot", || {
        written = only_file(raw).filter(|file| ends_with_brackets(file));
        written.is_some()
    })?;
    let written = written.ok_or("no snapshot")?;
    fs::rename(&written, path).map_err(|error| format!("`{}` not movable: {error}", written.display()))
}

fn only_file(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|path| path.extension().is_some_and(|ending| ending == Runtime::Node.ending()))
}

fn ends_with_brackets(path: &Path) -> bool {
    let tail = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let n_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(n_bytes.saturating_sub(8)))?;
        let mut tail = String::new();
        file.read_to_string(&mut tail)?;
        Ok(tail)
    };
    tail().is_ok_and(|tail| tail.trim_end().ends_with("]}"))
}

#[cfg(test)]
mod tests {
    use super::super::case::CASES;
    use super::*;

    #[test]
    fn captures_of_a_case_are_named_after_it() {
        let names: Vec<String> =
            paths(Path::new("f"), &CASES[0]).iter().map(|path| path.display().to_string()).collect();
        assert_eq!(names, ["f/node-none-1.heapsnapshot", "f/node-none-2.heapsnapshot", "f/node-none-3.heapsnapshot"]);
    }
}
