//! What is added to copies of real series: leaks that meet the limit when they are told to, and what only looks like one.
//!
//! The real series keeps its own noise, load and gaps. Nothing here draws from chance but what is seeded by the caller.

use std::time::Duration;

use leakscope_model::{Readings, Signal, Timestamp};

use crate::metrics::quantile;
use crate::recorded::Series;
use crate::rng::Rng;

/// Share of a series that stays as it was before anything is added.
const ONSET: f64 = 0.35;
/// A leak is left out where the series shows less of it than this share of its time to the limit.
const SHOWN_MIN: f64 = 0.25;
/// Nor does it where less than this share of the level is left: a process that stands at its limit has nothing to leak into.
const ROOM_MIN: f64 = 0.05;
/// Where no limit above the level is shown, the limit is this many levels.
const LEVELS: f64 = 4.0;
/// A machine at 95 % meets its limit by a peak of its own: what ends before this share of the time does not count as an end.
const EARLIEST_END: f64 = 0.5;
/// Share of the head-room that a cache fills.
const CACHE_SHARE: f64 = 0.4;
/// A step, as a share of the level or of the head-room.
const STEP_SHARE: f64 = 0.3;
/// The teeth of a collector, as a share of the level.
const TEETH_SHARE: f64 = 0.2;
/// The swing of a day in memory and in requests, to either side.
const SWING: (f64, f64) = (0.2, 0.6);
/// What is no leak takes at most this share of the head-room, or the process would not have lived.
const ROOM_SHARE: f64 = 0.8;
/// Hours between restarts.
const RESTART_H: f64 = 6.0;
/// Minutes in which a restarted process comes back to its level.
const RELOAD_MIN: f64 = 10.0;

/// How a leak grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The same in every second.
    Straight,
    /// The same with every request; only where requests are counted.
    PerRequest,
    /// Straight, under the teeth of a collector.
    SawTooth,
}

/// What a share is taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The level; no more than 80 % of the head-room.
    Level,
    /// The head-room.
    Room,
}

/// What is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Injection {
    /// A leak from 35 % of the series on that meets the limit after so many hours.
    Leak {
        /// How it grows.
        shape: Shape,
        /// Hours from its onset to the limit.
        hours: f64,
    },
    /// A cache that fills 40 % of the head-room from 35 % on.
    Cache {
        /// Hours after which 63 % of it are there.
        tau_h: f64,
    },
    /// 30 % more from 35 % on.
    Step {
        /// Of what.
        of: Of,
        /// Whether a new process brings it.
        restart: bool,
    },
    /// The series begins at 40 % of its level and comes up.
    WarmUp {
        /// Minutes after which 63 % of the rest are there.
        tau_min: f64,
    },
    /// A resident set that keeps the maximum of a demand that has this series' own noise.
    HighWater,
    /// Garbage of 20 % of the level that comes and goes.
    Teeth {
        /// Minutes from one collection to the next.
        period_min: f64,
    },
    /// Memory and requests that follow the day.
    Daily,
    /// A new process every six hours.
    Restarts,
}

/// A series with something added.
#[derive(Clone, Debug, PartialEq)]
pub struct Injected {
    /// What a scraper would have seen; a leak's ends where its process dies.
    pub series: Series,
    /// From when on something is added; the beginning for what is there all along.
    pub onset: Timestamp,
    /// When memory met the limit, if the series lasts that long.
    pub killed_at: Option<Timestamp>,
}

