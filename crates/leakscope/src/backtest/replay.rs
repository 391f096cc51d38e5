//! One series through one engine, sample by sample, as the daemon would have judged it.

use std::time::Duration;

use leakscope_engine::{Effect, Engine, EngineConfig, Event, Restored, Watch};
use leakscope_model::{Readings, Runtime, State, Target, TargetId, Timestamp, Verdict};

use super::plot::Trace;

/// What the detector said of one series.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Its verdict after the last row.
    pub(crate) verdict: Verdict,
    /// When it was `Leaking`.
    pub(crate) alarms: Times,
    /// The first row's time, seconds; `None` without rows.
    pub(crate) began_s: Option<f64>,
    /// What a plot shows, where one was asked for.
    pub(crate) trace: Option<Trace>,
}

/// Spans of time in which something held, seconds; the last may be open.
#[derive(Debug, Default)]
pub(crate) struct Times(pub(crate) Vec<Span>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from_s: f64,
    /// `None` when it lasted until the last row.
    pub(crate) to_s: Option<f64>,
}

impl Times {
    pub(crate) fn observe(&mut self, time_s: f64, holds: bool) {
        let open = self.0.last_mut().filter(|span| span.to_s.is_none());
        match (open, holds) {
            (Some(span), false) => span.to_s = Some(time_s),
            (None, true) => self.0.push(Span { from_s: time_s, to_s: None }),
            (Some(_), true) | (None, false) => {}
        }
    }
}

/// A series on its way through an engine of its own.
#[derive(Debug)]
pub(crate) struct Replay {
    engine: Engine,
    target: Target,
    effects: Vec<Effect>,
    so_far: Replayed,
}

impl Replay {
    /// With `traced` it gathers what a plot shows.
    pub(crate) fn new(config: EngineConfig, traced: bool) -> Self {
        Self {
            engine: Engine::new(config, Restored::default()),
            target: recorded_target(),
            effects: Vec::new(),
            so_far: Replayed {
                verdict: Verdict::default(),
                alarms: Times::default(),
                began_s: None,
                trace: traced.then(Trace::default),
            },
        }
    }

    /// Takes one row.
    pub(crate) fn observe(&mut self, time_s: f64, readings: Readings) {
        let at = Timestamp::from_secs_f64(time_s);
        if self.so_far.began_s.is_none() {
            self.so_far.began_s = Some(time_s);
            self.engine.handle(at, Event::TargetsSeen(vec![self.target.clone()]), &mut self.effects);
        }
        self.engine.replay(at, self.target.id, readings, &mut self.effects);
        self.effects.clear();
        let watch = self.engine.watch(self.target.id);
        let state = watch.map(Watch::state).unwrap_or_default();
        self.so_far.alarms.observe(time_s, state == State::Leaking);
        if let Some(trace) = &mut self.so_far.trace {
            trace.observe(time_s, &readings, state, watch.map_or(0.0, Watch::score));
        }
    }

    /// What the detector says after the last row.
    pub(crate) fn finish(self) -> Replayed {
        let verdict = self.engine.watch(self.target.id).map(Watch::verdict).unwrap_or_default();
        Replayed { verdict, ..self.so_far }
    }
}

fn recorded_target() -> Target {
    Target {
        id: TargetId::of("backtest", "recording", ""),
        job: "backtest".into(),
        instance: "recording".into(),
        service: "recording".into(),
        version: None,
        labels: std::collections::BTreeMap::new(),
        runtime: Runtime::Unknown,
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_from_row_to_row_is_one_span() {
        let mut times = Times::default();
        for (second, holds) in [false, true, true, false, true].into_iter().enumerate() {
            times.observe(second as f64, holds);
        }
        assert_eq!(times.0, [Span { from_s: 1.0, to_s: Some(3.0) }, Span { from_s: 4.0, to_s: None }]);
    }
}
