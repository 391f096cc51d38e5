//! What a capture will cost its target: start values from measurements, corrected by what captures did cost.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{Bytes, Capture, CaptureKind, CaptureState, Cost};

/// How the note of a capture begins whose target was gone afterwards.
pub(crate) const DIED: &str = "the process ended during the capture";

/// A correction is at most this and at least its inverse.
const CORRECTION_MAX: f64 = 8.0;
/// What one measurement can say at most; a larger miss is an outlier and counts as this.
const MISS_MAX: f64 = 4.0;
/// Objects of a V8 heap are this large on the mean, bytes.
const V8_OBJECT: f64 = 50.0;
const MIB: f64 = 1_048_576.0;
const GIB: f64 = 1_073_741_824.0;

/// What costs depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measure {
    /// Live heap, bytes; the resident set where the target does not tell.
    pub(crate) heap: f64,
    /// Goroutines, threads or tasks.
    pub(crate) tasks: f64,
}

/// Predictions, corrected by kind. A kind belongs to one runtime, so this learns by runtime too.
#[derive(Clone, Debug, Default)]
pub(crate) struct CostModel {
    corrections: BTreeMap<CaptureKind, Correction>,
}

/// Factors on the start values.
#[derive(Clone, Copy, Debug)]
struct Correction {
    duration: f64,
    pause: f64,
    memory: f64,
    size: f64,
}

impl Default for Correction {
    fn default() -> Self {
        Self { duration: 1.0, pause: 1.0, memory: 1.0, size: 1.0 }
    }
}

impl CostModel {
    /// What earlier captures taught, in the order in which they ended: the same as if they had just been taken.
    pub(crate) fn restore<'a>(captures: impl Iterator<Item = &'a Capture>) -> Self {
        let mut ended: Vec<&Capture> = captures.filter(|capture| capture.ended_at.is_some()).collect();
        ended.sort_by_key(|capture| (capture.ended_at, capture.id));
        let mut model = Self::default();
        for capture in ended {
            model.learn(capture);
        }
        model
    }

    /// What a capture will cost. What the target itself says (`hint`) stands for the start value where it is not zero.
    pub(crate) fn predict(&self, kind: CaptureKind, hint: Cost, measure: Measure) -> Cost {
        let start = start_value(kind, measure);
        let correction = self.corrections.get(&kind).copied().unwrap_or_default();
        let time = |hint: Duration, start: f64, factor: f64| {
            seconds(if hint.is_zero() { start } else { hint.as_secs_f64() } * factor)
        };
        let bytes = |hint: Bytes, start: f64, factor: f64| {
            Bytes((if hint.0 == 0 { start } else { hint.0 as f64 } * factor) as u64)
        };
        Cost {
            duration: time(hint.duration, start.duration, correction.duration),
            pause: time(hint.pause, start.pause, correction.pause),
            memory: bytes(hint.memory, start.memory, correction.memory),
            size: bytes(hint.size, start.size, correction.size),
        }
    }

    /// Takes what an ended capture did cost. Half of each miss is believed (on the logarithm), an outlier as far as [`MISS_MAX`]; what is zero was
    /// not measured. A capture that failed bounds its costs from below; one that its target did not survive doubles the memory.
    pub(crate) fn learn(&mut self, capture: &Capture) {
        let correction = self.corrections.entry(capture.kind).or_default();
        if capture.state == CaptureState::Failed && capture.note.starts_with(DIED) {
            correction.memory = bounded(correction.memory * 2.0);
            return;
        }
        let Some(cost) = capture.cost else { return };
        let complete = matches!(capture.state, CaptureState::Stored | CaptureState::Expired);
        let predicted = capture.predicted;
        for (factor, measured, predicted) in [
            (&mut correction.duration, cost.duration.as_secs_f64(), predicted.duration.as_secs_f64()),
            (&mut correction.pause, cost.pause.as_secs_f64(), predicted.pause.as_secs_f64()),
            (&mut correction.memory, cost.memory.0 as f64, predicted.memory.0 as f64),
            (&mut correction.size, cost.size.0 as f64, predicted.size.0 as f64),
        ] {
            if measured > 0.0 && predicted > 0.0 && (complete || measured > predicted) {
                let miss = (measured / predicted).clamp(1.0 / MISS_MAX, MISS_MAX);
                *factor = bounded(*factor * miss.sqrt());
            }
        }
    }
}

