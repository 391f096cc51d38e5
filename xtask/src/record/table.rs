//! The table of recordings: what there is of each family and runtime, and in which half it lies.
//! Long because it is one table.
//! All recordings of one family and runtime lie in the same half, which is decided here, before any is recorded or judged.

use super::dice::Dice;
use super::recording::{Flavour, Half, Leak, Leaky, Limit, RateClass, Recording, Truth};
use super::shape::{Hold, Load, MIB};
use Flavour::{Go, JavaDefault, JavaSerial, JavaSized, Node, NodeGrowing, Python, Rust};
use RateClass::{Hours2, Hours6, Hours24, Minutes20};

const MINUTE_S: f64 = 60.0;

/// Every recording, families one after the other.
pub(crate) fn table(seed: u64) -> Vec<Recording> {
    let mut table = Table { seed, recordings: Vec::new() };
    table.plain_leaks();
    table.leaks_of_other_things();
    table.leaks_of_some_requests();
    table.leaks_beside_something();
    table.caches_and_warm_ups();
    table.allocators_and_collectors();
    table.loads();
    table.steps_and_restarts();
    table.spikes_and_pools();
    halve(&mut table.recordings);
    table.recordings
}

/// The runtimes of each family in turn go to one half and the other; where that begins alternates too.
fn halve(recordings: &mut [Recording]) {
    let mut families: Vec<&'static str> = Vec::new();
    let mut runtimes: Vec<(&'static str, &'static str)> = Vec::new();
    for recording in recordings {
        let pair = (recording.family, recording.flavour.runtime());
        if !families.contains(&pair.0) {
            families.push(pair.0);
        }
        if !runtimes.contains(&pair) {
            runtimes.push(pair);
        }
        let place = |found: Option<usize>| found.unwrap_or_default();
        let family = place(families.iter().position(|family| *family == pair.0));
        let runtime = place(runtimes.iter().filter(|other| other.0 == pair.0).position(|other| *other == pair));
        recording.half = if (family + runtime).is_multiple_of(2) { Half::Development } else { Half::Test };
    }
}

struct Table {
    seed: u64,
    recordings: Vec<Recording>,
}

impl Table {
    fn add(&mut self, family: &'static str, flavour: Flavour, variant: &str, make: impl FnOnce(&mut Dice) -> Made) {
        let runtime = match flavour {
            NodeGrowing => "node-stock",
            JavaSerial => "java-serial",
            JavaDefault => "java-stock",
            Node | Python | Go | JavaSized | Rust => flavour.runtime(),
        };
        let name =
            if variant.is_empty() { format!("{family}-{runtime}") } else { format!("{family}-{runtime}-{variant}") };
        let mut dice = Dice::of_name(self.seed, &name);
        let made = make(&mut dice);
        let shows_live_heap = flavour.runtime() != "node" || dice.unit() < 0.5;
        self.recordings.push(Recording {
            name,
            family,
            flavour,
            truth: made.truth,
            load: made.load,
            holds: made.holds,
            native: made.native,
            restarts: made.restarts,
            length_s: made.length_s,
            limit: made.limit,
            shows_live_heap,
            half: Half::Development,
        });
    }

