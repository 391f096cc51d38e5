//! The four kinds of process of the compressed demonstration: scraped once a second, and a second counts as a minute.
//!
//! All figures are per sample: 180 samples make the three minutes that a person watches.

use leakscope_model::{Readings, Timestamp};

use crate::rng::Rng;
use crate::scenario::{BEGIN, COUNTED};
use crate::service::{Collector, Fill, Held, Leak, Load, MIB, Model, Noise, Service};

/// Samples in one demonstration.
pub const SAMPLES: i64 = 180;

/// A kind of process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Saw-tooth heap, noisy resident set, live heap after each full collection.
    Node,
    /// Nothing but a clean resident set: Python, Rust.
    Plain,
    /// Live heap that steps at each collection, goroutines.
    Go,
    /// Live data that step every 2 to 6 samples, as where the JVM is told to collect all of its heap periodically; the resident set rises to the heap's size in any case.
    Jvm,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Node, Self::Plain, Self::Go, Self::Jvm];
}

/// One process; `leaks` MiB a sample, 0 when healthy.
pub fn model(kind: Kind, leaks: f64, rng: &mut Rng) -> Model {
    let base = rng.between(40.0, 200.0) * MIB;
    let held = if kind == Kind::Go && rng.chance(0.5) { Held::Tasks } else { Held::Heap };
    let leak = Leak { held, per_hour: leaks * 60.0 * MIB, per_request: 0.0, onset_h: 0.0 };
    let common = Model {
        base,
        fills: vec![Fill { size: rng.between(3.0, 8.0) * MIB, tau_min: rng.between(3.0, 8.0) }],
        load: Load { per_min: 20.0, ..COUNTED },
        leak: (leaks > 0.0).then_some(leak),
        limit: None,
        ..Model::default()
    };
    let heap = |garbage: f64, eden: f64, promoted: f64, full_min: (f64, f64), returns: bool| {
        let (shows_live, shows_heap) = (true, true);
        Some(Collector {
            garbage: garbage * MIB,
            eden: eden * MIB,
            promoted,
            full_min,
            shows_live,
            shows_heap,
            returns,
        })
    };
    match kind {
        Kind::Node => Model {
            noise: Noise { sigma: 0.02 * base, rho: 0.7 },
            collector: heap(4.0, 8.0, 0.1, (4.0, 15.0), true),
            ..common
        },
        Kind::Plain => Model { noise: Noise { sigma: 0.2 * MIB, rho: 0.0 }, ..common },
        Kind::Go => Model {
            noise: Noise { sigma: MIB, rho: 0.5 },
            collector: heap(6.0, 0.5 * base / MIB, 0.0, (2.0, 8.0), true),
            counts: rng.between(8.0, 40.0),
            ..common
        },
        Kind::Jvm => Model {
            noise: Noise { sigma: MIB, rho: 0.0 },
            collector: heap(12.0, 60.0, 0.05, (2.0, 6.0), false),
            limit: Some(4_096.0 * MIB),
            ..common
        },
    }
}

/// The readings of one process on the detector's clock.
pub fn series(kind: Kind, leaks: f64, seed: u64) -> impl Iterator<Item = (Timestamp, Readings)> {
    let mut rng = Rng::new(seed);
    let begin = Timestamp::from_millis(BEGIN.as_millis() + (rng.unit() * 3_600_000.0) as i64);
    let mut service = Service::new(model(kind, leaks, &mut rng), rng.bits(), begin);
    (0..SAMPLES).map(move |sample| {
        let at = Timestamp::from_millis(begin.as_millis() + sample * 60_000);
        (at, service.readings(at))
    })
}
