//! Incidents with their evidence.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Finding;

/// A page of incidents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incidents {
    /// Newest first.
    pub incidents: Vec<Incident>,
    /// Pass as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

/// The life of one finding on one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// Its number.
    pub id: u64,
    /// The service that leaks.
    pub service: String,
    /// The ids of the replicas that leak.
    pub targets: Vec<String>,
    /// `open`, `gathered`, `explained`, `acknowledged`, `recovered`, `verified` or `closed`.
    pub state: String,
    /// What kind of growth it is.
    pub kind: String,
    /// The highest score it reached.
    pub score: f64,
    /// When it was opened, RFC 3339.
    pub opened_at: String,
    /// Its history, oldest first.
    pub transitions: Vec<Transition>,
    /// Evidence taken, and attempts that were refused or failed, oldest first.
    pub captures: Vec<Capture>,
    /// What the evidence says, strongest first.
    pub suspects: Vec<Finding>,
}

/// One change of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// When, RFC 3339.
    pub at: String,
    /// The state it came to.
    pub to: String,
    /// Why.
    pub cause: String,
}

/// One piece of heap evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Capture {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub kind: String,
    /// Where it was taken.
    pub target: String,
    /// The service that the target is a replica of.
    pub service: String,
    /// The target's address.
    pub instance: String,
    /// When in the life of a leak: `baseline`, `early`, `middle`, `late` or `asked`.
    pub phase: String,
    /// The incident that it is evidence of.
    pub incident: Option<u64>,
    /// `refused`, `running`, `stored`, `failed`, `cancelled` or `expired`.
    pub state: String,
    /// When it began, or was refused, RFC 3339.
    pub began_at: String,
    /// When it ended, RFC 3339.
    pub ended_at: Option<String>,
    /// What it was expected to cost.
    pub predicted: CaptureCost,
    /// What it did cost, once it has ended.
    pub cost: Option<CaptureCost>,
    /// SHA-256 of what is kept, in hexadecimal.
    pub digest: Option<String>,
    /// Whether contents were removed before it was kept.
    pub redacted: bool,
    /// Why it was taken, refused or failed.
    pub note: String,
}

/// A page of captures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Captures {
    /// Newest first.
    pub captures: Vec<Capture>,
    /// Pass as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

/// Asks for evidence of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureRequest {
    /// Its id.
    pub target: String,
    /// What to take; the lightest that helps without it.
    #[serde(default)]
    pub kind: Option<String>,
    /// Take it although the prediction says that there is no room.
    #[serde(default)]
    pub force: bool,
}

/// What a capture costs its target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaptureCost {
    /// From the first byte asked for to the last written, seconds.
    pub duration_s: f64,
    /// The longest that the service did not answer, seconds.
    pub pause_s: f64,
    /// Resident memory on top of what it had, at the peak.
    pub memory_bytes: u64,
    /// Size of the evidence.
    pub size_bytes: u64,
}

/// One thing that grew, and who holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suspect {
    /// One line for a person.
    pub title: String,
    /// What accumulates.
    pub kind: String,
    /// Type or function.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Count.
    pub count: u64,
    /// Share of the whole growth, 0 to 1.
    pub share: f64,
    /// The retaining path from its root.
    pub path: Vec<PathStep>,
    /// The allocation stack, leaf first.
    pub stack: Vec<Frame>,
    /// Where in the source.
    pub location: Option<Location>,
    /// 0 to 1.
    pub confidence: f64,
    /// Why.
    pub reason: String,
}

/// One step of a retaining path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PathStep {
    /// What holds the next.
    pub edge: String,
    /// The type of the holder.
    pub name: String,
    /// Its identity in the capture.
    pub id: u64,
}

/// One frame of an allocation stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Frame {
    /// Function.
    pub function: String,
    /// File.
    pub file: Option<String>,
    /// Line from 1.
    pub line: Option<u32>,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// File.
    pub file: String,
    /// Line from 1.
    pub line: u32,
    /// Column from 1.
    pub column: Option<u32>,
}
