//! What is under way and what is due: rounds of captures by service, comparisons by incident, and what was seen of each target last.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use leakscope_model::{Capture, CaptureId, CaptureKind, Cost, IncidentId, Phase, Survey, TargetId, Timestamp};

use super::ladder::means;
use super::{Asking, CaptureBook, CostModel, Measure};
use crate::service::ServiceKey;

/// Rounds under way at a time, of all services.
const ROUNDS_MAX: usize = 8;
/// Wishes of people that wait; more are left out.
const ASKS_MAX: usize = 100;
/// An answer that is later than its deadline by this much is lost: its performer died.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// What is predicted for where nobody tells.
const HEAP_UNKNOWN: f64 = 536_870_912.0;
const TASKS_UNKNOWN: f64 = 1_000.0;

/// Everything that the capture policy knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaptureDesk {
    pub(crate) book: CaptureBook,
    pub(crate) costs: CostModel,
    /// The last look at each target.
    surveys: BTreeMap<TargetId, Survey>,
    /// By service: one replica of a service at a time.
    rounds: BTreeMap<String, Round>,
    /// Services with a suspicion, and when they are looked at again.
    urgent: Agenda,
    /// Services that may want a baseline.
    calm: Agenda,
    asks: VecDeque<Ask>,
    /// When each service's last round of a suspicion began, refused ones included.
    pub(crate) looked_at: BTreeMap<String, Timestamp>,
    /// Services and versions whose baseline was taken or refused.
    pub(crate) baselined: BTreeSet<ServiceKey>,
    wanted: BTreeSet<(IncidentId, TargetId, CaptureKind)>,
    comparing: BTreeMap<u64, Comparison>,
    n_comparisons: u64,
}

/// A person wants a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) service: String,
    pub(crate) target: TargetId,
    pub(crate) kind: Option<CaptureKind>,
    pub(crate) asking: Asking,
}

/// One replica that is looked at and captured, kind after kind.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) target: TargetId,
    pub(crate) phase: Phase,
    pub(crate) asking: Asking,
    /// What a person asked for.
    pub(crate) kind: Option<CaptureKind>,
    pub(crate) stage: Stage,
    /// Until when an answer may come.
    pub(crate) until: Timestamp,
    /// What is to be taken yet.
    pub(crate) rest: VecDeque<CaptureKind>,
}

/// What a round waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To be told what the target gives.
    Surveying,
    /// A capture's end; `cancelled` when somebody stopped it.
    Taking { capture: CaptureId, cancelled: bool },
}

/// Captures that a child process reads.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) incident: IncidentId,
    pub(crate) target: TargetId,
    pub(crate) kind: CaptureKind,
    /// Oldest first.
    pub(crate) captures: Vec<CaptureId>,
    /// Until when an answer may come.
    pub(crate) until: Timestamp,
}

impl CaptureDesk {
    pub(crate) fn restore(captures: Vec<Capture>) -> Self {
        let book = CaptureBook::restore(captures);
        Self { costs: CostModel::restore(book.iter()), book, ..Self::default() }
    }

