//! A JVM that runs the program of a test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running program; ended when dropped.
pub(crate) struct Jvm {
    pub(crate) process: Child,
    /// Where it was compiled and runs.
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

impl Jvm {
    /// Compiles `source` as the file `name` and runs its `class`, until it prints a line that begins with `ready`. None where no JDK is
    /// installed, or it does not know the options.
    pub(crate) fn run(name: &str, source: &[u8], options: &[&str], class: &str, ready: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), source).unwrap();
        let mut javac = Command::new("javac");
        let compiled = javac.args(["-encoding", "UTF-8", "-d", ".", name]).current_dir(folder.path()).status();
        if compiled.ok()?.code()? != 0 {
            return None;
        }
        let mut java = Command::new("java");
        java.args(options).args(["-Xmx64m", "-cp", ".", class]).current_dir(folder.path());
        let process = java.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut jvm = Self { process, folder };
        jvm.said(ready).then_some(jvm)
    }

    /// Waits for a line that begins with this.
    pub(crate) fn said(&mut self, start: &str) -> bool {
        let lines = BufReader::new(self.process.stdout.as_mut().unwrap()).lines();
        lines.map_while(Result::ok).any(|line| line.starts_with(start))
    }

    /// What `jcmd` prints of it.
    pub(crate) fn jcmd(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("jcmd").arg(self.process.id().to_string()).args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
    }
}
