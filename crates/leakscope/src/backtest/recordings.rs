//! Many recordings over the cores, each through an engine of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use leakscope_engine::{EngineConfig, Tuning};

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
    while let Some((time_s, readings)) = rows.next()?.filter(|(time_s, _)| *time_s <= until_s) {
        replay.observe(time_s, readings);
    }
    let replayed = replay.finish();
    let unix = time_scale == 1.0 && replayed.began_s.is_some_and(looks_like_unix);
    let clock = if unix { Clock::Unix } else { Clock::Elapsed };
    let name = path.display().to_string();
    Ok(Recorded::of(replayed, rows.oddities, Subject { name: &name, clock, time_scale: 1.0 }))
}

/// Whether seconds are those of a moment from 2000 to 2100: no recording is so long that it would count so far from zero.
fn looks_like_unix(time_s: f64) -> bool {
    (946_684_800.0..4_102_444_800.0).contains(&time_s)
}