fn bounded(factor: f64) -> f64 {
    factor.clamp(1.0 / CORRECTION_MAX, CORRECTION_MAX)
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)
}

/// Seconds and bytes.
struct Start {
    duration: f64,
    pause: f64,
    memory: f64,
    size: f64,
}

/// Start values: medians of measurements on two loaded cores, linear in the live heap or in the tasks. Memory is that of the target itself; what it
/// writes to a disk counts as size.
fn start_value(kind: CaptureKind, Measure { heap, tasks }: Measure) -> Start {
    let of = |duration, pause, memory, size| Start { duration, pause, memory, size };
    let gib = heap / GIB;
    match kind {
        CaptureKind::ProcessMap => of(0.05, 0.0, 0.0, 64.0 * 1_024.0),
        CaptureKind::GoHeap => of(0.05 + 0.1 * gib, 0.001, MIB, 32.0 * 1_024.0),
        CaptureKind::GoHeapMemory => of(0.02, 0.0, 0.0, 32.0 * 1_024.0),
        CaptureKind::Goroutines => of(0.01 + 2.3e-6 * tasks, 0.001 + 0.3e-6 * tasks, 512.0 * tasks, 4_096.0),
        CaptureKind::GoroutineLeaks => {
            of(0.02 + 6e-6 * tasks + 0.1 * gib, 0.001 + 0.6e-6 * tasks, 512.0 * tasks, 4_096.0)
        }
        CaptureKind::GoroutineDump => of(0.01 + 20e-6 * tasks, 0.001 + 4.6e-6 * tasks, 840.0 * tasks, 200.0 * tasks),
        // Reading the profile collects all garbage once.
        CaptureKind::V8Sampling => of(0.1 + 1.6 * gib, 0.02 + 1.6 * gib, 2.0 * MIB, 128.0 * 1_024.0),
        CaptureKind::V8Snapshot => {
            let walk = 2.5e-6 * heap / V8_OBJECT;
            of(walk, walk, 9.4 * heap, 1.85 * heap)
        }
        CaptureKind::JvmOldObjects => of(0.5 + 2.5 * gib, 0.02 + 2.5 * gib, 16.0 * MIB, 512.0 * 1_024.0),
        CaptureKind::JvmHistogram => of(0.05 + 1.1 * gib, 0.01 + 1.1 * gib, MIB, 64.0 * 1_024.0),
        CaptureKind::JvmHeapDump => of(0.1 + 5.0 * gib, 0.1 + 5.0 * gib, MIB, 1.21 * heap),
        CaptureKind::PythonHeap => of(0.1 + 0.8 * gib, 0.01 + 0.8 * gib, 0.25 * heap, 256.0 * 1_024.0),
        CaptureKind::NativeHeap => of(0.1, 0.001, MIB, 64.0 * 1_024.0),
    }
}

#[cfg(test)]
mod tests {
    use leakscope_model::{CaptureId, Phase, TargetId, Timestamp};

    use super::*;

    fn ended(kind: CaptureKind, state: CaptureState, note: &str, predicted: Cost, cost: Cost) -> Capture {
        Capture {
            id: CaptureId(1),
            target: TargetId(1),
            service: "cart".into(),
            instance: "cart-0".into(),
            kind,
            phase: Phase::Early,
            incident: None,
            state,
            began_at: Timestamp::EPOCH,
            ended_at: Some(Timestamp::EPOCH),
            process_started_at: None,
            predicted,
            cost: Some(cost),
            digest: None,
            redacted: false,
            note: note.into(),
        }
    }

