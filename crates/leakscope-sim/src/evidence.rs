//! What simulated services give as evidence, what taking it costs them, and what it says: from the same memory model that the scrapes show.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_engine::{Analysis, AnalysisOrder, CaptureFailure, CaptureOrder, Captured};
use leakscope_model::{
    Bytes, CaptureId, CaptureKind, Cost, Finding, Lacking, Location, Means, Room, Runtime, Survey, Suspect, TargetId,
    Timestamp, Weight,
};

use crate::rng::Rng;
use crate::service::Inside;

/// What goes wrong with evidence, as shares of the attempts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hindrances {
    /// The target cannot be looked at.
    pub unseen: f64,
    /// A capture fails at once.
    pub fails: f64,
    /// A capture is stopped by its deadline.
    pub hangs: f64,
    /// Nobody ever answers: the performer died.
    pub lost: f64,
    /// The process does not survive the capture.
    pub dies: f64,
}

/// How one capture ends.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Taken(Captured),
    Failed(CaptureFailure),
    Lost,
}

/// What was taken, for the comparison.
#[derive(Clone, Copy, Debug)]
struct Taken {
    kind: CaptureKind,
    leaked: f64,
    heap: f64,
    armed: bool,
}

/// Every capture that was kept, and who records already.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    taken: BTreeMap<CaptureId, Taken>,
    /// Processes that record, by target and kind: since when they run.
    recording: BTreeMap<(TargetId, CaptureKind), Timestamp>,
}

/// What a runtime gives here; one that is not known gives what any native program may.
fn kinds(runtime: Runtime) -> &'static [CaptureKind] {
    match runtime {
        Runtime::Go => &[CaptureKind::GoHeap, CaptureKind::Goroutines, CaptureKind::ProcessMap],
        Runtime::Node => &[CaptureKind::V8Sampling, CaptureKind::ProcessMap, CaptureKind::V8Snapshot],
        Runtime::Jvm => {
            &[CaptureKind::JvmOldObjects, CaptureKind::JvmHistogram, CaptureKind::ProcessMap, CaptureKind::JvmHeapDump]
        }
        Runtime::Python => &[CaptureKind::PythonHeap, CaptureKind::ProcessMap],
        Runtime::DotNet => &[CaptureKind::ProcessMap],
        Runtime::Native | Runtime::Unknown => &[CaptureKind::NativeHeap, CaptureKind::ProcessMap],
    }
}

/// What a service gives right now.
pub(crate) fn survey(target: TargetId, runtime: Runtime, inside: Inside) -> Survey {
    let means = |kind: &CaptureKind| Means { kind: *kind, way: "simulated".into(), hint: Cost::default() };
    let lacking =
        Lacking { kind: CaptureKind::GoHeap, reason: "it is simulated".into(), remedy: "run it for real".into() };
    let bytes = |value: f64| Bytes(value as u64);
    Survey {
        target,
        process_started_at: Some(inside.started_at),
        pid: Some(1),
        means: kinds(runtime).iter().map(means).collect(),
        lacking: vec![lacking],
        room: Room {
            limit: inside.limit.map(bytes),
            used: Some(bytes(inside.resident)),
            host_available: Some(Bytes(64 << 30)),
            disk_free: Some(Bytes(1 << 40)),
        },
        resident: Some(bytes(inside.resident)),
        heap: Some(bytes(inside.heap)),
        tasks: Some(100),
    }
}

