//! Targets and the services they are replicas of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Verdict;

/// A page of targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Targets {
    /// Ordered by job, then instance.
    pub targets: Vec<Target>,
    /// Pass as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

/// One thing that is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// 16 hex digits.
    pub id: String,
    /// The scrape job.
    pub job: String,
    /// The address within the job.
    pub instance: String,
    /// The service it is a replica of.
    pub service: String,
    /// The service's version, where known.
    pub version: Option<String>,
    /// `go`, `node`, `jvm`, `python`, `dotnet`, `native` or `unknown`.
    pub runtime: String,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the last scrape succeeded; `null` before the first.
    pub up: Option<bool>,
    /// When the last scrape ended, RFC 3339.
    pub last_scrape_at: Option<String>,
    /// How long the last scrape took.
    pub last_duration_ms: Option<f64>,
    /// Why the last scrape failed, or what of it could not be understood.
    pub last_error: Option<String>,
    /// How often it is scraped.
    pub interval_s: f64,
    /// The last value of each signal, in the signal's unit.
    pub signals: BTreeMap<String, f64>,
    /// What the detector says.
    pub verdict: Verdict,
    /// What the service says of itself; shown, never trusted.
    pub opinion: Option<Opinion>,
}

/// A service's own opinion of its memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Opinion {
    /// Its own score.
    pub leak_score: Option<f64>,
    /// Its own word.
    pub status: Option<String>,
}

/// A page of services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Services {
    /// Worst first: by state, then score, then name.
    pub services: Vec<Service>,
    /// Pass as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

/// One service: the replicas that share its name and version. The verdict is its worst replica's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its version, where known.
    pub version: Option<String>,
    /// Its runtime.
    pub runtime: String,
    /// Replicas known.
    pub replicas: u32,
    /// Replicas whose last scrape succeeded.
    pub replicas_up: u32,
    /// The worst replica's verdict.
    pub verdict: Verdict,
    /// The worst replica's id.
    pub worst_target: String,
    /// The worst replica's memory, bytes: the resident set, else the heap.
    pub memory_bytes: Option<f64>,
    /// The worst replica's limit, bytes.
    pub limit_bytes: Option<f64>,
    /// The worst replica's recent floors, oldest first, at most 32.
    pub sparkline: Vec<f64>,
    /// The open incident's id.
    pub incident: Option<u64>,
}

/// One service with its replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceDetail {
    /// The service.
    pub service: Service,
    /// Its replicas, ordered by instance.
    pub replicas: Vec<Target>,
}