impl Injection {
    /// A copy of `series` with this added; nothing where the series cannot show it: too short, no memory, no requests.
    ///
    /// `seed` shuffles the noise of a high-water mark and says at which hour of the day a series begins.
    pub fn into_copy(self, series: &Series, seed: u64) -> Option<Injected> {
        let ground = Ground::of(series)?;
        match self {
            Self::Leak { shape, hours } => ground.leak(series, shape, hours),
            Self::Cache { tau_h } => {
                let size = CACHE_SHARE * ground.room();
                Some(changed(series, ground.onset, |at, readings| {
                    let age_h = at.hours_since(ground.onset).max(0.0);
                    held(readings, size * (1.0 - (-age_h / tau_h).exp()));
                }))
            }
            Self::Step { of, restart } => Some(ground.step(series, of, restart)),
            Self::WarmUp { tau_min } => Some(changed(series, ground.begin, |at, readings| {
                let missing = 0.6 * (-at.hours_since(ground.begin) * 60.0 / tau_min).exp();
                held(readings, -missing * ground.level);
            })),
            Self::HighWater => Some(ground.high_water(series, seed)),
            Self::Teeth { period_min } => {
                let size = (TEETH_SHARE * ground.level).min(ROOM_SHARE * ground.room());
                Some(changed(series, ground.begin, |at, readings| {
                    garbage(readings, size * tooth(at.hours_since(ground.begin), period_min));
                }))
            }
            Self::Daily => Some(ground.daily(series, seed)),
            Self::Restarts => Some(ground.restarts(series)),
        }
    }
}

/// What a series is before anything is added.
#[derive(Clone, Copy, Debug)]
struct Ground {
    begin: Timestamp,
    end: Timestamp,
    onset: Timestamp,
    /// Median of the resident set before the onset.
    level: f64,
    limit: f64,
}

impl Ground {
    fn of(series: &Series) -> Option<Self> {
        let (begin, end) = (series.first()?.0, series.last()?.0);
        let onset = Timestamp::from_secs_f64(begin.as_secs_f64() + ONSET * (end.as_secs_f64() - begin.as_secs_f64()));
        let mut before: Vec<f64> =
            series.iter().take_while(|(at, _)| *at < onset).filter_map(|(_, readings)| resident(readings)).collect();
        let level = quantile(&mut before, 0.5);
        if level.is_nan() || level <= 0.0 {
            return None;
        }
        let limit = series.iter().find_map(|(_, readings)| readings.get(Signal::Limit)).filter(|limit| *limit > level);
        Some(Self { begin, end, onset, level, limit: limit.unwrap_or(LEVELS * level) })
    }

    fn room(&self) -> f64 {
        self.limit - self.level
    }

    fn leak(&self, series: &Series, shape: Shape, hours: f64) -> Option<Injected> {
        if self.end.hours_since(self.onset) < SHOWN_MIN * hours || self.room() < ROOM_MIN * self.level {
            return None;
        }
        let requests_at = |moment: Timestamp| {
            let mut before = series.iter().rev().filter(|(at, _)| *at <= moment);
            before.find_map(|(_, readings)| readings.get(Signal::Requests))
        };
        let requests_before = requests_at(self.onset);
        let served = |readings: &Readings| Some((readings.get(Signal::Requests)? - requests_before?).max(0.0));
        // The requests of the leak's own hours, so that it meets the limit when it is told to.
        let until = self.onset.plus(Duration::from_secs_f64(hours * 3_600.0)).min(self.end);
        let served_until = requests_at(until).zip(requests_before).map_or(0.0, |(later, before)| later - before);
        let served_per_hour = served_until / until.hours_since(self.onset);
        if shape == Shape::PerRequest && served_per_hour < 1.0 {
            return None;
        }
        let per_hour = self.room() / hours;
        let teeth = (TEETH_SHARE * self.level).min(0.5 * self.room());
        let mut leaked = 0.0_f64;
        let mut leaking = Series::new();
        let mut killed_at = None;
        for (at, mut readings) in series.iter().copied() {
            let age_h = at.hours_since(self.onset).max(0.0);
            // A scrape without the counter leaves the leak where it was.
            leaked = match shape {
                Shape::PerRequest => served(&readings).map_or(leaked, |served| per_hour * served / served_per_hour),
                Shape::Straight | Shape::SawTooth => per_hour * age_h,
            };
            leaked = if age_h > 0.0 { leaked } else { 0.0 };
            held(&mut readings, leaked);
            if shape == Shape::SawTooth {
                garbage(&mut readings, teeth * tooth(at.hours_since(self.begin), 12.0));
            }
            let dies = resident(&readings).is_some_and(|value| value >= self.limit) && age_h >= EARLIEST_END * hours;
            leaking.push((at, readings));
            if dies {
                killed_at = Some(at);
                break;
            }
        }
        Some(Injected { series: leaking, onset: self.onset, killed_at })
    }

