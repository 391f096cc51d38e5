//! Heap evidence and what it says: one shape for every runtime.

use crate::{CaptureId, TargetId, Timestamp};

/// One piece of heap evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Its number.
    pub id: CaptureId,
    /// Where it was taken.
    pub target: TargetId,
    /// What it is, as its format is named: `v8-heapsnapshot`, `hprof`, `pprof-heap`, ...
    pub kind: String,
    /// When it was taken.
    pub at: Timestamp,
}

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
