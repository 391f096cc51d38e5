//! What leakscope says of itself: one registry, served at `/metrics`.

use std::fmt::Write as _;
use std::sync::Arc;

use leakscope_engine::Event;
use leakscope_model::Signal;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::scrape::{ScraperStats, process};

/// Counters and gauges of this process.
#[derive(Debug)]
pub(crate) struct Telemetry {
    registry: Registry,
    scraper: Arc<ScraperStats>,
    scrapes: Counter,
    scrape_failures: Counter,
    pub(crate) store_errors: Counter,
    pub(crate) requests: Counter,
    pub(crate) events_dropped: Counter,
    pub(crate) reload_successful: Gauge,
    pub(crate) reload_at: Gauge,
    targets: Gauge,
    under_way: Gauge,
    subscribers: Gauge,
    storage_bytes: Gauge,
    storage_writable: Gauge,
    samples_dropped: Counter,
    tokio_tasks: Gauge,
}

/// What is looked up when somebody asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) targets: usize,
    pub(crate) subscribers: usize,
    pub(crate) storage_bytes: u64,
    pub(crate) storage_writable: bool,
    pub(crate) samples_dropped: u64,
}

impl Telemetry {
    pub(crate) fn new(scraper: Arc<ScraperStats>) -> Self {
        let mut registry = Registry::with_prefix("leakscope");
        let mut telemetry = Self {
            scraper,
            scrapes: counter(&mut registry, "scrapes", "Scrapes that ended, well or not"),
            scrape_failures: counter(&mut registry, "scrape_failures", "Scrapes that failed"),
            store_errors: counter(&mut registry, "store_errors", "Writes that the store refused"),
            requests: counter(&mut registry, "http_requests", "Requests to the API"),
            events_dropped: counter(
                &mut registry,
                "events_dropped",
                "Live changes that left the ring before a client read them",
            ),
            reload_successful: gauge(
                &mut registry,
                "config_last_reload_successful",
                "Whether the last reload succeeded",
            ),
            reload_at: gauge(
                &mut registry,
                "config_last_reload_success_timestamp_seconds",
                "When a reload last succeeded",
            ),
            targets: gauge(&mut registry, "targets", "Targets known"),
            under_way: gauge(&mut registry, "scrapes_under_way", "Scrapes under way"),
            subscribers: gauge(&mut registry, "event_subscribers", "Clients of live changes"),
            storage_bytes: Gauge::default(),
            storage_writable: gauge(&mut registry, "storage_writable", "Whether the store takes writes"),
            samples_dropped: counter(
                &mut registry,
                "samples_dropped",
                "Samples lost because they could not be written",
            ),
            tokio_tasks: gauge(&mut registry, "async_tasks", "Asynchronous tasks alive"),
            registry: Registry::default(),
        };
        registry.register_with_unit("storage", "Size of the store", Unit::Bytes, telemetry.storage_bytes.clone());
        telemetry.reload_successful.set(1);
        telemetry.registry = registry;
        telemetry
    }

    pub(crate) fn count(&self, event: &Event) {
        match event {
            Event::Scraped(_) => {
                self.scrapes.inc();
            }
            Event::ScrapeFailed(failure) => {
                self.scrapes.inc();
                self.scrape_failures.inc();
                tracing::debug!(target_id = %failure.target, reason = failure.reason, "scrape failed");
            }
            Event::AnalysisFailed { analysis, reason } => {
                tracing::warn!(analysis, reason, "captures could not be analysed");
            }
            Event::TargetsSeen(_)
            | Event::Surveyed(_)
            | Event::SurveyFailed { .. }
            | Event::Captured(_)
            | Event::CaptureFailed(_)
            | Event::Expired(_)
            | Event::Analysed(_)
            | Event::Asked(_)
            | Event::Tick => {}
        }
    }

    /// The exposition in OpenMetrics text, the process' own figures included.
    pub(crate) fn encode(&self, facts: Facts) -> String {
        use std::sync::atomic::Ordering::Relaxed;
        self.targets.set(facts.targets as i64);
        self.subscribers.set(facts.subscribers as i64);
        self.storage_bytes.set(facts.storage_bytes as i64);
        self.storage_writable.set(i64::from(facts.storage_writable));
        self.samples_dropped.inner().store(facts.samples_dropped, Relaxed);
        self.under_way.set(self.scraper.under_way.load(Relaxed) as i64);
        self.tokio_tasks.set(tokio::runtime::Handle::current().metrics().num_alive_tasks() as i64);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode_registry(&mut text, &self.registry);
        write_process(&mut text);
        text.push_str("# EOF\n");
        text
    }
}

/// Resident memory of this process, bytes; `None` where `/proc` does not say.
pub(crate) fn own_memory() -> Option<f64> {
    process::read(std::process::id()).ok().and_then(|page| page.own.get(Signal::Rss))
}

/// The usual `process_*` names, so that every tool knows them.
fn write_process(text: &mut String) {
    let Ok(page) = process::read(std::process::id()) else { return };
    for (signal, name) in [
        (Signal::Rss, "process_resident_memory_bytes"),
        (Signal::AnonRss, "process_anonymous_memory_bytes"),
        (Signal::FileDescriptors, "process_open_fds"),
        (Signal::Threads, "process_threads"),
        (Signal::StartTime, "process_start_time_seconds"),
    ] {
        if let Some(value) = page.own.get(signal) {
            let _ = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
        }
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
