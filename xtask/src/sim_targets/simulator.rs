//! The simulated targets seen from the command that started them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Mood, address_of};
use crate::http;
use crate::process::Running;

/// A running simulator; it ends with this value.
#[derive(Debug)]
pub(crate) struct Simulator {
    _process: Running,
    port: u16,
    control_port: u16,
}

/// What the targets have served so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Whole answers written.
    pub(crate) scrapes: u64,
    /// Connections accepted.
    pub(crate) accepted: u64,
    /// Connections open now, the asking one included.
    pub(crate) open: u64,
}

impl Simulator {
    pub(crate) fn start(n_targets: usize, mood: Mood) -> Result<Self, String> {
        raise_file_limit();
        let program = std::env::current_exe().map_err(|error| format!("this program's own file not found: {error}"))?;
        let mut command = Command::new(program);
        command.args(["sim-targets", "--targets", &n_targets.to_string()]).stdout(Stdio::piped());
        if mood == Mood::Faulty {
            command.arg("--faults");
        }
        let mut process = Running::start("sim-targets", &mut command)?;
        let mut line = String::new();
        if let Some(output) = process.child().stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(|error| format!("simulator not readable: {error}"))?;
        }
        let mut numbers = line.split_whitespace().skip(1).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(port)), Some(Ok(control_port))) => Ok(Self { _process: process, port, control_port }),
            _ => Err(format!("expected `ready PORT PORT` of the simulator, found `{}`", line.trim())),
        }
    }

    pub(crate) fn address_of(&self, target: usize) -> SocketAddr {
        address_of(target, self.port)
    }

    /// Where a remote write ends in nothing.
    pub(crate) fn null_receiver(&self) -> String {
        format!("http://127.0.0.1:{}/write", self.control_port)
    }

    pub(crate) fn counts(&self) -> Result<Counts, String> {
        let body = http::get(&format!("http://127.0.0.1:{}/counts", self.control_port))?;
        let counts: Value = serde_json::from_str(&body).map_err(|error| format!("expected counts, found {error}"))?;
        let count = |name: &str| counts[name].as_u64().unwrap_or_default();
        Ok(Counts { scrapes: count("scrapes"), accepted: count("accepted"), open: count("open") })
    }
}

/// Lets this process and those it starts open as many files as the machine allows; a target needs two.
fn raise_file_limit() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let Some(hard) = line.split_whitespace().nth(4) else { return };
    let own = std::process::id().to_string();
    // From util-linux, on every Debian machine; where it is missing the soft limit stays, and binding says so.
    let _ = Command::new("prlimit").args(["--pid", &own, &format!("--nofile={hard}:{hard}")]).status();
}
