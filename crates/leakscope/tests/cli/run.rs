//! Runs the binary in a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long a process may take to say what is waited for.
const SAID_LIMIT: Duration = Duration::from_mins(2);
/// How often a condition is looked at, and how many times.
const POLL: Duration = Duration::from_millis(100);
const POLLS_MAX: usize = 600;

/// What one run answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(exit: i32, stdout: &str, stderr: &str) -> Self {
        Self { exit, stdout: stdout.into(), stderr: stderr.into() }
    }

    /// The same without what was said beside the result.
    pub(crate) fn without_stderr(self) -> Self {
        Self { stderr: String::new(), ..self }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The binary, in `folder`, with no environment that changes what it says. What it builds stays in the target folder.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leakscope"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEAKSCOPE_")) {
        command.env_remove(variable);
    }
    command.env("COLUMNS", "100").env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ran {
    command(folder, arguments).output().unwrap().into()
}

/// A process whose lines are waited for; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts it; its lines are those of standard error, or of standard output.
    pub(crate) fn start(command: &mut Command, stream: Stream) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output: Box<dyn std::io::Read + Send> = match stream {
            Stream::Out => Box::new(process.stdout.take().unwrap()),
            Stream::Err => Box::new(process.stderr.take().unwrap()),
        };
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody may listen any more; the pipe is drained all the same.
                let _ = sender.send(line);
            }
        });
        Self { process, lines }
    }

    /// What follows `words` in the first line that holds them.
    pub(crate) fn said(&self, words: &str) -> String {
        let mut before = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(SAID_LIMIT) {
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
            before.push(line);
        }
        panic!("expected a line with `{words}`, found {before:#?}");
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal and returns the exit code.
    pub(crate) fn end_by(mut self, signal: &str) -> i32 {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        self.process.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Looks until `found` finds something.
pub(crate) fn poll<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..POLLS_MAX {
        if let Some(found) = found() {
            return found;
        }
        thread::sleep(POLL); // poll: `found`
    }
    panic!("expected {what} within {} s", (POLL * POLLS_MAX as u32).as_secs());
}

/// Processes with `words` in their command line, as one string each.
pub(crate) fn processes_with(words: &str) -> Vec<String> {
    let command_line = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).ok();
    let lines = fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(command_line);
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(words)).collect()
}
