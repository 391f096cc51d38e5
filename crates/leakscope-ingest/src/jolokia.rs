//! Jolokia: JMX over HTTP, single answers and bulk answers.
//!
//! Source: <https://jolokia.org/reference/html/manual/jolokia_protocol.html>.

use std::time::Duration;

use leakscope_model::{Runtime, Signal};
use serde_json::Value;

use crate::dialect::is_old_pool;
use crate::error::{IngestError, shown};
use crate::page::{Page, Problem};
use crate::reader::unreadable;

/// The body of one POST that asks for everything leakscope reads.
pub const BULK_READ: &str = r#"[{"type":"read","mbean":"java.lang:type=Memory"},{"type":"read","mbean":"java.lang:type=MemoryPool,name=*","attribute":["CollectionUsage","Type"]},{"type":"read","mbean":"java.lang:type=GarbageCollector,name=*","attribute":"CollectionCount"},{"type":"read","mbean":"java.lang:type=Threading","attribute":"ThreadCount"},{"type":"read","mbean":"java.lang:type=Runtime","attribute":["StartTime","Uptime"]},{"type":"read","mbean":"java.lang:type=OperatingSystem","attribute":"OpenFileDescriptorCount"},{"type":"read","mbean":"java.nio:type=BufferPool,name=*","attribute":"MemoryUsed"}]"#;

/// Whether a document is an answer of Jolokia.
pub(crate) fn looks_like(value: &Value) -> bool {
    let one = value.as_array().and_then(|answers| answers.first()).unwrap_or(value);
    one.get("request").is_some_and(Value::is_object) && one.get("status").is_some_and(Value::is_number)
}

/// Reads one answer or a bulk of them. Single refusals are problems, not errors.
pub(crate) fn read(value: &Value) -> Result<Page, IngestError> {
    if !looks_like(value) {
        return Err(unreadable("an answer with `request`, `status` and `value`", value.to_string().as_bytes()));
    }
    let mut page = Page { runtime: Some(Runtime::Jvm), ..Page::default() };
    for answer in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
        read_answer(answer, &mut page);
    }
    Ok(page)
}

fn read_answer(answer: &Value, page: &mut Page) {
    let text = |pointer| answer.pointer(pointer).and_then(Value::as_str);
    let mbean = text("/request/mbean").unwrap_or_default();
    let value = match answer.get("value") {
        Some(value) if answer.get("status").and_then(Value::as_u64) == Some(200) => value,
        _ => {
            let reason = shown(text("/error").unwrap_or_default().as_bytes());
            page.problems.note(|| Problem::Refused { source: mbean.to_owned(), reason });
            return;
        }
    };
    // With one attribute asked for, the value is that attribute; else an object by attribute; with a pattern one more level, by bean.
    let attribute = text("/request/attribute");
    if !mbean.contains('*') {
        return read_bean(mbean, attribute, value, page);
    }
    let Some(beans) = value.as_object() else { return };
    let mut sums = Sums::default();
    for (name, value) in beans {
        sums.add(name, value);
    }
    sums.put(page);
}

fn read_bean(mbean: &str, attribute: Option<&str>, value: &Value, page: &mut Page) {
    let field = |name: &str| match attribute {
        Some(asked) if asked == name => Some(value),
        Some(_) => None,
        None => value.get(name),
    };
    let number = |name: &str| field(name).and_then(Value::as_f64);
    match property(mbean, "type") {
        Some("Memory") => {
            if let Some(heap) = field("HeapMemoryUsage") {
                for (key, signal) in
                    [("used", Signal::HeapUsed), ("committed", Signal::HeapCommitted), ("max", Signal::Limit)]
                {
                    if let Some(bytes) = heap.get(key).and_then(Value::as_f64) {
                        page.put(signal, bytes, key);
                    }
                }
            }
        }
        Some("Threading") => put(page, Signal::Threads, number("ThreadCount"), "ThreadCount"),
        Some("OperatingSystem") => {
            put(page, Signal::FileDescriptors, number("OpenFileDescriptorCount"), "OpenFileDescriptorCount");
        }
        Some("Runtime") => {
            put(page, Signal::StartTime, number("StartTime").map(|millis| millis / 1_000.0), "StartTime");
            let uptime = number("Uptime").and_then(|millis| Duration::try_from_secs_f64(millis / 1_000.0).ok());
            page.uptime = page.uptime.or(uptime);
        }
        _ => {
            let mut sums = Sums::default();
            match attribute {
                Some(name) => sums.add(mbean, &serde_json::json!({ name: value })),
                None => sums.add(mbean, value),
            }
            sums.put(page);
        }
    }
}

/// Beans of which a JVM has several.
#[derive(Default)]
struct Sums {
    live: Option<f64>,
    collections: Option<f64>,
    buffers: Option<f64>,
}

impl Sums {
    fn add(&mut self, mbean: &str, value: &Value) {
        let number = |pointer| value.pointer(pointer).and_then(Value::as_f64);
        let (sum, found) = match property(mbean, "type") {
            Some("MemoryPool") if property(mbean, "name").is_some_and(is_old_pool) => {
                (&mut self.live, number("/CollectionUsage/used"))
            }
            Some("GarbageCollector") => (&mut self.collections, number("/CollectionCount")),
            Some("BufferPool") => (&mut self.buffers, number("/MemoryUsed")),
            _ => return,
        };
        if let Some(found) = found {
            *sum = Some(sum.unwrap_or(0.0) + found);
        }
    }

    fn put(&self, page: &mut Page) {
        put(page, Signal::HeapAfterGc, self.live.filter(|live| *live > 0.0), "CollectionUsage");
        put(page, Signal::GcCount, self.collections, "CollectionCount");
        put(page, Signal::External, self.buffers, "MemoryUsed");
    }
}

fn put(page: &mut Page, signal: Signal, value: Option<f64>, source: &str) {
    if let Some(value) = value {
        page.put(signal, value, source);
    }
}

/// A key property of an object name: `type` of `java.lang:name=G1 Old Gen,type=MemoryPool`.
fn property<'a>(mbean: &'a str, key: &str) -> Option<&'a str> {
    let (_, properties) = mbean.split_once(':')?;
    properties.split(',').find_map(|property| property.strip_prefix(key)?.strip_prefix('='))
}
