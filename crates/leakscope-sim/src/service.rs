//! One service process as a memory model: what it holds, what its collector leaves behind, what it serves, and when it dies.

use leakscope_model::{Readings, Signal, Timestamp};

use crate::rng::Rng;

/// Bytes in a mebibyte.
pub const MIB: f64 = 1_048_576.0;

/// Bytes that fragmentation takes at once, on the mean.
const ARENA: f64 = 4.0 * MIB;

/// What fills and then stays: a warm-up, a cache.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Bytes when full.
    pub size: f64,
    /// Minutes after which 63 % are there.
    pub tau_min: f64,
}

/// Noise on the resident set.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Standard deviation in bytes.
    pub sigma: f64,
    /// Correlation of values one minute apart; 0 for white noise.
    pub rho: f64,
}

/// How garbage comes and goes.
#[derive(Clone, Copy, Debug)]
pub struct Collector {
    /// Garbage a minute, bytes.
    pub garbage: f64,
    /// A young collection runs when this much garbage is new.
    pub eden: f64,
    /// Share of the new garbage that survives the young collection and waits for a full one.
    pub promoted: f64,
    /// Minutes from one full collection to the next, at least and at most.
    pub full_min: (f64, f64),
    /// Whether the live heap after each full collection is shown.
    pub shows_live: bool,
    /// Whether the heap in use is shown.
    pub shows_heap: bool,
    /// Whether pages of collected garbage go back to the system; else the resident set keeps its maximum.
    pub returns: bool,
}

/// How many requests come.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests a minute on the mean.
    pub per_min: f64,
    /// Share by which the day moves it.
    pub daily: f64,
    /// Share by which the weekend lowers it.
    pub weekly: f64,
    /// Share by which it grows each day.
    pub ramp_per_day: f64,
    /// Bytes held for each request a minute.
    pub bytes_per_rate: f64,
    /// Whether the counter is shown.
    pub shown: bool,
}

/// What a leak piles up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Objects of the heap, or plain memory where no heap is shown.
    Heap,
    /// Memory beside the heap.
    Native,
    /// Tasks, 8 KiB of heap each.
    Tasks,
    /// Threads, 64 KiB beside the heap each.
    Threads,
    /// Descriptors, 1 KiB beside the heap each.
    Descriptors,
}

/// A leak.
#[derive(Clone, Copy, Debug)]
pub struct Leak {
    /// What piles up.
    pub held: Held,
    /// Bytes an hour.
    pub per_hour: f64,
    /// Bytes a request.
    pub per_request: f64,
    /// Hours of the process' life before it begins.
    pub onset_h: f64,
}

/// A service, written down.
#[derive(Clone, Debug)]
pub struct Model {
    /// Bytes that are always there.
    pub base: f64,
    /// Noise on the resident set.
    pub noise: Noise,
    /// Warm-up, caches.
    pub fills: Vec<Fill>,
    /// A managed heap.
    pub collector: Option<Collector>,
    /// Requests.
    pub load: Load,
    /// Whether the resident set keeps the maximum of its demand, as allocators that never return memory do.
    pub high_water: bool,
    /// A step: at this hour, by this many bytes, with a restart or without.
    pub step: Option<(f64, f64, bool)>,
    /// The process is replaced every so many hours.
    pub restart_every_h: Option<f64>,
    /// Every so many minutes, for so many minutes, so many bytes more.
    pub batch: Option<(f64, f64, f64)>,
    /// Bytes an hour that the resident set gains at first and nothing uses, in ragged steps that grow rare within a working day.
    pub fragmentation: f64,
    /// Leaks.
    pub leak: Option<Leak>,
    /// Memory limit; reaching it kills the process, and a new one starts.
    pub limit: Option<f64>,
    /// Whether the start time is shown.
    pub shows_start: bool,
    /// Tasks, threads and descriptors that are always there; 0 hides them.
    pub counts: f64,
}

impl Default for Model {
    /// A quiet process of 200 MiB under a limit of 1 GiB.
    fn default() -> Self {
        Self {
            base: 200.0 * MIB,
            noise: Noise { sigma: MIB, rho: 0.0 },
            fills: Vec::new(),
            collector: None,
            load: Load {
                per_min: 600.0,
                daily: 0.0,
                weekly: 0.0,
                ramp_per_day: 0.0,
                bytes_per_rate: 0.0,
                shown: false,
            },
            high_water: false,
            step: None,
            restart_every_h: None,
            batch: None,
            fragmentation: 0.0,
            leak: None,
            limit: Some(1_024.0 * MIB),
            shows_start: true,
            counts: 0.0,
        }
    }
}

/// A service, running.
#[derive(Clone, Debug)]
pub struct Service {
    model: Model,
    rng: Rng,
    began: Timestamp,
    life: Life,
    /// Times it ran out of memory.
    pub n_killed: u32,
}

/// What a look into a process shows, as of its last scrape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inside {
    pub(crate) started_at: Timestamp,
    pub(crate) resident: f64,
    /// Live heap.
    pub(crate) heap: f64,
    /// Bytes that a leak holds.
    pub(crate) leaked: f64,
    pub(crate) limit: Option<f64>,
}

