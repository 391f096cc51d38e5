//! Whose evidence is wanted: which replica of a service, and where it stands.

use std::time::Duration;

use leakscope_model::{Capture, Phase, Signal, State, Survey, TargetId, Timestamp};

use super::Engine;
use super::evidence::{LIGHT_TIMEOUT, is_capturable};
use crate::capture::{CaptureBook, Situation, heavy, light, same_process};
use crate::incident::is_settled;
use crate::service::ServiceKey;
use crate::watch::Watch;

/// A service is looked at for a suspicion without an incident once in this time, on the detector's clock.
const SUSPICION_COOLDOWN: Duration = Duration::from_hours(24);

impl Engine {
    /// Whether an earlier run took the baseline of a service's version: of a process that still runs, since records do not know versions.
    pub(super) fn has_baseline(&self, key: &ServiceKey) -> bool {
        let mut baselines = self.desk.book.of_service(&key.name).filter(|capture| capture.phase == Phase::Baseline);
        baselines.any(|capture| {
            let watch = self.watches.get(&capture.target).filter(|watch| ServiceKey::of(watch) == *key);
            let runs = |_| same_process(capture.process_started_at, self.started_at(capture.target));
            key.version.is_none() || watch.is_some_and(runs)
        })
    }

    /// Every replica of a service, of all versions, that can be captured at all.
    pub(super) fn replicas(&self, service: &str) -> impl Iterator<Item = (TargetId, &Watch)> {
        let from = ServiceKey { name: service.to_owned(), version: None };
        let keys = self.services.range(from..).take_while(move |(key, _)| key.name == service);
        let ids = keys.flat_map(|(_, ids)| ids);
        ids.filter_map(|id| self.watches.get_key_value(id))
            .map(|(id, watch)| (*id, watch))
            .filter(|(_, w)| is_capturable(w))
    }

    /// The replica whose evidence is wanted: of those that leak, else of those suspected, the one that was captured last, since only captures of one
    /// process compare; else the one with least traffic.
    pub(super) fn subject(&self, service: &str) -> Option<TargetId> {
        let of_state = |state: State| -> Vec<TargetId> {
            let fits = |watch: &Watch| watch.state() == state && watch.health.up == Some(true);
            self.replicas(service).filter(|(_, watch)| fits(watch)).map(|(id, _)| id).collect()
        };
        let leaking = of_state(State::Leaking);
        let candidates = if leaking.is_empty() { of_state(State::Suspect) } else { leaking };
        let known = |id: &TargetId| {
            self.desk.book.attempts(service, *id, self.started_at(*id)).map(|capture| capture.began_at).next()
        };
        let last = candidates.iter().filter(|id| known(id).is_some()).max_by_key(|id| known(id));
        last.copied().or_else(|| self.least_busy(candidates.iter().copied()))
    }

    /// The one with least traffic that answers; one whose traffic is not known comes last.
    pub(super) fn least_busy(&self, ids: impl Iterator<Item = TargetId>) -> Option<TargetId> {
        let rate = |id: &TargetId| self.watches.get(id).and_then(Watch::requests_per_second).unwrap_or(f64::INFINITY);
        let up = |id: &TargetId| self.watches.get(id).is_some_and(|watch| watch.health.up == Some(true));
        ids.filter(up).min_by(|a, b| rate(a).total_cmp(&rate(b)).then(a.cmp(b)))
    }

    /// When the target's process started: as its last survey says, else as its page does.
    pub(super) fn started_at(&self, id: TargetId) -> Option<Timestamp> {
        let told = || self.watches.get(&id)?.last.get(Signal::StartTime).map(Timestamp::from_secs_f64);
        self.desk.survey(id).and_then(|survey| survey.process_started_at).or_else(told)
    }

    pub(super) fn situation(&self, now: Timestamp, service: &str, target: TargetId) -> Situation {
        let book = &self.desk.book;
        let watch = self.watches.get(&target);
        let leaks = watch.is_some_and(|watch| watch.state() == State::Leaking);
        let incident = self.incidents.open(service);
        let started_at = self.started_at(target);
        let last = book.attempts(service, target, started_at).map(|capture| capture.began_at).next();
        let of_incident = |capture: &&Capture| incident.is_some_and(|incident| capture.incident == Some(incident.id));
        let suspected = |capture: &Capture| {
            capture.incident.is_none()
                && capture.phase == Phase::Early
                && self.pace().passed(capture.began_at, now) < SUSPICION_COOLDOWN
        };
        let predicted = |survey: &Survey| {
            let kinds =
                light(survey).into_iter().chain(heavy(survey).into_iter().filter(|_| self.config.capture.heavy));
            kinds.map(|kind| self.desk.predict(survey, kind).duration).sum()
        };
        Situation {
            leaks,
            suspected_before: book.of_service(service).rev().any(suspected),
            settled: incident.is_some_and(is_settled),
            last_at: last.max(self.desk.looked_at.get(service).copied()),
            rounds: CaptureBook::rounds(book.attempts(service, target, started_at)),
            rounds_of_incident: CaptureBook::rounds(book.of_service(service).filter(of_incident)),
            late_taken: book.attempts(service, target, started_at).any(|capture| capture.phase == Phase::Late),
            left: watch.filter(|_| leaks).and_then(|watch| watch.verdict().time_to_limit).map(|left| left.low),
            lead: self.pace().detector(self.desk.survey(target).map_or(LIGHT_TIMEOUT, predicted)),
        }
    }
}