    fn leak(&mut self, family: &'static str, (flavour, flag): (Flavour, &'static str), class: RateClass) {
        self.add(family, flavour, class.name(), |dice| leaking(dice, flavour, flag, class));
    }

    fn plain_leaks(&mut self) {
        let five = |flags: [&'static str; 5]| [Node, Python, Go, JavaSized, Rust].into_iter().zip(flags);
        for service in five(["session-map"; 5]) {
            self.leak("session-map", service, Hours2);
            self.leak("session-map", service, Hours24);
        }
        for service in [
            (Rust, "unbounded-cache"),
            (JavaSerial, "unbounded-cache"),
            (Go, "unbounded-cache"),
            (Python, "unbounded-cache"),
            (Node, "unbounded-cache"),
        ] {
            self.leak("endless-cache", service, Hours2);
            self.leak("endless-cache", service, Hours6);
        }
        for service in [(Node, "listener"), (Python, "listener"), (JavaSized, "listener")] {
            self.leak("listener", service, Hours6);
            self.leak("listener", service, Hours24);
        }
        for service in [(Go, "timer-closure"), (Node, "promise"), (JavaSerial, "threadlocal")] {
            self.leak("closure", service, Hours2);
            self.leak("closure", service, Hours6);
        }
        for service in
            [(Python, "module-list"), (JavaSized, "static-collection"), (Go, "slice-retain"), (Rust, "channel")]
        {
            self.leak("collection", service, Hours2);
            self.leak("collection", service, Hours24);
        }
        for service in five(["tiny-objects"; 5]) {
            self.leak("tiny-objects", service, Hours6);
            if !service.0.is_java() {
                self.leak("tiny-objects", service, Hours24);
            }
        }
    }

    fn leaks_of_other_things(&mut self) {
        for service in [(Go, "goroutine"), (Rust, "task"), (JavaSerial, "thread"), (Python, "thread")] {
            self.leak("tasks", service, Hours2);
            self.leak("tasks", service, Hours6);
        }
        for service in
            [(Node, "native-buffer"), (Python, "native-buffer"), (JavaSerial, "native-buffer"), (Rust, "native-buffer")]
        {
            self.leak("native", service, Hours2);
            self.leak("native", service, Hours24);
        }
        for flavour in [Python, Node, Go, JavaSerial, Rust] {
            self.leak("descriptor", (flavour, "descriptor"), Hours6);
        }
        self.leak("descriptor", (Node, "descriptor"), Hours2);
        self.leak("descriptor", (Rust, "descriptor"), Hours24);
    }

    fn leaks_of_some_requests(&mut self) {
        let services = [
            (Go, "session-map"),
            (Node, "session-map"),
            (Python, "session-map"),
            (JavaSized, "session-map"),
            (Rust, "session-map"),
        ];
        for (service, class) in services.into_iter().zip([Hours6, Hours2, Hours6, Hours6, Hours2]) {
            self.add("one-in-n", service.0, class.name(), |dice| {
                let n = 8 + (dice.whole() % 18) as u32;
                leaking(dice, service.0, service.1, class).leaky(Leaky::OneIn(n))
            });
        }
        for (service, class) in services.into_iter().take(4).zip([Hours2, Hours6, Hours24, Hours2]) {
            self.add("endpoint", service.0, class.name(), |dice| {
                let spells = Leaky::InSpells { length_s: dice.between(3.0, 6.0), period_s: dice.between(14.0, 20.0) };
                leaking(dice, service.0, service.1, class).leaky(spells)
            });
        }
        let services = [
            (Node, "unbounded-cache"),
            (Go, "session-map"),
            (Rust, "unbounded-cache"),
            (Python, "module-list"),
            (JavaSized, "static-collection"),
        ];
        for service in services {
            for class in [Minutes20, Hours2, Hours6] {
                // A fast leak is fast everywhere; the slower ones take turns.
                if class == Hours6 && !matches!(service.0, Go | Python) {
                    continue;
                }
                self.add("mid-run", service.0, class.name(), |dice| {
                    let onset_s = dice.between(75.0, 180.0);
                    leaking(dice, service.0, service.1, class).from(onset_s)
                });
            }
        }
        for service in [(Rust, "native-buffer"), (Go, "unbounded-cache"), (Node, "native-buffer")] {
            self.leak("fast", service, Minutes20);
        }
    }

    fn leaks_beside_something(&mut self) {
        for (flavour, flag) in [(JavaSerial, "session-map"), (NodeGrowing, "unbounded-cache"), (Go, "session-map")] {
            for class in [Hours2, Hours6] {
                self.add("saw-tooth-leak", flavour, class.name(), |dice| {
                    let hold =
                        Hold::Level { bytes: dice.between(16.0, 32.0) * MIB, renewed: dice.between(60.0, 120.0) };
                    leaking(dice, flavour, flag, class).holding(hold)
                });
            }
        }
        for (flavour, flag, class) in [
            (Python, "session-map", Hours6),
            (Go, "unbounded-cache", Hours6),
            (Rust, "session-map", Hours24),
            (Node, "session-map", Hours24),
            (JavaSized, "session-map", Hours6),
        ] {
            self.add("daily-load-leak", flavour, class.name(), |dice| {
                // A day for the slow ones; else three shifts of eight hours or so.
                let (period_s, minutes) =
                    if class == Hours24 { (1_440.0, 24.0) } else { (dice.between(150.0, 240.0), 7.0) };
                let load = Load::Daily { low: 1.5, high: 6.0, period_s };
                let sessions = Hold::Sessions { bytes: 0.08 * MIB, ttl_s: dice.between(15.0, 30.0) };
                leaking(dice, flavour, flag, class).loaded(load).holding(sessions).minutes(minutes)
            });
        }
        for (flavour, flag) in [
            (Node, "session-map"),
            (Python, "unbounded-cache"),
            (Go, "session-map"),
            (JavaSized, "listener"),
            (Rust, "channel"),
        ] {
            self.add("leak-across-restarts", flavour, "6h", |dice| {
                let every_s = dice.between(75.0, 150.0);
                let restarts =
                    (1..9).map(|life| (f64::from(life) * every_s, 0.0)).filter(|(at_s, _)| *at_s < 590.0).collect();
                leaking(dice, flavour, flag, Hours6).restarting(restarts).minutes(10.0)
            });
        }
        for (flavour, flag, class) in
            [(Node, "session-map", Hours6), (Go, "session-map", Hours6), (Python, "session-map", Hours24)]
        {
            self.add("noisy-leak", flavour, class.name(), |dice| {
                let noise = Hold::Noise { mean: 40.0 * MIB, deviation: dice.between(4.0, 8.0) * MIB, memory: 0.9 };
                leaking(dice, flavour, flag, class).holding(noise)
            });
        }
        for (flavour, flag) in [(Rust, "session-map"), (JavaSized, "session-map"), (Python, "native-buffer")] {
            self.add("leak-beside-cache", flavour, "6h", |dice| {
                let cache = Hold::Fill { bytes: 40.0 * MIB, tau_s: dice.between(30.0, 60.0) };
                leaking(dice, flavour, flag, Hours6).holding(cache)
            });
        }
    }

    fn caches_and_warm_ups(&mut self) {
        for flavour in [Go, NodeGrowing, Python, JavaDefault, Rust] {
            self.add("warm-up", flavour, "", |dice| {
                let cache = Hold::Fill { bytes: dice.between(20.0, 60.0) * MIB, tau_s: dice.between(3.0, 9.0) };
                healthy(dice, "warm-up").holding(cache).minutes(6.0)
            });
        }
        for flavour in [Node, Python, Go, JavaSerial, Rust] {
            self.add("cache-small", flavour, "", |dice| cache(dice, 12.0, (5.0, 12.0), 5.0));
        }
        for flavour in [Rust, JavaSized, Go, Python, Node] {
            self.add("cache-medium", flavour, "", |dice| cache(dice, 48.0, (30.0, 60.0), 6.0));
        }
        for (flavour, tau_s, minutes) in [
            (Node, 240.0, 16.0),
            (Python, 360.0, 24.0),
            (Go, 120.0, 9.0),
            (JavaSized, 240.0, 16.0),
            (Rust, 360.0, 24.0),
        ] {
            self.add("cache-large", flavour, "", |dice| cache(dice, 120.0, (tau_s, tau_s), minutes));
        }
    }

    fn allocators_and_collectors(&mut self) {
        for flavour in [JavaSerial, NodeGrowing, Go, JavaDefault] {
            self.add("gc-saw-tooth", flavour, "", |dice| {
                let hold = Hold::Level { bytes: dice.between(20.0, 40.0) * MIB, renewed: dice.between(80.0, 150.0) };
                healthy(dice, "gc-saw-tooth").holding(hold).minutes(8.0)
            });
        }
        for (flavour, native) in [(Rust, false), (Python, true), (Node, true), (Go, false), (JavaSerial, false)] {
            self.add("high-water", flavour, "", |dice| {
                let bursts = Hold::Bursts { base: 12.0 * MIB, peak: dice.between(50.0, 100.0) * MIB, every_s: 25.0 };
                healthy(dice, "high-water").holding(bursts).minutes(8.0).native(native)
            });
        }
        for (flavour, native) in [(Rust, false), (Python, true), (Node, true), (Go, false)] {
            self.add("fragmentation", flavour, "", |dice| {
                let ragged = Hold::Ragged { bytes: dice.between(25.0, 45.0) * MIB, renewed: dice.between(10.0, 25.0) };
                healthy(dice, "fragmentation").holding(ragged).minutes(9.0).native(native)
            });
        }
        self.add("fragmentation", Python, "arenas", |dice| {
            let ragged = Hold::Ragged { bytes: 25.0 * MIB, renewed: dice.between(10.0, 25.0) };
            healthy(dice, "fragmentation").holding(ragged).minutes(9.0)
        });
    }

    fn loads(&mut self) {
        for (flavour, day) in [(Python, true), (Node, false), (Go, false), (JavaSized, false), (Rust, true)] {
            self.add("daily-load", flavour, "", |dice| {
                let (period_s, minutes) = if day { (1_440.0, 28.0) } else { (dice.between(300.0, 420.0), 12.0) };
                let sessions = Hold::Sessions { bytes: dice.between(0.2, 0.5) * MIB, ttl_s: dice.between(10.0, 25.0) };
                healthy(dice, "load-growth")
                    .loaded(Load::Daily { low: 1.5, high: 6.0, period_s })
                    .holding(sessions)
                    .minutes(minutes)
            });
        }
        for flavour in [Node, Python, Go, JavaSerial, Rust] {
            self.add("step-load", flavour, "", |dice| {
                let load = Load::Step { before: 2.0, after: dice.between(4.0, 6.0), at_s: dice.between(100.0, 200.0) };
                let sessions = Hold::Sessions { bytes: dice.between(0.2, 0.5) * MIB, ttl_s: dice.between(10.0, 40.0) };
                healthy(dice, "load-growth").loaded(load).holding(sessions).minutes(7.0)
            });
        }
        for flavour in [Go, Rust, JavaSized, Node, Python] {
            self.add("load-ramp", flavour, "", |dice| {
                let from_s = dice.between(60.0, 120.0);
                let load = Load::Ramp {
                    from: 1.5,
                    to: dice.between(4.0, 6.0),
                    from_s,
                    to_s: from_s + dice.between(120.0, 240.0),
                };
                let sessions = Hold::Sessions { bytes: dice.between(0.2, 0.5) * MIB, ttl_s: dice.between(10.0, 25.0) };
                healthy(dice, "load-growth").loaded(load).holding(sessions).minutes(8.0)
            });
        }
    }

    fn steps_and_restarts(&mut self) {
        for flavour in [Node, Python, Go, JavaSized, Rust] {
            self.add("deploy-step", flavour, "", |dice| {
                let base = dice.between(40.0, 80.0) * MIB;
                let more = 0.3 * (base + flavour.level_bytes());
                let restart = (dice.between(150.0, 210.0), more);
                healthy(dice, "deploy-step").holding(level(base)).restarting(vec![restart]).minutes(7.0)
            });
        }
        for flavour in [Rust, JavaSized, Node, Python, Go] {
            self.add("reload-step", flavour, "", |dice| {
                let base = dice.between(40.0, 80.0) * MIB;
                let after = base + 0.3 * (base + flavour.level_bytes());
                let set = Hold::Dataset { bytes: base, loads: vec![(dice.between(150.0, 210.0), after)] };
                healthy(dice, "data-set").holding(set).minutes(7.0)
            });
        }
        for flavour in [Python, Node, JavaSerial, Go] {
            self.add("reload-periodic", flavour, "", |dice| {
                let (base, every_s) = (dice.between(30.0, 50.0) * MIB, dice.between(45.0, 75.0));
                let loads = (1..12).map(|load| (f64::from(load) * every_s, base * dice.between(0.97, 1.03))).collect();
                healthy(dice, "data-set").holding(Hold::Dataset { bytes: base, loads }).minutes(8.0)
            });
        }
        for flavour in [Go, JavaSerial, Node, Python, Rust] {
            self.add("restarts", flavour, "", |dice| {
                let restarts = (1..10).map(|life| (f64::from(life) * MINUTE_S, 0.0)).collect();
                let cache = Hold::Fill { bytes: 30.0 * MIB, tau_s: dice.between(6.0, 15.0) };
                healthy(dice, "restarts").holding(cache).restarting(restarts).minutes(9.5)
            });
        }
    }

    fn spikes_and_pools(&mut self) {
        for flavour in [Node, Python, Go, JavaSized, JavaSerial, JavaDefault, Rust] {
            self.add("steady", flavour, "", |dice| {
                let hold = level(dice.between(5.0, 40.0) * MIB);
                // That JVM has no reason to collect its old generation for hours: its heap is a tooth, not a level.
                healthy(dice, if flavour == JavaDefault { "gc-saw-tooth" } else { "steady" }).holding(hold).minutes(6.0)
            });
        }
        for flavour in [Python, Node, Go, JavaSized, Rust] {
            self.add("batch", flavour, "", |dice| {
                let batches = Hold::Batches {
                    peak: dice.between(40.0, 80.0) * MIB,
                    every_s: dice.between(30.0, 60.0),
                    length_s: dice.between(4.0, 15.0),
                };
                healthy(dice, "batch").holding(batches).minutes(8.0)
            });
        }
        for (flavour, cut_s) in [(Go, None), (Python, Some(300.0)), (JavaSerial, None)] {
            self.add("page-cache", flavour, "", |dice| {
                let mapped =
                    Hold::Mapped { bytes: dice.between(100.0, 160.0) * MIB, to_s: dice.between(350.0, 450.0), cut_s };
                healthy(dice, "page-cache").holding(mapped).minutes(7.0)
            });
        }
        for flavour in [Rust, Python, JavaSized, Go, Node] {
            self.add("pool-ramp", flavour, "", |dice| {
                let pool =
                    Hold::Pool { connections: dice.between(100.0, 400.0).round(), tau_s: dice.between(30.0, 90.0) };
                healthy(dice, "pool").holding(pool).minutes(7.0)
            });
        }
        for flavour in [JavaSized, Node, Python, Go, Rust] {
            self.add("noise", flavour, "", |dice| {
                let noise = Hold::Noise { mean: 60.0 * MIB, deviation: dice.between(5.0, 12.0) * MIB, memory: 0.9 };
                healthy(dice, "noise").holding(noise).minutes(8.0)
            });
        }
    }
}

