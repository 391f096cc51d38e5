//! What is wrong with a capture: what was expected, what was found, and where.

/// Why a capture cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// The first bytes are of no format that is known.
    #[error("expected a heap snapshot, a heap dump or a profile (known: {known}), found {found}", known = crate::format::known())]
    UnknownFormat {
        /// The first bytes, escaped.
        found: String,
    },
    /// Something else stands where something must.
    #[error("expected {expected} at byte {at}, found {found}")]
    Unexpected {
        /// Offset from the start of the capture.
        at: u64,
        /// What must stand there.
        expected: String,
        /// What does.
        found: String,
    },
    /// A field or line of a profile does not say what it must.
    #[error("{place}: expected {expected}, found {found}")]
    Invalid {
        /// The field with its index, or the line: `sample[3].location_id[0]`, `line 12`.
        place: String,
        /// What must stand there.
        expected: String,
        /// What does.
        found: String,
    },
    /// A capture of the other shape: an object graph where a profile is asked for, or a profile where a graph is.
    #[error("expected {expected}, found {found}")]
    OtherShape {
        /// What can answer.
        expected: &'static str,
        /// The format of what was given.
        found: &'static str,
    },
    /// A number that the graph cannot hold.
    #[error("{what}: at most {max} are read, found {found}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: u64,
        /// What the capture has.
        found: u64,
    },
}
