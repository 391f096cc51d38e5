//! What evidence says of an incident: gathered, compared, explained, and what it corrects in the verdict.

use std::time::Duration;

use leakscope_model::{
    Bytes, Capture, CaptureKind, CaptureState, Finding, Incident, IncidentId, IncidentState, Kind, Phase, Runtime,
    Signal, Timestamp, Transition, Weight,
};

use super::Engine;
use crate::capture::{Comparison, GRACE, same_process};
use crate::effect::{AnalysisOrder, Effect};
use crate::event::Analysis;
use crate::suspects;

/// Captures of one comparison, the newest.
const COMPARED_MAX: usize = 5;
/// As [`COMPARED_MAX`], of whole object graphs.
const COMPARED_HEAVY_MAX: usize = 3;
/// How long a comparison may take.
const ANALYSIS_TIMEOUT: Duration = Duration::from_mins(10);
/// A heap that grew by less than this share of what the resident set must have grown by is flat.
const FLAT: f64 = 0.1;
/// Growth of the resident set below this says nothing of a flat heap.
const GROWTH_MIN: f64 = 4_194_304.0;

impl Engine {
    /// An incident opened, or gained a replica: what was taken of its replicas before is evidence of it.
    pub(super) fn adopt(&mut self, now: Timestamp, incident: &Incident, effects: &mut Vec<Effect>) {
        let earlier: Vec<Capture> = self
            .desk
            .book
            .of_service(&incident.service)
            .filter(|capture| capture.incident.is_none() && capture.phase != Phase::Asked)
            .filter(|capture| incident.targets.binary_search(&capture.target).is_ok())
            .filter(|capture| self.is_of_running_process(capture))
            .cloned()
            .collect();
        let mut gathered = None;
        for capture in earlier {
            let adopted = self.desk.book.update(capture.id, |capture| capture.incident = Some(incident.id));
            effects.extend(adopted.map(|capture| Effect::RecordCapture(Box::new(capture))));
            let changed = self.incidents.update(incident.id, |incident| {
                incident.captures.push(capture.id);
                incident.captures.sort_unstable();
                incident.captures.dedup();
            });
            self.record(now, changed, effects);
            if capture.state == CaptureState::Stored {
                self.want_comparison(incident.id, &capture);
                if capture.phase != Phase::Baseline {
                    gathered = Some(capture);
                }
            }
        }
        if let Some(capture) = gathered {
            self.gather(now, incident.id, &capture, effects);
        }
    }

    fn is_of_running_process(&self, capture: &Capture) -> bool {
        let Some(watch) = self.watches.get(&capture.target) else { return false };
        let told = watch.last.get(Signal::StartTime).map(Timestamp::from_secs_f64);
        let seen = self.desk.survey(capture.target).and_then(|survey| survey.process_started_at);
        seen.or(told).is_none_or(|started_at| same_process(capture.process_started_at, Some(started_at)))
    }

    /// Evidence was kept: its incident has some, and it may be compared.
    pub(super) fn gathered(&mut self, now: Timestamp, capture: &Capture, effects: &mut Vec<Effect>) {
        let Some(incident) = capture.incident else { return };
        self.gather(now, incident, capture, effects);
        self.want_comparison(incident, capture);
    }

    fn gather(&mut self, now: Timestamp, id: IncidentId, capture: &Capture, effects: &mut Vec<Effect>) {
        if self.incidents.get(id).is_some_and(|incident| incident.state == IncidentState::Open) {
            let cause = format!("evidence was taken of `{}`: {}", capture.instance, capture.kind.name());
            let changed = self.incidents.update(id, |incident| advance(now, incident, IncidentState::Gathered, cause));
            self.record(now, changed, effects);
        }
    }

    /// Two captures of one process compare. One alone is read where it says who holds what, and nothing else names a site.
    fn want_comparison(&mut self, incident: IncidentId, capture: &Capture) {
        let Capture { target, kind, process_started_at, .. } = *capture;
        let comparable = self.desk.book.comparable(&capture.service, target, kind, process_started_at).len();
        let holds = matches!(kind, CaptureKind::JvmOldObjects | CaptureKind::V8Snapshot | CaptureKind::JvmHeapDump);
        let unexplained =
            self.incidents.get(incident).is_some_and(|incident| !incident.suspects.iter().any(suspects::explains));
        if comparable > 1 || (comparable == 1 && holds && unexplained) {
            self.desk.want_comparison(incident, target, kind);
        }
    }

