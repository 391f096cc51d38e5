//! Bounds of configured numbers, the same wherever they stand.

use std::time::Duration;

use leakscope_model::Bytes;

use super::quantity::{show_duration, show_size};
use super::reader::{At, Fields, Reader};

/// Shortest interval, timeout or refresh. Below: refused.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Longest interval, timeout or refresh. Above: refused.
const INTERVAL_MAX: Duration = Duration::from_hours(365 * 24);
/// Smallest and largest `body_size_limit`. Outside: refused; there is no 'unlimited'.
const BODY_SIZE: (Bytes, Bytes) = (Bytes(1 << 10), Bytes(1 << 30));

/// A duration that something can be repeated at.
pub(super) fn interval(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> Option<At<Duration>> {
    let found = reader.duration(fields, key)?;
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&found.value) {
        return Some(found);
    }
    let message = format!("`{}` cannot be {}", fields.path_of(key), show_duration(found.value));
    let allowed = format!("{} to {}", show_duration(INTERVAL_MIN), show_duration(INTERVAL_MAX));
    reader.error(found.place, message, Some(allowed), None);
    None
}

pub(super) fn body_size(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Bytes> {
    let found = reader.size(fields, "body_size_limit")?;
    if (BODY_SIZE.0..=BODY_SIZE.1).contains(&found.value) {
        return Some(found.value);
    }
    let message = format!("`{}` cannot be {}", fields.path_of("body_size_limit"), show_size(found.value));
    let allowed = format!("{} to {}", show_size(BODY_SIZE.0), show_size(BODY_SIZE.1));
    reader.error(found.place, message, Some(allowed), None);
    None
}

/// `sample_limit`; 0 is no limit, as in Prometheus.
pub(super) fn samples(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<u32> {
    let found = reader.count(fields, "sample_limit")?;
    let limit = u32::try_from(found.value).ok();
    if limit.is_none() {
        let message = format!("`{}` cannot be {}", fields.path_of("sample_limit"), found.value);
        reader.error(found.place, message, Some(format!("0 (no limit) to {}", u32::MAX)), None);
    }
    limit
}

pub(super) fn timeout_too_long(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    timeout: &At<Duration>,
    interval: Duration,
) {
    let message = format!(
        "`{}` of {} is longer than the interval of {}",
        fields.path_of("scrape_timeout"),
        show_duration(timeout.value),
        show_duration(interval)
    );
    reader.error(timeout.place, message, Some(format!("up to {}", show_duration(interval))), None);
}
