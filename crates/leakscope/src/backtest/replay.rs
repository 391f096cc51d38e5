//! One recording through one engine, many recordings over the cores.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use leakscope_engine::{Engine, EngineConfig, Event, Restored};
use leakscope_model::{Runtime, State, Target, TargetId, Timestamp, Verdict};

use super::rows::{Oddities, ReadError, Rows};

/// What the detector said of one recording.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Its verdict after the last row.
    pub(crate) verdict: Verdict,
    /// When it was `Leaking`, ascending.
    pub(crate) alarms: Vec<Alarm>,
    /// The first row's time, in multiplied seconds.
    pub(crate) began_s: f64,
    /// What was strange about the file.
    pub(crate) oddities: Oddities,
}

/// One time in the `Leaking` state, in multiplied seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alarm {
    pub(crate) raised_s: f64,
    /// `None` when it lasted until the last row.
    pub(crate) cleared_s: Option<f64>,
}

/// Replays every file on all cores; the answers stand in the order of the files. `done` hears how many are finished.
pub(crate) fn replay_all(
    files: &[PathBuf],
    time_scale: f64,
    mut done: impl FnMut(usize),
) -> Vec<Result<Replayed, ReadError>> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut answers: Vec<Option<Result<Replayed, ReadError>>> = files.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((index, path)) = take(files, next) {
                    if sender.send((index, replay(path, time_scale))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (n_done, (index, answer)) in receiver.iter().enumerate() {
            if let Some(slot) = answers.get_mut(index) {
                *slot = Some(answer);
            }
            done(n_done + 1);
        }
    });
    answers.into_iter().flatten().collect()
}

fn take<'a>(files: &'a [PathBuf], next: &AtomicUsize) -> Option<(usize, &'a Path)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    files.get(index).map(|path| (index, path.as_path()))
}

fn replay(path: &Path, time_scale: f64) -> Result<Replayed, ReadError> {
    let mut rows = Rows::open(path, time_scale)?;
    let target = recorded_target();
    let id = target.id;
    let mut engine = Engine::new(EngineConfig::default(), Restored::default());
    let mut effects = Vec::new();
    let mut began_s = None;
    let mut alarms = Alarms::default();
    while let Some((time_s, readings)) = rows.next()? {
        let at = Timestamp::from_secs_f64(time_s);
        if began_s.is_none() {
            began_s = Some(time_s);
            engine.handle(at, Event::TargetsSeen(vec![target.clone()]), &mut effects);
        }
        engine.replay(at, id, readings, &mut effects);
        effects.clear();
        alarms.observe(time_s, engine.watch(id).map(leakscope_engine::Watch::state));
    }
    let verdict = engine.watch(id).map(leakscope_engine::Watch::verdict).unwrap_or_default();
    Ok(Replayed { verdict, alarms: alarms.0, began_s: began_s.unwrap_or(0.0), oddities: rows.oddities })
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

/// The times in the `Leaking` state so far; the last may be open.
#[derive(Debug, Default)]
struct Alarms(Vec<Alarm>);

impl Alarms {
    fn observe(&mut self, time_s: f64, state: Option<State>) {
        let open = self.0.last_mut().filter(|alarm| alarm.cleared_s.is_none());
        match (open, state == Some(State::Leaking)) {
            (Some(alarm), false) => alarm.cleared_s = Some(time_s),
            (None, true) => self.0.push(Alarm { raised_s: time_s, cleared_s: None }),
            (Some(_), true) | (None, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_a_time_in_the_leaking_state() {
        let mut alarms = Alarms::default();
        let states = [State::Steady, State::Leaking, State::Leaking, State::Recovered, State::Leaking];
        for (second, state) in states.into_iter().enumerate() {
            alarms.observe(second as f64, Some(state));
        }
        let expected = [Alarm { raised_s: 1.0, cleared_s: Some(3.0) }, Alarm { raised_s: 4.0, cleared_s: None }];
        assert_eq!(alarms.0, expected);
    }
}
