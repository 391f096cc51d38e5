//! Many recordings over the cores, each through an engine of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use leakscope_engine::{EngineConfig, Tuning};
use leakscope_model::{Readings, Timestamp};

use super::plot::{Clock, Subject};
use super::replay::{Replay, Replayed};
use super::rows::{Oddities, ReadError, Rows};

/// What came of one series.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) replayed: Replayed,
    /// What was strange about its file.
    pub(crate) oddities: Oddities,
    /// Its SVG, where one was asked for.
    pub(crate) picture: Option<String>,
}

impl Recorded {
    /// Draws what was traced, and lets go of it.
    pub(super) fn of(mut replayed: Replayed, oddities: Oddities, subject: Subject<'_>) -> Self {
        let picture = subject.draw(&replayed);
        replayed.trace = None;
        Self { replayed, oddities, picture }
    }
}

/// How recordings are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Multiplies every time.
    pub(crate) time_scale: f64,
    /// How sure the detector must be.
    pub(crate) tuning: Tuning,
    /// Rows from the first one that is later are not read; in seconds of the file.
    pub(crate) until_s: Option<f64>,
    /// Whether a picture is drawn of each.
    pub(crate) drawn: bool,
}

/// Replays every file on all cores; the answers stand in the order of the files. `done` hears each as it comes, with the place of
/// its file and how many are finished.
pub(crate) fn replay_all(
    files: &[PathBuf],
    reading: Reading,
    mut done: impl FnMut(usize, usize, &mut Result<Recorded, ReadError>),
) -> Vec<Result<Recorded, ReadError>> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut answers: Vec<Option<Result<Recorded, ReadError>>> = files.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((index, path)) = take(files, next) {
                    if sender.send((index, replay(path, reading))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (n_done, (index, mut answer)) in receiver.iter().enumerate() {
            done(index, n_done + 1, &mut answer);
            if let Some(slot) = answers.get_mut(index) {
                *slot = Some(answer);
            }
        }
    });
    answers.into_iter().flatten().collect()
}

fn take<'a>(files: &'a [PathBuf], next: &AtomicUsize) -> Option<(usize, &'a Path)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    files.get(index).map(|path| (index, path.as_path()))
}

fn replay(path: &Path, reading: Reading) -> Result<Recorded, ReadError> {
    let Reading { time_scale, tuning, until_s, drawn } = reading;
    let mut rows = Rows::open(path, time_scale)?;
    // The rows' times are multiplied already, so the detector's clock is theirs.
    let mut replay = Replay::new(EngineConfig { tuning, ..EngineConfig::default() }, drawn);
    let until_s = until_s.map_or(f64::INFINITY, |until_s| until_s * time_scale);
    let mut order = Order::default();
    while let Some((time_s, readings)) = rows.next()?.filter(|(time_s, _)| *time_s <= until_s + CLOCK_BACK_S) {
        if time_s <= until_s {
            order.add(time_s, readings, &mut replay);
        }
    }
    order.flush(&mut replay);
    let replayed = replay.finish();
    let unix = time_scale == 1.0 && replayed.began_s.is_some_and(looks_like_unix);
    let clock = if unix { Clock::Unix } else { Clock::Elapsed };
    let name = path.display().to_string();
    Ok(Recorded::of(replayed, rows.oddities, Subject { name: &name, clock, time_scale: 1.0 }))
}

/// Rows that stand out of order by more than this are taken as they come: a clock that was set back.
const CLOCK_BACK_S: f64 = 3_600.0;
/// Rows that wait for one that belongs before them.
const WAITING_MAX: usize = 4_096;

/// Puts rows in order that were written a little out of it, as queries that overlap do.
#[derive(Debug, Default)]
struct Order {
    /// By milliseconds and number.
    waiting: BTreeMap<(i64, u64), (f64, Readings)>,
    n_rows: u64,
}

impl Order {
    fn add(&mut self, time_s: f64, readings: Readings, replay: &mut Replay) {
        let newest = self.waiting.last_key_value().map(|(_, (newest, _))| *newest);
        if newest.is_some_and(|newest| time_s < newest - CLOCK_BACK_S) {
            self.flush(replay);
        }
        self.n_rows += 1;
        self.waiting.insert((Timestamp::from_secs_f64(time_s).as_millis(), self.n_rows), (time_s, readings));
        if self.waiting.len() > WAITING_MAX
            && let Some((_, (time_s, readings))) = self.waiting.pop_first()
        {
            replay.observe(time_s, readings);
        }
    }

    fn flush(&mut self, replay: &mut Replay) {
        for (_, (time_s, readings)) in std::mem::take(&mut self.waiting) {
            replay.observe(time_s, readings);
        }
    }
}

/// Whether seconds are those of a moment from 2000 to 2100: no recording is so long that it would count so far from zero.
fn looks_like_unix(time_s: f64) -> bool {
    (946_684_800.0..4_102_444_800.0).contains(&time_s)
}

#[cfg(test)]
mod tests {
    use leakscope_model::Signal;

    use super::*;

    /// A leak of 120 minutes, its rows in this order.
    fn judged(minutes: impl Iterator<Item = i32>) -> Replayed {
        let mut replay = Replay::new(EngineConfig::default(), false);
        let mut order = Order::default();
        for minute in minutes {
            let readings = [(Signal::Rss, 2e8 + 1e6 * f64::from(minute)), (Signal::Limit, 5e8)].into_iter().collect();
            order.add(f64::from(minute) * 60.0, readings, &mut replay);
        }
        order.flush(&mut replay);
        replay.finish()
    }

    #[test]
    fn rows_a_little_out_of_order_are_judged_as_if_in_order() {
        let in_order = judged(0..120);
        // Every block of ten minutes backward.
        let mixed = judged((0..12).flat_map(|block| (0..10).map(move |minute| block * 10 + 9 - minute)));
        assert!(!in_order.alarms.0.is_empty());
        assert_eq!(format!("{:?}", in_order.verdict), format!("{:?}", mixed.verdict));
    }
}
