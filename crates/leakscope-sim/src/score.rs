//! One series run through the detector: a trial.

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
