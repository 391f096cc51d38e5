//! What an analysis concludes: suspects with their identity and, where several captures were compared, their growth.

use std::fmt;

use leakscope_model::{Location, Suspect};

use crate::heap::Heap;

/// The same leak in every process, replica and deploy: a hash of its normalised path from the root to where it accumulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeakIdentity(pub u64);

impl fmt::Display for LeakIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How much more the last capture has than the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Bytes held.
    pub bytes: i64,
    /// Things held.
    pub count: i64,
    /// Whether each capture has more than the one before; of sampled values, more than the sampling alone explains.
    pub in_every_step: bool,
    /// Standard error of `bytes` from sampling; none where every object was counted.
    pub error_bytes: Option<f64>,
    /// Bytes an hour, where the captures say when they were taken.
    pub bytes_per_hour: Option<f64>,
    /// Bytes a request, where the requests served are known.
    pub bytes_per_request: Option<f64>,
}

/// One suspect.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What a person reads.
    pub suspect: Suspect,
    /// Which leak it is.
    pub identity: LeakIdentity,
    /// Its growth; none from a single capture.
    pub growth: Option<Growth>,
}

/// What changed of one type from the first capture to the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassGrowth {
    /// As [`crate::Class::name`].
    pub name: String,
    /// As [`crate::Class::location`].
    pub location: Option<Location>,
    /// Objects of the last that the first has not; the increase alone where objects have no lasting identity.
    pub added_count: u64,
    /// Objects of the first that the last has not.
    pub removed_count: u64,
    /// Own bytes of those added.
    pub added_bytes: u64,
    /// Own bytes of those removed.
    pub removed_bytes: u64,
}

/// The totals of one capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of the capture.
    pub file_bytes: u64,
    /// Nodes.
    pub nodes: u64,
    /// Edges.
    pub edges: u64,
    /// Bytes of all objects.
    pub total_bytes: u64,
}

impl Totals {
    pub(crate) fn of(heap: &Heap<'_>) -> Self {
        Self {
            file_bytes: heap.file_bytes(),
            nodes: heap.n_nodes() as u64,
            edges: heap.n_edges() as u64,
            total_bytes: heap.total_bytes(),
        }
    }
}
