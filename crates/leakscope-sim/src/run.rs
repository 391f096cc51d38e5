//! The daemon's twin in simulated time: performs the engine's effects on simulated services and hands the answers back as events.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_engine::{
    CaptureFailure, CaptureOrder, Command, Effect, Engine, EngineConfig, Event, Part, Restored, Scrape, ScrapeFailure,
};
use leakscope_model::{Capture, CaptureId, Cost, Incident, IncidentId, Readings, State, Target, TargetId, Timestamp};

use crate::evidence::{self, Evidence, Hindrances, Outcome};
use crate::fleet::{Faults, Member};
use crate::rng::Rng;
use crate::scenario::BEGIN;
use crate::service::{Model, Service};

/// How long a look at what a target gives takes.
const SURVEY: Duration = Duration::from_millis(20);
/// How long a comparison takes.
const ANALYSIS: Duration = Duration::from_millis(300);

/// A service at its address.
#[derive(Debug)]
struct Running {
    service: Service,
    parts: Vec<(String, Service)>,
    faults: Faults,
    hindrances: Hindrances,
    rng: Rng,
    /// Chance of its evidence, apart from that of its scrapes.
    luck: Rng,
}

/// A world of services with one engine that watches them.
#[derive(Debug)]
pub struct World {
    config: EngineConfig,
    engine: Engine,
    now: Timestamp,
    running: BTreeMap<TargetId, Running>,
    seen: Vec<Target>,
    /// Answers on their way, by arrival and number.
    answers: BTreeMap<(Timestamp, u64), Event>,
    n_sent: u64,
    digest: u64,
    evidence: Evidence,
    kept: Kept,
}

/// What the store would hold.
#[derive(Debug, Default)]
struct Kept {
    incidents: BTreeMap<IncidentId, Incident>,
    captures: BTreeMap<CaptureId, Capture>,
    checkpoints: BTreeMap<TargetId, (Timestamp, Vec<u8>)>,
    /// Samples since each target's checkpoint.
    samples: BTreeMap<TargetId, Vec<(Timestamp, Readings)>>,
    n_samples: u64,
}

impl World {
    /// A world that begins at [`BEGIN`], empty.
    pub fn new(config: EngineConfig) -> Self {
        Self {
            config,
            engine: Engine::new(config, Restored::default()),
            now: BEGIN,
            running: BTreeMap::new(),
            seen: Vec::new(),
            answers: BTreeMap::new(),
            n_sent: 0,
            digest: 0xcbf2_9ce4_8422_2325,
            evidence: Evidence::default(),
            kept: Kept::default(),
        }
    }

    /// Starts services where none run yet. Discovery does not know them before [`World::discover`].
    pub fn start(&mut self, members: &[Member]) {
        for member in members {
            let mut rng = Rng::new(member.seed);
            let now = self.now;
            let running = Running {
                service: Service::new(member.model.clone(), rng.bits(), now),
                parts: member
                    .parts
                    .iter()
                    .map(|(name, model)| (name.clone(), Service::new(model.clone(), rng.bits(), now)))
                    .collect(),
                faults: member.faults,
                hindrances: Hindrances::default(),
                luck: Rng::new(member.seed ^ 0x5eed),
                rng,
            };
            self.running.entry(member.target.id).or_insert(running);
        }
    }

    /// A new process of another model at a target's address.
    pub fn deploy(&mut self, target: TargetId, model: &Model) {
        let now = self.now;
        if let Some(running) = self.running.get_mut(&target) {
            running.service = Service::new(model.clone(), running.rng.bits(), now);
        }
    }

    /// What goes wrong between the daemon and a target from now on.
    pub fn disturb(&mut self, target: TargetId, faults: Faults) {
        if let Some(running) = self.running.get_mut(&target) {
            running.faults = faults;
        }
    }

    /// What goes wrong with the evidence of a target from now on.
    pub fn hinder(&mut self, target: TargetId, hindrances: Hindrances) {
        if let Some(running) = self.running.get_mut(&target) {
            running.hindrances = hindrances;
        }
    }

    /// A person asks for something.
    pub fn ask(&mut self, command: Command) {
        self.handle(Event::Asked(command));
    }

    /// Times a target ran out of memory.
    pub fn n_killed(&self, target: TargetId) -> u32 {
        self.running.get(&target).map_or(0, |running| running.service.n_killed)
    }

