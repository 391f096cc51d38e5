//! Samples, thinned for charts or as they were read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Series of one target over one range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeriesSet {
    /// The target's id.
    pub target: String,
    /// One per signal asked for that has samples.
    pub series: Vec<Series>,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// The signal: `rss`, `heap_used`, ...
    pub signal: String,
    /// `bytes`, `count`, `counter` or `unix_seconds`.
    pub unit: String,
    /// `[milliseconds since the Unix epoch, value]`, ascending; downsampled so that first, smallest, largest and last of every bucket remain.
    pub points: Vec<(i64, f64)>,
}

/// A page of one target's samples as they were read: shared times, one column of values per signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Samples {
    /// The target's id.
    pub target: String,
    /// When, milliseconds since the Unix epoch, ascending.
    pub at_ms: Vec<i64>,
    /// By signal: its value at each of these times, `null` where it was not there. Signals without a value on this page are left out.
    pub values: BTreeMap<String, Vec<Option<f64>>>,
    /// Pass as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}
