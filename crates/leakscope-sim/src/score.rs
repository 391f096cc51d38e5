//! How good a detector is: one series run through it is a trial, many trials are a score.

use leakscope_detect::Detector;
use leakscope_model::{Readings, State, Timestamp, Verdict};

/// One series as the detector saw it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// When each alarm was raised.
    pub alarms: Vec<Timestamp>,
    /// The verdict at the first alarm.
    pub first: Option<Verdict>,
    /// Whether it was ever a suspect.
    pub suspected: bool,
    /// Days on the detector's clock.
    pub days: f64,
    /// The last verdict.
    pub last: Verdict,
}

impl Trial {
    /// Runs one series, ascending in time.
    pub fn run(series: impl IntoIterator<Item = (Timestamp, Readings)>) -> Self {
        let mut detector = Detector::default();
        let mut alarms = Vec::new();
        let mut first = None;
        let mut suspected = false;
        let mut span: Option<(Timestamp, Timestamp)> = None;
        for (at, readings) in series {
            span = Some((span.map_or(at, |(from, _)| from), at));
            if !detector.observe(at, &readings) {
                continue;
            }
            suspected |= detector.state() >= State::Suspect;
            if detector.state() == State::Leaking {
                alarms.push(at);
                first.get_or_insert_with(|| detector.verdict());
            }
        }
        let days = span.map_or(0.0, |(from, to)| to.hours_since(from) / 24.0);
        Self { alarms, first, suspected, days, last: detector.verdict() }
    }
}

/// Many trials of series that leak or do not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Leaking series with an alarm after the onset.
    pub found: u32,
    /// Leaking series without.
    pub missed: u32,
    /// Healthy series with an alarm.
    pub flagged: u32,
    /// Healthy series.
    pub healthy: u32,
    /// Alarms on healthy series.
    pub false_alarms: u32,
    /// Days of healthy series.
    pub healthy_days: f64,
    /// Alarms before the onset.
    pub before_onset: u32,
}

impl Score {
    /// Counts a healthy series.
    pub fn add_healthy(&mut self, trial: &Trial) {
        self.healthy += 1;
        self.healthy_days += trial.days;
        self.false_alarms += trial.alarms.len() as u32;
        self.flagged += u32::from(!trial.alarms.is_empty());
    }

    /// Counts a series that leaks from `onset` on; returns when it was found.
    pub fn add_leaking(&mut self, trial: &Trial, onset: Timestamp) -> Option<Timestamp> {
        self.before_onset += trial.alarms.iter().filter(|at| **at < onset).count() as u32;
        let found = trial.alarms.iter().copied().find(|at| *at >= onset);
        self.found += u32::from(found.is_some());
        self.missed += u32::from(found.is_none());
        found
    }

    /// Alarms that were right over all series with alarms; 1 without alarms.
    pub fn precision(&self) -> f64 {
        ratio(self.found, self.found + self.flagged)
    }

    /// Leaks found over all leaks; 1 without leaks.
    pub fn recall(&self) -> f64 {
        ratio(self.found, self.found + self.missed)
    }

    /// False alarms in a thousand days of one healthy service.
    pub fn false_alarms_per_1000_days(&self) -> f64 {
        if self.healthy_days > 0.0 { f64::from(self.false_alarms) * 1_000.0 / self.healthy_days } else { 0.0 }
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    if whole == 0 { 1.0 } else { f64::from(part) / f64::from(whole) }
}

/// Median of some values; NaN of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
