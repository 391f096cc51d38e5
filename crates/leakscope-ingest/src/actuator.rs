//! Spring Boot's `/actuator/metrics`: an index of names, and one document for each.
//!
//! The caller reads the index, asks for what [`wanted_paths`] names, reads each answer with [`crate::Format::Actuator`] and merges the pages.
//!
//! Source: <https://docs.spring.io/spring-boot/api/rest/actuator/metrics.html>.

use leakscope_model::{Runtime, Signal};
use serde_json::Value;

use crate::error::IngestError;
use crate::page::Page;
use crate::reader::unreadable;

/// A metric: its name, the query that narrows it, the tag that the query used up, the statistic and the signal.
struct Metric {
    name: &'static str,
    path: &'static str,
    /// An answer that still offers this tag was not narrowed and mixes heap with other memory.
    narrowed_by: Option<&'static str>,
    statistic: &'static str,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Is(Signal),
    Uptime,
}

const fn metric(name: &'static str, statistic: &'static str, signal: Signal) -> Metric {
    Metric { name, path: name, narrowed_by: None, statistic, role: Role::Is(signal) }
}

const fn heap(name: &'static str, path: &'static str, signal: Signal) -> Metric {
    Metric { name, path, narrowed_by: Some("area"), statistic: "VALUE", role: Role::Is(signal) }
}

const METRICS: &[Metric] = &[
    heap("jvm.memory.used", "jvm.memory.used?tag=area:heap", Signal::HeapUsed),
    heap("jvm.memory.committed", "jvm.memory.committed?tag=area:heap", Signal::HeapCommitted),
    heap("jvm.memory.max", "jvm.memory.max?tag=area:heap", Signal::Limit),
    metric("jvm.gc.live.data.size", "VALUE", Signal::HeapAfterGc),
    metric("jvm.gc.pause", "COUNT", Signal::GcCount),
    metric("jvm.buffer.memory.used", "VALUE", Signal::External),
    metric("jvm.threads.live", "VALUE", Signal::Threads),
    metric("process.files.open", "VALUE", Signal::FileDescriptors),
    metric("process.start.time", "VALUE", Signal::StartTime),
    metric("http.server.requests", "COUNT", Signal::Requests),
    Metric {
        name: "process.uptime",
        path: "process.uptime",
        narrowed_by: None,
        statistic: "VALUE",
        role: Role::Uptime,
    },
];

/// What to ask for, relative to `/actuator/metrics/`, of the names that the index offers.
///
/// # Errors
/// [`IngestError::Json`] and [`IngestError::Shape`] for a body that is no index.
pub fn wanted_paths(index: &[u8]) -> Result<Vec<&'static str>, IngestError> {
    let value: Value = serde_json::from_slice(index).map_err(|error| IngestError::from_json(&error))?;
    let names = value.get("names").and_then(Value::as_array);
    let names = names.ok_or_else(|| unreadable("an index with `names`", index))?;
    let offered = |metric: &&Metric| names.iter().any(|name| name.as_str() == Some(metric.name));
    Ok(METRICS.iter().filter(offered).map(|metric| metric.path).collect())
}

/// Whether a document is an index or a metric of the actuator.
pub(crate) fn looks_like(value: &Value) -> bool {
    let metric = value.get("name").is_some() && value.get("measurements").is_some_and(Value::is_array);
    let index = value.get("names").and_then(Value::as_array);
    metric || index.is_some_and(|names| names.iter().any(|name| name == "jvm.memory.used"))
}

/// Reads one metric; an index is an empty page that tells the runtime.
pub(crate) fn read(value: &Value) -> Result<Page, IngestError> {
    let mut page = Page::default();
    if value.get("names").is_some_and(Value::is_array) {
        page.runtime = Some(Runtime::Jvm);
        return Ok(page);
    }
    let name = value.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| unreadable("`name` and `measurements`", value.to_string().as_bytes()))?;
    if name.starts_with("jvm.") {
        page.runtime = Some(Runtime::Jvm);
    }
    let Some(metric) = METRICS.iter().find(|metric| metric.name == name) else { return Ok(page) };
    if metric.narrowed_by.is_some_and(|tag| offers_tag(value, tag)) {
        return Ok(page);
    }
    let Some(amount) = measurement(value, metric.statistic) else {
        return Err(unreadable("a measurement with its statistic", value.to_string().as_bytes()));
    };
    match metric.role {
        // 0 until the first full collection.
        Role::Is(Signal::HeapAfterGc) if amount <= 0.0 => {}
        Role::Is(signal) => page.put(signal, amount, name),
        Role::Uptime => page.uptime = std::time::Duration::try_from_secs_f64(amount).ok(),
    }
    Ok(page)
}

fn offers_tag(value: &Value, tag: &str) -> bool {
    let tags = value.get("availableTags").and_then(Value::as_array);
    tags.is_some_and(|tags| tags.iter().any(|offered| offered.get("tag").and_then(Value::as_str) == Some(tag)))
}

fn measurement(value: &Value, statistic: &str) -> Option<f64> {
    let measurements = value.get("measurements")?.as_array()?;
    let found = measurements.iter().find(|one| one.get("statistic").and_then(Value::as_str) == Some(statistic));
    found?.get("value")?.as_f64()
}
