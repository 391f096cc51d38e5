//! The state of leakscope itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How leakscope itself is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of leakscope.
    pub version: String,
    /// When this process started, RFC 3339.
    pub started_at: String,
    /// How many seconds of the detector's clock one real second counts; 1 outside of demonstrations and recordings.
    pub time_scale: f64,
    /// How sure its detectors must be: so many false alarms a thousand days of one service may have.
    pub false_alarms_per_1000_service_days: f64,
    /// Targets known.
    pub targets: u32,
    /// Targets whose last scrape succeeded.
    pub targets_up: u32,
    /// Services by state.
    pub services: StateCounts,
    /// Resident memory of leakscope, bytes.
    pub memory_bytes: u64,
    /// The store.
    pub storage: StorageStatus,
    /// Whether the last reload of the configuration succeeded; `None` without a configuration file.
    pub config_reloaded: Option<bool>,
    /// Why the last reload failed.
    pub config_error: Option<String>,
    /// Sources of targets that fail, and processes of this host that cannot be seen, each with its remedy.
    pub problems: Vec<String>,
}

/// Services by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateCounts {
    /// Services that leak.
    pub leaking: u32,
    /// Services under suspicion.
    pub suspect: u32,
    /// Services that leaked and stopped.
    pub recovered: u32,
    /// Services that do not leak.
    pub steady: u32,
    /// Services not yet judged.
    pub too_early: u32,
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageStatus {
    /// Whether it takes writes.
    pub writable: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Size on disk, bytes.
    pub bytes: u64,
    /// Samples lost since the start because they could not be written.
    pub dropped_samples: u64,
}