    fn step(&self, series: &Series, of: Of, restart: bool) -> Injected {
        let size = match of {
            Of::Level => (STEP_SHARE * self.level).min(ROOM_SHARE * self.room()),
            Of::Room => STEP_SHARE * self.room(),
        };
        let mut changed = changed(series, self.onset, |at, readings| {
            held(readings, if at >= self.onset { size } else { 0.0 });
        });
        if restart {
            begin_lives(&mut changed.series, &[self.begin, self.onset]);
        }
        changed
    }

    fn high_water(&self, series: &Series, seed: u64) -> Injected {
        let mut values: Vec<f64> = series.iter().filter_map(|(_, readings)| resident(readings)).collect();
        shuffle(&mut values, &mut Rng::new(seed));
        let mut demand = values.into_iter();
        let mut most = 0.0_f64;
        let mut series = series.clone();
        for (_, readings) in &mut series {
            let Some(value) = resident(readings) else { continue };
            most = most.max(demand.next().unwrap_or(0.0));
            held(readings, most - value);
        }
        Injected { series, onset: self.begin, killed_at: None }
    }

    fn daily(&self, series: &Series, seed: u64) -> Injected {
        let phase = std::f64::consts::TAU * Rng::new(seed).unit();
        let day = |at: Timestamp| (std::f64::consts::TAU * at.hours_since(self.begin) / 24.0 + phase).sin();
        let size = (SWING.0 * self.level).min(ROOM_SHARE * self.room());
        let mut changed = changed(series, self.begin, |at, readings| held(readings, size * day(at)));
        let mut before: Option<f64> = None;
        let mut total = 0.0;
        for (at, readings) in &mut changed.series {
            let Some(requests) = readings.get(Signal::Requests) else { continue };
            total += (requests - before.unwrap_or(requests)).max(0.0) * (1.0 + SWING.1 * day(*at));
            before = Some(requests);
            readings.set(Signal::Requests, total.floor());
        }
        changed
    }

    fn restarts(&self, series: &Series) -> Injected {
        let n_lives = (self.end.hours_since(self.begin) / RESTART_H).ceil().max(1.0) as u32;
        let life = Duration::from_secs_f64(RESTART_H * 3_600.0);
        let begins: Vec<Timestamp> = (0..n_lives).map(|number| self.begin.plus(life * number)).collect();
        let mut changed = changed(series, self.begin, |at, readings| {
            let age_min = (at.hours_since(self.begin) % RESTART_H) * 60.0;
            held(readings, -0.5 * (-age_min / RELOAD_MIN).exp() * self.level);
        });
        begin_lives(&mut changed.series, &begins);
        changed
    }
}

/// A copy with every scrape changed; what is added is there from `onset` on.
fn changed(series: &Series, onset: Timestamp, change: impl Fn(Timestamp, &mut Readings)) -> Injected {
    let mut series = series.clone();
    for (at, readings) in &mut series {
        change(*at, readings);
    }
    Injected { series, onset, killed_at: None }
}

/// A series as a scraper with this interval would have seen it.
pub fn thinned(series: &Series, interval: Duration) -> Series {
    let mut next = None;
    let mut kept = Series::new();
    for (at, readings) in series.iter().copied() {
        // A second of grace: recorded times jitter.
        if next.is_none_or(|next: Timestamp| at.plus(Duration::from_secs(1)) >= next) {
            next = Some(at.plus(interval));
            kept.push((at, readings));
        }
    }
    kept
}

/// Resident memory, the anonymous part where it is shown.
pub fn resident(readings: &Readings) -> Option<f64> {
    readings.get(Signal::AnonRss).or(readings.get(Signal::Rss))
}

