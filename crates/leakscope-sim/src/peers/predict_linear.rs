//! `predict_linear(memory[range], ahead) > limit` for 15 minutes: the rule that most alerting guides give.
//!
//! Source: Prometheus, `predict_linear`: least squares over the range, seen from the moment of evaluation.

use std::time::Duration;

use leakscope_model::{Readings, Signal, Timestamp};

use super::Peer;
use super::alert::Alert;
use super::window::{Sums, Window};
use crate::inject::resident;

/// The rule with one range and one horizon.
#[derive(Clone, Debug)]
pub struct PredictLinear {
    name: &'static str,
    window: Window,
    ahead_h: f64,
    limit: Option<f64>,
    alert: Alert,
}

impl PredictLinear {
    /// One hour, four hours ahead.
    pub fn over_one_hour() -> Self {
        Self::new("predict_linear 1 h → 4 h", 1, 4.0)
    }

    /// Six hours, a day ahead.
    pub fn over_six_hours() -> Self {
        Self::new("predict_linear 6 h → 24 h", 6, 24.0)
    }

    fn new(name: &'static str, range_h: u64, ahead_h: f64) -> Self {
        let alert = Alert::new(Duration::from_mins(15), Duration::ZERO);
        Self { name, window: Window::new(Duration::from_hours(range_h)), ahead_h, limit: None, alert }
    }
}

impl Peer for PredictLinear {
    fn name(&self) -> &'static str {
        self.name
    }

    fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool {
        self.limit = readings.get(Signal::Limit).or(self.limit);
        if let Some(value) = resident(readings) {
            self.window.push(at, value);
        }
        if self.alert.due(at) {
            let line = Sums::of(&self.window.points(at)).line();
            let predicted = line.map(|line| line.at_zero + line.slope * self.ahead_h);
            let holds = predicted.zip(self.limit).is_some_and(|(predicted, limit)| predicted > limit);
            return self.alert.evaluate(at, holds);
        }
        self.alert.firing()
    }

    fn state_bytes(&self) -> usize {
        self.window.bytes()
    }
}
