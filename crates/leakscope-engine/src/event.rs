//! Everything that can happen to leakscope.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{
    Bytes, CaptureId, CaptureKind, Cost, Finding, IncidentId, Readings, Runtime, Survey, Target, TargetId, Timestamp,
};

/// Everything that can wake the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// All targets that discovery knows now; those that are not in the list are gone.
    TargetsSeen(Vec<Target>),
    /// A scrape succeeded.
    Scraped(Box<Scrape>),
    /// A scrape failed.
    ScrapeFailed(ScrapeFailure),
    /// What a target gives and what room it has.
    Surveyed(Box<Survey>),
    /// That cannot be seen.
    SurveyFailed {
        /// Of which target.
        target: TargetId,
        /// What was expected and what was found.
        reason: String,
    },
    /// Evidence was taken and is kept.
    Captured(Box<Captured>),
    /// It was not.
    CaptureFailed(Box<CaptureFailure>),
    /// The files of these captures are gone, by age, size or a person's wish; the store has it on record.
    Expired(Vec<CaptureId>),
    /// What captures say.
    Analysed(Box<Analysis>),
    /// They could not be read.
    AnalysisFailed {
        /// [`crate::AnalysisOrder::analysis`].
        analysis: u64,
        /// What was expected and what was found.
        reason: String,
    },
    /// A person or the shutdown asks for something.
    Asked(Command),
    /// Time has passed.
    Tick,
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Hand out every detector's state, so that a restart loses nothing.
    Checkpoint,
    /// Take evidence of a target now; budgets are overruled, room is not, unless `force`.
    Capture {
        /// Where.
        target: TargetId,
        /// What; the ladder's next without it.
        kind: Option<CaptureKind>,
        /// Overrule the prediction too.
        force: bool,
    },
    /// Stop a capture.
    CancelCapture(CaptureId),
    /// A person knows of an incident.
    Acknowledge {
        /// Which.
        incident: IncidentId,
        /// Who, as far as known.
        by: String,
    },
}

/// What one scrape brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// The target that was scraped.
    pub target: TargetId,
    /// How long it took.
    pub duration: Duration,
    /// What the page says of the target itself.
    pub readings: Readings,
    /// Further processes and containers that the page describes.
    pub parts: Vec<Part>,
    /// The runtime, as the page gives it away.
    pub runtime: Option<Runtime>,
    /// The service's version, as the page gives it away.
    pub version: Option<String>,
    /// The service's own opinion.
    pub opinion: Option<Opinion>,
    /// What of the page could not be understood.
    pub problem: Option<String>,
}

/// One of several processes or containers on one page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its name on the page: `namespace/pod/container`, a process group, ...
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What the page says of it.
    pub readings: Readings,
}

/// A service's own opinion of its memory: shown, never trusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opinion {
    /// Its own score.
    pub leak_score: Option<f64>,
    /// Its own word.
    pub status: Option<String>,
}

/// Why one scrape failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeFailure {
    /// The target that was scraped.
    pub target: TargetId,
    /// How long it took.
    pub duration: Duration,
    /// What was expected and what was found.
    pub reason: String,
}

/// Evidence that was taken and is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    /// [`crate::CaptureOrder::capture`].
    pub capture: CaptureId,
    /// What it did cost.
    pub cost: Cost,
    /// SHA-256 of what is kept, in hexadecimal.
    pub digest: String,
    /// Whether contents were removed before it was kept.
    pub redacted: bool,
    /// When the captured process started, where known.
    pub process_started_at: Option<Timestamp>,
    /// Whether it only started to record, so that only later captures can be compared.
    pub armed: bool,
}

/// Evidence that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFailure {
    /// [`crate::CaptureOrder::capture`].
    pub capture: CaptureId,
    /// What was expected and what was found.
    pub reason: String,
    /// Whether the target was gone afterwards.
    pub target_died: bool,
    /// Whether somebody or the deadline stopped it.
    pub stopped: bool,
    /// What it did cost until then.
    pub cost: Cost,
}

/// What captures say.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// [`crate::AnalysisOrder::analysis`].
    pub analysis: u64,
    /// Strongest first.
    pub findings: Vec<Finding>,
    /// Live bytes that each capture counts, in their order, where the format tells.
    pub total_bytes: Vec<Bytes>,
    /// What could not be read.
    pub warnings: Vec<String>,
}
