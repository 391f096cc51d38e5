//! What grew over two or more captures.

use crate::error::HeapError;
use crate::findings::{ClassGrowth, Finding, Totals};
use crate::heap::{Format, Heap, Phase};

/// What grew.
#[derive(Debug)]
pub struct Diff<'a> {
    /// Of all captures.
    pub format: Format,
    /// Of each capture, in order.
    pub captures: Vec<Totals>,
    /// Bytes of the last less those of the first.
    pub growth_bytes: i64,
    /// What grew, most suspicious first.
    pub findings: Vec<Finding>,
    /// By type, most growth in bytes first.
    pub classes: Vec<ClassGrowth>,
    /// The last capture, in which the paths of the findings are.
    pub last: Heap<'a>,
}

/// Why captures cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// One of them cannot be read.
    #[error("{source}")]
    Unreadable {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: HeapError,
    },
    /// They are of several formats.
    #[error("expected captures of one format, found {found} after {expected}")]
    Mixed {
        /// Which differs from the first.
        index: usize,
        /// Format of the first.
        expected: &'static str,
        /// Its format.
        found: &'static str,
    },
    /// A comparison takes two.
    #[error("expected two captures or more, found {found}")]
    TooFew {
        /// How many there are.
        found: usize,
    },
}

/// Compares captures of one service, oldest first.
///
/// # Errors
/// [`DiffError`].
pub fn diff<'a>(captures: &[&'a [u8]], _progress: &(dyn Fn(usize, Phase) + Sync)) -> Result<Diff<'a>, DiffError> {
    Err(DiffError::TooFew { found: captures.len() })
}
