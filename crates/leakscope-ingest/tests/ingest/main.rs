//! What pages of the outside world become.

mod bad_input;
mod formats;
mod laws;
mod pages;
mod relabelled;
mod traps;

use std::sync::{Arc, LazyLock};

use leakscope_ingest::{Format, IngestError, Limits, Mapping, Page, PageConfig, PageReader, PageSpec, Source};
use leakscope_model::{Readings, Signal};

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Compiled once, as a daemon does for each job.
static DEFAULT: LazyLock<Arc<PageSpec>> = LazyLock::new(Arc::default);

/// Reads a page in one piece with the defaults.
fn read(content_type: &str, body: impl AsRef<[u8]>) -> Result<Page, IngestError> {
    read_as(&DEFAULT, content_type, Limits::default(), &[body.as_ref()])
}

fn read_as(spec: &Arc<PageSpec>, content_type: &str, limits: Limits, chunks: &[&[u8]]) -> Result<Page, IngestError> {
    let mut reader = PageReader::new(Arc::clone(spec), Some(content_type), limits);
    for chunk in chunks {
        reader.feed(chunk)?;
    }
    reader.finish()
}

fn text(body: &str) -> Page {
    read(PROMETHEUS, body).expect("the page is sound")
}

/// Reads JSON of one format.
fn json(format: Format, body: &str) -> Page {
    let spec = Arc::new(PageSpec::compile(&PageConfig { format, ..PageConfig::default() }).expect("nothing to refuse"));
    read_as(&spec, "application/json", Limits::default(), &[body.as_bytes()]).expect("the page is sound")
}

fn mapping(signal: Signal, source: Source) -> Mapping {
    Mapping { signal, source, factor: 1.0 }
}

fn values(readings: &Readings) -> Vec<(Signal, f64)> {
    readings.iter().collect()
}

fn problems(page: &Page) -> Vec<String> {
    page.problems.first().iter().map(ToString::to_string).collect()
}

/// A captured page and its content type.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../fixtures/exposition/", $name)).as_slice()
    };
}
use fixture;

/// Every captured page of text.
const TEXT_PAGES: &[(&str, &[u8])] = &[
    (PROMETHEUS, fixture!("go.prom")),
    (OPENMETRICS, fixture!("go.om")),
    (PROMETHEUS, fixture!("go-all.prom")),
    (PROMETHEUS, fixture!("node.prom")),
    (PROMETHEUS, fixture!("python.prom")),
    (OPENMETRICS, fixture!("python.om")),
    (PROMETHEUS, fixture!("micrometer.prom")),
    (OPENMETRICS, fixture!("micrometer.om")),
    (PROMETHEUS, fixture!("client-java.prom")),
    (PROMETHEUS, fixture!("cadvisor.prom")),
];

/// Every captured page of JSON that is recognised by itself.
const JSON_PAGES: &[&[u8]] = &[
    fixture!("expvar.json"),
    fixture!("node-memory-usage.json"),
    fixture!("jolokia-bulk.json"),
    fixture!("actuator/index.json"),
    fixture!("actuator/jvm.memory.used.json"),
    fixture!("actuator/jvm.memory.used.heap.json"),
    fixture!("actuator/jvm.gc.live.data.size.json"),
    fixture!("actuator/http.server.requests.json"),
    fixture!("actuator/process.uptime.json"),
];
