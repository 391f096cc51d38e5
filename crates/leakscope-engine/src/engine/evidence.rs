//! Taking evidence: which service is looked at next, what is taken of it, and what becomes of each attempt.

use std::collections::VecDeque;
use std::time::Duration;

use leakscope_model::{
    Bytes, Capture, CaptureId, CaptureKind, CaptureState, Cost, Phase, Room, Signal, State, Survey, TargetId,
    Timestamp, Weight,
};

use super::Engine;
use crate::capture::{
    Ask, Asking, CaptureBook, DIED, Draft, GRACE, Pace, Question, REAL_GAP_MIN, Refusal, Round, Stage, Step, admit,
    heavy, light, next_of, step,
};
use crate::effect::{CaptureOrder, Effect};
use crate::event::{CaptureFailure, Captured};
use crate::service::ServiceKey;
use crate::suspects;
use crate::watch::Watch;

/// How long a look at what a target gives may take.
const SURVEY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long light evidence may take.
pub(super) const LIGHT_TIMEOUT: Duration = Duration::from_secs(30);
/// Heavy evidence may take four times what is predicted, but at least and at most this.
const HEAVY_TIMEOUT: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(15));
/// Rounds of one process without a named site after which heavy evidence is due: two comparisons.
const LIGHT_ROUNDS: u32 = 3;
/// Kinds of which a report says why they cannot be had.
const LACKING_SHOWN: usize = 3;
/// The job and service under which leakscope watches itself.
const OWN: &str = "leakscope";

impl Engine {
    pub(super) fn pace(&self) -> Pace {
        Pace(self.config.time_scale)
    }

    /// A target's state is another: its service may be looked at.
    pub(super) fn suspicion_changed(&mut self, now: Timestamp, id: TargetId) {
        let Some(watch) = self.watches.get(&id).filter(|watch| is_capturable(watch)) else { return };
        match watch.state() {
            State::Suspect | State::Leaking => self.desk.wake(&watch.target.service, now),
            State::Steady => self.desk.wake_calmly(&watch.target.service, now),
            State::TooEarly => self.desk.forget_survey(id),
            State::Recovered => {}
        }
    }

    /// A target is gone: what is taken of it is stopped.
    pub(super) fn evidence_lost(&mut self, now: Timestamp, id: TargetId, effects: &mut Vec<Effect>) {
        self.desk.forget_survey(id);
        if let Some(service) = self.desk.waiting(id, |_| true) {
            match self.desk.round(&service).map(|round| round.stage) {
                Some(Stage::Taking { capture, .. }) => self.cancel_capture(capture, effects),
                Some(Stage::Surveying) | None => self.end_round(now, &service),
            }
        }
    }