    /// Discovery shows these targets and no others.
    pub fn discover(&mut self, targets: Vec<Target>) {
        self.seen.clone_from(&targets);
        self.handle(Event::TargetsSeen(targets));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        loop {
            let answer = self.answers.first_key_value().map(|((at, _), _)| *at);
            let due = self.engine.next_due();
            let Some(next) = answer.into_iter().chain(due).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let arrived = if answer == Some(next) { self.answers.pop_first() } else { None };
            self.handle(arrived.map_or(Event::Tick, |(_, event)| event));
        }
        self.now = end;
    }

    /// The daemon stops in order, or is killed, and starts anew with what was kept. Answers on their way are lost.
    pub fn restart(&mut self, in_order: bool) {
        if in_order {
            self.handle(Event::Asked(Command::Checkpoint));
        }
        let mut restored = Restored::new(self.kept.incidents.values().cloned().collect())
            .with_captures(self.kept.captures.values().cloned().collect());
        for (target, (_, state)) in &self.kept.checkpoints {
            // A checkpoint that this build wrote is one that it can read; another is a target that starts anew.
            let _ = restored.add_detector(*target, state);
        }
        for (target, samples) in &self.kept.samples {
            for (at, readings) in samples {
                restored.replay(*target, *at, self.config.time_scale, readings);
            }
        }
        self.engine = Engine::new(self.config, restored);
        self.answers.clear();
        self.handle(Event::TargetsSeen(self.seen.clone()));
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// FNV-1a over every effect so far.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Answers on their way.
    pub fn n_awaited(&self) -> usize {
        self.answers.len()
    }

    /// Samples kept so far.
    pub fn n_samples(&self) -> u64 {
        self.kept.n_samples
    }

    /// Incidents as they were last made durable.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.kept.incidents.values()
    }

