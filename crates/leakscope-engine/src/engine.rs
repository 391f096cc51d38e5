//! The one match over everything that can happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leakscope_detect::{Detector, Tuning};
use leakscope_model::{
    Capture, CaptureId, CaptureKind, Cost, Incident, IncidentId, Readings, State, Survey, Target, TargetId, Timestamp,
};

mod choice;
mod evidence;
mod explain;
mod parts;

use crate::alert::{AlertPolicy, Alerts};
use crate::capture::{CaptureDesk, CapturePolicy};
use crate::effect::Effect;
use crate::event::{Command, Event, Scrape, ScrapeFailure};
use crate::fleet;
use crate::incident::IncidentBook;
use crate::restore::Restored;
use crate::schedule::Schedule;
use crate::service::{ServiceKey, ServiceView};
use crate::watch::Watch;

/// How the engine decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineConfig {
    /// How much faster the detector's clock runs than the real one; 1 outside of demonstrations and recordings.
    pub time_scale: f64,
    /// How often every detector's state is handed out.
    pub checkpoint_interval: Duration,
    /// How sure a detector must be.
    pub tuning: Tuning,
    /// When evidence may be taken.
    pub capture: CapturePolicy,
    /// When receivers are told.
    pub alert: AlertPolicy,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            time_scale: 1.0,
            checkpoint_interval: Duration::from_mins(10),
            tuning: Tuning::default(),
            capture: CapturePolicy::default(),
            alert: AlertPolicy::default(),
        }
    }
}

/// How long a target's detector waits for it to be listed again.
const DEPARTED_FOR: Duration = Duration::from_hours(1);
/// How often alarms that are withheld and incidents that recovered are looked at again, on the detector's clock.
const REVIEW_EVERY: Duration = Duration::from_mins(1);

/// Every decision of leakscope.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    config: EngineConfig,
    schedule: Schedule,
    watches: BTreeMap<TargetId, Watch>,
    services: BTreeMap<ServiceKey, BTreeSet<TargetId>>,
    incidents: IncidentBook,
    desk: CaptureDesk,
    alerts: Alerts,
    /// Detectors of an earlier run, until their targets are seen again.
    restored: BTreeMap<TargetId, Detector>,
    /// Detectors of targets that discovery no longer lists, and since when: a list that is empty for a moment costs no evidence.
    departed: BTreeMap<TargetId, (Timestamp, Detector)>,
    /// Targets whose detectors alarm.
    alarming: BTreeSet<TargetId>,
    reviewed_at: Option<Timestamp>,
    /// When recovered incidents were last looked at.
    aged_at: Option<Timestamp>,
    revision: u64,
    checkpointed_at: Option<Timestamp>,
}

impl Engine {
    /// An engine that goes on where `restored` ended.
    pub fn new(config: EngineConfig, restored: Restored) -> Self {
        Self {
            config,
            alerts: Alerts::restore(&restored.incidents),
            incidents: IncidentBook::restore(restored.incidents),
            desk: CaptureDesk::restore(restored.captures),
            restored: restored.detectors,
            ..Self::default()
        }
    }

    /// Takes one event and appends what is to be done. `now` never decides by itself: the same calls give the same effects.
    pub fn handle(&mut self, now: Timestamp, event: Event, effects: &mut Vec<Effect>) {
        self.record_cut_off(now, effects);
        match event {
            Event::TargetsSeen(targets) => self.targets_seen(now, targets, effects),
            Event::Scraped(scrape) => self.scraped(now, &scrape, effects),
            Event::ScrapeFailed(failure) => self.scrape_failed(now, failure),
            Event::Surveyed(survey) => self.surveyed(now, *survey, effects),
            Event::SurveyFailed { target, reason } => self.survey_failed(now, target, &reason, effects),
            Event::Captured(captured) => self.captured(now, *captured, effects),
            Event::CaptureFailed(failure) => self.capture_failed(now, *failure, effects),
            Event::Expired(captures) => self.expired(&captures),
            Event::Analysed(analysis) => self.analysed(now, *analysis, effects),
            Event::AnalysisFailed { analysis, .. } => self.analysis_failed(now, analysis, effects),
            Event::Asked(command) => self.asked(now, command, effects),
            Event::Tick => self.tick(now, effects),
        }
    }

    /// How it decides.
    pub fn config(&self) -> EngineConfig {
        self.config
    }

