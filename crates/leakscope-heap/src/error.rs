//! What is wrong with a capture: what was expected, what was found, and where.

/// Why a capture cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// The first bytes are of no format that is known.
    #[error("expected a V8 heap snapshot (`{{\"snapshot\":`) or an HPROF dump (`JAVA PROFILE 1.0.`), found {found}")]
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