    /// Attempts to capture as they were last made durable.
    pub fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.kept.captures.values()
    }

    /// Every target's instance and state.
    pub fn states(&self) -> BTreeMap<&str, State> {
        self.engine.watches().map(|(_, watch)| (watch.target.instance.as_str(), watch.state())).collect()
    }

    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.handle(self.now, event, &mut effects);
        for effect in effects {
            self.digest = digest(self.digest, &effect);
            match effect {
                Effect::Scrape { target, deadline } => self.scrape(target, deadline),
                Effect::Append { target, at, readings } => {
                    self.kept.n_samples += 1;
                    self.kept.samples.entry(target).or_default().push((at, readings));
                }
                Effect::Remember(_) | Effect::Notify(_) => {}
                Effect::Survey { target, deadline } => self.survey(target, deadline),
                Effect::RecordCapture(capture) => {
                    self.kept.captures.insert(capture.id, *capture);
                }
                Effect::Capture(order) => self.capture(&order),
                Effect::CancelCapture(capture) => self.cancel(capture),
                Effect::Analyse(order) => {
                    let analysis = self.evidence.analyse(&order);
                    self.answer(self.now.plus(ANALYSIS), Event::Analysed(Box::new(analysis)));
                }
                Effect::Record(incident) => {
                    self.kept.incidents.insert(incident.id, *incident);
                }
                Effect::Checkpoint { target, at, state } => {
                    self.kept.checkpoints.insert(target, (at, state));
                    self.kept.samples.remove(&target);
                }
            }
        }
    }

    fn scrape(&mut self, target: TargetId, deadline: Timestamp) {
        let now = self.now;
        let Some(running) = self.running.get_mut(&target) else {
            self.answer(now, Event::ScrapeFailed(failure(target, Duration::ZERO, "connection refused")));
            return;
        };
        let latency = Duration::from_millis(running.rng.between(1.0, running.faults.latency_ms.max(2.0)) as u64);
        let fate = running.rng.unit();
        let Faults { refuses, hangs, lost, .. } = running.faults;
        if fate < lost {
            return;
        }
        if fate < lost + hangs {
            let waited = deadline.since(now);
            self.answer(deadline, Event::ScrapeFailed(failure(target, waited, "no answer before the deadline")));
            return;
        }
        if fate < lost + hangs + refuses {
            self.answer(now.plus(latency), Event::ScrapeFailed(failure(target, latency, "connection refused")));
            return;
        }
        let part = |(name, service): &mut (String, Service)| Part {
            name: name.clone(),
            labels: BTreeMap::from([("container".to_owned(), name.clone())]),
            readings: service.readings(now),
        };
        let scrape = Scrape {
            target,
            duration: latency,
            readings: running.service.readings(now),
            parts: running.parts.iter_mut().map(part).collect(),
            ..Scrape::default()
        };
        self.answer(now.plus(latency), Event::Scraped(Box::new(scrape)));
    }

    fn survey(&mut self, target: TargetId, deadline: Timestamp) {
        let known = self.seen.iter().find(|seen| seen.id == target).map(|seen| seen.runtime);
        let (Some(running), Some(runtime)) = (self.running.get_mut(&target), known) else {
            self.answer(deadline, Event::SurveyFailed { target, reason: "nobody is there".into() });
            return;
        };
        if running.luck.unit() < running.hindrances.unseen {
            self.answer(deadline, Event::SurveyFailed { target, reason: "permission denied".into() });
            return;
        }
        let survey = evidence::survey(target, runtime, running.service.inside());
        self.answer(self.now.plus(SURVEY), Event::Surveyed(Box::new(survey)));
    }

    fn capture(&mut self, order: &CaptureOrder) {
        let Some(running) = self.running.get_mut(&order.target) else { return };
        let (inside, hindrances) = (running.service.inside(), running.hindrances);
        let (after, outcome) = self.evidence.take(self.now, order, inside, hindrances, &mut running.luck);
        let at = self.now.plus(after);
        match outcome {
            Outcome::Taken(captured) => self.answer(at, Event::Captured(Box::new(captured))),
            Outcome::Failed(failure) => {
                if failure.target_died {
                    running.service.kill(self.now);
                }
                self.answer(at, Event::CaptureFailed(Box::new(failure)));
            }
            Outcome::Lost => {}
        }
    }

    /// What was stopped answers that it was, unless it is done already.
    fn cancel(&mut self, capture: CaptureId) {
        let of_it = |event: &Event| match event {
            Event::Captured(captured) => captured.capture == capture,
            Event::CaptureFailed(failure) => failure.capture == capture,
            _ => false,
        };
        let before = self.answers.len();
        self.answers.retain(|_, event| !of_it(event));
        if self.answers.len() < before {
            let cost = Cost::default();
            let failure = CaptureFailure { capture, reason: "stopped".into(), target_died: false, stopped: true, cost };
            self.answer(self.now, Event::CaptureFailed(Box::new(failure)));
        }
    }

    fn answer(&mut self, at: Timestamp, event: Event) {
        self.n_sent += 1;
        self.answers.insert((at, self.n_sent), event);
    }
}

fn failure(target: TargetId, duration: Duration, reason: &str) -> ScrapeFailure {
    ScrapeFailure { target, duration, reason: reason.into() }
}

/// FNV-1a, 64 bits, continued over one effect.
fn digest(hash: u64, effect: &Effect) -> u64 {
    let words = |hash: u64, words: &[u64]| {
        words.iter().fold(hash, |hash, word| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let text = |hash: u64, text: &str| {
        text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    match effect {
        Effect::Scrape { target, deadline } => words(hash, &[1, target.0, deadline.as_millis() as u64]),
        Effect::Append { target, at, readings } => {
            let hash = words(hash, &[2, target.0, at.as_millis() as u64]);
            readings.iter().fold(hash, |hash, (signal, value)| words(hash, &[signal.index() as u64, value.to_bits()]))
        }
        Effect::Remember(target) => text(words(hash, &[3]), &format!("{target:?}")),
        Effect::Record(incident) => text(words(hash, &[4]), &format!("{incident:?}")),
        Effect::Survey { .. }
        | Effect::RecordCapture(_)
        | Effect::Capture(_)
        | Effect::CancelCapture(_)
        | Effect::Analyse(_)
        | Effect::Notify(_) => text(words(hash, &[6]), &format!("{effect:?}")),
        Effect::Checkpoint { target, at, state } => {
            let hash = words(hash, &[5, target.0, at.as_millis() as u64]);
            state.iter().fold(hash, |hash, byte| words(hash, &[u64::from(*byte)]))
        }
    }
}