    #[test]
    fn start_values_are_what_was_measured() {
        let model = CostModel::default();
        let live = |heap: f64, tasks| Measure { heap, tasks };
        // Kind, live heap and tasks; pause in seconds, memory and size in MB, each within a quarter of what was measured.
        for (kind, measure, pause, memory, size) in [
            (CaptureKind::V8Snapshot, live(478e6, 0.0), 22.8, 4_627.0, 881.0),
            (CaptureKind::JvmHeapDump, live(1_310e6, 0.0), 5.0, 1.0, 1_578.0),
            (CaptureKind::JvmHistogram, live(1_310e6, 0.0), 1.17, 1.0, 0.06),
            (CaptureKind::JvmOldObjects, live(207e6, 0.0), 0.52, 16.0, 0.5),
            (CaptureKind::GoroutineDump, live(0.0, 100_000.0), 0.455, 84.0, 17.8),
            (CaptureKind::V8Sampling, live(540e6, 0.0), 0.82, 2.0, 0.12),
        ] {
            let cost = model.predict(kind, Cost::default(), measure);
            let close = |predicted: f64, measured: f64| (0.75..1.34).contains(&(predicted / measured));
            assert!(close(cost.pause.as_secs_f64(), pause), "{kind:?}: {cost:?}");
            assert!(close(cost.memory.0 as f64 / 1e6, memory), "{kind:?}: {cost:?}");
            assert!(close(cost.size.0 as f64 / 1e6, size), "{kind:?}: {cost:?}");
        }
    }

    #[test]
    fn what_the_target_says_stands_for_the_start_value() {
        let hint = Cost { pause: Duration::from_millis(7), ..Cost::default() };
        let measure = Measure { heap: GIB, tasks: 0.0 };
        let cost = CostModel::default().predict(CaptureKind::JvmHistogram, hint, measure);
        assert_eq!((cost.pause, cost.duration), (Duration::from_millis(7), Duration::from_millis(1_150)));
    }

    #[test]
    fn predictions_come_within_a_factor_of_two_after_three_captures_and_one_outlier_does_not_move_them_far() {
        let kind = CaptureKind::V8Snapshot;
        let measure = Measure { heap: 1e8, tasks: 0.0 };
        for truth in [0.2, 1.0, 6.0] {
            let mut model = CostModel::default();
            let real = model.predict(kind, Cost::default(), measure).pause.mul_f64(truth);
            let take = |model: &mut CostModel, pause: Duration| {
                let predicted = model.predict(kind, Cost::default(), measure);
                let cost = Cost { pause, ..Cost::default() };
                model.learn(&ended(kind, CaptureState::Stored, "", predicted, cost));
            };
            (0..3).for_each(|_| take(&mut model, real));
            let miss = model.predict(kind, Cost::default(), measure).pause.as_secs_f64() / real.as_secs_f64();
            assert!((0.5..=2.0).contains(&miss), "{truth}: {miss}");
            (0..5).for_each(|_| take(&mut model, real));
            take(&mut model, real * 1_000);
            let moved = model.predict(kind, Cost::default(), measure).pause.as_secs_f64() / real.as_secs_f64();
            assert!((0.9..=2.1).contains(&moved), "{truth}: {moved}");
        }
    }

    #[test]
    fn corrections_are_bounded_and_a_death_doubles_the_memory() {
        let kind = CaptureKind::V8Snapshot;
        let measure = Measure { heap: 1e8, tasks: 0.0 };
        let mut model = CostModel::default();
        let memory = |model: &CostModel| model.predict(kind, Cost::default(), measure).memory.0 as f64 / 9.4e8;
        for expect in [2.0, 4.0, 8.0, 8.0] {
            let predicted = model.predict(kind, Cost::default(), measure);
            model.learn(&ended(kind, CaptureState::Failed, DIED, predicted, Cost::default()));
            assert!((memory(&model) - expect).abs() < 0.01, "{expect}");
        }
    }

    #[test]
    fn a_failed_capture_bounds_its_cost_from_below() {
        let kind = CaptureKind::JvmHeapDump;
        let measure = Measure { heap: GIB, tasks: 0.0 };
        for (secs, raised) in [(1, false), (60, true)] {
            let mut model = CostModel::default();
            let before = model.predict(kind, Cost::default(), measure);
            let cost = Cost { duration: Duration::from_secs(secs), ..Cost::default() };
            model.learn(&ended(kind, CaptureState::Failed, "not done within 60 s", before, cost));
            assert_eq!(model.predict(kind, Cost::default(), measure).duration > before.duration, raised, "{secs} s");
        }
    }
}
