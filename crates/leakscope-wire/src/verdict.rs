//! The detector's answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Best estimate.
    pub mid: f64,
    /// Upper end; `null` when unbounded.
    pub high: Option<f64>,
}

/// What the detector says of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// `too_early`, `steady`, `recovered`, `suspect` or `leaking`.
    pub state: String,
    /// At least 0; 1.0 is the alarm boundary.
    pub score: f64,
    /// `managed`, `native`, `tasks`, `descriptors`, `cache_fill`, `load_growth`, `fragmentation` or `unknown`.
    pub kind: String,
    /// The signal that decided.
    pub signal: Option<String>,
    /// Growth against time.
    pub growth_bytes_per_hour: Option<Interval>,
    /// Growth against requests.
    pub growth_bytes_per_request: Option<Interval>,
    /// Seconds until the limit.
    pub time_to_limit_s: Option<Interval>,
    /// When the growth began, RFC 3339.
    pub since: Option<String>,
    /// The line that was fitted, for drawing.
    pub fit: Option<Fit>,
    /// Sentences with numbers, strongest first.
    pub reasons: Vec<String>,
}

/// The fitted line: `level + per_hour × (t − from_ms)`, in the unit of the verdict's signal; times are real times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fit {
    /// First point, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last point, milliseconds since the Unix epoch.
    pub to_ms: i64,
    /// Value at the first point.
    pub level: f64,
    /// Slope for one real hour, with its 95 % interval.
    pub per_hour: Interval,
}
