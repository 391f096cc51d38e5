//! The memory models that matter: what only looks like a leak, and what is one.

use std::time::Duration;

use leakscope_model::{Readings, Timestamp};

use crate::service::{Collector, Fill, Held, Leak, Load, MIB, Model, Noise, Service};

/// When every scenario begins: a Thursday, midnight UTC.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_700_092_800_000);

/// One model with how it is watched.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name in tables.
    pub name: &'static str,
    /// What runs.
    pub model: Model,
    /// For how many hours.
    pub hours: f64,
    /// How often it is scraped.
    pub interval: Duration,
    /// When it begins.
    pub begin: Timestamp,
}

impl Scenario {
    fn new(name: &'static str, hours: f64, model: Model) -> Self {
        Self { name, model, hours, interval: Duration::from_mins(1), begin: BEGIN }
    }

    /// Nobody can tell the first rise of a hidden load from a leak; the second can be told from the first.
    fn beginning_at_noon(self) -> Self {
        Self { begin: BEGIN.plus(Duration::from_hours(12)), ..self }
    }

    /// The readings of one run, ascending in time; the end is where the first process of a leak has died.
    pub fn series(&self, seed: u64) -> impl Iterator<Item = (Timestamp, Readings)> {
        let mut service = Service::new(self.model.clone(), seed, self.begin);
        let begin = self.begin;
        let dies = self.model.leak.is_some() && self.model.restart_every_h.is_none();
        let interval = self.interval;
        let n = (self.hours * 3_600.0 / interval.as_secs_f64()) as u32;
        (0..n)
            .map(move |number| {
                let at = begin.plus(interval * number);
                (at, service.readings(at), service.n_killed)
            })
            .take_while(move |(_, _, n_killed)| !dies || *n_killed == 0)
            .map(|(at, readings, _)| (at, readings))
    }
}

/// A managed heap with teeth of 40 MiB.
pub const HEAP: Collector = Collector {
    garbage: 25.0 * MIB,
    eden: 40.0 * MIB,
    promoted: 0.02,
    full_min: (4.0, 12.0),
    shows_live: true,
    shows_heap: true,
    returns: true,
};

/// Requests that are counted, 600 a minute.
pub const COUNTED: Load =
    Load { per_min: 600.0, daily: 0.0, weekly: 0.0, ramp_per_day: 0.0, bytes_per_rate: 0.0, shown: true };

/// Everything that must stay below `Leaking`.
pub fn look_alikes() -> Vec<Scenario> {
    let mut all = vec![
        Scenario::new("steady", 96.0, Model::default()),
        Scenario::new("constant", 48.0, noisy(0.0, 0.0)),
        Scenario::new("noise, ar(0.9)", 96.0, noisy(8.0, 0.9)),
        Scenario::new("noise, ar(0.99)", 96.0, noisy(8.0, 0.99)),
        Scenario::new("batch spikes", 96.0, Model { batch: Some((60.0, 7.0, 150.0 * MIB)), ..Model::default() }),
        Scenario::new("batch, long", 96.0, Model { batch: Some((360.0, 50.0, 250.0 * MIB)), ..Model::default() }),
        Scenario::new("rss high-water mark", 96.0, high_water(10.0, 0.0)),
        Scenario::new("rss high-water, ar(0.9)", 96.0, high_water(15.0, 0.9)),
        Scenario::new("restart every 6 h", 96.0, restarted(6.0, 20.0)),
        Scenario::new("restart every 2 h", 48.0, restarted(2.0, 30.0)),
        Scenario::new("step after deploy", 48.0, stepped(true)),
        Scenario::new("step, same process", 48.0, stepped(false)),
        Scenario::new("fragmentation", 72.0, fragmented()),
    ];
    for (name, tau_min) in [("warm-up, 5 min", 5.0), ("warm-up, 15 min", 15.0), ("warm-up, 30 min", 30.0)] {
        all.push(Scenario::new(name, 24.0, filled(150.0, tau_min)));
    }
    for (name, tau_min) in
        [("cache, 20 min", 20.0), ("cache, 1 h", 60.0), ("cache, 1.5 h", 90.0), ("cache, 6 h", 360.0)]
    {
        all.push(Scenario::new(name, 48.0, filled(330.0, tau_min)));
    }
    all.extend(saw_teeth());
    all.extend(loaded());
    all
}

fn noisy(sigma_mib: f64, rho: f64) -> Model {
    Model { noise: Noise { sigma: sigma_mib * MIB, rho }, ..Model::default() }
}

fn high_water(sigma_mib: f64, rho: f64) -> Model {
    Model { high_water: true, ..noisy(sigma_mib, rho) }
}

