//! An incident as a story: what happened, what was looked at, what it says, and what would make it surer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CaptureCost, Incident, Interval, Verdict};

/// All that is known of one incident, in the order in which a person wants to know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// When it was written, RFC 3339.
    pub written_at: String,
    /// One line: which service, what, since when.
    pub title: String,
    /// The worst replica's memory limit; `null` where none is known.
    pub limit_bytes: Option<u64>,
    /// The incident with its captures and suspects.
    pub incident: Incident,
    /// What the detector says of the worst replica today; `null` when none of them is watched any more.
    pub verdict: Option<Verdict>,
    /// What happened, oldest first.
    pub moments: Vec<Moment>,
    /// Requests before and since the growth began; `null` where nothing counts them.
    pub load: Option<Load>,
    /// Every replica of the service, whatever its version, the worst first.
    pub peers: Vec<Peer>,
    /// Evidence that the replicas of the incident do not give today.
    pub lacking: Vec<Lacking>,
    /// What would confirm or refute it, the first step first.
    pub next_steps: Vec<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// When, RFC 3339.
    pub at: String,
    /// `growth`, `start` of a process, `incident` or `capture`.
    pub kind: String,
    /// What.
    pub text: String,
}

/// Requests around the beginning of the growth, on the worst replica.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Load {
    /// Requests a second in the hour before; `null` where that was not watched.
    pub before_per_s: Option<f64>,
    /// Requests a second since.
    pub since_per_s: f64,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Its id.
    pub target: String,
    /// Its address.
    pub instance: String,
    /// Its version, where known.
    pub version: Option<String>,
    /// Where it stands.
    pub state: String,
    /// Its score.
    pub score: f64,
    /// How fast it grows.
    pub growth_bytes_per_hour: Option<Interval>,
    /// Whether the incident counts it among those that leak.
    pub leaks: bool,
}

/// Evidence that is not to be had today.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Lacking {
    /// Which.
    pub kind: String,
    /// Why not.
    pub reason: String,
    /// The one change that would enable it.
    pub remedy: String,
}

/// What can be captured of one target, as it was looked at last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Whether it was looked at since the daemon started.
    pub surveyed: bool,
    /// What it gives, cheapest first within a weight.
    pub means: Vec<Means>,
    /// What it does not give.
    pub lacking: Vec<Lacking>,
}

/// One kind of evidence that a target gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Means {
    /// Which.
    pub kind: String,
    /// `light` or `heavy`.
    pub weight: String,
    /// By which way.
    pub way: String,
    /// What it would cost.
    pub predicted: CaptureCost,
}