/// What belongs to one process.
#[derive(Clone, Debug)]
struct Life {
    began: Timestamp,
    last: Timestamp,
    requests: f64,
    leaked: f64,
    noise: f64,
    young: f64,
    old: f64,
    live_after_full: Option<f64>,
    next_full: Timestamp,
    resident_max: f64,
    unused: f64,
    /// Resident set and live heap as last shown.
    shown: (f64, f64),
}

impl Life {
    fn new(at: Timestamp) -> Self {
        Self {
            began: at,
            last: at,
            requests: 0.0,
            leaked: 0.0,
            noise: 0.0,
            young: 0.0,
            old: 0.0,
            live_after_full: None,
            next_full: at,
            resident_max: 0.0,
            unused: 0.0,
            shown: (0.0, 0.0),
        }
    }
}

impl Service {
    /// A service that starts at `at`.
    pub fn new(model: Model, seed: u64, at: Timestamp) -> Self {
        let mut service = Self { model, rng: Rng::new(seed), began: at, life: Life::new(at), n_killed: 0 };
        service.life.next_full = service.next_full(at);
        service
    }

    /// What a scrape at `at` would show. Times never go back.
    pub fn readings(&mut self, at: Timestamp) -> Readings {
        self.restart_if_due(at);
        let rate = self.rate(at);
        self.advance(at, rate);
        let live = self.live(at, rate);
        let heap = live + self.life.young + self.life.old;
        let resident = self.resident(at, heap, live);
        if self.model.limit.is_some_and(|limit| resident >= limit) {
            self.n_killed += 1;
            self.begin(at);
            return self.readings(at);
        }
        self.life.shown = (resident, live);
        self.show(heap, resident)
    }

    /// What a look into the process shows.
    pub(crate) fn inside(&self) -> Inside {
        let (resident, heap) = self.life.shown;
        let Life { began, leaked, .. } = self.life;
        Inside { started_at: began, resident, heap, leaked, limit: self.model.limit }
    }

    /// The process is killed, and another one starts.
    pub(crate) fn kill(&mut self, at: Timestamp) {
        self.n_killed += 1;
        self.begin(at);
    }

    fn restart_if_due(&mut self, at: Timestamp) {
        let hours = at.hours_since(self.began);
        let lived = self.life.began.hours_since(self.began);
        let planned = self.model.restart_every_h.is_some_and(|every| (hours / every).floor() > (lived / every).floor());
        let deployed = self.model.step.is_some_and(|(hour, _, restart)| restart && lived < hour && hours >= hour);
        if planned || deployed {
            self.begin(at);
        }
    }

    fn begin(&mut self, at: Timestamp) {
        self.life = Life::new(at);
        self.life.next_full = self.next_full(at);
    }

    fn next_full(&mut self, at: Timestamp) -> Timestamp {
        let (least, most) = self.model.collector.map_or((1.0, 1.0), |collector| collector.full_min);
        Timestamp::from_millis(at.as_millis() + (self.rng.between(least, most) * 60_000.0) as i64)
    }

    /// Requests a minute at `at`.
    fn rate(&self, at: Timestamp) -> f64 {
        let load = self.model.load;
        let days = at.as_secs_f64() / 86_400.0;
        let day = 1.0 - load.daily * (std::f64::consts::TAU * days).cos();
        let weekend = (days + 4.0).rem_euclid(7.0) >= 5.0;
        let week = if weekend { 1.0 - load.weekly } else { 1.0 };
        load.per_min * day * week * (1.0 + load.ramp_per_day * at.hours_since(self.began) / 24.0)
    }

    fn advance(&mut self, at: Timestamp, rate: f64) {
        let minutes = at.hours_since(self.life.last) * 60.0;
        let age_h = at.hours_since(self.life.began);
        let rho = self.model.noise.rho.powf(minutes.max(1e-9));
        let fresh = (1.0 - rho * rho).sqrt() * self.model.noise.sigma * self.rng.normal();
        self.life.noise = rho * self.life.noise + fresh;
        self.life.requests += rate * minutes;
        if let Some(leak) = self.model.leak.filter(|leak| age_h >= leak.onset_h) {
            let minutes = minutes.min((age_h - leak.onset_h) * 60.0);
            self.life.leaked += leak.per_hour * minutes / 60.0 + leak.per_request * rate * minutes;
        }
        let expected = self.model.fragmentation * minutes / 60.0 * (-age_h / 8.0).exp();
        if self.model.fragmentation > 0.0 && self.rng.chance(expected / ARENA) {
            self.life.unused += ARENA * -(1.0 - self.rng.unit()).ln();
        }
        self.collect(at, minutes, rate);
        self.life.last = at;
    }

    fn collect(&mut self, at: Timestamp, minutes: f64, rate: f64) {
        let Some(collector) = self.model.collector else { return };
        let made = collector.garbage * minutes * self.rng.between(0.8, 1.2) + self.life.young;
        let n_young = (made / collector.eden).floor();
        self.life.young = made - n_young * collector.eden;
        self.life.old += n_young * collector.eden * collector.promoted;
        while self.life.next_full <= at {
            self.life.old = 0.0;
            let live = self.live(self.life.next_full, rate);
            self.life.live_after_full = Some(live * self.rng.between(1.0, 1.01));
            let next = self.life.next_full;
            self.life.next_full = self.next_full(next);
        }
    }

