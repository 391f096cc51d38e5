//! Parameters of each family, from a seed: levels, limits, noise, periods, and what is told.

use std::time::Duration;

use super::run::{BESIDE, MOST};
use super::{Batch, Changes, Family, Load, Noise, Process, Told, Tooth, Walk, WarmUp};
use crate::rng::Rng;
use crate::scenario::BEGIN;
use crate::service::MIB;

/// Days of most processes, and of one in [`LONG_ONE_IN`].
const DAYS: u32 = 30;
const DAYS_LONG: u32 = 365;
const LONG_ONE_IN: f64 = 50.0;

/// Seconds between scrapes, each with the share of the processes that are scraped so often or oftener: samples cost time, and a year at
/// 15 s has twenty times those of a year at 300 s.
const INTERVALS: [(u64, f64); 3] = [(15, 0.004), (60, 0.1), (300, 1.0)];

impl Process {
    /// A process of this family, all else by chance.
    pub fn drawn(family: Family, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let days = if rng.chance(1.0 / LONG_ONE_IN) { DAYS_LONG } else { DAYS };
        let begin = BEGIN.plus(Duration::from_secs((rng.unit() * 7.0 * 86_400.0) as u64));
        let base = log_between(&mut rng, 20.0, 8_192.0) * MIB;
        let mut process = Self {
            family,
            seed: rng.bits(),
            begin,
            days,
            interval: interval(&mut rng),
            base,
            limit: None,
            noise: Noise { sigma: base * log_between(&mut rng, 0.0005, 0.01), rho: 0.0 },
            walk: None,
            load: None,
            tooth: None,
            batch: None,
            warm_up: None,
            restarts: None,
            steps: None,
            keeps_maximum: false,
            tells_start: rng.chance(0.8),
            tells_requests: false,
        };
        // Half of all services are deployed anew now and then.
        if rng.chance(0.5) {
            process.restarts = Some(Changes { every_h: (72.0, 720.0), by: 0.02 });
        }
        process.take_after(family, &mut rng);
        if rng.chance(0.85) {
            process.limit = Some((process.peak() * log_between(&mut rng, 1.2, 8.0)).round());
        }
        process
    }

    fn take_after(&mut self, family: Family, rng: &mut Rng) {
        let base = self.base;
        match family {
            Family::White => self.noise = Noise { sigma: base * log_between(rng, 0.002, 0.15), rho: 0.0 },
            Family::Autoregressive => {
                self.noise = Noise { sigma: base * log_between(rng, 0.002, 0.15), rho: rng.between(0.3, 0.99) };
            }
            Family::Walk => {
                self.walk =
                    Some(Walk { width: base * log_between(rng, 0.05, 2.0), crossing_h: log_between(rng, 2.0, 240.0) });
            }
            Family::HighWater => {
                self.keeps_maximum = true;
                self.noise = Noise { sigma: base * log_between(rng, 0.005, 0.2), rho: rng.between(0.0, 0.99) };
            }
            Family::LoadShown => (self.load, self.tells_requests) = (Some(load(base, rng)), true),
            Family::LoadHidden => self.load = Some(load(base, rng)),
            Family::ToothLive => self.tooth = Some(tooth(base, Told::Live, rng)),
            Family::ToothHeap => self.tooth = Some(tooth(base, Told::InUse, rng)),
            Family::ToothResident => self.tooth = Some(tooth(base, Told::Nothing, rng)),
            Family::Deploys => {
                self.restarts = Some(Changes { every_h: (log_between(rng, 1.0, 48.0), 336.0), by: 0.2 });
                self.warm_up = Some(warm_up(base, 20.0, rng));
            }
            Family::Steps => self.steps = Some(Changes { every_h: (log_between(rng, 1.0, 24.0), 168.0), by: 0.2 }),
            Family::Restarts => {
                let every_h = log_between(rng, 2.0, 72.0);
                self.restarts = Some(Changes { every_h: (every_h * 0.8, every_h * 1.2), by: 0.02 });
                self.warm_up = Some(warm_up(base, 30.0, rng));
            }
            Family::Batch => self.batch = Some(batch(base, rng)),
            Family::WarmUp => {
                self.restarts = Some(Changes { every_h: (24.0, 336.0), by: 0.0 });
                self.warm_up = Some(warm_up(base, 60.0, rng));
            }
            Family::Mixed => self.mix(rng),
        }
        if matches!(family, Family::ToothLive | Family::ToothHeap) {
            self.keeps_maximum = rng.chance(0.5);
        }
    }

