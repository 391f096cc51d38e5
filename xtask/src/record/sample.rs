//! What one look at a service shows: its own page, and what the kernel says about its process.

use std::fs;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use super::http;
use super::recording::Recording;

/// Columns of a recording after the time, as the reader of recorded series knows them.
pub(crate) const COLUMNS: [&str; 10] = [
    "rss_bytes",
    "anon_bytes",
    "heap_bytes",
    "heap_after_gc_bytes",
    "external_bytes",
    "requests_total",
    "limit_bytes",
    "start_s",
    "tasks",
    "fds",
];

/// One row; what is not shown is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) t_s: f64,
    pub(crate) rss: Option<f64>,
    pub(crate) anon: Option<f64>,
    pub(crate) heap: Option<f64>,
    pub(crate) heap_after_gc: Option<f64>,
    pub(crate) external: Option<f64>,
    pub(crate) requests: Option<f64>,
    pub(crate) limit: Option<f64>,
    pub(crate) start_s: Option<f64>,
    pub(crate) tasks: Option<f64>,
    pub(crate) fds: Option<f64>,
    /// Bytes that requests have leaked by then in this process; not a column: the label is made from it.
    pub(crate) leaked: f64,
}

impl Sample {
    /// Looks at a service: its status page, its metrics where only they tell, and its process.
    pub(crate) fn of(recording: &Recording, address: SocketAddr, pid: u32) -> io::Result<Self> {
        let page: Value = serde_json::from_str(&http::get(address, "/status/memory")?)?;
        let number = |name: &str| page[name].as_f64();
        let runtime = recording.flavour.runtime();
        let metrics = if runtime == "python" { String::new() } else { http::get(address, "/metrics")? };
        let (external, tasks) = match runtime {
            "node" => ("nodejs_external_memory_bytes", "nodejs_active_resources_total"),
            "go" => ("", "go_goroutines"),
            "java" => ("jvm_buffer_memory_used_bytes{", "jvm_threads_live_threads"),
            _ => ("", "tokio_alive_tasks"),
        };
        let process = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self {
            rss: number("memory_usage"),
            anon: field(&process, "RssAnon:").map(|kibibytes| kibibytes * 1_024.0),
            heap: number("heap_size"),
            heap_after_gc: number("heap_after_gc").filter(|_| recording.shows_live_heap),
            external: sum(&metrics, external),
            requests: number("requests_total"),
            tasks: sum(&metrics, tasks).or_else(|| field(&process, "Threads:")),
            fds: fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|entries| entries.count() as f64),
            ..Self::default()
        })
    }

    fn columns(&self) -> [Option<f64>; 10] {
        let Self { rss, anon, heap, heap_after_gc, external, requests, limit, start_s, tasks, fds, .. } = *self;
        [rss, anon, heap, heap_after_gc, external, requests, limit, start_s, tasks, fds]
    }
}

/// The first number after a name in lines such as `RssAnon:   1234 kB`.
fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// The sum of the series of a metric; none without a name or a series.
fn sum(metrics: &str, name: &str) -> Option<f64> {
    if name.is_empty() {
        return None;
    }
    let of_line = |line: &str| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok();
    metrics.lines().filter_map(of_line).reduce(|a, b| a + b)
}

/// The rows as CSV, with the columns that at least one row has.
pub(crate) fn csv(samples: &[Sample]) -> String {
    let shown: Vec<usize> =
        (0..COLUMNS.len()).filter(|column| samples.iter().any(|sample| sample.columns()[*column].is_some())).collect();
    let mut text = String::from("t_s");
    for column in &shown {
        text.push(',');
        text.push_str(COLUMNS[*column]);
    }
    text.push('\n');
    for sample in samples {
        text.push_str(&short(sample.t_s));
        for column in &shown {
            text.push(',');
            text.push_str(&sample.columns()[*column].map(short).unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

/// Hundredths at most, and none where there are none.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_no_row_shows_is_left_out_and_a_missing_cell_is_empty() {
        let rows = [
            Sample { t_s: 0.5, rss: Some(100.0), ..Sample::default() },
            Sample { t_s: 1.504, rss: Some(110.0), heap: Some(7.0), ..Sample::default() },
        ];
        assert_eq!(csv(&rows), "t_s,rss_bytes,heap_bytes\n0.5,100,\n1.5,110,7\n");
    }

    #[test]
    fn series_of_one_name_are_added() {
        let metrics = "# TYPE a gauge\na{id=\"direct\"} 10\na{id=\"mapped\"} 5.0\nab 7\n";
        assert_eq!(sum(metrics, "a{"), Some(15.0));
        assert_eq!(sum(metrics, "b"), None);
        assert_eq!(sum(metrics, ""), None);
        assert_eq!(field("VmRSS:\t  12 kB\nRssAnon:\t  10 kB\n", "RssAnon:"), Some(10.0));
    }
}