    /// Has captures compared, one comparison of an incident at a time.
    pub(super) fn begin_comparisons(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some((incident, target, kind)) = self.desk.next_wanted() {
            let Some(service) = self.incidents.get(incident).map(|incident| incident.service.clone()) else { continue };
            let newest = |capture: &&Capture| {
                capture.target == target && capture.kind == kind && capture.state == CaptureState::Stored
            };
            let newest = self.desk.book.of_service(&service).rev().find(newest);
            let Some(started_at) = newest.map(|capture| capture.process_started_at) else { continue };
            let comparable = self.desk.book.comparable(&service, target, kind, started_at);
            let most = if kind.weight() == Weight::Heavy { COMPARED_HEAVY_MAX } else { COMPARED_MAX };
            let captures: Vec<_> =
                comparable[comparable.len().saturating_sub(most)..].iter().map(|capture| capture.id).collect();
            if captures.is_empty() {
                continue;
            }
            let deadline = now.plus(ANALYSIS_TIMEOUT);
            let until = deadline.plus(GRACE);
            let comparison = Comparison { incident, target, kind, captures: captures.clone(), until };
            effects.push(Effect::Analyse(Box::new(AnalysisOrder {
                analysis: self.desk.begin_comparison(comparison),
                incident: Some(incident),
                captures,
                memory_max: self.config.capture.analysis_memory,
                deadline,
            })));
        }
    }

    pub(super) fn analysis_failed(&mut self, now: Timestamp, analysis: u64, effects: &mut Vec<Effect>) {
        self.desk.end_comparison(analysis);
        self.begin_comparisons(now, effects);
    }

    pub(super) fn analysed(&mut self, now: Timestamp, analysis: Analysis, effects: &mut Vec<Effect>) {
        let Some(comparison) = self.desk.end_comparison(analysis.analysis) else { return };
        let flat = self.is_flat_while_resident_grows(&comparison, &analysis.total_bytes);
        let Comparison { incident, kind, ref captures, .. } = comparison;
        if let Some(known) = self.incidents.get(incident).filter(|incident| incident.state != IncidentState::Closed) {
            let book = &self.desk.book;
            let kind_of = |id| book.get(id).map(|capture| capture.kind);
            let merged = suspects::merge(&known.suspects, analysis.findings, captures, kind, kind_of);
            let runtime = self.watches.get(&comparison.target).map(|watch| watch.target.runtime);
            let outside = outside_heap(&merged, kind_of, runtime);
            let changed = self.incidents.update(incident, |incident| {
                explain(now, incident, merged, kind);
                correct(now, incident, flat, outside.as_ref());
            });
            self.record(now, changed, effects);
        }
        self.begin_comparisons(now, effects);
    }

    /// Whether a format that counts all that lives shows no growth where the resident set must have grown by `.1` bytes: `None` where it does not say.
    fn is_flat_while_resident_grows(&self, comparison: &Comparison, totals: &[Bytes]) -> Option<Flat> {
        let counts_all = matches!(
            comparison.kind,
            CaptureKind::GoHeap
                | CaptureKind::GoHeapMemory
                | CaptureKind::V8Snapshot
                | CaptureKind::JvmHistogram
                | CaptureKind::JvmHeapDump
                | CaptureKind::NativeHeap
        );
        let (first, last) = (totals.first()?.0 as f64, totals.last()?.0 as f64);
        let at = |id: &_| self.desk.book.get(*id).map(|capture| capture.began_at);
        let (from, to) = (at(comparison.captures.first()?)?, at(comparison.captures.last()?)?);
        let verdict = self.watches.get(&comparison.target)?.verdict();
        let resident = matches!(verdict.signal, Some(Signal::Rss | Signal::AnonRss));
        let per_hour = verdict.growth?.per_hour.low.0;
        let grew = per_hour * self.pace().passed(from, to).as_secs_f64() / 3_600.0;
        let flat = counts_all && resident && totals.len() > 1 && grew >= GROWTH_MIN && last - first < FLAT * grew;
        flat.then_some(Flat { kind: comparison.kind, heap: last - first, resident: grew })
    }

    pub(super) fn acknowledge(&mut self, now: Timestamp, id: IncidentId, by: &str, effects: &mut Vec<Effect>) {
        let open = |incident: &Incident| incident.state.is_open() && incident.state != IncidentState::Acknowledged;
        if self.incidents.get(id).is_some_and(open) {
            let cause = format!("acknowledged by {by}");
            let changed =
                self.incidents.update(id, |incident| advance(now, incident, IncidentState::Acknowledged, cause));
            self.record(now, changed, effects);
        }
    }
}

/// A heap that is flat while the resident set grows.
#[derive(Clone, Copy, Debug)]
struct Flat {
    kind: CaptureKind,
    heap: f64,
    resident: f64,
}