/// A recording without the names that the table gives it.
struct Made {
    truth: Truth,
    load: Load,
    holds: Vec<Hold>,
    native: bool,
    restarts: Vec<(f64, f64)>,
    length_s: f64,
    limit: Limit,
}

/// A leak of a class under a steady load, recorded until a little after it should have met its limit, or for a part of its course.
fn leaking(dice: &mut Dice, flavour: Flavour, flag: &'static str, class: RateClass) -> Made {
    let kind = match flag {
        "native-buffer" => "native",
        "goroutine" | "task" | "thread" => "tasks",
        "descriptor" => "descriptors",
        _ if flavour == Rust => "native",
        _ => "managed",
    };
    let headroom = match class {
        Minutes20 => dice.between(100.0, 160.0),
        Hours2 => dice.between(100.0, 220.0),
        Hours6 => dice.between(100.0, 260.0),
        Hours24 => dice.between(160.0, 380.0),
    };
    // Threads are dear: a few requests in a minute start one.
    let leaky = if flag == "thread" { Leaky::OneIn(4) } else { Leaky::Every };
    let minutes = match class {
        Minutes20 => 2.0,
        Hours2 => 3.5,
        Hours6 => 7.5,
        Hours24 => 10.0,
    };
    Made {
        truth: Truth::Leaks(Leak { flag, kind, class, headroom_bytes: headroom * MIB, leaky, onset_s: 0.0 }),
        load: Load::Steady(dice.between(2.5, 4.0)),
        holds: vec![],
        native: false,
        restarts: vec![],
        length_s: minutes * MINUTE_S,
        limit: Limit::None,
    }
}

