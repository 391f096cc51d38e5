//! The nouns of leakscope, their units and ids. No I/O, no async, no serialisation: the store and the wire own their encodings.

mod capture;
mod findings;
mod ids;
mod incident;
mod sample;
mod signal;
mod target;
mod units;
mod verdict;

pub use capture::{Capture, CaptureKind, CaptureState, Cost, Lacking, Means, Phase, Room, Survey, Weight};
pub use findings::{Finding, Frame, Location, PathStep, Suspect};
pub use ids::{CaptureId, IncidentId, TargetId};
pub use incident::{Incident, IncidentState, Transition};
pub use sample::{Readings, Sample};
pub use signal::{Signal, Unit};
pub use target::{Runtime, Target};
pub use units::{Bytes, BytesPerHour, BytesPerRequest, Interval, Timestamp};
pub use verdict::{Fit, Growth, Kind, Reason, Span, State, Verdict};
