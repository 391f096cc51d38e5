//! What a process has used, read from /proc.

use std::time::Duration;

use crate::process::printed_by;

/// Ticks per second of /proc/PID/stat where `getconf` does not say; the kernel's constant since 2.6.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system CPU time of a process so far, all threads, also those that ended.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, String> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("`{path}` not readable: {error}"))?;
    let ticks = cpu_ticks(&text).ok_or_else(|| format!("expected utime and stime in `{path}`, found `{text}`"))?;
    let per_second = printed_by("getconf", &["CLK_TCK"]).and_then(|text| text.trim().parse().ok());
    Ok(Duration::from_secs_f64(ticks as f64 / per_second.unwrap_or(TICKS_PER_SECOND)))
}

/// utime + stime: the 12th and 13th field behind the name, which may itself hold blanks and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A line of /proc/PID/status in bytes: `VmHWM` is the peak of the resident set, `VmRSS` what it is now.
pub(crate) fn memory_bytes(pid: u32, line: &str) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("`{path}` not readable: {error}"))?;
    kibibytes(&text, line).map(|n| n * 1_024).ok_or_else(|| format!("expected `{line}` in `{path}`, found none"))
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Open file descriptors of a process.
pub(crate) fn open_files(pid: u32) -> Result<usize, String> {
    let path = format!("/proc/{pid}/fd");
    std::fs::read_dir(&path).map(Iterator::count).map_err(|error| format!("`{path}` not readable: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_are_found() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 123 45 0 0 20 0 1 0 100 200 300";
        assert_eq!(cpu_ticks(stat), Some(168));
        assert_eq!(kibibytes("VmPeak:\t 10 kB\nVmHWM:\t  2048 kB\n", "VmHWM"), Some(2_048));
    }
}
