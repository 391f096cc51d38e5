//! What heap evidence says: one shape for every runtime.

use crate::CaptureId;

/// One thing that grew, and who holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// One line for a person.
    pub title: String,
    /// What accumulates: `object`, `allocation`, `goroutine`, ...
    pub kind: String,
    /// Type or function.
    pub name: String,
    /// Growth in bytes, or bytes held where there is one capture.
    pub bytes: u64,
    /// Growth in count, or count held.
    pub count: u64,
    /// Share of the whole growth, 0 to 1.
    pub share: f64,
    /// The retaining path from its root, for object graphs.
    pub path: Vec<PathStep>,
    /// The allocation stack, leaf first, for profiles.
    pub stack: Vec<Frame>,
    /// Where in the source, where known.
    pub location: Option<Location>,
    /// 0 to 1.
    pub confidence: f64,
    /// Why, as a sentence.
    pub reason: String,
}

/// A suspect with what speaks for it over several captures.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What grew, and who holds it.
    pub suspect: Suspect,
    /// Who leaks, as a hash that is the same across processes, replicas and deploys.
    pub identity: Option<String>,
    /// Growth in bytes from the first capture to the last; `None` of a single capture.
    pub growth_bytes: Option<i64>,
    /// Growth in count.
    pub growth_count: Option<i64>,
    /// Whether it grew from each capture to the next.
    pub grew_in_every_step: Option<bool>,
    /// The captures that say so, ascending.
    pub captures: Vec<CaptureId>,
    /// In how many comparisons, one after the other, the same site grew.
    pub confirmations: u32,
}

/// One step of a retaining path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStep {
    /// The field, element or internal edge that holds the next.
    pub edge: String,
    /// The type of the holder.
    pub name: String,
    /// Its identity in the capture.
    pub id: u64,
}

/// One frame of an allocation stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Function.
    pub function: String,
    /// File, where known.
    pub file: Option<String>,
    /// Line from 1, where known.
    pub line: Option<u32>,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// File.
    pub file: String,
    /// Line from 1.
    pub line: u32,
    /// Column from 1, where known.
    pub column: Option<u32>,
}
