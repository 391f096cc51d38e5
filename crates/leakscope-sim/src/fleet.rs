//! Many services with their replicas, as targets that a daemon would discover.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{Runtime, Target, TargetId};

use crate::rng::Rng;
use crate::scenario;
use crate::service::{Held, Leak, MIB, Model};

/// What goes wrong between a daemon and a target.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Milliseconds until an answer, at most.
    pub latency_ms: f64,
    /// Share of scrapes that are refused.
    pub refuses: f64,
    /// Share of scrapes that hang until their deadline.
    pub hangs: f64,
    /// Share of scrapes that nobody ever answers: their performer died.
    pub lost: f64,
}

impl Faults {
    /// Answers within 50 ms, always.
    pub const NONE: Self = Self { latency_ms: 50.0, refuses: 0.0, hangs: 0.0, lost: 0.0 };
    /// A bad network.
    pub const SOME: Self = Self { latency_ms: 2_000.0, refuses: 0.02, hangs: 0.01, lost: 0.002 };
}

/// One replica of one service.
#[derive(Clone, Debug)]
pub struct Member {
    /// As discovery shows it.
    pub target: Target,
    /// What runs there.
    pub model: Model,
    /// Seed of its chance.
    pub seed: u64,
    /// What goes wrong on the way.
    pub faults: Faults,
    /// Containers that its page describes besides, by name.
    pub parts: Vec<(String, Model)>,
}

/// A replica of `service` that is scraped every `interval`.
pub fn member(service: &str, replica: usize, interval: Duration, model: Model, seed: u64) -> Member {
    let instance = format!("{service}-{replica}:8080");
    Member {
        target: Target {
            id: TargetId::of("sim", &instance, ""),
            job: "sim".into(),
            instance,
            service: service.into(),
            version: None,
            labels: BTreeMap::new(),
            runtime: Runtime::Unknown,
            interval,
            timeout: Duration::from_secs(10),
        },
        model,
        seed,
        faults: Faults::NONE,
        parts: Vec::new(),
    }
}

/// `n` services of every kind that does not leak, and one in ten that does, over days; some answer badly.
pub fn mixed(n: usize, interval: Duration, seed: u64) -> Vec<Member> {
    let healthy = scenario::look_alikes();
    let mut rng = Rng::new(seed);
    (0..n)
        .map(|number| {
            let mut model = healthy[number % healthy.len()].model.clone();
            if number % 10 == 9 {
                let per_hour = rng.between(2.0, 40.0) * MIB;
                let leak = Leak { held: Held::Heap, per_hour, per_request: 0.0, onset_h: rng.between(0.0, 300.0) };
                model = Model { leak: Some(leak), ..Model::default() };
            }
            let mut member = member(&format!("service-{number}"), 0, interval, model, rng.bits());
            if rng.chance(0.2) {
                member.faults = Faults::SOME;
            }
            member
        })
        .collect()
}