    /// Begins what is due, and gives up what nobody answered.
    pub(super) fn evidence_tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (target, stage) in self.desk.overdue(now) {
            match stage {
                Stage::Surveying => self.survey_failed(now, target, "no answer by the deadline", effects),
                Stage::Taking { capture, .. } => {
                    let reason = "no answer by the deadline".to_owned();
                    let cost = Cost::default();
                    let failure = CaptureFailure { capture, reason, target_died: false, stopped: false, cost };
                    self.capture_failed(now, failure, effects);
                    // A capture that is on record no more must not hold its service up.
                    if let Some(service) = self.desk.waiting(target, is_taking(capture)) {
                        self.end_round(now, &service);
                    }
                }
            }
        }
        self.desk.lose_comparisons(now);
        while let Some(service) = self.desk.pop_due(now) {
            self.consider(now, &service, effects);
        }
        self.begin_comparisons(now, effects);
    }

    /// What an earlier run left under way has failed.
    pub(super) fn record_cut_off(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let cut_off = self.desk.book.cut_off(now);
        effects.extend(cut_off.into_iter().map(|capture| Effect::RecordCapture(Box::new(capture))));
    }

    /// A person wants a capture. The target is looked at first.
    pub(super) fn ask_for_capture(&mut self, now: Timestamp, target: TargetId, kind: Option<CaptureKind>, force: bool) {
        let Some(watch) = self.watches.get(&target) else { return };
        let asking = if force { Asking::Forced } else { Asking::ByHand };
        let service = watch.target.service.clone();
        self.desk.ask(now, Ask { service, target, kind, asking });
    }

    pub(super) fn cancel_capture(&mut self, id: CaptureId, effects: &mut Vec<Effect>) {
        let Some(target) = self.desk.book.get(id).map(|capture| capture.target) else { return };
        let Some(service) = self.desk.waiting(target, is_taking(id)) else { return };
        if let Some(round) = self.desk.round_mut(&service) {
            round.stage = Stage::Taking { capture: id, cancelled: true };
            round.rest.clear();
            effects.push(Effect::CancelCapture(id));
        }
    }

    /// Looks at a service that is due: a person's wish, else its suspicion, else its baseline.
    fn consider(&mut self, now: Timestamp, service: &str, effects: &mut Vec<Effect>) {
        // The end of the round wakes it again.
        if self.desk.round(service).is_some() {
            return;
        }
        if let Some(ask) = self.desk.next_ask(service) {
            let Ask { target, kind, asking, .. } = ask;
            self.look(now, service, Wish { target, phase: Phase::Asked, asking, kind }, effects);
            return;
        }
        if !self.config.capture.light && !self.config.capture.heavy {
            return;
        }
        let suspected = |watch: &Watch| matches!(watch.state(), State::Suspect | State::Leaking);
        if !self.replicas(service).any(|(_, watch)| suspected(watch)) {
            self.consider_baseline(now, service, effects);
            return;
        }
        let Some(target) = self.subject(service) else {
            // None of them answers right now.
            let look = self.pace().real(self.config.capture.spacing).max(REAL_GAP_MIN);
            self.desk.wake(service, now.plus(look));
            return;
        };
        let situation = self.situation(now, service, target);
        match step(now, &self.config.capture, self.pace(), &situation) {
            Step::Now(phase) => {
                self.desk.looked_at.insert(service.to_owned(), now);
                self.look(now, service, Wish { target, phase, asking: Asking::Policy, kind: None }, effects);
            }
            Step::At(at) => self.desk.wake(service, at),
            Step::Never => {}
        }
    }

    fn consider_baseline(&mut self, now: Timestamp, service: &str, effects: &mut Vec<Effect>) {
        let from = ServiceKey { name: service.to_owned(), version: None };
        let keys = self.services.range(from..).map(|(key, _)| key).take_while(|key| key.name == service);
        let due: Vec<ServiceKey> = keys.filter(|key| !self.desk.baselined.contains(key)).cloned().collect();
        for key in due {
            let steady = self.replicas(service).filter(|(_, watch)| ServiceKey::of(watch) == key);
            let steady: Vec<TargetId> =
                steady.filter(|(_, watch)| watch.state() == State::Steady).map(|(id, _)| id).collect();
            if self.has_baseline(&key) {
                self.desk.baselined.insert(key);
                continue;
            }
            if let Some(target) = self.least_busy(steady.iter().copied()) {
                self.desk.baselined.insert(key);
                let wish = Wish { target, phase: Phase::Baseline, asking: Asking::Policy, kind: None };
                self.look(now, service, wish, effects);
                return;
            }
            if !steady.is_empty() {
                self.desk.wake_calmly(service, now.plus(Duration::from_mins(1)));
            }
        }
    }

    /// Begins a round: what the target gives and what room it has is seen anew each time.
    fn look(&mut self, now: Timestamp, service: &str, wish: Wish, effects: &mut Vec<Effect>) {
        let Wish { target, phase, asking, kind } = wish;
        let deadline = now.plus(SURVEY_TIMEOUT);
        let (stage, until, rest) = (Stage::Surveying, deadline.plus(GRACE), VecDeque::new());
        self.desk.begin_round(service, Round { target, phase, asking, kind, stage, until, rest });
        effects.push(Effect::Survey { target, deadline });
    }

    pub(super) fn surveyed(&mut self, now: Timestamp, mut survey: Survey, effects: &mut Vec<Effect>) {
        let target = survey.target;
        if let Some(watch) = self.watches.get(&target) {
            complete(&mut survey, watch);
            self.desk.keep_survey(survey.clone());
        }
        let Some(service) = self.desk.waiting(target, |stage| stage == Stage::Surveying) else { return };
        let Some(round) = self.desk.round(&service).cloned() else { return };
        let kinds = match round.phase {
            Phase::Baseline => light(&survey).into_iter().filter(|kind| !kind.arms()).collect(),
            Phase::Asked => round.kind.or_else(|| next_of(&survey)).into_iter().collect(),
            Phase::Early | Phase::Middle | Phase::Late => {
                self.kinds_of_suspicion(now, &service, &round, &survey, effects)
            }
        };
        if let Some(round) = self.desk.round_mut(&service) {
            round.rest = kinds;
        }
        self.take_next(now, &service, effects);
    }

    /// Light evidence, then heavy where light has not said enough. Why heavy evidence could not be taken is recorded even if it is not wanted yet.
    fn kinds_of_suspicion(
        &mut self,
        now: Timestamp,
        service: &str,
        round: &Round,
        survey: &Survey,
        effects: &mut Vec<Effect>,
    ) -> VecDeque<CaptureKind> {
        let mut kinds: VecDeque<CaptureKind> = light(survey).into();
        let telling = kinds.iter().any(|kind| *kind != CaptureKind::ProcessMap) && self.config.capture.light;
        let incident = self.incidents.open(service);
        let named = incident
            .and_then(|incident| incident.suspects.first())
            .is_some_and(|first| suspects::explains(first) && first.suspect.confidence >= suspects::NAMED);
        let rounds = CaptureBook::rounds(self.desk.book.attempts(service, round.target, survey.process_started_at));
        if incident.is_some() && !named && (!telling || rounds >= LIGHT_ROUNDS) {
            kinds.extend(heavy(survey));
        } else if self.config.capture.heavy
            && let Some(first) = heavy(survey).first()
        {
            let asked = Question { asking: Asking::ByHand, ..self.question(now, service, round, survey, *first) };
            if let Err(refusal @ (Refusal::NoRoom { .. } | Refusal::NoHostRoom { .. })) = admit(&asked) {
                self.refuse(now, service, round, *first, &refusal, effects);
            }
        }
        if !telling {
            let lacking = survey.lacking.iter().take(LACKING_SHOWN).cloned();
            for lacking in lacking.collect::<Vec<_>>() {
                let refusal = Refusal::Lacking { reason: lacking.reason, remedy: lacking.remedy };
                self.refuse(now, service, round, lacking.kind, &refusal, effects);
            }
        }
        kinds
    }

    pub(super) fn survey_failed(&mut self, now: Timestamp, target: TargetId, reason: &str, effects: &mut Vec<Effect>) {
        let Some(service) = self.desk.waiting(target, |stage| stage == Stage::Surveying) else { return };
        if let Some(round) = self.desk.round(&service).cloned() {
            let kind = round.kind.unwrap_or(CaptureKind::ProcessMap);
            self.refuse(now, &service, &round, kind, &Refusal::Unseen(reason.to_owned()), effects);
        }
        self.end_round(now, &service);
    }

    /// Takes the round's next capture that is admitted, or ends the round.
    fn take_next(&mut self, now: Timestamp, service: &str, effects: &mut Vec<Effect>) {
        while let Some(kind) = self.desk.round_mut(service).and_then(|round| round.rest.pop_front()) {
            let Some(round) = self.desk.round(service).cloned() else { return };
            let Some(survey) = self.desk.survey(round.target).cloned() else { break };
            if let Err(refusal) = self.admitted(now, service, &round, &survey, kind) {
                self.refuse(now, service, &round, kind, &refusal, effects);
                continue;
            }
            self.take(now, service, &round, &survey, kind, effects);
            return;
        }
        self.end_round(now, service);
    }

    fn admitted(
        &self,
        now: Timestamp,
        service: &str,
        round: &Round,
        survey: &Survey,
        kind: CaptureKind,
    ) -> Result<(), Refusal> {
        if !survey.means.iter().any(|means| means.kind == kind) {
            let lacking = survey.lacking.iter().find(|lacking| lacking.kind == kind);
            return Err(match lacking.cloned() {
                Some(lacking) => Refusal::Lacking { reason: lacking.reason, remedy: lacking.remedy },
                None => Refusal::Unseen(format!("it gives no {}", kind.name())),
            });
        }
        admit(&self.question(now, service, round, survey, kind))
    }

    fn question(&self, now: Timestamp, service: &str, round: &Round, survey: &Survey, kind: CaptureKind) -> Question {
        let policy = self.config.capture;
        Question {
            policy,
            kind,
            phase: round.phase,
            predicted: self.desk.predict(survey, kind),
            room: survey.room,
            held: survey.heap.or(survey.resident).unwrap_or_default(),
            budget: self.desk.book.budget(now, &policy, self.pace(), service, round.target, kind),
            asking: round.asking,
        }
    }

    fn take(
        &mut self,
        now: Timestamp,
        service: &str,
        round: &Round,
        survey: &Survey,
        kind: CaptureKind,
        effects: &mut Vec<Effect>,
    ) {
        let Some(watch) = self.watches.get(&round.target) else { return self.end_round(now, service) };
        let predicted = self.desk.predict(survey, kind);
        let incident = self.incidents.open(service).map(|incident| incident.id);
        let draft = Draft {
            kind,
            phase: round.phase,
            incident: incident.filter(|_| round.phase != Phase::Baseline),
            state: CaptureState::Running,
            predicted,
            note: why(round.phase).to_owned(),
        };
        let capture = self.desk.book.begin(now, &watch.target, survey.process_started_at, draft);
        let timeout = match kind.weight() {
            Weight::Light => LIGHT_TIMEOUT,
            Weight::Heavy => predicted.duration.saturating_mul(4).clamp(HEAVY_TIMEOUT.0, HEAVY_TIMEOUT.1),
        };
        let deadline = now.plus(timeout);
        if let Some(round) = self.desk.round_mut(service) {
            round.stage = Stage::Taking { capture: capture.id, cancelled: false };
            round.until = deadline.plus(GRACE);
        }
        let size_max = self.config.capture.size_max;
        let order = CaptureOrder { capture: capture.id, target: capture.target, kind, deadline, size_max };
        effects.push(Effect::RecordCapture(Box::new(capture.clone())));
        self.attach(now, &capture, effects);
        effects.push(Effect::Capture(Box::new(order)));
    }

    /// Records why something is not taken, unless the same stands there.
    fn refuse(
        &mut self,
        now: Timestamp,
        service: &str,
        round: &Round,
        kind: CaptureKind,
        refusal: &Refusal,
        effects: &mut Vec<Effect>,
    ) {
        let Some(watch) = self.watches.get(&round.target) else { return };
        let unseen = || {
            let started_at = self.started_at(round.target);
            Survey { process_started_at: started_at, ..unseen(round.target) }
        };
        let survey = self.desk.survey(round.target).cloned().unwrap_or_else(unseen);
        let incident = self.incidents.open(service).map(|incident| incident.id);
        let draft = Draft {
            kind,
            phase: round.phase,
            incident: incident.filter(|_| round.phase != Phase::Baseline),
            state: CaptureState::Refused,
            predicted: self.desk.predict(&survey, kind),
            note: refusal.to_string(),
        };
        if round.asking == Asking::Policy && self.desk.book.refused_before(&survey, service, &draft) {
            return;
        }
        let capture = self.desk.book.begin(now, &watch.target, survey.process_started_at, draft);
        effects.push(Effect::RecordCapture(Box::new(capture.clone())));
        self.attach(now, &capture, effects);
    }

    /// An attempt is evidence of its incident.
    fn attach(&mut self, now: Timestamp, capture: &Capture, effects: &mut Vec<Effect>) {
        let Some(incident) = capture.incident else { return };
        let changed = self.incidents.update(incident, |incident| incident.captures.push(capture.id));
        self.record(now, changed, effects);
    }

    pub(super) fn captured(&mut self, now: Timestamp, captured: Captured, effects: &mut Vec<Effect>) {
        let known = self.desk.book.get(captured.capture);
        // A late answer is better than none: what was given up as lost is kept all the same.
        let awaited = |capture: &Capture| matches!(capture.state, CaptureState::Running | CaptureState::Failed);
        if !known.is_some_and(awaited) {
            return;
        }
        let changed = self.desk.book.update(captured.capture, |capture| {
            capture.state = CaptureState::Stored;
            capture.ended_at = Some(now);
            capture.cost = Some(captured.cost);
            capture.digest = Some(captured.digest);
            capture.redacted = captured.redacted;
            capture.process_started_at = captured.process_started_at.or(capture.process_started_at);
            why(capture.phase).clone_into(&mut capture.note);
            if captured.armed {
                capture.note.push_str("; it began to record, what comes later is compared");
            }
        });
        let Some(capture) = changed else { return };
        self.desk.costs.learn(&capture);
        effects.push(Effect::RecordCapture(Box::new(capture.clone())));
        self.gathered(now, &capture, effects);
        self.go_on(now, &capture, effects);
    }

    pub(super) fn capture_failed(&mut self, now: Timestamp, failure: CaptureFailure, effects: &mut Vec<Effect>) {
        let id = failure.capture;
        let Some(known) = self.desk.book.get(id).filter(|known| known.state == CaptureState::Running) else { return };
        let round = self.desk.waiting(known.target, is_taking(id)).and_then(|service| self.desk.round(&service));
        let cancelled = round.is_some_and(|round| matches!(round.stage, Stage::Taking { cancelled: true, .. }));
        let changed = self.desk.book.update(id, |capture| {
            capture.state = if cancelled { CaptureState::Cancelled } else { CaptureState::Failed };
            capture.ended_at = Some(now);
            capture.cost = Some(failure.cost);
            capture.note = if failure.target_died { format!("{DIED}: {}", failure.reason) } else { failure.reason };
        });
        let Some(capture) = changed else { return };
        self.desk.costs.learn(&capture);
        effects.push(Effect::RecordCapture(Box::new(capture.clone())));
        if failure.target_died
            && let Some(service) = self.desk.waiting(capture.target, is_taking(id))
            && let Some(round) = self.desk.round_mut(&service)
        {
            round.rest.clear();
        }
        self.go_on(now, &capture, effects);
    }

    /// Takes note that captures have no file any more: they cannot be compared again.
    pub(super) fn expired(&mut self, captures: &[CaptureId]) {
        for id in captures {
            self.desk.book.update(*id, |capture| capture.state = CaptureState::Expired);
        }
    }

    /// After a capture's end comes the round's next.
    fn go_on(&mut self, now: Timestamp, capture: &Capture, effects: &mut Vec<Effect>) {
        if let Some(service) = self.desk.waiting(capture.target, is_taking(capture.id)) {
            self.take_next(now, &service, effects);
        }
        self.begin_comparisons(now, effects);
    }

    fn end_round(&mut self, now: Timestamp, service: &str) {
        if let Some(round) = self.desk.end_round(service) {
            match round.phase {
                Phase::Baseline => self.desk.wake_calmly(service, now),
                Phase::Early | Phase::Middle | Phase::Late | Phase::Asked => {}
            }
            // In the next tick: whether a wish waits, or a suspicion came up meanwhile.
            self.desk.wake(service, now);
        }
    }
}