    /// Bytes in use that are no garbage.
    fn live(&self, at: Timestamp, rate: f64) -> f64 {
        let age_min = at.hours_since(self.life.began) * 60.0;
        let fills: f64 =
            self.model.fills.iter().map(|fill| fill.size * (1.0 - (-age_min.max(0.0) / fill.tau_min).exp())).sum();
        let on_heap = match self.model.leak.map(|leak| leak.held) {
            Some(Held::Heap | Held::Tasks) => self.life.leaked,
            _ => 0.0,
        };
        let step = self.model.step.filter(|(hour, _, _)| at.hours_since(self.began) >= *hour);
        self.model.base
            + fills
            + on_heap
            + self.model.load.bytes_per_rate * rate
            + step.map_or(0.0, |(_, size, _)| size)
    }

    fn resident(&mut self, at: Timestamp, heap: f64, live: f64) -> f64 {
        let age_h = at.hours_since(self.life.began);
        let beside = match self.model.leak.map(|leak| leak.held) {
            Some(Held::Native | Held::Threads | Held::Descriptors) => self.life.leaked,
            _ => 0.0,
        };
        let batch = self.model.batch.filter(|(every, lasts, _)| (age_h * 60.0).rem_euclid(*every) < *lasts);
        let fragments = self.life.unused;
        let pages = if self.model.collector.is_some_and(|collector| !collector.returns) { heap } else { live };
        let overhead = if self.model.collector.is_some() { 30.0 * MIB } else { 0.0 };
        let demand = pages + batch.map_or(0.0, |(_, _, size)| size) + overhead;
        let keeps = self.model.high_water || self.model.collector.is_some_and(|collector| !collector.returns);
        let noise = self.life.noise;
        if keeps {
            // Demand is what is noisy here; the resident set remembers its maximum.
            self.life.resident_max = self.life.resident_max.max(demand + noise);
            return self.life.resident_max + beside + fragments;
        }
        (demand + beside + fragments + noise).max(MIB)
    }

    fn show(&self, heap: f64, resident: f64) -> Readings {
        let mut readings = Readings::default();
        readings.set(Signal::Rss, resident.round());
        if let Some(limit) = self.model.limit {
            readings.set(Signal::Limit, limit);
        }
        if let Some(collector) = self.model.collector {
            if collector.shows_heap {
                readings.set(Signal::HeapUsed, heap.round());
            }
            if let Some(live) = self.life.live_after_full.filter(|_| collector.shows_live) {
                readings.set(Signal::HeapAfterGc, live.round());
            }
        }
        if self.model.load.shown {
            readings.set(Signal::Requests, self.life.requests.floor());
        }
        if self.model.shows_start {
            readings.set(Signal::StartTime, self.life.began.as_secs_f64());
        }
        self.show_counts(&mut readings);
        readings
    }

    fn show_counts(&self, readings: &mut Readings) {
        if self.model.counts <= 0.0 {
            return;
        }
        let busy = self.model.counts * (1.0 + 0.1 * self.life.noise / self.model.noise.sigma.max(1.0)).max(0.0);
        let held = self.model.leak.map(|leak| leak.held);
        for (signal, what, bytes) in [
            (Signal::Tasks, Held::Tasks, 8_192.0),
            (Signal::Threads, Held::Threads, 65_536.0),
            (Signal::FileDescriptors, Held::Descriptors, 1_024.0),
        ] {
            let leaked = if held == Some(what) { self.life.leaked / bytes } else { 0.0 };
            readings.set(signal, (busy + leaked).floor());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    #[test]
    fn a_leak_meets_its_limit_when_it_should_and_a_new_process_follows() {
        let leak = Leak { held: Held::Heap, per_hour: 412.0 * MIB, per_request: 0.0, onset_h: 0.0 };
        let mut service = Service::new(Model { leak: Some(leak), ..Model::default() }, 1, at(0));
        let killed_at = (0..1_000).find(|minute| {
            service.readings(at(*minute));
            service.n_killed > 0
        });
        assert!(killed_at.is_some_and(|minute| (115..=121).contains(&minute)), "{killed_at:?}");
        assert!(service.readings(at(200)).get(Signal::Rss).is_some_and(|rss| rss < 800.0 * MIB));
    }

    #[test]
    fn the_same_seed_shows_the_same_readings() {
        let collector = Collector {
            garbage: 10.0 * MIB,
            eden: 30.0 * MIB,
            promoted: 0.1,
            full_min: (10.0, 30.0),
            shows_live: true,
            shows_heap: true,
            returns: false,
        };
        let run = |seed| {
            let mut service = Service::new(Model { collector: Some(collector), ..Model::default() }, seed, at(0));
            (0..200).map(|minute| format!("{:?}", service.readings(at(minute)))).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
