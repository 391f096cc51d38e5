//! Every attempt to take evidence, on record. What the policy must know after a restart is read from these records alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leakscope_model::{
    Capture, CaptureId, CaptureKind, CaptureState, Cost, IncidentId, Phase, Survey, Target, TargetId, Timestamp, Weight,
};

use super::cost::DIED;
use super::{Budget, CapturePolicy, Pace, REAL_GAP_MIN, Refusal};

/// Attempts kept in memory; older ones are left to the store.
const KEPT: usize = 10_000;
/// Two start times this close are of one process: sources round differently.
const SAME_START: Duration = Duration::from_secs(5);
/// A kind that its target did not survive is left alone for this long, on the detector's clock.
const DEATH_COOLDOWN: Duration = Duration::from_hours(6);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What stands on record of a capture that was under way when leakscope ended.
const CUT_OFF: &str = "leakscope ended during it";

/// Every attempt, by number and by service.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaptureBook {
    captures: BTreeMap<CaptureId, Capture>,
    by_service: BTreeMap<String, BTreeSet<CaptureId>>,
    last: u64,
    /// Captures that were cut off by the end of leakscope, and not yet recorded as such.
    cut_off: BTreeSet<CaptureId>,
}

/// An attempt before it has a number.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: CaptureKind,
    pub(crate) phase: Phase,
    pub(crate) incident: Option<IncidentId>,
    pub(crate) state: CaptureState,
    pub(crate) predicted: Cost,
    pub(crate) note: String,
}

impl CaptureBook {
    pub(crate) fn restore(captures: Vec<Capture>) -> Self {
        let mut book = Self::default();
        for mut capture in captures {
            if capture.state == CaptureState::Running {
                capture.state = CaptureState::Failed;
                CUT_OFF.clone_into(&mut capture.note);
                book.cut_off.insert(capture.id);
            }
            book.insert(capture);
        }
        book
    }