/// A round that is to begin.
#[derive(Clone, Copy)]
struct Wish {
    target: TargetId,
    phase: Phase,
    asking: Asking,
    kind: Option<CaptureKind>,
}

/// Parts of a page have no process of their own, and leakscope does not look into itself.
pub(super) fn is_capturable(watch: &Watch) -> bool {
    let own = watch.target.job == OWN && watch.target.service == OWN;
    !(watch.part || own)
}

fn is_taking(id: CaptureId) -> impl Fn(Stage) -> bool {
    move |stage| matches!(stage, Stage::Taking { capture, .. } if capture == id)
}

/// Why evidence is taken, for its note.
fn why(phase: Phase) -> &'static str {
    match phase {
        Phase::Baseline => "what the healthy process holds after its warm-up",
        Phase::Early => "the first suspicion",
        Phase::Middle => "the growth goes on",
        Phase::Late => "the limit is near",
        Phase::Asked => "a person asked for it",
    }
}

/// Takes from the page what the survey does not say.
fn complete(survey: &mut Survey, watch: &Watch) {
    let bytes =
        |signals: &[Signal]| signals.iter().find_map(|signal| watch.last.get(*signal)).map(|value| Bytes(value as u64));
    let resident = bytes(&[Signal::Rss, Signal::AnonRss]);
    survey.resident = survey.resident.or(resident);
    survey.heap = survey.heap.or_else(|| bytes(&[Signal::HeapAfterGc, Signal::HeapUsed]));
    survey.tasks = survey.tasks.or_else(|| watch.last.get(Signal::Tasks).map(|tasks| tasks as u64));
    let started_at = || watch.last.get(Signal::StartTime).map(Timestamp::from_secs_f64);
    survey.process_started_at = survey.process_started_at.or_else(started_at);
    survey.room.used = survey.room.used.or(survey.resident);
    // A page may show the limit of the managed heap, which the whole process passes.
    let limit = bytes(&[Signal::Limit]).filter(|limit| survey.room.used.is_some_and(|used| used < *limit));
    survey.room.limit = survey.room.limit.or(limit);
}

/// What is known of a target that was never seen.
fn unseen(target: TargetId) -> Survey {
    Survey {
        target,
        process_started_at: None,
        pid: None,
        means: Vec::new(),
        lacking: Vec::new(),
        room: Room::default(),
        resident: None,
        heap: None,
        tasks: None,
    }
}