fn healthy(dice: &mut Dice, looks_like: &'static str) -> Made {
    let limit = match dice.whole() % 5 {
        0 => Limit::None,
        1 => Limit::Times(dice.between(4.0, 10.0)),
        2 => Limit::Times(dice.between(1.25, 1.5)),
        _ => Limit::Times(dice.between(1.6, 2.4)),
    };
    Made {
        truth: Truth::Healthy(looks_like),
        load: Load::Steady(dice.between(2.0, 4.0)),
        holds: vec![],
        native: false,
        restarts: vec![],
        length_s: 6.0 * MINUTE_S,
        limit,
    }
}

fn cache(dice: &mut Dice, mebibytes: f64, (tau_low_s, tau_high_s): (f64, f64), minutes: f64) -> Made {
    let fill =
        Hold::Fill { bytes: mebibytes * dice.between(0.8, 1.2) * MIB, tau_s: dice.between(tau_low_s, tau_high_s) };
    healthy(dice, "cache-fill").holding(fill).minutes(minutes)
}

fn level(bytes: f64) -> Hold {
    Hold::Level { bytes, renewed: 10.0 }
}

impl Made {
    fn leaky(mut self, leaky: Leaky) -> Self {
        if let Truth::Leaks(leak) = &mut self.truth {
            leak.leaky = leaky;
        }
        self
    }

