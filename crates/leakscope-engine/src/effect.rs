//! Everything leakscope can do to the world.

use leakscope_model::{Incident, Readings, Target, TargetId, Timestamp};

/// Everything the engine can ask of the daemon. Performed in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Scrape a target; answer with `Scraped` or `ScrapeFailed` by the deadline.
    Scrape {
        /// Which.
        target: TargetId,
        /// By when.
        deadline: Timestamp,
    },
    /// Keep samples.
    Append {
        /// Of which target.
        target: TargetId,
        /// When they were read.
        at: Timestamp,
        /// The samples.
        readings: Readings,
    },
    /// Remember what a target is, for people who look at its past.
    Remember(Box<Target>),
    /// Make an incident's new state durable before anyone is shown it.
    Record(Box<Incident>),
    /// Keep a detector's state.
    Checkpoint {
        /// Of which target.
        target: TargetId,
        /// The newest sample that it has seen.
        at: Timestamp,
        /// [`crate::Detector::checkpoint`].
        state: Vec<u8>,
    },
}
