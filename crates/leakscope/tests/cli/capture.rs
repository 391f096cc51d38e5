//! `leakscope capture --pid`: evidence of a process without a daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};

use crate::run::run;

/// A process to look at, killed when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_is_taken_before_somebody_agreed() {
    let folder = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::start();
    let ran = run(folder.path(), &["capture", "--pid", &sleeper.pid(), "--kind", "process-map"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.starts_with(&format!("process-map of process {}, by ", sleeper.pid())), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("hint: `--yes` goes on without asking\n"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn any_process_gives_its_mappings_into_a_private_file() {
    let folder = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::start();
    let ran = run(folder.path(), &["capture", "--pid", &sleeper.pid(), "--yes"]);
    let name = format!("{}-process-map.txt", sleeper.pid());
    assert_eq!((ran.exit, ran.stdout), (0, format!("{name}\n")), "{}", ran.stderr);
    let file = folder.path().join(name);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::metadata(&file).unwrap().len() > 0);
}

#[test]
fn what_a_process_does_not_give_is_said_with_what_it_gives() {
    let folder = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::start();
    let ran = run(folder.path(), &["capture", "--pid", &sleeper.pid(), "--kind", "jvm-heap-dump", "--yes"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("the process gives ") && ran.stderr.contains("process-map"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let gone = run(folder.path(), &["capture", "--pid", "4194304", "--yes"]);
    assert_eq!((gone.exit, gone.stderr.as_str()), (2, "error: process 4194304 is not known on this host\n"));
}
