//! The status contract that any service can implement in five lines, and the two shapes beside it.
//!
//! `GET /status/memory` answers `{"memory_usage", "heap_size", "heap_after_gc", "object_count", "limit", "requests_total", "start_time"}`, all optional; sizes in bytes, `start_time` in seconds since the Unix epoch. `{"total", "used", "free", "percent"}` is the host's memory and not used; `{"leak_score", "status"}` is the service's own opinion, shown and never trusted. Node.js services often answer `process.memoryUsage()` as it is; that is read too.

use leakscope_model::{Runtime, Signal};
use serde_json::Value;

use crate::json::put_field;
use crate::page::{Opinion, Page, Problem};

/// Characters of a service's own status that are kept.
const STATUS_CHARS: usize = 200;

const FIELDS: &[(&str, Signal)] = &[
    ("memory_usage", Signal::Rss),
    ("heap_size", Signal::HeapUsed),
    ("heap_after_gc", Signal::HeapAfterGc),
    ("object_count", Signal::Objects),
    ("limit", Signal::Limit),
    ("requests_total", Signal::Requests),
    ("start_time", Signal::StartTime),
];

const NODE_FIELDS: &[(&str, Signal)] = &[
    ("rss", Signal::Rss),
    ("heapUsed", Signal::HeapUsed),
    ("heapTotal", Signal::HeapCommitted),
    ("external", Signal::External),
];

/// The page, or none if the document is of another shape.
pub(crate) fn read(value: &Value) -> Option<Page> {
    let mut page = Page::default();
    let has = |key: &str| value.get(key).is_some();
    let mut known = false;
    if FIELDS.iter().any(|(key, _)| has(key)) {
        known = true;
        for (key, signal) in FIELDS {
            put_field(&mut page, value, key, *signal);
        }
        page.version = value.get("version").and_then(Value::as_str).map(short);
    }
    if has("total") && has("used") && (has("free") || has("percent")) {
        known = true;
        page.problems.note(|| Problem::HostView);
    }
    if has("leak_score") {
        known = true;
        page.opinion = Some(Opinion {
            score: value.get("leak_score").and_then(Value::as_f64),
            status: value.get("status").and_then(Value::as_str).map(short),
        });
    }
    let node = [Some(value), value.get("memoryUsage"), value.get("memory")].into_iter().flatten().find(|object| {
        ["rss", "heapUsed", "heapTotal"].iter().all(|key| object.get(key).is_some_and(Value::is_number))
    });
    if let Some(object) = node {
        known = true;
        page.runtime = Some(Runtime::Node);
        for (key, signal) in NODE_FIELDS {
            if page.own.get(*signal).is_none() {
                put_field(&mut page, object, key, *signal);
            }
        }
    }
    known.then_some(page)
}

fn short(text: &str) -> String {
    text.chars().take(STATUS_CHARS).collect()
}
