//! The pages of the simulated targets, rendered at most once a second for each of a few groups of targets.

use std::fmt::Write;
use std::sync::Arc;

/// Targets fall into so many groups; those of one group show the same values.
const GROUPS: usize = 16;

/// What a target can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// `/metrics`: 25 series.
    Small,
    /// `/metrics/full`: 800 series, about 90 KB.
    Full,
    /// `/status/memory`: JSON.
    Status,
}

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whole HTTP answers, by page and group.
#[derive(Debug, Default)]
pub(super) struct Pages {
    rendered: Vec<Option<(u64, Arc<[u8]>)>>,
}

impl Pages {
    /// The answer of a target at this second of the simulation.
    pub(super) fn answer(&mut self, page: Page, target: usize, second: u64) -> Arc<[u8]> {
        let group = target % GROUPS;
        let index = page as usize * GROUPS + group;
        if self.rendered.len() <= index {
            self.rendered.resize(index + 1, None);
        }
        if let Some(Some((rendered_at, bytes))) = self.rendered.get(index)
            && *rendered_at == second
        {
            return Arc::clone(bytes);
        }
        let bytes = render(page, group as u64, second);
        if let Some(slot) = self.rendered.get_mut(index) {
            *slot = Some((second, Arc::clone(&bytes)));
        }
        bytes
    }
}

fn render(page: Page, group: u64, second: u64) -> Arc<[u8]> {
    let values = Values::at(group, second);
    let (content_type, body) = match page {
        Page::Small => (TEXT, small(&values)),
        Page::Full => (TEXT, full(&values)),
        Page::Status => (JSON, status(&values)),
    };
    with_head("200 OK", content_type, body.as_bytes())
}

/// An HTTP answer of known length.
pub(super) fn with_head(status: &str, content_type: &str, body: &[u8]) -> Arc<[u8]> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}

/// What a healthy service shows: memory in a saw-tooth, counters that rise.
struct Values {
    rss_bytes: u64,
    heap_bytes: u64,
    heap_limit_bytes: u64,
    goroutines: u64,
    fds: u64,
    requests: u64,
    cpu_seconds: f64,
    gc_cycles: u64,
    /// Unix seconds; the process started an hour before the simulation's own epoch.
    start_time: u64,
}

impl Values {
    fn at(group: u64, second: u64) -> Self {
        let phase = (second + group * 5) % 40;
        Self {
            rss_bytes: 180_000_000 + group * 1_048_576 + (second * 7 + group * 13) % 32 * 65_536,
            heap_bytes: 60_000_000 + phase * 1_310_720 + group * 4_096,
            heap_limit_bytes: 536_870_912,
            goroutines: 40 + group + second % 5,
            fds: 24 + (second + group) % 4,
            requests: 100_000 + (second + group) * 50,
            cpu_seconds: 12.5 + second as f64 * 0.04,
            gc_cycles: 90 + (second + group * 5) / 40,
            start_time: 1_700_000_000 + group,
        }
    }
}

fn metric(out: &mut String, name: &str, kind: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "# HELP {name} As its name says.\n# TYPE {name} {kind}\n{name} {value}");
}

fn small(values: &Values) -> String {
    let mut out = String::with_capacity(4_096);
    metric(&mut out, "process_cpu_seconds_total", "counter", values.cpu_seconds);
    metric(&mut out, "process_resident_memory_bytes", "gauge", values.rss_bytes);
    metric(&mut out, "process_virtual_memory_bytes", "gauge", 1_420_000_000_u64 + values.rss_bytes);
    metric(&mut out, "process_start_time_seconds", "gauge", values.start_time);
    metric(&mut out, "process_open_fds", "gauge", values.fds);
    metric(&mut out, "process_max_fds", "gauge", 1_048_576);
    metric(&mut out, "go_goroutines", "gauge", values.goroutines);
    metric(&mut out, "go_threads", "gauge", 14);
    metric(&mut out, "go_memstats_alloc_bytes", "gauge", values.heap_bytes);
    metric(&mut out, "go_memstats_heap_alloc_bytes", "gauge", values.heap_bytes);
    metric(&mut out, "go_memstats_heap_inuse_bytes", "gauge", values.heap_bytes + 3_000_000);
    metric(&mut out, "go_memstats_heap_idle_bytes", "gauge", 40_000_000);
    metric(&mut out, "go_memstats_heap_released_bytes", "gauge", 8_000_000);
    metric(&mut out, "go_memstats_heap_sys_bytes", "gauge", 150_000_000);
    metric(&mut out, "go_memstats_heap_objects", "gauge", values.heap_bytes / 120);
    metric(&mut out, "go_memstats_sys_bytes", "gauge", 170_000_000);
    metric(&mut out, "go_memstats_stack_inuse_bytes", "gauge", 1_500_000);
    metric(&mut out, "go_memstats_next_gc_bytes", "gauge", 112_000_000);
    metric(&mut out, "go_memstats_gc_sys_bytes", "gauge", 9_000_000);
    metric(&mut out, "go_memstats_last_gc_time_seconds", "gauge", values.start_time + values.gc_cycles * 40);
    metric(&mut out, "go_gc_duration_seconds_count", "counter", values.gc_cycles);
    metric(&mut out, "go_gc_duration_seconds_sum", "counter", values.gc_cycles as f64 * 0.000_31);
    metric(&mut out, "go_memstats_mallocs_total", "counter", values.requests * 300);
    metric(&mut out, "go_memstats_frees_total", "counter", values.requests * 300 - values.heap_bytes / 120);
    metric(&mut out, "http_requests_total", "counter", values.requests);
    out
}