/// More of what is in use, in every signal that would show it.
fn held(readings: &mut Readings, bytes: f64) {
    for signal in [Signal::Rss, Signal::AnonRss, Signal::HeapUsed, Signal::HeapAfterGc] {
        add(readings, signal, bytes);
    }
}

/// More garbage: no collection shows it.
fn garbage(readings: &mut Readings, bytes: f64) {
    for signal in [Signal::Rss, Signal::AnonRss, Signal::HeapUsed] {
        add(readings, signal, bytes);
    }
}

fn add(readings: &mut Readings, signal: Signal, bytes: f64) {
    if let Some(value) = readings.get(signal) {
        readings.set(signal, (value + bytes).max(0.0));
    }
}

/// A saw-tooth between 0 and 1.
fn tooth(hours: f64, period_min: f64) -> f64 {
    (hours * 60.0 / period_min).rem_euclid(1.0)
}

/// Writes start times, and lets counters begin anew with each life.
fn begin_lives(series: &mut Series, begins: &[Timestamp]) {
    let mut life = None;
    let mut counted = 0.0;
    for (at, readings) in series {
        let began = begins.iter().rev().find(|begin| **begin <= *at).copied();
        let requests = readings.get(Signal::Requests);
        if began != life {
            life = began;
            counted = requests.unwrap_or(counted);
        }
        if let Some(began) = began {
            readings.set(Signal::StartTime, began.as_secs_f64());
        }
        if let Some(requests) = requests {
            readings.set(Signal::Requests, (requests - counted).max(0.0));
        }
    }
}

