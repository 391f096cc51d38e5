//! Samples for charts.

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
