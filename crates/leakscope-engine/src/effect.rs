//! Everything leakscope can do to the world.

use leakscope_model::{
    Bytes, Capture, CaptureId, CaptureKind, Incident, IncidentId, Readings, Target, TargetId, Timestamp,
};

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
    /// See what a target gives and what room it has; answer with `Surveyed` or `SurveyFailed` by the deadline.
    Survey {
        /// Which.
        target: TargetId,
        /// By when.
        deadline: Timestamp,
    },
    /// Make an attempt's new state durable. Comes before the effect that begins it and after its end.
    RecordCapture(Box<Capture>),
    /// Take evidence; answer with `Captured` or `CaptureFailed` by the deadline, also after a cancellation.
    Capture(Box<CaptureOrder>),
    /// Stop a capture that is under way.
    CancelCapture(CaptureId),
    /// Ask a child process what captures say; answer with `Analysed` or `AnalysisFailed` by the deadline.
    Analyse(Box<AnalysisOrder>),
    /// Tell receivers of an incident.
    Notify(Box<Notice>),
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

/// One capture to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureOrder {
    /// Its number; it is on record as `Running`.
    pub capture: CaptureId,
    /// Where.
    pub target: TargetId,
    /// What.
    pub kind: CaptureKind,
    /// By when it has to be over; then it is stopped.
    pub deadline: Timestamp,
    /// Bytes that it may have. Beyond: it is stopped.
    pub size_max: Bytes,
}

/// Captures of one kind and one process to compare, or one to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalysisOrder {
    /// Counts up; names the answer.
    pub analysis: u64,
    /// The incident that it explains.
    pub incident: Option<IncidentId>,
    /// Which, oldest first; one or more.
    pub captures: Vec<CaptureId>,
    /// Memory that the job may take. Beyond: it is stopped.
    pub memory_max: Bytes,
    /// By when.
    pub deadline: Timestamp,
}

/// What receivers are told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The incident as it stands.
    pub incident: Incident,
    /// Whether the alert begins or goes on (`true`), or is over.
    pub firing: bool,
    /// Why now.
    pub occasion: Occasion,
    /// Since when this is to be told. It may lie in the past: after a restart the newest word of each incident comes again.
    pub at: Timestamp,
    /// The same for the same word, also after a restart: what is delivered under a known key would be told twice.
    pub key: String,
}

/// Why receivers are told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// A service began to leak, or began again.
    Opened,
    /// It opens and recovers so often that further openings are not told one by one.
    Flapping,
    /// The evidence names a site, or another one than before.
    Explained,
    /// It still leaks, and the last word is long ago.
    Repeated,
    /// It is over.
    Resolved,
}

impl Occasion {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Flapping => "flapping",
            Self::Explained => "explained",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
        }
    }
}
