//! A healthy process, running: one sample after the other.

use leakscope_model::{Readings, Signal, Timestamp};

use super::{Changes, Process, Told};
use crate::rng::Rng;

/// Hours in a day and in a week.
const DAY_H: f64 = 24.0;
const WEEK_H: f64 = 168.0;
/// The epoch was a Thursday; so many hours after it the first weekend began.
const WEEKEND_H: f64 = 48.0;
/// What is resident over what is in the heap.
pub(super) const BESIDE: f64 = 1.1;
/// Standard deviations by which a version or a day differs at most from the usual.
pub(super) const MOST: f64 = 2.5;
/// Hours that a process has lived at most when it is first seen.
const AGE_H: f64 = 72.0;

impl Process {
    /// Its samples, ascending in time.
    pub fn samples(&self) -> Samples {
        let begin_h = self.begin.as_secs_f64() / 3_600.0;
        let mut samples = Samples {
            process: *self,
            hours: begin_h,
            step_h: self.interval.as_secs_f64() / 3_600.0,
            n_left: u64::from(self.days) * 86_400 / self.interval.as_secs(),
            at: self.begin,
            spare: None,
            noise: 0.0,
            fresh: (1.0 - self.noise.rho * self.noise.rho).sqrt() * self.noise.sigma,
            walk: 0.0,
            walk_step: 0.0,
            day: f64::NEG_INFINITY,
            by_day: 1.0,
            by_minute: 0.0,
            level: 1.0,
            step: 0.0,
            next_step_h: f64::INFINITY,
            next_restart_h: f64::INFINITY,
            life: Life::default(),
            rng: Rng::new(self.seed),
        };
        if let Some(walk) = self.walk {
            samples.walk = walk.width * samples.rng.unit();
            samples.walk_step = walk.width * (samples.step_h / walk.crossing_h).sqrt();
        }
        samples.noise = self.noise.sigma * samples.normal();
        samples.next_step_h = samples.next_change(self.steps, begin_h);
        samples.next_restart_h = samples.next_change(self.restarts, begin_h);
        samples.start(begin_h);
        samples.age();
        samples
    }
}

/// The samples of one process.
#[derive(Clone, Debug)]
pub struct Samples {
    process: Process,
    rng: Rng,
    /// Hours since the epoch.
    hours: f64,
    step_h: f64,
    n_left: u64,
    at: Timestamp,
    /// The other one of a pair of normals.
    spare: Option<f64>,
    noise: f64,
    fresh: f64,
    walk: f64,
    walk_step: f64,
    day: f64,
    by_day: f64,
    by_minute: f64,
    /// What the version takes, over the usual.
    level: f64,
    /// What the process has stepped by, over the usual.
    step: f64,
    next_step_h: f64,
    next_restart_h: f64,
    life: Life,
}

/// What ends with a process.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    began_h: f64,
    requests: f64,
    maximum: f64,
    collected_h: f64,
    next_collection_h: f64,
    left: f64,
    live: Option<f64>,
    job: f64,
    by_job: f64,
}

impl Iterator for Samples {
    type Item = (Timestamp, Readings);

    fn next(&mut self) -> Option<Self::Item> {
        self.n_left = self.n_left.checked_sub(1)?;
        let (at, hours) = (self.at, self.hours);
        if hours >= self.next_restart_h {
            self.level = self.changed(self.process.restarts);
            self.next_restart_h = self.next_change(self.process.restarts, hours);
            self.start(hours);
        }
        if hours >= self.next_step_h {
            self.step = self.changed(self.process.steps) - 1.0;
            self.next_step_h = self.next_change(self.process.steps, hours);
        }
        let readings = self.readings(hours);
        self.at = at.plus(self.process.interval);
        self.hours = hours + self.step_h;
        Some((at, readings))
    }
}

impl Samples {
    /// Half of the processes have lived for a while when they are first seen.
    fn age(&mut self) {
        if self.rng.chance(0.5) {
            return;
        }
        self.life.began_h -= AGE_H * self.rng.unit();
        if let Some(tooth) = self.process.tooth {
            self.life.collected_h -= tooth.period_min / 60.0 * self.rng.unit();
            self.life.next_collection_h = self.next_collection(self.life.collected_h);
            self.life.live = Some(self.process.base);
        }
    }

    fn start(&mut self, hours: f64) {
        self.life = Life { began_h: hours, collected_h: hours, job: -1.0, ..Life::default() };
        self.life.next_collection_h = self.next_collection(hours);
    }

    fn next_change(&mut self, changes: Option<Changes>, hours: f64) -> f64 {
        changes.map_or(f64::INFINITY, |changes| hours + self.rng.between(changes.every_h.0, changes.every_h.1))
    }

    fn changed(&mut self, changes: Option<Changes>) -> f64 {
        let by = changes.map_or(0.0, |changes| changes.by * self.normal());
        let most = changes.map_or(0.0, |changes| MOST * changes.by);
        by.clamp(-most, most).exp()
    }

    fn next_collection(&mut self, hours: f64) -> f64 {
        self.process.tooth.map_or(f64::INFINITY, |tooth| {
            hours + tooth.period_min / 60.0 * (1.0 + tooth.jitter * self.rng.between(-1.0, 1.0))
        })
    }

