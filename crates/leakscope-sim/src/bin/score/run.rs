//! Series through detectors, on two threads: what each saw, when it alarmed, what it cost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leakscope_detect::Detector;
use leakscope_model::{State, Timestamp, Verdict};
use leakscope_sim::labelled::{Half, Leaking, Truth};
use leakscope_sim::peers::{self, Peer};
use leakscope_sim::recorded::Series;

use crate::cases::{Case, Row};

/// Threads that run cases.
const THREADS: usize = 2;

/// A peer's alarm that is back within this time is the same one; ours stands for as long after its evidence is gone.
const SAME_ALARM: Duration = Duration::from_mins(30);

/// The name of our detector in tables.
pub(crate) const OURS: &str = "leakscope";

/// The names of all detectors, ours first.
pub(crate) fn detectors() -> Vec<&'static str> {
    std::iter::once(OURS).chain(peers::all().iter().map(|peer| peer.name())).collect()
}

/// What came of one series.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) row: Row,
    pub(crate) half: Half,
    pub(crate) name: String,
    pub(crate) begin: Timestamp,
    pub(crate) days: f64,
    pub(crate) truth: Truth,
    /// Ours first, then its peers unless they were left out.
    pub(crate) seen: Vec<Seen>,
    pub(crate) ours: Ours,
}

/// What one detector did with one series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// When each alarm was raised.
    pub(crate) alarms: Vec<Timestamp>,
    /// Whether an alarm that was raised before a leak began still stood then.
    pub(crate) stood_at_onset: bool,
    pub(crate) n_samples: usize,
    pub(crate) cpu: Duration,
    pub(crate) state_bytes: usize,
}

/// What only our detector says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ours {
    /// Whether it was ever a suspect.
    pub(crate) suspected: bool,
    /// The highest score; of a leaking series, since its onset.
    pub(crate) score_max: f64,
    /// The verdict when it was first suspected.
    pub(crate) at_suspicion: Option<Verdict>,
    /// The verdict at each alarm.
    pub(crate) at_alarms: Vec<Verdict>,
    pub(crate) last: Verdict,
    /// Stated times to the limit with the true ones.
    pub(crate) forecasts: Vec<Forecast>,
}

/// One stated time to the limit, in hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forecast {
    pub(crate) at_alarm: bool,
    pub(crate) low: f64,
    pub(crate) mid: f64,
    pub(crate) high: f64,
    pub(crate) truth: f64,
}

/// Runs all cases; outcomes in their order, without those that could not be made.
pub(crate) fn all(cases: &[Case], with_peers: bool) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(number) else { return done };
            done.extend(outcome(case, with_peers).map(|outcome| (number, outcome)));
        }
    };
    let mut done: Vec<(usize, Outcome)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a panic here is a bug of the benchmark")).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn outcome(case: &Case, with_peers: bool) -> Option<Outcome> {
    let (series, truth) = case.make()?;
    let (begin, end) = (series.first()?.0, series.last()?.0);
    let leaking = match &truth {
        Truth::Leaks(leaking) => Some(*leaking),
        Truth::Healthy | Truth::Unknown => None,
    };
    let (ours_seen, ours) = watch(&series, leaking);
    let mut seen = vec![ours_seen];
    if with_peers {
        seen.extend(peers::all().iter_mut().map(|peer| watch_by(peer.as_mut(), &series, leaking)));
    }
    Some(Outcome {
        row: case.row.clone(),
        half: case.half,
        name: case.name.clone(),
        begin,
        days: end.hours_since(begin) / 24.0,
        truth,
        seen,
        ours,
    })
}

fn watch(series: &Series, leaking: Option<Leaking>) -> (Seen, Ours) {
    let mut detector = Detector::default();
    let (mut seen, mut ours) = (Seen { n_samples: series.len(), ..Seen::default() }, Ours::default());
    let onset = leaking.map(|leaking| leaking.onset);
    let began = cpu();
    let mut next_forecast: Option<Timestamp> = None;
    for (at, readings) in series {
        let leaks = onset.is_none_or(|onset| *at >= onset);
        if onset.is_some() && !leaks {
            seen.stood_at_onset = detector.state() == State::Leaking;
        }
        let changed = detector.observe(*at, readings);
        if leaks {
            ours.score_max = ours.score_max.max(detector.score());
        }
        if changed {
            if detector.state() >= State::Suspect {
                ours.suspected = true;
                ours.at_suspicion.get_or_insert_with(|| detector.verdict());
            }
            if detector.state() == State::Leaking {
                seen.alarms.push(*at);
                ours.at_alarms.push(detector.verdict());
                if leaks {
                    next_forecast.get_or_insert(*at);
                }
            }
        }
        // A restart frees what leaked, and the end is another one.
        let stands = detector.state() == State::Leaking && detector.n_restarts() == 0;
        let due = next_forecast.filter(|next| at >= next && stands);
        if let Some((limit_at, due)) = leaking.and_then(|leaking| leaking.limit_at).zip(due) {
            let first = ours.forecasts.is_empty() && seen.alarms.last() == Some(at);
            ours.forecasts.extend(forecast(&detector.verdict(), first, limit_at.hours_since(*at)));
            next_forecast = Some(due.plus(Duration::from_hours(1)));
        }
    }
    seen.cpu = cpu().saturating_sub(began);
    seen.state_bytes = detector.checkpoint().len();
    ours.last = detector.verdict();
    (seen, ours)
}

fn watch_by(peer: &mut dyn Peer, series: &Series, leaking: Option<Leaking>) -> Seen {
    let mut seen = Seen { n_samples: series.len(), ..Seen::default() };
    let began = cpu();
    let mut alarmed: Option<Timestamp> = None;
    for (at, readings) in series {
        if leaking.is_some_and(|leaking| *at < leaking.onset) {
            seen.stood_at_onset = alarmed.is_some_and(|last| at.since(last) <= SAME_ALARM);
        }
        if peer.observe(*at, readings) {
            if alarmed.is_none_or(|last| at.since(last) > SAME_ALARM) {
                seen.alarms.push(*at);
            }
            alarmed = Some(*at);
        }
    }
    seen.cpu = cpu().saturating_sub(began);
    seen.state_bytes = peer.state_bytes();
    seen
}

fn forecast(verdict: &Verdict, at_alarm: bool, truth: f64) -> Option<Forecast> {
    let stated = verdict.time_to_limit?.map(|time| time.as_secs_f64() / 3_600.0);
    // In the last minutes nothing is left to be stated.
    (truth > 0.05).then_some(Forecast { at_alarm, low: stated.low, mid: stated.mid, high: stated.high, truth })
}

/// CPU time of this thread so far, which a busy machine does not stretch; the clock's where the kernel does not tell.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn cpu() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| BEGAN.get_or_init(std::time::Instant::now).elapsed(), Duration::from_nanos)
}