    /// The leak begins later, and everything takes so much longer.
    fn from(mut self, onset_s: f64) -> Self {
        if let Truth::Leaks(leak) = &mut self.truth {
            leak.onset_s = onset_s;
        }
        self.length_s += onset_s;
        self
    }

    fn loaded(self, load: Load) -> Self {
        Self { load, ..self }
    }

    fn holding(mut self, hold: Hold) -> Self {
        self.holds.push(hold);
        self
    }

    fn restarting(self, restarts: Vec<(f64, f64)>) -> Self {
        Self { restarts, ..self }
    }

    fn minutes(self, minutes: f64) -> Self {
        Self { length_s: minutes * MINUTE_S, ..self }
    }

    fn native(self, native: bool) -> Self {
        Self { native, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_the_same_seed_gives_the_same_table() {
        let recordings = table(1);
        let names: BTreeSet<&str> = recordings.iter().map(|recording| recording.name.as_str()).collect();
        assert_eq!(names.len(), recordings.len());
        assert_eq!(recordings, table(1));
        assert_ne!(recordings, table(2));
    }

    #[test]
    fn a_family_of_one_runtime_lies_in_one_half() {
        for seed in [1, 2] {
            let mut halves = BTreeMap::new();
            for recording in table(seed) {
                let half = halves.entry((recording.family, recording.flavour.runtime())).or_insert(recording.half);
                assert_eq!(*half, recording.half, "{}", recording.name);
            }
        }
    }

    #[test]
    fn every_family_of_two_runtimes_is_in_both_halves_and_the_halves_are_alike() {
        let recordings = table(1);
        let families: BTreeSet<&str> = recordings.iter().map(|recording| recording.family).collect();
        for family in families {
            let of_family = || recordings.iter().filter(|recording| recording.family == family);
            let runtimes: BTreeSet<&str> = of_family().map(|recording| recording.flavour.runtime()).collect();
            let halves: BTreeSet<&str> = of_family().map(|recording| recording.half.name()).collect();
            assert_eq!(halves.len(), runtimes.len().min(2), "{family}");
        }
        let n = |half: Half, leaks: bool| {
            let matches = |recording: &&Recording| recording.half == half && recording.leak().is_some() == leaks;
            recordings.iter().filter(matches).count()
        };
        for leaks in [false, true] {
            let (development, test) = (n(Half::Development, leaks), n(Half::Test, leaks));
            assert!(development.abs_diff(test) <= 12, "{development} and {test}");
        }
    }

    #[test]
    fn a_leak_meets_its_limit_in_the_time_of_its_class() {
        for recording in table(1) {
            let Some(leak) = recording.leak() else { continue };
            let until_s = leak.onset_s + leak.class.seconds();
            let leaked =
                recording.load.expected(leak.onset_s, until_s) * leak.leaky.share() * f64::from(recording.rate_bytes());
            assert!(leaked > 0.4 * leak.headroom_bytes && leaked < 1.1 * leak.headroom_bytes, "{}", recording.name);
            assert!(recording.limit_bytes().is_some_and(|limit| limit > leak.headroom_bytes));
            assert!(recording.rate_bytes() < 1 << 23, "{} leaks {} at once", recording.name, recording.rate_bytes());
        }
    }

    #[test]
    fn no_recording_is_longer_than_half_an_hour() {
        assert!(table(1).iter().all(|recording| (60.0..=1_800.0).contains(&recording.length_s)));
    }
}
