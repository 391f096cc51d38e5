//! Events in, effects out: every decision of leakscope, none of its deeds. The same events in the same order give the same effects, byte for byte.

mod alert;
mod capture;
mod effect;
mod engine;
mod event;
mod fleet;
mod incident;
mod restore;
mod schedule;
mod service;
mod suspects;
mod watch;

pub use alert::AlertPolicy;
pub use capture::CapturePolicy;
pub use effect::{AnalysisOrder, CaptureOrder, Effect, Notice, Occasion};
pub use engine::{Engine, EngineConfig};
pub use event::{Analysis, CaptureFailure, Captured, Command, Event, Opinion, Part, Scrape, ScrapeFailure};
pub use fleet::FALSE_DISCOVERY;
pub use leakscope_detect::{CheckpointError, Detector, Tuning};
pub use restore::Restored;
pub use service::{ServiceKey, ServiceView};
pub use watch::{Health, Watch};