fn advance(now: Timestamp, incident: &mut Incident, to: IncidentState, cause: String) {
    incident.state = to;
    incident.transitions.push(Transition { at: now, to, cause });
}

/// Takes the merged suspects; a transition tells of a strongest suspect that is new, another, or newly confirmed.
fn explain(now: Timestamp, incident: &mut Incident, merged: Vec<Finding>, kind: CaptureKind) {
    let before = std::mem::replace(&mut incident.suspects, merged);
    let Some(first) = incident.suspects.first().filter(|first| suspects::explains(first)).cloned() else { return };
    let was = before.first().filter(|was| suspects::explains(was) && suspects::same(was, &first));
    let confirmed = first.confirmations >= suspects::CONFIRMED;
    let newly_confirmed = confirmed && was.is_none_or(|was| was.confirmations < suspects::CONFIRMED);
    let to = match incident.state {
        IncidentState::Open | IncidentState::Gathered => IncidentState::Explained,
        state => state,
    };
    if was.is_some() && !newly_confirmed && to == incident.state {
        return;
    }
    let mut cause = suspects::sentence(&first);
    if confirmed
        && let Some(proven) = proven_by(kind).filter(|proven| *proven != incident.kind)
        && !matches!(incident.kind, Kind::Tasks | Kind::Descriptors)
    {
        incident.kind = proven;
    }
    if newly_confirmed {
        cause.push_str(", which confirms the leak");
    }
    advance(now, incident, to, cause);
}

/// What kind of growth a site that grows again and again proves.
fn proven_by(kind: CaptureKind) -> Option<Kind> {
    match kind {
        CaptureKind::GoHeap
        | CaptureKind::GoHeapMemory
        | CaptureKind::V8Sampling
        | CaptureKind::V8Snapshot
        | CaptureKind::JvmOldObjects
        | CaptureKind::JvmHistogram
        | CaptureKind::JvmHeapDump
        | CaptureKind::PythonHeap => Some(Kind::Managed),
        CaptureKind::Goroutines | CaptureKind::GoroutineLeaks | CaptureKind::GoroutineDump => Some(Kind::Tasks),
        CaptureKind::NativeHeap => Some(Kind::Native),
        CaptureKind::ProcessMap => None,
    }
}

/// What the process' map says grew outside of the managed heap. Only Go's and the JVM's heap have mappings that can be told from other
/// anonymous memory; what `malloc` gives from `[heap]` is managed by no runtime.
fn outside_heap(
    suspects: &[Finding],
    kind_of: impl Fn(leakscope_model::CaptureId) -> Option<CaptureKind>,
    runtime: Option<Runtime>,
) -> Option<Finding> {
    let told_apart = matches!(runtime, Some(Runtime::Go | Runtime::Jvm));
    let is_outside = |finding: &&Finding| {
        let name = finding.suspect.name.as_str();
        finding.captures.len() > 1
            && finding.captures.last().and_then(|id| kind_of(*id)) == Some(CaptureKind::ProcessMap)
            && finding.growth_bytes.is_some_and(|bytes| bytes > 0)
            && (name == "[heap]" || (told_apart && name == "anonymous memory"))
    };
    suspects.iter().find(is_outside).cloned()
}

/// Corrects the kind of growth where the live heap is flat, and says so at the strongest suspect.
fn correct(now: Timestamp, incident: &mut Incident, flat: Option<Flat>, outside: Option<&Finding>) {
    let confirmed = incident
        .suspects
        .first()
        .is_some_and(|first| suspects::explains(first) && first.confirmations >= suspects::CONFIRMED);
    if let Some(outside) = outside
        && let Some(first) = incident.suspects.first_mut().filter(|first| first.suspect.location.is_some())
    {
        let grew = Bytes(outside.growth_bytes.unwrap_or(0).unsigned_abs());
        let said = format!("the process' map shows {grew} more in `{}`", outside.suspect.name);
        if !first.suspect.reason.contains("the process' map shows") {
            first.suspect.reason = format!("{}; {said}", first.suspect.reason);
        }
    }
    let Some(flat) = flat.filter(|_| !confirmed) else { return };
    let kind = if outside.is_some() { Kind::Native } else { Kind::Fragmentation };
    if incident.kind == kind {
        return;
    }
    incident.kind = kind;
    let what = match kind {
        Kind::Native => "memory outside of the managed heap grows",
        _ => "freed memory does not return to the system",
    };
    let cause = format!(
        "the live heap changed by {} over the captures ({}) while the resident set grew by about {}: {what}",
        Bytes(flat.heap.abs() as u64),
        flat.kind.name(),
        Bytes(flat.resident as u64),
    );
    let state = incident.state;
    advance(now, incident, state, cause);
}