fn filled(size_mib: f64, tau_min: f64) -> Model {
    Model { fills: vec![Fill { size: size_mib * MIB, tau_min }], ..Model::default() }
}

fn restarted(every_h: f64, tau_min: f64) -> Model {
    Model { restart_every_h: Some(every_h), ..filled(100.0, tau_min) }
}

fn stepped(restart: bool) -> Model {
    Model { step: Some((20.0, 60.0 * MIB, restart)), ..Model::default() }
}

/// The resident set gains pages that nothing uses, while the heap that is shown stays flat.
fn fragmented() -> Model {
    Model {
        fragmentation: 20.0 * MIB,
        collector: Some(Collector { full_min: (5.0, 10.0), ..HEAP }),
        ..Model::default()
    }
}

fn saw_teeth() -> Vec<Scenario> {
    let heap = |collector| Model { collector: Some(collector), ..Model::default() };
    vec![
        Scenario::new("saw-tooth, live shown", 72.0, heap(HEAP)),
        Scenario::new("saw-tooth, no live", 72.0, heap(Collector { shows_live: false, ..HEAP })),
        Scenario::new(
            "saw-tooth, no live, slow",
            72.0,
            heap(Collector { shows_live: false, garbage: 2.0 * MIB, eden: 90.0 * MIB, ..HEAP }),
        ),
        Scenario::new(
            "saw-tooth, pages kept",
            72.0,
            heap(Collector { returns: false, full_min: (60.0, 240.0), ..HEAP }),
        ),
    ]
}

fn loaded() -> Vec<Scenario> {
    let load = |daily: f64, ramp_per_day: f64, shown: bool| Model {
        load: Load { daily, weekly: 0.3, ramp_per_day, bytes_per_rate: 200_000.0, shown, ..COUNTED },
        ..Model::default()
    };
    vec![
        Scenario::new("diurnal and weekly, shown", 240.0, load(0.6, 0.0, true)),
        Scenario::new("diurnal and weekly, hidden", 240.0, load(0.3, 0.0, false)).beginning_at_noon(),
        Scenario::new("load ramp, shown", 96.0, load(0.0, 0.2, true)),
        Scenario::new("daily load, kept pages", 240.0, Model { high_water: true, ..load(0.4, 0.0, true) }),
    ]
}

/// Everything that must be found; each meets its limit `hours_to_oom` after the leak begins.
pub fn leaks(hours_to_oom: f64) -> Vec<Scenario> {
    let room = 824.0 * MIB;
    let per_hour = room / hours_to_oom;
    let leak = Leak { held: Held::Heap, per_hour, per_request: 0.0, onset_h: 0.0 };
    let with = |model: Model, leak: Leak| Model { leak: Some(leak), ..model };
    let hours = hours_to_oom * 1.2 + 2.0;
    let scenario = |name, model| Scenario::new(name, hours, model);
    let per_request = Leak { per_hour: 0.0, per_request: per_hour / 60.0 / COUNTED.per_min, ..leak };
    let counted = Model { load: COUNTED, ..Model::default() };
    let diurnal = Model { load: Load { daily: 0.5, ..COUNTED }, ..Model::default() };
    let no_live = Collector { shows_live: false, ..HEAP };
    let kept = Collector { returns: false, full_min: (3.0, 8.0), ..HEAP };
    let heap = |collector| Model { collector: Some(collector), ..Model::default() };
    vec![
        scenario("linear", with(Model::default(), leak)),
        scenario("linear, ar(0.9)", with(noisy(8.0, 0.9), leak)),
        scenario("per request", with(counted, per_request)),
        scenario("per request, diurnal", with(diurnal, per_request)),
        Scenario::new("late onset", hours + 8.0, with(Model::default(), Leak { onset_h: 8.0, ..leak })),
        scenario("on saw-tooth, live shown", with(heap(HEAP), leak)),
        scenario("on saw-tooth, no live", with(heap(no_live), leak)),
        scenario("on saw-tooth, pages kept", with(heap(kept), leak)),
        scenario("native beside flat heap", with(heap(HEAP), Leak { held: Held::Native, ..leak })),
        scenario("tasks", with(Model { counts: 40.0, ..Model::default() }, Leak { held: Held::Tasks, ..leak })),
        scenario("threads", with(Model { counts: 40.0, ..Model::default() }, Leak { held: Held::Threads, ..leak })),
        scenario(
            "descriptors",
            with(Model { counts: 40.0, ..Model::default() }, Leak { held: Held::Descriptors, ..leak }),
        ),
    ]
}