const ROUTES: [&str; 8] = [
    "/api/v1/carts/{cart}/items",
    "/api/v1/checkout/sessions",
    "/api/v1/customers/{customer}",
    "/api/v1/inventory/reservations",
    "/api/v1/orders/{order}/events",
    "/api/v1/payments/authorisations",
    "/api/v1/products/search",
    "/api/v1/recommendations",
];
const ANSWERS: [(&str, &str); 7] = [
    ("GET", "200"),
    ("GET", "404"),
    ("GET", "500"),
    ("POST", "200"),
    ("POST", "400"),
    ("PUT", "200"),
    ("DELETE", "204"),
];
const BOUNDS: [&str; 11] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "10", "+Inf"];

/// The small page and a latency histogram per route and answer, up to 800 series.
fn full(values: &Values) -> String {
    let name = "http_request_duration_seconds";
    let mut out = small(values);
    let mut n_series = 25;
    let _ = writeln!(out, "# HELP {name} Time from the first byte of a request to the last of its answer.");
    let _ = writeln!(out, "# TYPE {name} histogram");
    for (row, route) in ROUTES.iter().enumerate() {
        for (column, (method, code)) in ANSWERS.iter().enumerate() {
            let n_requests = values.requests / (row as u64 * 7 + column as u64 + 2);
            let labels = format!("handler=\"{route}\",method=\"{method}\",code=\"{code}\"");
            for (rank, bound) in BOUNDS.iter().enumerate() {
                let below = n_requests * (rank as u64 + 1) / BOUNDS.len() as u64;
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
            }
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", n_requests as f64 * 0.0421);
            let _ = writeln!(out, "{name}_count{{{labels}}} {n_requests}");
            n_series += BOUNDS.len() + 2;
        }
    }
    let _ = writeln!(out, "# HELP go_sched_latency_bucket Time goroutines waited to run.");
    let _ = writeln!(out, "# TYPE go_sched_latency_bucket gauge");
    for bucket in 0..800_usize.saturating_sub(n_series) {
        let value = values.requests / (bucket as u64 + 1);
        let _ = writeln!(
            out,
            "go_sched_latency_bucket{{component=\"runtime\",pool=\"default\",bucket=\"{bucket}\"}} {value}"
        );
    }
    out
}

fn status(values: &Values) -> String {
    format!(
        "{{\"memory_usage\": {}, \"heap_size\": {}, \"heap_after_gc\": {}, \"object_count\": {}, \"limit\": {}, \"requests_total\": {}, \"start_time\": {}}}",
        values.rss_bytes,
        values.heap_bytes,
        60_000_000,
        values.heap_bytes / 120,
        values.heap_limit_bytes,
        values.requests,
        values.start_time
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_series(page: &str) -> usize {
        page.lines().filter(|line| !line.starts_with('#')).count()
    }

    #[test]
    fn the_pages_have_the_sizes_they_promise() {
        let values = Values::at(3, 100);
        assert_eq!(n_series(&small(&values)), 25);
        let full = full(&values);
        assert_eq!(n_series(&full), 800);
        assert!((80_000..100_000).contains(&full.len()), "{} bytes", full.len());
        assert!(serde_json::from_str::<serde_json::Value>(&status(&values)).is_ok());
    }

    #[test]
    fn a_page_is_rendered_once_a_second() {
        let mut pages = Pages::default();
        let first = pages.answer(Page::Small, 1, 10);
        assert!(Arc::ptr_eq(&first, &pages.answer(Page::Small, 1 + GROUPS, 10)));
        assert_ne!(first, pages.answer(Page::Small, 1, 11));
    }
}
