//! Which kinds are taken of a target, and in which order: light before heavy, and of two ways to one evidence the better.

use leakscope_model::{CaptureKind, Means, Survey, Weight};

/// Beyond so many goroutines a dump of each is not worth its pause.
pub(crate) const DUMPED_TASKS_MAX: u64 = 10_000;

/// All kinds in the order in which they are taken. The process' map comes beside the others and last: it explains nothing by itself.
const ORDER: [CaptureKind; 13] = [
    CaptureKind::GoHeap,
    CaptureKind::GoHeapMemory,
    CaptureKind::Goroutines,
    CaptureKind::GoroutineLeaks,
    CaptureKind::V8Sampling,
    CaptureKind::JvmOldObjects,
    CaptureKind::JvmHistogram,
    CaptureKind::PythonHeap,
    CaptureKind::NativeHeap,
    CaptureKind::ProcessMap,
    CaptureKind::GoroutineDump,
    CaptureKind::V8Snapshot,
    CaptureKind::JvmHeapDump,
];

/// The light evidence that a target gives, best first; what another kind says better is left out.
pub(crate) fn light(survey: &Survey) -> Vec<CaptureKind> {
    let better = |kind| match kind {
        CaptureKind::GoHeapMemory => Some(CaptureKind::GoHeap),
        // A count of classes needs a collection to tell what is alive, and names no owner.
        CaptureKind::JvmHistogram => Some(CaptureKind::JvmOldObjects),
        _ => None,
    };
    let superseded = |kind| better(kind).is_some_and(|better| means(survey, better).is_some());
    of_weight(survey, Weight::Light).filter(|kind| !superseded(*kind)).collect()
}

/// The heavy evidence that a target gives, best first.
pub(crate) fn heavy(survey: &Survey) -> Vec<CaptureKind> {
    let many = survey.tasks.is_none_or(|tasks| tasks >= DUMPED_TASKS_MAX);
    of_weight(survey, Weight::Heavy).filter(|kind| *kind != CaptureKind::GoroutineDump || !many).collect()
}

/// What a person gets who does not say what: the best that the target gives.
pub(crate) fn next_of(survey: &Survey) -> Option<CaptureKind> {
    light(survey).first().copied().or_else(|| heavy(survey).first().copied())
}

/// The way to one kind, where the target gives it.
pub(crate) fn means(survey: &Survey, kind: CaptureKind) -> Option<&Means> {
    survey.means.iter().find(|means| means.kind == kind)
}

fn of_weight(survey: &Survey, weight: Weight) -> impl Iterator<Item = CaptureKind> {
    ORDER.into_iter().filter(move |kind| kind.weight() == weight && means(survey, *kind).is_some())
}

#[cfg(test)]
mod tests {
    use leakscope_model::{Cost, Room, TargetId};

    use super::*;

    fn survey(kinds: &[CaptureKind], tasks: Option<u64>) -> Survey {
        let means = |kind: &CaptureKind| Means { kind: *kind, way: String::new(), hint: Cost::default() };
        Survey {
            target: TargetId(1),
            process_started_at: None,
            pid: None,
            means: kinds.iter().map(means).collect(),
            lacking: Vec::new(),
            room: Room::default(),
            resident: None,
            heap: None,
            tasks,
        }
    }

    #[test]
    fn light_evidence_comes_in_its_order_and_the_runtime_s_own_buckets_only_without_an_endpoint() {
        use CaptureKind::*;
        let cases: [(&[CaptureKind], &[CaptureKind]); 7] = [
            (&[ProcessMap, Goroutines, GoHeapMemory, GoHeap, GoroutineDump], &[GoHeap, Goroutines, ProcessMap]),
            (&[ProcessMap, GoHeapMemory], &[GoHeapMemory, ProcessMap]),
            (&[GoroutineLeaks, Goroutines, GoHeap], &[GoHeap, Goroutines, GoroutineLeaks]),
            (&[V8Snapshot, ProcessMap, V8Sampling], &[V8Sampling, ProcessMap]),
            (&[JvmHeapDump, JvmHistogram, JvmOldObjects], &[JvmOldObjects]),
            (&[JvmHeapDump, JvmHistogram], &[JvmHistogram]),
            (&[], &[]),
        ];
        for (given, expect) in cases {
            assert_eq!(light(&survey(given, None)), expect);
        }
    }

    #[test]
    fn goroutines_are_dumped_only_where_they_are_counted_and_few() {
        use CaptureKind::*;
        for (tasks, expect) in [(Some(9_999), &[GoroutineDump][..]), (Some(10_000), &[]), (None, &[])] {
            assert_eq!(heavy(&survey(&[GoHeap, GoroutineDump], tasks)), expect, "{tasks:?}");
        }
        assert_eq!(heavy(&survey(&[V8Sampling, V8Snapshot], None)), [V8Snapshot]);
    }

    #[test]
    fn who_does_not_say_what_gets_the_best_light_evidence() {
        use CaptureKind::*;
        for (given, expect) in [
            (&[ProcessMap, V8Snapshot, V8Sampling][..], Some(V8Sampling)),
            (&[JvmHeapDump], Some(JvmHeapDump)),
            (&[], None),
        ] {
            assert_eq!(next_of(&survey(given, None)), expect);
        }
    }
}