/// Fisher and Yates, from a seed.
fn shuffle(values: &mut [f64], rng: &mut Rng) {
    for last in (1..values.len()).rev() {
        values.swap(last, (rng.unit() * (last + 1) as f64) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    /// Twenty hours at 100 MiB under a limit of 500 MiB, a request a second.
    fn flat() -> Series {
        let readings = |minute: i64| {
            Readings::from_iter([
                (Signal::Rss, 100.0 * MIB),
                (Signal::Limit, 500.0 * MIB),
                (Signal::Requests, minute as f64 * 60.0),
            ])
        };
        (0..1_200).map(|minute| (Timestamp::from_millis(minute * 60_000), readings(minute))).collect()
    }

    fn rss(series: &Series) -> Vec<f64> {
        series.iter().filter_map(|(_, readings)| readings.get(Signal::Rss)).map(|rss| (rss / MIB).round()).collect()
    }

    #[test]
    fn a_leak_begins_at_35_percent_and_meets_the_limit_when_it_should() {
        for (shape, hours) in [
            (Shape::Straight, 1.0 / 3.0),
            (Shape::Straight, 2.0),
            (Shape::Straight, 6.0),
            (Shape::PerRequest, 2.0),
            (Shape::PerRequest, 6.0),
        ] {
            let leak = Injection::Leak { shape, hours }.into_copy(&flat(), 0).unwrap();
            assert_eq!(rss(&leak.series)[..419], [100.0; 419], "{shape:?} {hours}");
            let lived = leak.killed_at.unwrap().hours_since(leak.onset);
            assert!((lived - hours).abs() < 0.03, "{shape:?} {hours}: {lived}");
            assert_eq!(leak.series.last().map(|(at, _)| *at), leak.killed_at);
        }
    }

    #[test]
    fn a_leak_that_outlives_its_series_has_no_end_and_one_that_hardly_shows_is_left_out() {
        let leak = |hours| Injection::Leak { shape: Shape::Straight, hours }.into_copy(&flat(), 0);
        assert_eq!(leak(24.0).map(|leak| (leak.killed_at, leak.series.len())), Some((None, 1_200)));
        assert_eq!(leak(168.0), None);
    }

    #[test]
    fn a_process_at_its_limit_has_nothing_to_leak_into() {
        let mut series = flat();
        for (_, readings) in &mut series {
            readings.set(Signal::Limit, 104.0 * MIB);
        }
        assert_eq!(Injection::Leak { shape: Shape::Straight, hours: 2.0 }.into_copy(&series, 0), None);
    }

    #[test]
    fn a_leak_of_requests_needs_requests() {
        let mut series = flat();
        for (_, readings) in &mut series {
            readings.clear(Signal::Requests);
        }
        assert_eq!(Injection::Leak { shape: Shape::PerRequest, hours: 2.0 }.into_copy(&series, 0), None);
    }

    #[test]
    fn a_leak_of_requests_meets_the_limit_when_it_should_though_they_come_unevenly() {
        let mut series = flat();
        for (at, readings) in &mut series {
            let hours = at.hours_since(Timestamp::EPOCH);
            readings.set(Signal::Requests, 100.0 * hours * hours * hours);
        }
        let leak = Injection::Leak { shape: Shape::PerRequest, hours: 6.0 }.into_copy(&series, 0).unwrap();
        let lived = leak.killed_at.unwrap().hours_since(leak.onset);
        assert!((lived - 6.0).abs() < 0.03, "{lived}");
    }

    #[test]
    fn look_alikes_have_the_shape_of_their_names() {
        let copy = |injection: Injection| rss(&injection.into_copy(&flat(), 1).unwrap().series);
        let cache = copy(Injection::Cache { tau_h: 1.5 });
        assert_eq!((cache[419], cache[420 + 90], cache[1_199]), (100.0, 201.0, 260.0));
        let step = copy(Injection::Step { of: Of::Level, restart: false });
        assert_eq!((step[419], step[421]), (100.0, 130.0));
        let step = copy(Injection::Step { of: Of::Room, restart: false });
        assert_eq!((step[419], step[421]), (100.0, 220.0));
        let warm = copy(Injection::WarmUp { tau_min: 15.0 });
        assert_eq!((warm[0], warm[15], warm[300]), (40.0, 78.0, 100.0));
        assert_eq!(copy(Injection::HighWater), [100.0; 1_200]);
        let teeth = copy(Injection::Teeth { period_min: 10.0 });
        assert_eq!((teeth[0], teeth[9], teeth[10]), (100.0, 118.0, 100.0));
        let daily = copy(Injection::Daily);
        assert!(daily.iter().all(|value| (80.0..=120.0).contains(value)));
        assert!(daily.contains(&80.0) || daily.contains(&120.0));
        let restarts = copy(Injection::Restarts);
        assert_eq!((restarts[0], restarts[359], restarts[360]), (50.0, 100.0, 50.0));
    }

    #[test]
    fn a_new_process_has_a_new_start_time_and_counts_from_zero() {
        let step = Injection::Step { of: Of::Room, restart: true }.into_copy(&flat(), 0).unwrap();
        let shown = |minute: usize| {
            let readings = step.series[minute].1;
            (readings.get(Signal::StartTime).unwrap(), readings.get(Signal::Requests).unwrap())
        };
        assert_eq!(shown(419), (0.0, 419.0 * 60.0));
        let (began, requests) = shown(421);
        assert!(began > 0.0 && requests <= 120.0, "{began} {requests}");
    }

    #[test]
    fn a_high_water_mark_never_falls() {
        let mut series = flat();
        let mut rng = Rng::new(3);
        for (_, readings) in &mut series {
            readings.set(Signal::Rss, (100.0 + 5.0 * rng.normal()) * MIB);
        }
        let marks = rss(&Injection::HighWater.into_copy(&series, 7).unwrap().series);
        assert!(marks.is_sorted());
        assert_eq!(marks.last(), rss(&series).iter().max_by(|a, b| a.total_cmp(b)));
    }

    #[test]
    fn a_thinned_series_keeps_one_sample_an_interval() {
        let thin = thinned(&flat(), Duration::from_mins(5));
        assert_eq!(thin.len(), 240);
        assert_eq!(thin[1].0, Timestamp::from_millis(300_000));
    }
}