    /// When something is due. Nothing but answers while as many rounds are under way as may be.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let answers = self.rounds.values().map(|round| round.until);
        let compared = self.comparing.values().map(|comparison| comparison.until);
        let agendas = [self.urgent.next(), self.calm.next()].into_iter().flatten();
        answers.chain(compared).chain(agendas.filter(|_| self.rounds.len() < ROUNDS_MAX)).min()
    }

    /// Takes the next service that is due, those with a suspicion first.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<String> {
        if self.rounds.len() >= ROUNDS_MAX {
            return None;
        }
        self.urgent.pop_due(now).or_else(|| self.calm.pop_due(now))
    }

    /// Looks at a service again at `at`, or earlier if it is to be anyway.
    pub(crate) fn wake(&mut self, service: &str, at: Timestamp) {
        self.urgent.wake(service, at);
    }

    /// As [`Self::wake`], after all services with a suspicion.
    pub(crate) fn wake_calmly(&mut self, service: &str, at: Timestamp) {
        self.calm.wake(service, at);
    }

    /// Remembers a person's wish until the service is free.
    pub(crate) fn ask(&mut self, now: Timestamp, ask: Ask) {
        if self.asks.len() < ASKS_MAX && !self.asks.contains(&ask) {
            self.wake(&ask.service, now);
            self.asks.push_back(ask);
        }
    }

    pub(crate) fn next_ask(&mut self, service: &str) -> Option<Ask> {
        let place = self.asks.iter().position(|ask| ask.service == service)?;
        self.asks.remove(place)
    }

    pub(crate) fn begin_round(&mut self, service: &str, round: Round) {
        self.rounds.insert(service.to_owned(), round);
    }

    pub(crate) fn round(&self, service: &str) -> Option<&Round> {
        self.rounds.get(service)
    }

    pub(crate) fn round_mut(&mut self, service: &str) -> Option<&mut Round> {
        self.rounds.get_mut(service)
    }

    pub(crate) fn end_round(&mut self, service: &str) -> Option<Round> {
        self.rounds.remove(service)
    }

    /// The service whose round waits for this.
    pub(crate) fn waiting(&self, target: TargetId, stage: impl Fn(Stage) -> bool) -> Option<String> {
        let waits = |(_, round): &(&String, &Round)| round.target == target && stage(round.stage);
        self.rounds.iter().find(waits).map(|(service, _)| service.clone())
    }

    /// Rounds whose answer is lost.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<(TargetId, Stage)> {
        self.rounds.values().filter(|round| now >= round.until).map(|round| (round.target, round.stage)).collect()
    }

    pub(crate) fn survey(&self, target: TargetId) -> Option<&Survey> {
        self.surveys.get(&target)
    }

    pub(crate) fn keep_survey(&mut self, survey: Survey) {
        self.surveys.insert(survey.target, survey);
    }

    /// Another process runs there, or none.
    pub(crate) fn forget_survey(&mut self, target: TargetId) {
        self.surveys.remove(&target);
    }

    /// What a capture of a surveyed target will cost.
    pub(crate) fn predict(&self, survey: &Survey, kind: CaptureKind) -> Cost {
        let hint = means(survey, kind).map_or_else(Cost::default, |means| means.hint);
        let measure = Measure {
            heap: survey.heap.or(survey.resident).map_or(HEAP_UNKNOWN, |heap| heap.0 as f64),
            tasks: survey.tasks.map_or(TASKS_UNKNOWN, |tasks| tasks as f64),
        };
        self.costs.predict(kind, hint, measure)
    }

    /// These captures are to be compared as soon as no other comparison of the incident is under way.
    pub(crate) fn want_comparison(&mut self, incident: IncidentId, target: TargetId, kind: CaptureKind) {
        self.wanted.insert((incident, target, kind));
    }

    /// Takes the next comparison of an incident that has none under way.
    pub(crate) fn next_wanted(&mut self) -> Option<(IncidentId, TargetId, CaptureKind)> {
        let busy = |incident| self.comparing.values().any(|comparison| comparison.incident == incident);
        let next = self.wanted.iter().find(|(incident, _, _)| !busy(*incident)).copied()?;
        self.wanted.remove(&next);
        Some(next)
    }

    pub(crate) fn begin_comparison(&mut self, comparison: Comparison) -> u64 {
        self.n_comparisons += 1;
        self.comparing.insert(self.n_comparisons, comparison);
        self.n_comparisons
    }

    pub(crate) fn end_comparison(&mut self, number: u64) -> Option<Comparison> {
        self.comparing.remove(&number)
    }

    /// Gives up comparisons whose answer is lost.
    pub(crate) fn lose_comparisons(&mut self, now: Timestamp) {
        self.comparing.retain(|_, comparison| now < comparison.until);
    }
}

/// Services by the time at which they are looked at, each once.
#[derive(Clone, Debug, Default)]
struct Agenda {
    by_time: BTreeSet<(Timestamp, String)>,
    of: BTreeMap<String, Timestamp>,
}

impl Agenda {
    fn wake(&mut self, service: &str, at: Timestamp) {
        match self.of.get(service) {
            Some(known) if *known <= at => return,
            Some(known) => {
                self.by_time.remove(&(*known, service.to_owned()));
            }
            None => {}
        }
        self.of.insert(service.to_owned(), at);
        self.by_time.insert((at, service.to_owned()));
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<String> {
        self.next().filter(|next| *next <= now)?;
        let (_, service) = self.by_time.pop_first()?;
        self.of.remove(&service);
        Some(service)
    }

    fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