    fn insert(&mut self, capture: Capture) {
        self.last = self.last.max(capture.id.0);
        self.by_service.entry(capture.service.clone()).or_default().insert(capture.id);
        self.captures.insert(capture.id, capture);
        while self.captures.len() > KEPT {
            let oldest = self.captures.values().find(|capture| capture.state != CaptureState::Running);
            let Some((id, service)) = oldest.map(|capture| (capture.id, capture.service.clone())) else { return };
            self.captures.remove(&id);
            if let Some(ids) = self.by_service.get_mut(&service) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_service.remove(&service);
                }
            }
        }
    }

    /// What an earlier run left under way, to be recorded as failed. Empty but for the first time.
    pub(crate) fn cut_off(&mut self, now: Timestamp) -> Vec<Capture> {
        let cut_off = std::mem::take(&mut self.cut_off);
        let ended = |id| self.update(id, |capture| capture.ended_at = Some(now));
        cut_off.into_iter().filter_map(ended).collect()
    }

    /// Writes an attempt down.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        target: &Target,
        started_at: Option<Timestamp>,
        draft: Draft,
    ) -> Capture {
        let capture = Capture {
            id: CaptureId(self.last + 1),
            target: target.id,
            service: target.service.clone(),
            instance: target.instance.clone(),
            kind: draft.kind,
            phase: draft.phase,
            incident: draft.incident,
            state: draft.state,
            began_at: now,
            ended_at: (draft.state != CaptureState::Running).then_some(now),
            process_started_at: started_at,
            predicted: draft.predicted,
            cost: None,
            digest: None,
            redacted: false,
            note: draft.note,
        };
        self.insert(capture.clone());
        capture
    }

    /// Changes an attempt, and returns it as it is then.
    pub(crate) fn update(&mut self, id: CaptureId, change: impl FnOnce(&mut Capture)) -> Option<Capture> {
        let capture = self.captures.get_mut(&id)?;
        change(capture);
        Some(capture.clone())
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Capture> {
        self.captures.values()
    }

    pub(crate) fn get(&self, id: CaptureId) -> Option<&Capture> {
        self.captures.get(&id)
    }

    /// Those of a service, oldest first.
    pub(crate) fn of_service(&self, service: &str) -> impl DoubleEndedIterator<Item = &Capture> {
        self.by_service.get(service).into_iter().flatten().filter_map(|id| self.captures.get(id))
    }

    /// Rounds of suspicion of one process, newest first: one entry a capture that was begun.
    pub(crate) fn attempts(
        &self,
        service: &str,
        target: TargetId,
        started_at: Option<Timestamp>,
    ) -> impl Iterator<Item = &Capture> {
        let of_process = move |capture: &&Capture| {
            capture.target == target
                && is_attempt(capture)
                && (started_at.is_none() || same_process(capture.process_started_at, started_at))
        };
        self.of_service(service).rev().filter(of_process)
    }

    /// How many rounds these attempts are: a round takes each kind once.
    pub(crate) fn rounds<'a>(attempts: impl Iterator<Item = &'a Capture>) -> u32 {
        let mut by_kind: BTreeMap<CaptureKind, u32> = BTreeMap::new();
        for capture in attempts {
            *by_kind.entry(capture.kind).or_default() += 1;
        }
        by_kind.into_values().max().unwrap_or(0)
    }

    /// What can be compared with each other: kept captures of one kind and one process that have content, oldest first. The first of a
    /// kind that has to be started holds next to nothing: beside it all that lives, and was renewed since, would seem to grow.
    pub(crate) fn comparable(
        &self,
        service: &str,
        target: TargetId,
        kind: CaptureKind,
        started_at: Option<Timestamp>,
    ) -> Vec<&Capture> {
        let fits = |capture: &&Capture| {
            capture.target == target
                && capture.kind == kind
                && capture.state == CaptureState::Stored
                && capture.cost.is_some_and(|cost| cost.size.0 > 0)
                && same_process(capture.process_started_at, started_at)
        };
        self.of_service(service).filter(fits).skip(usize::from(kind.arms())).collect()
    }

    /// Whether the same was refused for the same sort of reason in the same phase of the same incident or process.
    pub(crate) fn refused_before(&self, survey: &Survey, service: &str, draft: &Draft) -> bool {
        self.of_service(service).rev().any(|capture| {
            capture.state == CaptureState::Refused
                && capture.target == survey.target
                && capture.kind == draft.kind
                && capture.phase == draft.phase
                && Refusal::class(&capture.note) == Refusal::class(&draft.note)
                && capture.incident == draft.incident
                && (draft.incident.is_some() || same_process(capture.process_started_at, survey.process_started_at))
        })
    }

    /// What was taken of late of a service and a target, and how long one kind must wait.
    pub(crate) fn budget(
        &self,
        now: Timestamp,
        policy: &CapturePolicy,
        pace: Pace,
        service: &str,
        target: TargetId,
        kind: CaptureKind,
    ) -> Budget {
        let mut budget = Budget::default();
        let recent = self.of_service(service).rev().take_while(|capture| pace.passed(capture.began_at, now) < DAY);
        for capture in recent.filter(|capture| capture.state != CaptureState::Refused) {
            let ago = pace.passed(capture.began_at, now);
            match capture.kind.weight() {
                Weight::Light => budget.light_in_hour += u32::from(ago < HOUR),
                Weight::Heavy => budget.heavy_in_day += u32::from(capture.target == target),
            }
            if capture.target == target && capture.kind == kind {
                let left = cooldown(policy, pace, capture).saturating_sub(ago);
                budget.cools_for = budget.cools_for.max((!left.is_zero()).then_some(left));
            }
        }
        budget.heavy_under_way = self
            .captures
            .values()
            .rev()
            .take_while(|capture| now.since(capture.began_at) < HOUR)
            .any(|capture| capture.state == CaptureState::Running && capture.kind.weight() == Weight::Heavy);
        budget
    }
}

/// How long after a capture's begin the same may not be taken again, on the detector's clock.
fn cooldown(policy: &CapturePolicy, pace: Pace, capture: &Capture) -> Duration {
    if capture.note.starts_with(DIED) {
        return DEATH_COOLDOWN;
    }
    match capture.kind.weight() {
        Weight::Light => pace.detector(REAL_GAP_MIN),
        Weight::Heavy => policy.heavy_spacing,
    }
}

/// Whether a capture was begun because of a suspicion.
pub(crate) fn is_attempt(capture: &Capture) -> bool {
    capture.state != CaptureState::Refused && matches!(capture.phase, Phase::Early | Phase::Middle | Phase::Late)
}

/// Whether two start times are of one process; what is not known on both sides is taken for the same.
pub(crate) fn same_process(a: Option<Timestamp>, b: Option<Timestamp>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.since(b).max(b.since(a)) <= SAME_START,
        (None, None) => true,
        _ => false,
    }
}
