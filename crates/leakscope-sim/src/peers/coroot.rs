//! Coroot's inspection 'memory leak': a line over the last hour that still rises at its end.
//!
//! Source: github.com/coroot/coroot, `MemoryGrowthPct` of the memory auditor (2026), with its default check of 10 % an hour for 15 minutes.

use std::time::Duration;

use leakscope_model::{Readings, Signal, Timestamp};

use super::Peer;
use super::alert::Alert;
use super::window::{Sums, Window, median};
use crate::inject::resident;

/// Share of the expected samples that must be there.
const PRESENT: f64 = 0.8;
/// A value below this share of the one before begins a new process.
const RESTARTED: f64 = 0.5;
/// Least samples, least part of the window.
const SAMPLES_MIN: (usize, usize) = (10, 3);
/// The tail: this part of the samples, at least so many hours, at least so many samples.
const TAIL: (usize, f64, usize) = (4, 0.25, 5);
/// Least slope of the tail over that of the whole.
const TAIL_SLOPE: f64 = 0.3;
/// Least growth in an hour: a share of the limit, or bytes where there is none.
const GROWTH_MIN: (f64, f64) = (0.05, 50.0 * 1_048_576.0);
/// Growth in an hour that alarms, in percent.
const ALARM_PERCENT: f64 = 10.0;

/// The rule over one hour, which is the view of a deployed application.
#[derive(Clone, Debug)]
pub struct Coroot {
    window: Window,
    limit: Option<f64>,
    alert: Alert,
}

impl Default for Coroot {
    fn default() -> Self {
        let fifteen = Duration::from_mins(15);
        Self { window: Window::new(Duration::from_hours(1)), limit: None, alert: Alert::new(fifteen, fifteen) }
    }
}

impl Peer for Coroot {
    fn name(&self) -> &'static str {
        "Coroot"
    }

    fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool {
        self.limit = readings.get(Signal::Limit).or(self.limit);
        if let Some(value) = resident(readings) {
            self.window.push(at, value);
        }
        if self.alert.due(at) {
            let holds = growth_percent(&self.window.points(at), self.limit) > ALARM_PERCENT;
            return self.alert.evaluate(at, holds);
        }
        self.alert.firing()
    }

    fn state_bytes(&self) -> usize {
        self.window.bytes()
    }
}

/// Growth in the last hour in percent of where it began; 0 where the rule does not apply.
fn growth_percent(points: &[(f64, f64)], limit: Option<f64>) -> f64 {
    let mut steps: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let Some(step) = median(&mut steps).filter(|step| *step > 0.0) else { return 0.0 };
    let n_expected = (1.0 / step).round();
    if (points.len() as f64) < PRESENT * n_expected {
        return 0.0;
    }
    let run = longest_run(points);
    if run.len() < SAMPLES_MIN.0 || run.len() < n_expected as usize / SAMPLES_MIN.1 {
        return 0.0;
    }
    let Some(line) = Sums::of(run).line().filter(|line| line.slope > 0.0) else { return 0.0 };
    let mut begin = run.len() - run.len() / TAIL.0;
    while begin > 0 && begin < run.len() && run[run.len() - 1].0 - run[begin].0 < TAIL.1 {
        begin -= 1;
    }
    let tail = &run[begin..];
    let tail_slope = Sums::of(tail).line().map_or(0.0, |line| line.slope);
    if tail.len() < TAIL.2 || tail_slope <= 0.0 || tail_slope < TAIL_SLOPE * line.slope {
        return 0.0;
    }
    let (from, to) = (line.at_zero - line.slope, line.at_zero);
    let least = limit.map_or(GROWTH_MIN.1, |limit| GROWTH_MIN.0 * limit);
    if to <= 0.0 || to - from < least {
        return 0.0;
    }
    100.0 * (to - from) / if from > 0.0 { from } else { to }
}

/// The longest run of samples without a restart; the first of equals.
fn longest_run(points: &[(f64, f64)]) -> &[(f64, f64)] {
    let runs = points.chunk_by(|before, after| before.1 <= 0.0 || after.1 >= RESTARTED * before.1);
    runs.fold(&[], |longest, run| if run.len() > longest.len() { run } else { longest })
}
