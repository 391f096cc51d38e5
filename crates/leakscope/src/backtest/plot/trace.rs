//! What a plot needs to know of a replay, gathered while it runs, in bounded memory.

use std::collections::BTreeMap;

use leakscope_engine::Detector;
use leakscope_model::{Readings, Signal, State, Timestamp, Unit};

use super::sketch::Sketch;
use crate::backtest::replay::Times;

/// Restarts that are remembered. Later ones are not drawn: they would be one grey field.
const RESTARTS_MAX: usize = 100_000;

/// What a plot needs to know of a replay.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Of every signal that is a size or a count.
    pub(super) signals: BTreeMap<Signal, Sketch>,
    pub(super) score: Sketch,
    /// When it was `Suspect`.
    pub(super) suspect: Times,
    /// When a process gave way to the next.
    pub(super) restarts_ms: Vec<i64>,
    pub(super) n_rows: u64,
    /// The earliest and the latest row.
    pub(super) span_ms: Option<(i64, i64)>,
    /// Sees what the engine's own sees, and is asked for restarts only.
    detector: Detector,
}

impl Trace {
    /// Takes one row, and what the engine says after it.
    pub(crate) fn observe(&mut self, time_s: f64, readings: &Readings, state: State, score: f64) {
        let at = Timestamp::from_secs_f64(time_s);
        let at_ms = at.as_millis();
        let (first, last) = self.span_ms.unwrap_or((at_ms, at_ms));
        self.span_ms = Some((first.min(at_ms), last.max(at_ms)));
        self.n_rows += 1;
        let drawn = |signal: Signal| matches!(signal.unit(), Unit::Bytes | Unit::Count);
        for (signal, value) in readings.iter().filter(|(signal, _)| drawn(*signal)) {
            self.signals.entry(signal).or_default().push(at_ms, value);
        }
        self.score.push(at_ms, score);
        self.suspect.observe(time_s, state == State::Suspect);
        let n_before = self.detector.n_restarts();
        self.detector.observe(at, readings);
        if self.detector.n_restarts() > n_before && self.restarts_ms.len() < RESTARTS_MAX {
            self.restarts_ms.push(at_ms);
        }
    }
}
