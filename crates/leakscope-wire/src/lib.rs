//! What crosses HTTP and `--format json`: data transfer objects, their conversions from the model, error bodies.
//!
//! Field names here are published: changing one changes the API and every script built on it.

mod alert;
mod convert;
mod fleet;
mod heap;
mod incident;
mod problem;
mod profile;
mod report;
mod series;
mod status;
mod time;
mod verdict;

pub use alert::{Alert, Alerts};
pub use fleet::{Opinion, Service, ServiceDetail, Services, Target, Targets};
pub use heap::{
    Collection, DuplicateString, Finding, HeapAnalysis, HeapAnswers, HeapClass, HeapClassDetail, HeapClassGrowth,
    HeapDiff, HeapEdge, HeapHistogram, HeapNode, HeapObject, HeapRetainer, HeapTotals,
};
pub use incident::{
    Capture, CaptureCost, CaptureRequest, Captures, Frame, Incident, Incidents, Location, PathStep, Suspect, Transition,
};
pub use problem::Problem;
pub use profile::{
    Period, ProfileAnalysis, ProfileAnswers, ProfileCall, ProfileDiff, ProfileFunction, ProfileLine, ProfileNode,
    ProfileRoutine, ProfileTotals, SampleType,
};
pub use report::{Evidence, Lacking, Load, Means, Moment, Peer, Report};
pub use series::{Samples, Series, SeriesSet};
pub use status::{StateCounts, Status, StorageStatus};
pub use time::rfc3339;
pub use verdict::{Fit, Interval, Verdict};
