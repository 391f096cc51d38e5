//! What is counted: days, alarms, suspects, and how high the score went and how often. Whole numbers only, so that the order of services
//! and the number of threads change nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_detect::Detector;
use leakscope_model::{State, Timestamp, Verdict};
use leakscope_sim::null::{Family, Process};

use crate::args::Args;
use crate::cpu;

/// Scores whose passing is counted; 1 is the alarm.
pub(crate) const SCORES: [f64; 11] = [0.5, 0.75, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 2.0, 2.5];

/// A passing ends below this: what falls a little and passes again is the same.
const OVER: f64 = 0.5;

/// Milliseconds in a day.
const DAY_MS: u64 = 86_400_000;

/// Counts by family and by seconds between scrapes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: BTreeMap<(Family, u64), Counts>,
    /// Kept where a list was asked for.
    pub(crate) alarmed: Vec<Alarmed>,
}

/// What was seen of some services.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) n_services: u32,
    pub(crate) n_samples: u64,
    pub(crate) watched_ms: u64,
    /// Processor time of detector and simulation.
    pub(crate) cpu: Duration,
    pub(crate) n_alarms: u32,
    /// Of these, alarms within a day of the first scrape.
    pub(crate) n_early: u32,
    pub(crate) n_alarmed: u32,
    pub(crate) n_suspected: u32,
    /// Times that the score passed each of [`SCORES`].
    pub(crate) passed: [u32; SCORES.len()],
}

impl Counts {
    pub(crate) fn days(&self) -> f64 {
        self.watched_ms as f64 / DAY_MS as f64
    }

    pub(crate) fn with(self, other: &Self) -> Self {
        let mut passed = self.passed;
        for (sum, more) in passed.iter_mut().zip(other.passed) {
            *sum += more;
        }
        Self {
            n_services: self.n_services + other.n_services,
            n_samples: self.n_samples + other.n_samples,
            watched_ms: self.watched_ms + other.watched_ms,
            cpu: self.cpu + other.cpu,
            n_alarms: self.n_alarms + other.n_alarms,
            n_early: self.n_early + other.n_early,
            n_alarmed: self.n_alarmed + other.n_alarmed,
            n_suspected: self.n_suspected + other.n_suspected,
            passed,
        }
    }
}

/// A service that was alarmed of, with all that explains its first alarm.
#[derive(Clone, Debug)]
pub(crate) struct Alarmed {
    pub(crate) process: Process,
    pub(crate) n_alarms: u32,
    pub(crate) at: Timestamp,
    pub(crate) verdict: Verdict,
}

impl Tally {
    /// Runs one service.
    pub(crate) fn add(&mut self, process: &Process, args: &Args) {
        if !args.wants(process.family) {
            return;
        }
        let began = cpu();
        let mut detector = Detector::default();
        let mut counts = Counts { n_services: 1, ..Counts::default() };
        let mut passing = Passing::default();
        let (mut suspected, mut first) = (false, None);
        for (at, readings) in process.samples() {
            counts.n_samples += 1;
            let changed = detector.observe(at, &readings);
            passing.observe(detector.score(), &mut counts.passed);
            if !changed {
                continue;
            }
            suspected |= detector.state() >= State::Suspect;
            if detector.state() == State::Leaking {
                counts.n_alarms += 1;
                counts.n_early += u32::from(at.hours_since(process.begin) < 24.0);
                if args.list {
                    first.get_or_insert_with(|| (at, detector.verdict()));
                }
            }
        }
        counts.watched_ms = counts.n_samples * process.interval.as_secs() * 1_000;
        counts.cpu = cpu().saturating_sub(began);
        counts.n_alarmed = u32::from(counts.n_alarms > 0);
        counts.n_suspected = u32::from(suspected);
        self.alarmed.extend(first.map(|(at, verdict)| Alarmed {
            process: *process,
            n_alarms: counts.n_alarms,
            at,
            verdict,
        }));
        let sum = self.counts.entry((process.family, process.interval.as_secs())).or_default();
        *sum = sum.with(&counts);
    }

    pub(crate) fn with(mut self, other: Self) -> Self {
        for (key, counts) in other.counts {
            let sum = self.counts.entry(key).or_default();
            *sum = sum.with(&counts);
        }
        self.alarmed.extend(other.alarmed);
        self.alarmed.sort_by_key(|alarmed| (alarmed.process.family, alarmed.process.seed));
        self
    }

    /// The sum over all that `wanted`.
    pub(crate) fn sum(&self, wanted: impl Fn(Family, u64) -> bool) -> Counts {
        let counts = self.counts.iter().filter(|((family, secs), _)| wanted(*family, *secs));
        counts.fold(Counts::default(), |sum, (_, counts)| sum.with(counts))
    }
}

/// Where a score stands among [`SCORES`].
#[derive(Clone, Copy, Debug, Default)]
struct Passing {
    last: f64,
    /// Scores passed since the last time below [`OVER`].
    n_passed: usize,
}

impl Passing {
    fn observe(&mut self, score: f64, passed: &mut [u32; SCORES.len()]) {
        if score == self.last {
            return;
        }
        self.last = score;
        if score < OVER {
            self.n_passed = 0;
        }
        while self.n_passed < SCORES.len() && score >= SCORES[self.n_passed] {
            passed[self.n_passed] += 1;
            self.n_passed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_trembles_passes_once() {
        let (mut passing, mut passed) = (Passing::default(), [0; SCORES.len()]);
        for score in [0.0, 0.8, 0.6, 0.8, 1.05, 0.9, 1.0, 0.4, 0.5, 3.0] {
            passing.observe(score, &mut passed);
        }
        assert_eq!(passed, [2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]);
    }
}