    /// A service as they are: some load, most with garbage, deployed weekly.
    fn mix(&mut self, rng: &mut Rng) {
        let base = self.base;
        self.load = Some(Load { bytes: base * log_between(rng, 0.02, 0.3), ..load(base, rng) });
        self.tells_requests = rng.chance(0.7);
        let told = [Told::Nothing, Told::InUse, Told::Live][(rng.unit() * 3.0) as usize];
        let short = tooth(base, told, rng);
        self.tooth = Some(Tooth { period_min: log_between(rng, 1.0, 240.0), ..short });
        self.batch = rng.chance(0.3).then(|| batch(base, rng));
        self.warm_up = Some(warm_up(base, 30.0, rng));
        self.restarts = Some(Changes { every_h: (log_between(rng, 1.0, 96.0), 336.0), by: 0.1 });
        self.noise = Noise { sigma: base * log_between(rng, 0.001, 0.03), rho: rng.between(0.0, 0.95) };
        self.keeps_maximum = rng.chance(0.3);
    }

    /// More than it will ever hold.
    fn peak(&self) -> f64 {
        let spread = |changes: Option<Changes>| changes.map_or(1.0, |changes| (MOST * changes.by).exp());
        let load = self.load.map_or(0.0, |load| {
            let busiest = (1.0 + load.daily + load.half_daily / 2.0) * (1.0 + 4.0 * load.by_minute);
            load.bytes * busiest * (MOST * load.by_day).exp()
        });
        let heap = self.base * spread(self.restarts) * spread(self.steps)
            + self.warm_up.map_or(0.0, |fill| fill.size)
            + self.walk.map_or(0.0, |walk| walk.width)
            + load
            + self.tooth.map_or(0.0, |tooth| tooth.height * (1.0 + tooth.jitter + tooth.left));
        heap * BESIDE + 6.0 * self.noise.sigma + self.batch.map_or(0.0, |batch| batch.size * (1.0 + batch.by_job))
    }
}

fn interval(rng: &mut Rng) -> Duration {
    let drawn = rng.unit();
    let (secs, _) = INTERVALS.into_iter().find(|(_, share)| drawn < *share).unwrap_or(INTERVALS[2]);
    Duration::from_secs(secs)
}

/// Hours of the least load lie around 4 in the morning of any zone.
fn load(base: f64, rng: &mut Rng) -> Load {
    Load {
        per_min: log_between(rng, 3.0, 30_000.0),
        bytes: base * log_between(rng, 0.02, 1.0),
        daily: rng.between(0.2, 0.9),
        half_daily: rng.between(0.0, 0.4),
        least_h: rng.between(0.0, 24.0),
        weekly: rng.between(0.0, 0.6),
        by_day: rng.between(0.01, 0.12),
        by_minute: rng.between(0.01, 0.1),
    }
}

/// Of every period from a minute to three days.
fn tooth(base: f64, told: Told, rng: &mut Rng) -> Tooth {
    Tooth {
        period_min: log_between(rng, 1.0, 3.0 * 1_440.0),
        jitter: rng.between(0.02, 0.3),
        height: base * log_between(rng, 0.05, 2.0),
        left: rng.between(0.0, 0.05),
        told,
    }
}

fn batch(base: f64, rng: &mut Rng) -> Batch {
    Batch {
        every_min: log_between(rng, 10.0, 1_440.0),
        busy: rng.between(0.03, 0.7),
        size: base * log_between(rng, 0.1, 2.0),
        by_job: rng.between(0.0, 0.3),
    }
}

fn warm_up(base: f64, tau_most: f64, rng: &mut Rng) -> WarmUp {
    WarmUp { size: base * log_between(rng, 0.1, 2.0), tau_min: log_between(rng, 1.0, tau_most) }
}

/// By chance between the two, each doubling as likely as another.
fn log_between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low * (high / low).powf(rng.unit())
}

/// The processes of a run over so many service-years, family by family in turn.
pub fn of_years(years: f64, seed: u64) -> Vec<Process> {
    let mut rng = Rng::new(seed);
    let (mut processes, mut days) = (Vec::new(), 0.0);
    while days < years * 365.25 {
        let family = Family::ALL[processes.len() % Family::ALL.len()];
        let process = Process::drawn(family, rng.bits());
        days += f64::from(process.days);
        processes.push(process);
    }
    processes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_as_many_years_as_asked_for_and_as_many_processes_of_each_family() {
        let processes = of_years(100.0, 1);
        let days: u32 = processes.iter().map(|process| process.days).sum();
        assert!((36_525..36_525 + DAYS_LONG).contains(&days), "{days}");
        for family in Family::ALL {
            let n = processes.iter().filter(|process| process.family == family).count();
            assert!(n.abs_diff(processes.len() / Family::ALL.len()) <= 1);
        }
    }
}
