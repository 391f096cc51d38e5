//! Small values for tests.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::time::Duration;

use leakscope_model::{
    Bytes, Capture, CaptureId, CaptureKind, CaptureState, Cost, Finding, Frame, Incident, IncidentId, IncidentState,
    Kind, Location, PathStep, Phase, Readings, Runtime, Signal, Suspect, Target, TargetId, Timestamp, Transition,
};
use leakscope_store::{Columns, NewDelivery, Store};

/// A time and what was read at it, without what was not: short to print when a test fails.
pub(crate) type Point = (Timestamp, Vec<(Signal, f64)>);

pub(crate) fn point(at: Timestamp, readings: &Readings) -> Point {
    (at, readings.iter().collect())
}

pub(crate) fn points(columns: &Columns) -> Vec<Point> {
    columns.at.iter().enumerate().map(|(index, at)| point(*at, &columns.readings(index))).collect()
}

/// All that the store has of a target.
pub(crate) fn everything(store: &Store, target: TargetId) -> Vec<Point> {
    points(&store.range(target, &Signal::ALL, at(i64::MIN), at(i64::MAX)).unwrap())
}

/// `SplitMix64`, for choices that a printed seed repeats.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From the seed in `LEAKSCOPE_SEED`, else from one that is new each time.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var("LEAKSCOPE_SEED").ok().and_then(|seed| seed.parse().ok());
        Self(given.unwrap_or_else(|| RandomState::new().hash_one(0)))
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}

/// A value that no codec shortens.
pub(crate) fn noise(number: i64) -> f64 {
    Random(number as u64).below(1 << 52) as f64
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn rss(value: f64) -> Readings {
    Readings::from_iter([(Signal::Rss, value)])
}

pub(crate) fn target(number: usize) -> Target {
    let instance = format!("127.0.0.1:{number}");
    Target {
        id: TargetId::of("shop", &instance, ""),
        job: "shop".to_owned(),
        instance,
        service: "cart".to_owned(),
        version: Some("1.2.3".to_owned()),
        labels: BTreeMap::from([("zone".to_owned(), "a \"quoted\" zone".to_owned())]),
        runtime: Runtime::Jvm,
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(10),
    }
}

pub(crate) fn incident(number: u64, n_transitions: usize) -> Incident {
    let target = TargetId(u64::MAX - number);
    let transitions = (0..n_transitions)
        .map(|place| Transition {
            at: at(1_000 * place as i64),
            to: if place % 2 == 0 { IncidentState::Open } else { IncidentState::Recovered },
            cause: format!("cause {place}"),
        })
        .collect::<Vec<_>>();
    Incident {
        id: IncidentId(number),
        service: "cart".to_owned(),
        targets: vec![TargetId(3), target],
        state: transitions.last().map_or(IncidentState::Open, |transition| transition.to),
        kind: Kind::Managed,
        score: 1.7,
        opened_at: at(0),
        transitions,
        captures: vec![CaptureId(9), CaptureId(4)],
        suspects: vec![Finding {
            identity: Some("9f2c".to_owned()),
            growth_bytes: Some(i64::MIN),
            growth_count: Some(12),
            grew_in_every_step: Some(true),
            captures: vec![CaptureId(4), CaptureId(9)],
            confirmations: 2,
            suspect: Suspect {
                title: "`Map` in cart.js grew".to_owned(),
                kind: "object".to_owned(),
                name: "Map".to_owned(),
                bytes: u64::MAX,
                count: 12,
                share: 0.93,
                path: vec![PathStep { edge: "cache".to_owned(), name: "Module".to_owned(), id: u64::MAX }],
                stack: vec![Frame { function: "put".to_owned(), file: Some("cart.js".to_owned()), line: Some(7) }],
                location: Some(Location { file: "cart.js".to_owned(), line: 7, column: None }),
                confidence: 0.8,
                reason: "grew in every step".to_owned(),
            },
        }],
    }
}

/// A capture under way.
pub(crate) fn running(number: u64) -> Capture {
    Capture {
        id: CaptureId(number),
        target: TargetId(u64::MAX - number),
        service: "cart".to_owned(),
        instance: "127.0.0.1:8080".to_owned(),
        kind: CaptureKind::GoHeap,
        phase: Phase::Early,
        incident: Some(IncidentId(1)),
        state: CaptureState::Running,
        began_at: at(1_000 * number as i64),
        ended_at: None,
        process_started_at: Some(at(-5)),
        predicted: Cost { duration: Duration::from_nanos(1), pause: Duration::ZERO, memory: Bytes(7), size: Bytes(9) },
        cost: None,
        digest: None,
        redacted: false,
        note: "it is suspected".to_owned(),
    }
}

/// Takes a capture of this content from its begin to its end.
pub(crate) fn store_capture(store: &Store, number: u64, content: &[u8]) -> Capture {
    let running = running(number);
    store.record_capture(&running).unwrap();
    let mut file = store.begin_capture_file(running.id).unwrap();
    file.write_all(content).unwrap();
    let kept = file.finish().unwrap();
    let took = Duration::from_millis(12);
    let cost = Cost { duration: took, pause: Duration::from_micros(3), memory: Bytes(u64::MAX), size: kept.size };
    let stored = Capture {
        state: CaptureState::Stored,
        ended_at: Some(running.began_at.plus(took)),
        cost: Some(cost),
        digest: Some(kept.digest),
        redacted: true,
        ..running
    };
    store.record_capture(&stored).unwrap();
    stored
}

pub(crate) fn delivery(receiver: &str, key: &str, created: i64) -> NewDelivery {
    NewDelivery {
        receiver: receiver.to_owned(),
        key: key.to_owned(),
        incident: Some(IncidentId(1)),
        firing: true,
        body: format!("{{\"created\":{created}}}"),
        created_at: at(created),
        next_try_at: at(created),
    }
}
