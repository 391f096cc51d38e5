//! The embedded store: the only writer under the data folder. Samples, targets, incidents, deliveries and detector
//! checkpoints live in one `SQLite` file; the newest samples live in memory and in a journal beside it until they are made
//! into blocks, and contents of captures in files of their own.
//!
//! No clock, no async: times are arguments, and whoever must not wait calls from a thread that may.

mod block;
mod bundle;
mod bytes;
mod captures;
mod columns;
mod deliveries;
mod detectors;
mod downsample;
mod error;
mod evidence;
mod expiry;
mod head;
mod health;
mod incidents;
mod journal;
mod lock;
mod merge;
mod packing;
mod retention;
mod samples;
mod schema;
mod store;
mod targets;

pub use captures::Access;
pub use columns::Columns;
pub use deliveries::{Delivery, NewDelivery};
pub use detectors::DetectorCheckpoint;
pub use downsample::downsample;
pub use error::StoreError;
pub use evidence::{CaptureFile, Kept, RawFile};
pub use head::Appended;
pub use health::{Health, Problem, Stats};
pub use retention::{Retained, Retention};
pub use store::{Options, Store};
pub use targets::KnownTarget;
