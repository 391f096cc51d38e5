//! Go's `/debug/vars`: `memstats`, and a request counter where the service publishes one.
//!
//! Source: <https://pkg.go.dev/expvar>, <https://pkg.go.dev/runtime#MemStats>.

use leakscope_model::{Runtime, Signal};
use serde_json::Value;

use crate::error::IngestError;
use crate::json::put_field;
use crate::page::Page;
use crate::reader::unreadable;

/// Keys under which services publish their request counter, in order of preference.
const REQUESTS: &[&str] = &["http_requests_total", "requests_total", "requests", "http_requests"];
/// Keys under which services publish their goroutines; expvar itself has none.
const GOROUTINES: &[&str] = &["goroutines", "num_goroutine", "goroutine_count"];

pub(crate) fn read(value: &Value) -> Result<Page, IngestError> {
    let Some(memstats) = value.get("memstats").filter(|memstats| memstats.is_object()) else {
        return Err(unreadable("an object `memstats`", value.to_string().as_bytes()));
    };
    let mut page = Page { runtime: Some(Runtime::Go), ..Page::default() };
    put_field(&mut page, memstats, "HeapAlloc", Signal::HeapUsed);
    put_field(&mut page, memstats, "HeapObjects", Signal::Objects);
    put_field(&mut page, memstats, "NumGC", Signal::GcCount);
    let number = |key| memstats.get(key).and_then(Value::as_f64);
    if let (Some(sys), Some(released)) = (number("HeapSys"), number("HeapReleased")) {
        page.put(Signal::HeapCommitted, (sys - released).max(0.0), "HeapSys");
    }
    // expvar does not tell GOGC: 100 is Go's default, so the next collection starts at twice the live heap; before the first one nothing is known.
    let collected = number("NumGC").is_some_and(|count| count > 0.0);
    if let Some(goal) = number("NextGC").filter(|goal| collected && *goal > 0.0) {
        page.put(Signal::HeapAfterGc, goal / 2.0, "NextGC");
    }
    for (keys, signal) in [(REQUESTS, Signal::Requests), (GOROUTINES, Signal::Tasks)] {
        if let Some(key) = keys.iter().find(|key| value.get(**key).is_some_and(Value::is_number)) {
            put_field(&mut page, value, key, signal);
        }
    }
    Ok(page)
}