    fn readings(&mut self, hours: f64) -> Readings {
        let process = self.process;
        let live =
            process.base * self.level * (1.0 + self.step) + self.warmed(hours) + self.walked() + self.held(hours);
        let garbage = self.garbage(hours, live);
        let heap = live + garbage;
        let demand = heap * BESIDE + self.jobs(hours) + self.noisy();
        self.life.maximum = self.life.maximum.max(demand);
        let resident = if process.keeps_maximum { self.life.maximum } else { demand };
        let mut readings = Readings::default();
        readings.set(Signal::Rss, resident.max(1.0).round());
        if let Some(limit) = process.limit {
            readings.set(Signal::Limit, limit);
        }
        let told = process.tooth.map_or(Told::Nothing, |tooth| tooth.told);
        if told != Told::Nothing {
            readings.set(Signal::HeapUsed, heap.round());
        }
        if let Some(live) = self.life.live.filter(|_| told == Told::Live) {
            readings.set(Signal::HeapAfterGc, live.round());
        }
        if process.tells_requests {
            readings.set(Signal::Requests, self.life.requests.floor());
        }
        if process.tells_start {
            readings.set(Signal::StartTime, (self.life.began_h * 3_600.0).round());
        }
        readings
    }

    fn noisy(&mut self) -> f64 {
        if self.fresh > 0.0 {
            self.noise = self.process.noise.rho * self.noise + self.fresh * self.normal();
        }
        self.noise
    }

    fn walked(&mut self) -> f64 {
        let Some(walk) = self.process.walk else { return 0.0 };
        let stepped = (self.walk + self.walk_step * self.normal()).abs();
        // What leaves through a wall comes back from it.
        self.walk = if stepped > walk.width { (2.0 * walk.width - stepped).max(0.0) } else { stepped };
        self.walk
    }

    fn warmed(&self, hours: f64) -> f64 {
        let age_min = (hours - self.life.began_h) * 60.0;
        self.process.warm_up.map_or(0.0, |fill| fill.size * (1.0 - (-age_min / fill.tau_min).exp()))
    }

    /// What the requests under way hold; counts them.
    fn held(&mut self, hours: f64) -> f64 {
        let Some(load) = self.process.load else { return 0.0 };
        let since_least = hours - load.least_h;
        let day = (since_least / DAY_H).floor();
        if day != self.day {
            self.day = day;
            self.by_day = (load.by_day * self.normal().clamp(-MOST, MOST)).exp();
        }
        let turn = std::f64::consts::TAU * since_least / DAY_H;
        let weekend = (since_least - WEEKEND_H).rem_euclid(WEEK_H) < 2.0 * DAY_H;
        let calm = if weekend { 1.0 - load.weekly } else { 1.0 };
        self.by_minute = 0.5 * self.by_minute + 0.87 * load.by_minute * self.normal();
        let wave = 1.0 - load.daily * turn.cos() + load.half_daily * turn.sin() * turn.cos();
        let rate = (wave * calm * self.by_day * (1.0 + self.by_minute)).max(0.0);
        self.life.requests += load.per_min * rate * self.step_h * 60.0;
        load.bytes * rate
    }

    /// Garbage at this hour, after the collections that were due.
    fn garbage(&mut self, hours: f64, live: f64) -> f64 {
        let Some(tooth) = self.process.tooth else { return 0.0 };
        while self.life.next_collection_h <= hours {
            self.life.collected_h = self.life.next_collection_h;
            self.life.next_collection_h = self.next_collection(self.life.collected_h);
            self.life.left = tooth.height * tooth.left * self.rng.unit();
            self.life.live = Some(live + self.life.left);
        }
        self.life.left + tooth.height * (hours - self.life.collected_h) * 60.0 / tooth.period_min
    }

    fn jobs(&mut self, hours: f64) -> f64 {
        let Some(batch) = self.process.batch else { return 0.0 };
        let turns = hours * 60.0 / batch.every_min;
        if turns.floor() != self.life.job {
            self.life.job = turns.floor();
            self.life.by_job = 1.0 + batch.by_job * self.rng.between(-1.0, 1.0);
        }
        if turns.fract() < batch.busy { batch.size * self.life.by_job } else { 0.0 }
    }

    /// Standard normal, two at a time. Source: Box and Muller 1958, doi:10.1214/aoms/1177706645.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.rng.unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.rng.unit()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::super::Family;
    use super::*;

    fn resident(process: &Process) -> Vec<f64> {
        process.samples().map(|(_, readings)| readings.get(Signal::Rss).unwrap()).collect()
    }

    #[test]
    fn the_same_seed_runs_the_same_life_and_another_another() {
        for family in Family::ALL {
            let [first, again, other] =
                [7, 7, 8].map(|seed| resident(&Process { days: 3, ..Process::drawn(family, seed) }));
            assert_eq!(first, again);
            assert_ne!(first, other);
        }
    }

    #[test]
    fn no_process_meets_its_limit_or_ends_larger_than_it_was() {
        for family in Family::ALL {
            let mut grown = 0.0;
            for seed in 0..40 {
                let process = Process { days: 30, ..Process::drawn(family, seed) };
                let all = resident(&process);
                assert!(process.limit.is_none_or(|limit| all.iter().all(|value| *value < limit)), "{process:?}");
                let week = all.len() / 4;
                let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
                grown += mean(&all[3 * week..]) / mean(&all[week..2 * week]) - 1.0;
            }
            assert!((grown / 40.0).abs() < 0.1, "{family:?} grows by {grown} / 40");
        }
    }

    #[test]
    fn normals_have_the_moments_they_should() {
        let mut samples = Process::drawn(Family::White, 1).samples();
        let n = 200_000;
        let drawn: Vec<f64> = (0..n).map(|_| samples.normal()).collect();
        let moment = |power: i32| drawn.iter().map(|value| value.powi(power)).sum::<f64>() / f64::from(n);
        for (power, expected, off) in [(1, 0.0, 0.01), (2, 1.0, 0.02), (3, 0.0, 0.05), (4, 3.0, 0.1)] {
            assert!((moment(power) - expected).abs() < off, "{power}: {}", moment(power));
        }
    }
}
