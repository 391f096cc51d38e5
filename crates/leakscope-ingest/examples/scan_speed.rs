//! Speed of the text scanner: `cargo run --release -p leakscope-ingest --example scan_speed`. Prints MB/s, ns a line and µs a page for a page of 25 series (`small`) and one of 800 (`full`); an argument names one of them.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use leakscope_ingest::{Limits, PageReader, PageSpec};

/// Pages read for one figure: so few that some slices of time hold one undisturbed.
const ROUNDS: u32 = 20;
/// Figures taken; the best counts, for the machine has other work.
const REPEATS: u32 = 4_000;

fn main() {
    let spec = Arc::new(PageSpec::default());
    println!("page         series  lines   bytes   us/page  ns/line    MB/s");
    let only = std::env::args().nth(1);
    let pages = [("small", page_of(25)), ("full", page_of(800))];
    for (name, page) in pages.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        let seconds = (0..REPEATS).map(|_| seconds_a_page(&spec, &page)).fold(f64::INFINITY, f64::min);
        let lines = page.lines().count();
        let series = page.lines().filter(|line| !line.starts_with('#')).count();
        println!(
            "{name:<12} {series:>6} {lines:>6} {:>7} {:>9.2} {:>8.1} {:>7.0}",
            page.len(),
            seconds * 1e6,
            seconds * 1e9 / lines as f64,
            page.len() as f64 / seconds / 1e6
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn seconds_a_page(spec: &Arc<PageSpec>, page: &str) -> f64 {
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        let mut reader = PageReader::new(Arc::clone(spec), Some("text/plain; version=0.0.4"), Limits::default());
        reader.feed(black_box(page.as_bytes())).expect("the page is sound");
        black_box(reader.finish().expect("the page is sound"));
    }
    start.elapsed().as_secs_f64() / f64::from(ROUNDS)
}

/// What a Go service shows: 25 series of its process and runtime, then latency histograms until there are `series`.
fn page_of(series: usize) -> String {
    let mut page = String::new();
    for (index, name) in PROCESS.iter().enumerate() {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = write!(
            page,
            "# HELP {name} What the runtime says of itself.\n# TYPE {name} {kind}\n{name} {}\n",
            1_234_567 * (index + 1)
        );
    }
    let mut left = series - PROCESS.len();
    'families: for family in
        ["http_request_duration_seconds", "db_query_duration_seconds", "rpc_client_latency_seconds"]
    {
        let _ = write!(page, "# HELP {family} Latency of what was asked.\n# TYPE {family} histogram\n");
        for route in ["/cart", "/checkout", "/products/{id}", "/users/{id}/orders", "/search", "/login"] {
            for code in ["200", "404", "500"] {
                for bucket in 0..16 {
                    if left == 0 {
                        break 'families;
                    }
                    left -= 1;
                    let labels = format!("method=\"GET\",route=\"{route}\",service=\"shop-frontend\",code=\"{code}\"");
                    let _ = match bucket {
                        14 => writeln!(page, "{family}_sum{{{labels}}} 123.456789"),
                        15 => writeln!(page, "{family}_count{{{labels}}} 4242"),
                        le => {
                            writeln!(page, "{family}_bucket{{{labels},le=\"{}\"}} {}", f64::from(le) / 20.0, le * 300)
                        }
                    };
                }
            }
        }
    }
    page
}

const PROCESS: [&str; 25] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "process_network_receive_bytes_total",
    "go_gc_duration_seconds_sum",
    "go_gc_duration_seconds_count",
    "go_goroutines",
    "go_info",
    "go_threads",
    "go_memstats_alloc_bytes",
    "go_memstats_alloc_bytes_total",
    "go_memstats_frees_total",
    "go_memstats_heap_alloc_bytes",
    "go_memstats_heap_idle_bytes",
    "go_memstats_heap_inuse_bytes",
    "go_memstats_heap_objects",
    "go_memstats_heap_released_bytes",
    "go_memstats_heap_sys_bytes",
    "go_memstats_last_gc_time_seconds",
    "go_memstats_mallocs_total",
    "go_memstats_next_gc_bytes",
    "http_requests_total",
];