impl Evidence {
    /// Takes a capture of a process as it is. One whose peak passes the limit kills it.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        order: &CaptureOrder,
        inside: Inside,
        hindrances: Hindrances,
        rng: &mut Rng,
    ) -> (Duration, Outcome) {
        let cost = cost(order.kind, inside);
        let failed = |reason: &str, target_died, stopped| {
            let reason = reason.to_owned();
            Outcome::Failed(CaptureFailure { capture: order.capture, reason, target_died, stopped, cost })
        };
        let fate = rng.unit();
        let Hindrances { fails, hangs, lost, dies, .. } = hindrances;
        let too_much = inside.limit.is_some_and(|limit| inside.resident + cost.memory.0 as f64 >= limit);
        if too_much || fate < dies {
            return (cost.duration / 2, failed("the connection broke off", true, false));
        }
        if fate < dies + lost {
            return (cost.duration, Outcome::Lost);
        }
        let waited = order.deadline.since(now);
        if fate < dies + lost + hangs || cost.duration > waited {
            return (waited, failed("not done by the deadline", false, true));
        }
        if fate < dies + lost + hangs + fails {
            return (Duration::from_millis(5), failed("expected status 200, found 503", false, false));
        }
        let known = self.recording.insert((order.target, order.kind), inside.started_at);
        let armed = order.kind.arms() && known != Some(inside.started_at);
        self.taken.insert(order.capture, Taken { kind: order.kind, leaked: inside.leaked, heap: inside.heap, armed });
        let captured = Captured {
            capture: order.capture,
            cost,
            digest: format!("{:064x}", order.capture.0),
            redacted: false,
            process_started_at: Some(inside.started_at),
            armed,
        };
        (cost.duration, Outcome::Taken(captured))
    }

    /// What captures say: the leak where it grew between them, and a site that only serves requests.
    pub(crate) fn analyse(&self, order: &AnalysisOrder) -> Analysis {
        let taken: Vec<Taken> = order.captures.iter().filter_map(|id| self.taken.get(id)).copied().collect();
        let growth = match (taken.first(), taken.last()) {
            (Some(first), Some(last)) if taken.len() > 1 => last.leaked - first.leaked,
            _ => 0.0,
        };
        let steady = taken.windows(2).all(|pair| pair[1].leaked > pair[0].leaked || pair[0].armed);
        let findings = match taken.last().map(|taken| taken.kind) {
            None | Some(CaptureKind::Goroutines) => Vec::new(),
            Some(CaptureKind::ProcessMap) => {
                let mut mapping = finding("[heap]", 1, 0.4, growth as i64);
                mapping.suspect.location = None;
                vec![mapping]
            }
            Some(_) if growth > 0.0 => {
                let mut leak = finding("remember", 41, if steady { 0.9 } else { 0.4 }, growth as i64);
                leak.grew_in_every_step = Some(steady);
                vec![leak, finding("serve", 7, 0.2, 1_000)]
            }
            Some(_) => vec![finding("serve", 7, 0.2, 1_000)],
        };
        Analysis {
            analysis: order.analysis,
            findings,
            total_bytes: taken.iter().map(|taken| Bytes(taken.heap as u64)).collect(),
            warnings: Vec::new(),
        }
    }
}

/// What a capture really costs: within a factor of two of what the policy believes at first.
fn cost(kind: CaptureKind, inside: Inside) -> Cost {
    let gib = inside.heap / 1_073_741_824.0;
    let secs = |value: f64| Duration::from_millis((value * 1_000.0) as u64 + 1);
    let bytes = |value: f64| Bytes(value as u64);
    match (kind, kind.weight()) {
        (CaptureKind::V8Snapshot, _) => Cost {
            duration: secs(40.0 * gib),
            pause: secs(40.0 * gib),
            memory: bytes(9.0 * inside.heap),
            size: bytes(1.8 * inside.heap),
        },
        (_, Weight::Heavy) => Cost {
            duration: secs(6.0 * gib),
            pause: secs(6.0 * gib),
            memory: Bytes(1 << 20),
            size: bytes(1.2 * inside.heap),
        },
        (_, Weight::Light) => Cost {
            duration: Duration::from_millis(120),
            pause: Duration::from_millis(2),
            memory: Bytes(1 << 20),
            size: Bytes(20_000),
        },
    }
}

fn finding(name: &str, line: u32, confidence: f64, growth: i64) -> Finding {
    Finding {
        suspect: Suspect {
            title: format!("`{name}` accumulates"),
            kind: "allocation".into(),
            name: name.into(),
            bytes: growth.unsigned_abs(),
            count: 1,
            share: confidence,
            path: Vec::new(),
            stack: Vec::new(),
            location: Some(Location { file: "service.js".into(), line, column: None }),
            confidence,
            reason: "simulated".into(),
        },
        identity: Some(format!("{line:016x}")),
        growth_bytes: Some(growth),
        growth_count: None,
        grew_in_every_step: None,
        captures: Vec::new(),
        confirmations: 0,
    }
}
