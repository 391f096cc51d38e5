//! What one run of a program costs: CPU of the process and its threads, wall time, peak memory by kind.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::bench::usage;
use crate::clock;
use crate::process::spelled;

/// How often memory is looked at. A peak between two looks is missed, but the kernel's own peak of the resident set is not.
const LOOK: Duration = Duration::from_millis(4);

/// What one run used, or of several runs the least of each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    /// User and system time in seconds.
    pub(super) cpu_s: f64,
    pub(super) wall_s: f64,
    /// Peak of the resident set, pages of mapped files included.
    pub(super) resident_bytes: u64,
    /// Peak of the memory that is no page of a file.
    pub(super) anonymous_bytes: u64,
}

impl Cost {
    /// The least of each.
    pub(super) fn min(self, other: Self) -> Self {
        Self {
            cpu_s: self.cpu_s.min(other.cpu_s),
            wall_s: self.wall_s.min(other.wall_s),
            resident_bytes: self.resident_bytes.min(other.resident_bytes),
            anonymous_bytes: self.anonymous_bytes.min(other.anonymous_bytes),
        }
    }

    /// The median of each; of an even number the upper one. `costs`: at least one.
    fn median(costs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            cpu_s: of(|cost| cost.cpu_s),
            wall_s: of(|cost| cost.wall_s),
            resident_bytes: of(|cost| cost.resident_bytes as f64) as u64,
            anonymous_bytes: of(|cost| cost.anonymous_bytes as f64) as u64,
        }
    }
}

/// The cheapest of `n_runs`, and what the last one printed.
pub(super) fn cheapest(command: &Command, folder: &Path, n_runs: usize) -> Result<(Cost, String), String> {
    let (mut cost, mut printed) = once(command, folder)?;
    for _ in 1..n_runs {
        let (again, text) = once(command, folder)?;
        (cost, printed) = (cost.min(again), text);
    }
    Ok((cost, printed))
}

/// The median of `n_runs` in each figure, and what the last one printed.
pub(super) fn median(command: &Command, folder: &Path, n_runs: usize) -> Result<(Cost, String), String> {
    let (first, mut printed) = once(command, folder)?;
    let mut costs = vec![first];
    while costs.len() < n_runs {
        let (cost, text) = once(command, folder)?;
        costs.push(cost);
        printed = text;
    }
    Ok((Cost::median(&costs), printed))
}

/// Runs a command to its end with its output in files of `folder`. CPU time is what bash's `time` says, which the kernel counts by
/// the microsecond; /proc has hundredths of a second.
fn once(command: &Command, folder: &Path) -> Result<(Cost, String), String> {
    let unreadable = |error: std::io::Error| format!("`{}` not usable: {error}", folder.display());
    fs::create_dir_all(folder).map_err(unreadable)?;
    let (out, log) = (folder.join("out"), folder.join("log"));
    let mut timed = Command::new("bash");
    timed.args(["-c", "TIMEFORMAT=$'\\ntimes %U %S'; time \"$@\"", "bash"]);
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        timed.env(name, value.unwrap_or_default());
    }
    timed.stdin(Stdio::null());
    timed.stdout(File::create(&out).map_err(unreadable)?).stderr(File::create(&log).map_err(unreadable)?);
    let began = clock::now();
    let mut child = timed.spawn().map_err(|error| format!("bash did not start: {error}"))?;
    let mut peak = Peak::default();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(unreadable)? {
            break status;
        }
        peak.look(child.id());
        thread::sleep(LOOK);
    };
    let wall_s = began.elapsed().as_secs_f64();
    let said = fs::read(&log).map_err(unreadable)?;
    let said = String::from_utf8_lossy(&said);
    if !status.success() {
        let reason = said.lines().find(|line| line.starts_with("error")).or_else(|| said.lines().next());
        return Err(format!("{}: {status} of `{}`", reason.unwrap_or_default(), spelled(command)));
    }
    let cpu_s = said.lines().last().and_then(cpu_seconds);
    let cpu_s = cpu_s.ok_or_else(|| format!("expected times of `{}`, found `{said}`", spelled(command)))?;
    let printed = fs::read(&out).map_err(unreadable)?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    Ok((Cost { cpu_s, wall_s, resident_bytes: peak.resident, anonymous_bytes: peak.anonymous }, printed))
}

/// `times 1.234 0.056`: user and system time, as asked for above.
fn cpu_seconds(line: &str) -> Option<f64> {
    let (user, system) = line.strip_prefix("times ")?.split_once(' ')?;
    Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
}

#[derive(Debug, Default)]
struct Peak {
    /// The measured process, the one child of the shell; unknown until it is there.
    process: Option<u32>,
    resident: u64,
    anonymous: u64,
}

impl Peak {
    fn look(&mut self, shell: u32) {
        self.process = self.process.or_else(|| only_child(shell));
        let Some(process) = self.process else { return };
        // The process may have ended since.
        self.resident = self.resident.max(usage::memory_bytes(process, "VmHWM").unwrap_or(0));
        self.anonymous = self.anonymous.max(usage::memory_bytes(process, "RssAnon").unwrap_or(0));
    }
}

fn only_child(shell: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_shell_are_added_up() {
        assert_eq!(cpu_seconds("times 1.250 0.500"), Some(1.75));
        assert_eq!(cpu_seconds("1.2 1.3"), None);
    }

    #[test]
    fn the_least_of_each_counts() {
        let cost = |cpu_s, wall_s, bytes| Cost { cpu_s, wall_s, resident_bytes: bytes, anonymous_bytes: bytes };
        assert_eq!(cost(1.0, 4.0, 7).min(cost(2.0, 3.0, 6)), cost(1.0, 3.0, 6));
    }

    #[test]
    fn the_median_is_taken_of_each_figure() {
        let cost = |cpu_s, bytes| Cost { cpu_s, wall_s: 1.0, resident_bytes: bytes, anonymous_bytes: 0 };
        assert_eq!(Cost::median(&[cost(9.0, 1), cost(2.0, 5), cost(3.0, 2)]), cost(3.0, 2));
    }
}
