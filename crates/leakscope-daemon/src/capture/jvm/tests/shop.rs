//! A real JVM for the tests: `Shop.java`, compiled once, each test with its own process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use leakscope_model::{Bytes, CaptureKind, Runtime, TargetId};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::super::super::{CaptureError, HttpAccess, Output, Subject, Taken};
use crate::config::{Capture, HttpClient, JvmCapture, Scheme};

/// How long any condition may take on a loaded machine.
pub(super) const WITHIN: Duration = Duration::from_mins(1);

/// One JVM at a time: a test sees no folder of another in `/tmp`.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A running shop; it ends when dropped.
pub(super) struct Shop {
    pub(super) process: Child,
    pub(super) pid: u32,
    address: String,
    _stdin: ChildStdin,
    _alone: MutexGuard<'static, ()>,
}

/// The compiled classes; `None`, said aloud, where there is no `javac`.
fn classes() -> Option<PathBuf> {
    static CLASSES: OnceLock<Option<TempDir>> = OnceLock::new();
    let compiled = CLASSES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("Shop.java");
        std::fs::write(&source, include_str!("Shop.java")).unwrap();
        // Other users run it as well.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let compiled = Command::new("javac").args(["--release", "17", "-d"]).arg(folder.path()).arg(&source).status();
        match compiled {
            Ok(status) => {
                assert!(status.success());
                Some(folder)
            }
            Err(error) => {
                eprintln!("skipped: `javac` cannot be run: {error}");
                None
            }
        }
    });
    compiled.as_ref().map(|folder| folder.path().to_owned())
}

impl Shop {
    /// A shop of the host's `java`; `None` where there is none.
    pub(super) async fn open(options: &[&str]) -> Option<Self> {
        Self::with("java", options, |_| {}).await
    }

    pub(super) async fn with(
        java: impl AsRef<OsStr>,
        options: &[&str],
        adapt: impl FnOnce(&mut Command),
    ) -> Option<Self> {
        let classes = classes()?;
        let alone = ALONE.lock().await;
        let mut command = Command::new(java);
        command.args(options).arg("-cp").arg(classes).arg("Shop");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
        adapt(&mut command);
        let mut process = command.spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let address = format!("127.0.0.1:{}", port.trim());
        Some(Self { pid: process.id(), process, address, _stdin: stdin, _alone: alone })
    }

    /// What leakscope knows of it: its process and its server.
    pub(super) fn subject(&self) -> Subject {
        self.configured(Capture::default().jvm)
    }

    pub(super) fn configured(&self, jvm: JvmCapture) -> Subject {
        let http = HttpAccess::new(Scheme::Http, &self.address, &HttpClient::default(), None).unwrap();
        Subject {
            target: TargetId(1),
            instance: self.address.clone(),
            runtime: Runtime::Jvm,
            pid: Some(self.pid),
            http: Some(http),
            settings: Arc::new(Capture { jvm, ..Capture::default() }),
        }
    }

    /// Only over HTTP.
    pub(super) fn remote(&self, actuator_path: &str) -> Subject {
        let jvm = JvmCapture { attach: false, actuator_path: actuator_path.into(), ..Capture::default().jvm };
        Subject { pid: None, ..self.configured(jvm) }
    }

    /// By way of another server of the same JVM, without attaching.
    pub(super) fn at(&self, address: &str) -> Subject {
        let subject = self.configured(JvmCapture { attach: false, ..Capture::default().jvm });
        let http = HttpAccess::new(Scheme::Http, address, &HttpClient::default(), None).unwrap();
        Subject { http: Some(http), ..subject }
    }

    /// Has it keep orders of 1 kB each; an answer also shows that it runs.
    pub(super) async fn keep(&self, orders: u32) {
        let http = self.subject().http.unwrap();
        let asked = http.get(&format!("/keep/{orders}")).unwrap().send();
        let answer = tokio::time::timeout(WITHIN, asked).await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "kept");
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // A JVM that is killed leaves its socket.
        let _ = std::fs::remove_file(format!("/tmp/.java_pid{}", self.pid));
    }
}

/// Takes evidence of a kind, at most `size_max` bytes.
pub(super) async fn taken(
    subject: &Subject,
    kind: CaptureKind,
    size_max: u64,
) -> (Vec<u8>, Result<Taken, CaptureError>) {
    let mut bytes = Vec::new();
    let taken = super::super::take(subject, kind, &mut Output::new(&mut bytes, Bytes(size_max))).await;
    (bytes, taken)
}

/// Our folders in `/tmp`.
pub(super) fn folders() -> Vec<String> {
    let names = std::fs::read_dir("/tmp").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| super::super::folder::is_ours(name)).collect()
}

/// Waits for a condition.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            // poll: what the caller waits for
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(WITHIN, poll).await.is_ok(), "never: {what}");
}
