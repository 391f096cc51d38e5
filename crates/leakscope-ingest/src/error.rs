//! What can be wrong with a page, a specification or a rule: what was expected, what was found, and where.

use leakscope_model::Signal;

/// Bytes of `found` that an error shows.
const FOUND_CHARS: usize = 40;

/// Why a page could not be read. The scrape has failed; nothing of it may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// A line is not what its format allows.
    #[error("expected {expected} at line {line}, column {column}, found {found}")]
    Syntax {
        /// Line from 1.
        line: u64,
        /// Byte of the line from 1.
        column: u64,
        /// What the format asks for.
        expected: &'static str,
        /// What stands there, shortened, quoted.
        found: String,
    },
    /// A line exceeds [`crate::Limits::line_bytes`].
    #[error("expected a line of at most {limit} bytes, found more in line {line}")]
    LineTooLong {
        /// Line from 1.
        line: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The page exceeds [`crate::Limits::sample_limit`].
    #[error("expected at most {limit} samples (`sample_limit`), found more at line {line}")]
    TooManySamples {
        /// Line from 1 of the first sample too many.
        line: u64,
        /// The limit in samples.
        limit: u32,
    },
    /// A body that has to be read whole exceeds [`crate::Limits::buffered_bytes`].
    #[error("expected a {format} body of at most {limit} bytes, found more")]
    BodyTooLarge {
        /// The format that is read whole.
        format: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// An OpenMetrics page without its last line.
    #[error("expected `# EOF`, found the end of the body after line {line}")]
    Truncated {
        /// Lines read.
        line: u64,
    },
    /// An OpenMetrics page that goes on after its last line.
    #[error("expected the end of the body after `# EOF`, found line {line}")]
    AfterEof {
        /// Line from 1.
        line: u64,
    },
    /// A body that is not JSON, or is nested deeper than 128 levels.
    #[error("expected JSON, found at line {line}, column {column}: {reason}")]
    Json {
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// The reader's reason.
        reason: String,
    },
    /// JSON of another shape than the format asks for.
    #[error("expected {expected}, found {found}")]
    Shape {
        /// What the format asks for.
        expected: &'static str,
        /// What was there, shortened.
        found: String,
    },
    /// An HTML page that would hold the parser for too long.
    #[error("expected an HTML page of at most {limit} {what}, found more")]
    Markup {
        /// Of what there are too many.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl IngestError {
    pub(crate) fn from_json(error: &serde_json::Error) -> Self {
        Self::Json { line: error.line(), column: error.column(), reason: error.to_string() }
    }
}

/// Why a specification of pages cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A JSON pointer that is not one.
    #[error("expected a JSON pointer for `{}` (empty, or starting with `/`), found `{pointer}`", signal.name())]
    Pointer {
        /// Whose.
        signal: Signal,
        /// As given.
        pointer: String,
    },
    /// A CSS selector that does not parse.
    #[error("expected a CSS selector for `{}`, found `{selector}`: {reason}", signal.name())]
    Selector {
        /// Whose.
        signal: Signal,
        /// As given.
        selector: String,
        /// The parser's reason.
        reason: String,
    },
    /// A pattern that does not compile.
    #[error("expected a regular expression for `{}`, found `{pattern}`: {reason}", signal.name())]
    Pattern {
        /// Whose.
        signal: Signal,
        /// As given.
        pattern: String,
        /// The compiler's reason.
        reason: String,
    },
    /// A metric name that is empty.
    #[error("expected a metric name for `{}`, found an empty string", signal.name())]
    MetricName {
        /// Whose.
        signal: Signal,
    },
    /// A factor that no quantity can have.
    #[error("expected a finite factor above 0 for `{}`, found {factor}", signal.name())]
    Factor {
        /// Whose.
        signal: Signal,
        /// As given.
        factor: String,
    },
    /// A rule of `metric_relabel_configs`.
    #[error(transparent)]
    Relabel(#[from] RelabelError),
}

/// Why a relabelling rule cannot be used. `rule` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// The expression does not compile.
    #[error("relabelling rule {rule}: expected a regular expression, found `{regex}`: {reason}")]
    Regex {
        /// Which rule.
        rule: usize,
        /// As given.
        regex: String,
        /// The compiler's reason.
        reason: String,
    },
    /// The action needs a label to write to or compare with.
    #[error("relabelling rule {rule}: action `{action}` needs `target_label`")]
    NoTargetLabel {
        /// Which rule.
        rule: usize,
        /// Its action.
        action: &'static str,
    },
    /// The label to write to cannot be a label.
    #[error("relabelling rule {rule}: expected a label name in `{key}`, found `{found}`")]
    LabelName {
        /// Which rule.
        rule: usize,
        /// Which key.
        key: &'static str,
        /// As given.
        found: String,
    },
    /// `hashmod` by nothing.
    #[error("relabelling rule {rule}: action `hashmod` needs a `modulus` above 0")]
    NoModulus {
        /// Which rule.
        rule: usize,
    },
    /// A key that the action would ignore.
    #[error("relabelling rule {rule}: action `{action}` takes no `{key}`")]
    UnusedKey {
        /// Which rule.
        rule: usize,
        /// Its action.
        action: &'static str,
        /// The key.
        key: &'static str,
    },
}

/// A fault within one line, before its number is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Byte of the line from 0.
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
    pub(crate) found: String,
}

impl Fault {
    pub(crate) fn new(line: &[u8], at: usize, expected: &'static str) -> Self {
        Self { at, expected, found: shown(line.get(at..).unwrap_or_default()) }
    }

    pub(crate) fn on_line(self, line: u64) -> IngestError {
        IngestError::Syntax { line, column: self.at as u64 + 1, expected: self.expected, found: self.found }
    }
}

/// `bytes` for a person: quoted, shortened, invalid UTF-8 replaced.
pub(crate) fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the end".to_owned();
    }
    let head = bytes.get(..FOUND_CHARS.min(bytes.len())).unwrap_or_default();
    let more = if head.len() < bytes.len() { "..." } else { "" };
    format!("`{}{more}`", String::from_utf8_lossy(head).escape_debug())
}
