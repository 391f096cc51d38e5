//! The embedded store: the only writer under the data folder. Samples, targets, incidents and detector checkpoints live
//! in one `SQLite` file; the newest samples live in memory and in a journal beside it until they are made into blocks.
//!
//! No clock, no async: times are arguments, and whoever must not wait calls from a thread that may.

mod block;
mod bundle;
mod bytes;
mod columns;
mod detectors;
mod downsample;
mod error;
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

pub use columns::Columns;
pub use detectors::DetectorCheckpoint;
pub use downsample::downsample;
pub use error::StoreError;
pub use head::Appended;
pub use health::{Health, Problem, Stats};
pub use retention::{Retained, Retention};
pub use store::{Options, Store};
pub use targets::KnownTarget;
