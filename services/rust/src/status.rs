//! What the service says about its own memory: the status contract, metrics and a page; it must not retain samples.

use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio::time::Instant;

/// The unit of process times in procfs, the same on every architecture of Linux.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;
/// Limits above this mean that there is none (the kernel's word for it differs by page size).
const UNLIMITED_BYTES: u64 = 1 << 60;

pub(crate) struct Status {
    started: Instant,
    start_time: f64,
    rss_first: OnceLock<u64>,
}

impl Status {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), start_time: process_start_time(), rss_first: OnceLock::new() }
    }

    /// Neither heap size nor live heap: the system allocator knows them not.
    pub(crate) fn memory(&self, n_requests: u64) -> Value {
        let mut fields =
            json!({"memory_usage": resident_bytes(), "requests_total": n_requests, "start_time": self.start_time});
        if let Some(limit) = container_limit() {
            fields["limit"] = limit.into();
        }
        fields
    }

    /// Growth since the first look: what a service that knows no better would say.
    pub(crate) fn indicators(&self) -> Value {
        let rss = resident_bytes();
        let rss_first = *self.rss_first.get_or_init(|| rss);
        let score = (rss as f64 / rss_first.max(1) as f64 - 1.0).max(0.0);
        let opinion = match score {
            ..0.5 => "ok",
            ..2.0 => "warning",
            _ => "critical",
        };
        json!({"leak_score": (score * 100.0).round() / 100.0, "status": opinion})
    }

    pub(crate) fn page(&self, n_requests: u64) -> String {
        format!(
            r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cart service</title></head><body>
<h1>Cart service (rust)</h1>
<table>
<tr><th>Resident memory</th><td id="rss">{:.1} MB</td></tr>
<tr><th>Work requests</th><td id="requests">{n_requests}</td></tr>
<tr><th>Uptime</th><td id="uptime">{} s</td></tr>
</table>
</body></html>
"#,
            resident_bytes() as f64 / 1e6,
            self.started.elapsed().as_secs(),
        )
    }

    /// What the crate `metrics-process` prints, and a request counter, in Prometheus text format 0.0.4.
    pub(crate) fn exposition(&self, n_requests: u64) -> String {
        let status = "/proc/self/status";
        let n_fds = fs::read_dir("/proc/self/fd").map_or(0, |descriptors| descriptors.count().saturating_sub(1));
        let mut text = String::new();
        let mut metric = |name: &str, labels: &str, kind: &str, help: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}")
                .expect("a string takes every text");
        };
        metric("process_open_fds", "", "gauge", "Number of open file descriptors.", &n_fds);
        metric("process_resident_memory_bytes", "", "gauge", "Resident memory size in bytes.", &resident_bytes());
        let virtual_bytes = field(status, "VmSize").unwrap_or(0) * 1024;
        metric("process_virtual_memory_bytes", "", "gauge", "Virtual memory size in bytes.", &virtual_bytes);
        let start_time = self.start_time;
        metric(
            "process_start_time_seconds",
            "",
            "gauge",
            "Start time of the process since unix epoch in seconds.",
            &start_time,
        );
        let n_threads = field(status, "Threads").unwrap_or(0);
        metric("process_threads", "", "gauge", "Number of OS threads in the process.", &n_threads);
        let n_tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        metric("tokio_alive_tasks", "", "gauge", "Number of tasks that the runtime has not yet finished.", &n_tasks);
        let labels = r#"{method="GET",path="/work",status="200"}"#;
        metric("http_requests_total", labels, "counter", "Requests served, by path.", &n_requests);
        text
    }
}

/// `{"total","used","free","percent"}` of the host; free is what the kernel calls available.
pub(crate) fn host_memory() -> Value {
    let total = field("/proc/meminfo", "MemTotal").unwrap_or(0) * 1024;
    let free = field("/proc/meminfo", "MemAvailable").unwrap_or(0) * 1024;
    let used = total.saturating_sub(free);
    let percent = (1000.0 * used as f64 / total.max(1) as f64).round() / 10.0;
    json!({"total": total, "used": used, "free": free, "percent": percent})
}

fn resident_bytes() -> u64 {
    field("/proc/self/status", "VmRSS").unwrap_or(0) * 1024
}

/// The first number after a name in a file of lines such as `MemTotal:  123 kB`.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix([':', ' ']))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Unix seconds, from the kernel's ticks since boot.
fn process_start_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = after_name.split_whitespace().nth(19).and_then(|ticks| ticks.parse().ok()).unwrap_or(0.0);
    field("/proc/stat", "btime").unwrap_or(0) as f64 + ticks / CLOCK_TICKS_PER_SECOND
}

fn container_limit() -> Option<u64> {
    let paths = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limits = paths.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.into_iter().find(|limit| *limit < UNLIMITED_BYTES)
}