    /// When the next scrape or capture is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next_due().into_iter().chain(self.desk.next_due()).min()
    }

    /// Every target by id.
    pub fn watches(&self) -> impl Iterator<Item = (TargetId, &Watch)> {
        self.watches.iter().map(|(id, watch)| (*id, watch))
    }

    /// One target.
    pub fn watch(&self, id: TargetId) -> Option<&Watch> {
        self.watches.get(&id)
    }

    /// Every service by name and version.
    pub fn services(&self) -> impl Iterator<Item = ServiceView<'_>> {
        self.services.iter().map(|(key, ids)| self.service_view(key, ids))
    }

    /// Every incident, oldest first.
    pub fn incidents(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.incidents.iter()
    }

    /// One incident.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(id)
    }

    /// Incidents of which receivers were told that they go on, and not yet that they are over.
    pub fn firing(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.iter().filter(|incident| self.alerts.is_firing(incident.id))
    }

    /// Every attempt to take evidence, oldest first.
    pub fn captures(&self) -> impl DoubleEndedIterator<Item = &Capture> {
        self.desk.book.iter()
    }

    /// One attempt.
    pub fn capture(&self, id: CaptureId) -> Option<&Capture> {
        self.desk.book.get(id)
    }

    /// What a target gave and what room it had when it was looked at last.
    pub fn survey(&self, target: TargetId) -> Option<&Survey> {
        self.desk.survey(target)
    }

    /// What a capture of a target would cost; `None` of a target that was not looked at yet.
    pub fn predict(&self, target: TargetId, kind: CaptureKind) -> Option<Cost> {
        self.desk.survey(target).map(|survey| self.desk.predict(survey, kind))
    }

    /// Counts up with every change that a person could see; compare with [`ServiceView::revision`].
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn service_view<'a>(&'a self, key: &'a ServiceKey, ids: &BTreeSet<TargetId>) -> ServiceView<'a> {
        ServiceView {
            key,
            replicas: ids
                .iter()
                .filter_map(|id| self.watches.get_key_value(id))
                .map(|(id, watch)| (*id, watch))
                .collect(),
            incident: self.incidents.living(&key.name),
        }
    }

    fn targets_seen(&mut self, now: Timestamp, targets: Vec<Target>, effects: &mut Vec<Effect>) {
        let seen: BTreeSet<TargetId> = targets.iter().map(|target| target.id).collect();
        let gone: Vec<TargetId> =
            self.watches.iter().filter(|(id, watch)| !watch.part && !seen.contains(id)).map(|(id, _)| *id).collect();
        for id in gone {
            if let Some(watch) = self.forget(now, id, effects) {
                self.departed.insert(id, (now, watch.into_detector()));
            }
        }
        for target in targets {
            match self.watches.get_mut(&target.id) {
                Some(watch) if same_service(&watch.target, &target) => {
                    let runtime = watch.target.runtime;
                    let replan = watch.target.interval != target.interval;
                    watch.target = Target { runtime, ..target };
                    if replan {
                        watch.due = Some(self.schedule.add(now, watch.target.id, watch.target.interval));
                    }
                }
                Some(_) => {
                    self.forget(now, target.id, effects);
                    self.begin(now, target, false, effects);
                }
                None => self.begin(now, target, false, effects),
            }
        }
    }

    fn begin(&mut self, now: Timestamp, target: Target, part: bool, effects: &mut Vec<Effect>) {
        let departed = self.departed.remove(&target.id).map(|(_, detector)| detector);
        let known = departed.or_else(|| self.restored.remove(&target.id));
        let mut detector = known.unwrap_or_default().with_tuning(self.config.tuning);
        if let Some(settled) = self.settled(&target.service) {
            detector.expect(settled);
        }
        effects.push(Effect::Remember(Box::new(target.clone())));
        let id = target.id;
        let due = (!part).then(|| self.schedule.add(now, id, target.interval));
        let mut watch = Watch::new(target, detector, self.config.time_scale, part);
        watch.due = due;
        self.revision += 1;
        watch.revision = self.revision;
        self.services.entry(ServiceKey::of(&watch)).or_default().insert(id);
        let leaks = watch.state() == State::Leaking;
        self.watches.insert(id, watch);
        if leaks {
            self.alarming.insert(id);
            self.state_changed(now, id, effects);
        }
        self.suspicion_changed(now, id);
    }

    /// The highest level at which a replica of the service, of any version, lives without leaking.
    fn settled(&self, service: &str) -> Option<f64> {
        let from = ServiceKey { name: service.to_owned(), version: None };
        let keys = self.services.range(from..).take_while(|(key, _)| key.name == service);
        let replicas = keys.flat_map(|(_, ids)| ids).filter_map(|id| self.watches.get(id));
        replicas.filter_map(Watch::settled).reduce(f64::max)
    }

    fn forget(&mut self, now: Timestamp, id: TargetId, effects: &mut Vec<Effect>) -> Option<Watch> {
        let watch = self.watches.remove(&id)?;
        self.alarming.remove(&id);
        self.evidence_lost(now, id, effects);
        self.revision += 1;
        let key = ServiceKey::of(&watch);
        if let Some(ids) = self.services.get_mut(&key) {
            ids.remove(&id);
            if ids.is_empty() {
                self.services.remove(&key);
                self.desk.baselined.remove(&key);
                self.desk.looked_at.remove(&key.name);
            }
        }
        self.settle(now, &key.name, "the leaking replica is gone", effects);
        if watch.part {
            return Some(watch);
        }
        let parts: Vec<TargetId> = self
            .watches
            .iter()
            .filter(|(_, part)| {
                part.part && part.target.job == watch.target.job && part.target.instance == watch.target.instance
            })
            .map(|(id, _)| *id)
            .collect();
        for part in parts {
            self.forget(now, part, effects);
        }
        Some(watch)
    }

    fn scraped(&mut self, now: Timestamp, scrape: &Scrape, effects: &mut Vec<Effect>) {
        self.revision += 1;
        let Some(watch) = self.watches.get_mut(&scrape.target) else { return };
        watch.revision = self.revision;
        let changed = watch.scraped(now, scrape);
        let renamed = scrape.version.is_some() && watch.target.version.is_none();
        if !scrape.readings.is_empty() {
            effects.push(Effect::Append { target: scrape.target, at: now, readings: scrape.readings });
        }
        if renamed {
            self.learn_version(scrape, effects);
        }
        if changed {
            self.detector_changed(now, scrape.target, effects);
        }
        if !scrape.parts.is_empty() {
            self.scraped_parts(now, scrape, effects);
        }
    }

    fn learn_version(&mut self, scrape: &Scrape, effects: &mut Vec<Effect>) {
        let Some(watch) = self.watches.get_mut(&scrape.target) else { return };
        if let Some(ids) = self.services.get_mut(&ServiceKey::of(watch)) {
            ids.remove(&scrape.target);
        }
        watch.target.version.clone_from(&scrape.version);
        effects.push(Effect::Remember(Box::new(watch.target.clone())));
        self.services.entry(ServiceKey::of(watch)).or_default().insert(scrape.target);
        self.services.retain(|_, ids| !ids.is_empty());
    }

    fn scrape_failed(&mut self, now: Timestamp, failure: ScrapeFailure) {
        self.revision += 1;
        if let Some(watch) = self.watches.get_mut(&failure.target) {
            watch.revision = self.revision;
            watch.failed(now, failure);
        }
    }

    fn detector_changed(&mut self, now: Timestamp, id: TargetId, effects: &mut Vec<Effect>) {
        if self.watches.get(&id).is_some_and(Watch::alarms) {
            self.alarming.insert(id);
            self.review(now, effects);
        } else {
            self.alarming.remove(&id);
            self.state_changed(now, id, effects);
        }
        self.suspicion_changed(now, id);
    }

    /// Lets those alarms stand that are surprising enough among so many targets. One that stands stands until its growth is over.
    fn review(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.reviewed_at = Some(now);
        let n_targets = self.watches.len();
        let mut surprises: Vec<f64> =
            self.alarming.iter().filter_map(|id| self.watches.get(id)).map(Watch::surprise).collect();
        let least = fleet::least_surprise(n_targets, &mut surprises);
        let withheld: Vec<TargetId> = self.alarming.iter().copied().filter(|id| self.is_withheld(*id)).collect();
        for id in withheld {
            let Some(watch) = self.watches.get_mut(&id) else { continue };
            if watch.surprise() < least {
                watch.withheld_among = n_targets;
                continue;
            }
            watch.stand(now);
            self.revision += 1;
            watch.revision = self.revision;
            self.state_changed(now, id, effects);
        }
    }

    fn is_withheld(&self, id: TargetId) -> bool {
        self.watches.get(&id).is_some_and(|watch| watch.withheld_among > 0)
    }

    fn state_changed(&mut self, now: Timestamp, id: TargetId, effects: &mut Vec<Effect>) {
        let Some(watch) = self.watches.get(&id) else { return };
        let service = watch.target.service.clone();
        if watch.state() == State::Leaking {
            let verdict = watch.verdict();
            let changed = self.incidents.leaks(now, &service, id, &watch.target.instance, &verdict);
            self.record(now, changed.clone(), effects);
            if let Some(incident) = changed {
                self.adopt(now, &incident, effects);
                self.desk.wake(&service, now);
            }
        } else {
            let cause = match watch.state() {
                State::TooEarly => "the leaking process was replaced",
                State::Steady | State::Recovered | State::Suspect | State::Leaking => "the growth stopped",
            };
            self.settle(now, &service, cause, effects);
        }
    }

    /// Lets the service's incident recover when none of its replicas leaks any more.
    fn settle(&mut self, now: Timestamp, service: &str, cause: &str, effects: &mut Vec<Effect>) {
        let leaks = self.services().any(|view| {
            view.key.name == service && view.replicas.iter().any(|(_, watch)| watch.state() == State::Leaking)
        });
        if !leaks {
            let changed = self.incidents.recovered(now, service, cause);
            self.record(now, changed, effects);
        }
    }

    /// Has changed incidents kept, then told.
    fn record(&mut self, now: Timestamp, changed: impl IntoIterator<Item = Incident>, effects: &mut Vec<Effect>) {
        for incident in changed {
            // ORDER: nobody is told of an incident that could be lost.
            effects.push(Effect::Record(Box::new(incident.clone())));
            self.alerts.incident_changed(now, &incident, &self.config.alert, effects);
        }
    }

    fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some((due, id)) = self.schedule.pop_due(now) {
            let Some(watch) = self.watches.get_mut(&id).filter(|watch| watch.due == Some(due)) else { continue };
            watch.due = Some(self.schedule.add(now, id, watch.target.interval));
            if watch.awaiting_until.is_some_and(|until| now < until) {
                continue;
            }
            let deadline = now.plus(watch.target.timeout);
            // An answer later than this is lost: the performer died. Scraping goes on without it.
            watch.awaiting_until = Some(deadline.plus(watch.target.timeout));
            effects.push(Effect::Scrape { target: id, deadline });
        }
        let due = self.reviewed_at.is_none_or(|at| self.pace().passed(at, now) >= REVIEW_EVERY);
        if due && self.alarming.iter().any(|id| self.is_withheld(*id)) {
            self.review(now, effects);
        }
        self.evidence_tick(now, effects);
        self.age(now, effects);
        let since = *self.checkpointed_at.get_or_insert(now);
        if now.since(since) >= self.config.checkpoint_interval {
            self.checkpoint(now, effects);
            self.forget_lost_parts(now, effects);
            self.departed.retain(|_, (since, _)| now.since(*since) < DEPARTED_FOR);
        }
        self.alerts.tick(now, &self.incidents, &self.config.alert, effects);
    }

    /// Takes recovered incidents to their end.
    fn age(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let pace = self.pace();
        let aged_at = *self.aged_at.get_or_insert(now);
        if pace.passed(aged_at, now) >= REVIEW_EVERY {
            self.aged_at = Some(now);
            let changed = self.incidents.age(now, |from, to| pace.passed(from, to));
            self.record(now, changed, effects);
        }
    }

    fn asked(&mut self, now: Timestamp, command: Command, effects: &mut Vec<Effect>) {
        match command {
            Command::Checkpoint => self.checkpoint(now, effects),
            Command::Capture { target, kind, force } => self.ask_for_capture(now, target, kind, force),
            Command::CancelCapture(capture) => self.cancel_capture(capture, effects),
            Command::Acknowledge { incident, by } => self.acknowledge(now, incident, &by, effects),
        }
    }

    fn checkpoint(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.checkpointed_at = Some(now);
        for (id, watch) in &self.watches {
            if let Some(at) = watch.health.last_scrape_at {
                effects.push(Effect::Checkpoint { target: *id, at, state: watch.checkpoint() });
            }
        }
    }
}

fn same_service(known: &Target, seen: &Target) -> bool {
    known.service == seen.service && (seen.version.is_none() || known.version == seen.version)
}

impl Engine {
    /// Feeds recorded samples of one target, for a backtest: exactly what a scrape would have done.
    pub fn replay(&mut self, at: Timestamp, target: TargetId, readings: Readings, effects: &mut Vec<Effect>) {
        let scrape = Scrape { target, readings, ..Scrape::default() };
        self.handle(at, Event::Scraped(Box::new(scrape)), effects);
    }
}
