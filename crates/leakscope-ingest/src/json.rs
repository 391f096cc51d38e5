//! JSON pages: configured pointers first, then the known shapes.

use leakscope_model::Signal;
use serde_json::Value;

use crate::error::IngestError;
use crate::page::{Page, Problem};
use crate::reader::unreadable;
use crate::spec::{Format, JsonMapping, PageSpec};
use crate::{actuator, expvar, jolokia, quantity, status};

/// Reads a whole JSON body. `serde_json` refuses nesting deeper than 128 levels.
pub(crate) fn read(spec: &PageSpec, format: Format, bytes: &[u8]) -> Result<Page, IngestError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(bytes).map_err(|error| IngestError::from_json(&error))?;
    let mut page = Page::default();
    for mapping in &spec.json {
        map(mapping, &value, &mut page);
    }
    let known =
        match format {
            Format::Json => None,
            Format::Expvar => Some(expvar::read(&value)?),
            Format::Status => Some(status::read(&value).ok_or_else(|| {
                unreadable("`memory_usage`, `heap_size` or another field of the status contract", bytes)
            })?),
            Format::Actuator => Some(actuator::read(&value)?),
            Format::Jolokia => Some(jolokia::read(&value)?),
            Format::Auto | Format::Prometheus | Format::OpenMetrics | Format::Html => recognise(&value)?,
        };
    match known {
        Some(known) => page.merge(known),
        None if spec.json.is_empty() => {
            return Err(unreadable("JSON of a known shape, or pointers for its fields", bytes));
        }
        None => {}
    }
    Ok(page)
}

/// Tells the known shapes by their keys.
fn recognise(value: &Value) -> Result<Option<Page>, IngestError> {
    if value.get("memstats").is_some() {
        return expvar::read(value).map(Some);
    }
    if jolokia::looks_like(value) {
        return jolokia::read(value).map(Some);
    }
    if actuator::looks_like(value) {
        return actuator::read(value).map(Some);
    }
    Ok(status::read(value))
}

fn map(mapping: &JsonMapping, value: &Value, page: &mut Page) {
    let JsonMapping { signal, pointer, factor } = mapping;
    let quantity = match value.pointer(pointer) {
        None => Err(format!("`{pointer}` is not there")),
        Some(field) => amount(field, *factor).map_err(|reason| format!("`{pointer}`: {reason}")),
    };
    match quantity {
        Ok(quantity) => page.put(*signal, quantity, pointer),
        Err(reason) => page.problems.note(|| Problem::NotFound { signal: *signal, reason }),
    }
}

/// A number, or text with a quantity. A unit in the text makes the factor idle.
fn amount(field: &Value, factor: f64) -> Result<f64, String> {
    match field {
        Value::Number(_) => field.as_f64().map(|number| number * factor).ok_or_else(|| "not a number".to_owned()),
        Value::String(text) => {
            let quantity = quantity::parse(text).map_err(|error| error.to_string())?;
            Ok(if quantity.in_bytes { quantity.value } else { quantity.value * factor })
        }
        Value::Null => Err("expected a quantity, found null".to_owned()),
        Value::Bool(_) => Err("expected a quantity, found a truth value".to_owned()),
        Value::Array(_) => Err("expected a quantity, found an array".to_owned()),
        Value::Object(_) => Err("expected a quantity, found an object".to_owned()),
    }
}

/// Puts the field, if it is there, under the signal.
pub(crate) fn put_field(page: &mut Page, object: &Value, key: &str, signal: Signal) {
    let Some(field) = object.get(key).filter(|field| !field.is_null()) else { return };
    match amount(field, 1.0) {
        Ok(value) => page.put(signal, value, key),
        Err(reason) => page.problems.note(|| Problem::NotFound { signal, reason: format!("`{key}`: {reason}") }),
    }
}
