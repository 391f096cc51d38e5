//! What an earlier run left behind: detectors and incidents.

use std::collections::BTreeMap;

use leakscope_detect::{CheckpointError, Detector};
use leakscope_model::{Capture, Incident, Readings, TargetId, Timestamp};

use crate::watch::scaled;

/// State of an earlier run, to start an engine with.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    pub(crate) detectors: BTreeMap<TargetId, Detector>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) captures: Vec<Capture>,
}

impl Restored {
    /// With the incidents of the store, and no detector yet.
    pub fn new(incidents: Vec<Incident>) -> Self {
        Self { incidents, ..Self::default() }
    }

    /// With the attempts to take evidence that the store knows, oldest first; those that still run were cut off with the last process.
    #[must_use]
    pub fn with_captures(self, captures: Vec<Capture>) -> Self {
        Self { captures, ..self }
    }

    /// Adds one detector.
    ///
    /// # Errors
    /// [`CheckpointError`] when the state is of another version or no detector's; the target then starts anew.
    pub fn add_detector(&mut self, target: TargetId, state: &[u8]) -> Result<(), CheckpointError> {
        self.detectors.insert(target, Detector::restore(state)?);
        Ok(())
    }

    /// Shows a detector what the store holds beyond its checkpoint. Targets without a checkpoint start with it.
    pub fn replay(&mut self, target: TargetId, at: Timestamp, time_scale: f64, readings: &Readings) {
        self.detectors.entry(target).or_default().observe(scaled(at, time_scale), readings);
    }
}
