//! The loop: take what happened, let the engine decide, do what it says. Read this first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leakscope_engine::{Effect, Engine, Event};
use leakscope_model::{Capture, CaptureState, Incident, IncidentId, Timestamp};
use leakscope_store::Store;

use crate::alert::Notifier;
use crate::clock;
use crate::collector::{self, Collector};
use crate::keeper::Chore;
use crate::scrape::{Order, Scraper};
use crate::sync::lock;
use crate::telemetry::Telemetry;

/// How often due scrapes are given out. They are spread by the schedule, so one batch holds a small share of them.
const TICK: Duration = Duration::from_millis(100);

/// Everyone who does what the engine says.
#[derive(Debug)]
pub(crate) struct Performers {
    pub(crate) engine: Arc<Mutex<Engine>>,
    pub(crate) store: Arc<Store>,
    pub(crate) scraper: Scraper,
    pub(crate) collector: Collector,
    pub(crate) notifier: Notifier,
    /// Slow writes, done by the keeper's thread.
    pub(crate) chores: Sender<Chore>,
    pub(crate) telemetry: Arc<Telemetry>,
    /// What the disk refused; written before anything else as soon as it takes it.
    pub(crate) unrecorded: Unrecorded,
    /// How many transitions of each incident are in the log.
    pub(crate) logged: BTreeMap<IncidentId, usize>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Performers {
    /// Runs until `stop`. Events arrive in batches; at most one per target is under way, so the queue is bounded by the fleet.
    pub(crate) fn run(&mut self, inbox: &Receiver<Vec<Event>>) {
        let mut effects = Vec::new();
        let mut ticked_at = Timestamp::EPOCH;
        while !self.stop.load(Ordering::Relaxed) {
            let mut events = match inbox.recv_timeout(TICK) {
                Ok(events) => events,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Ok(more) = inbox.try_recv() {
                events.extend(more);
            }
            let now = clock::now();
            // A clock that was set back must not stop the scrapes until it has caught up.
            if now.since(ticked_at) >= TICK || now < ticked_at {
                events.push(Event::Tick);
                ticked_at = now;
            }
            self.step(now, events, &mut effects);
        }
    }

    /// One step, also taken by itself at the end.
    pub(crate) fn step(&mut self, now: Timestamp, events: Vec<Event>, effects: &mut Vec<Effect>) {
        let engine = self.engine.clone();
        let mut engine = lock(&engine);
        for event in events {
            self.telemetry.count(&event);
            engine.handle(now, event, effects);
        }
        // ORDER: incidents and captures become durable while nobody can look at the engine, so that none is shown and then
        // lost, and before anything is done about them.
        // One that the disk refuses is shown all the same, tried again at every step, and counted as a store error.
        self.record(effects);
        drop(engine);
        self.perform(effects);
    }

    fn record(&mut self, effects: &mut Vec<Effect>) {
        let mut due = std::mem::take(&mut self.unrecorded);
        effects.retain_mut(|effect| match effect {
            Effect::Record(incident) => {
                due.incidents.push((**incident).clone());
                false
            }
            Effect::RecordCapture(capture) => {
                due.captures.push((**capture).clone());
                false
            }
            _ => true,
        });
        for incident in due.incidents {
            if let Err(error) = self.store.record(&incident) {
                tracing::error!(incident = incident.id.0, %error, "an incident could not be recorded; it will be tried again");
                self.telemetry.store_errors.inc();
                self.unrecorded.incidents.retain(|other| other.id != incident.id);
                self.unrecorded.incidents.push(incident);
            } else if self.logged.insert(incident.id, incident.transitions.len()) != Some(incident.transitions.len()) {
                log_incident(&incident);
            }
        }
        for capture in due.captures {
            if let Err(error) = self.store.record_capture(&capture) {
                tracing::error!(capture = capture.id.0, %error, "a capture could not be recorded; it will be tried again");
                self.telemetry.store_errors.inc();
                self.unrecorded.captures.retain(|other| other.id != capture.id);
                self.unrecorded.captures.push(capture);
            } else {
                log_capture(&capture);
            }
        }
    }

    fn perform(&mut self, effects: &mut Vec<Effect>) {
        let mut scrapes = Vec::new();
        let mut detectors = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Scrape { target, deadline } => scrapes.push((target, deadline)),
                Effect::Append { target, at, readings } => {
                    self.store.append(target, at, &readings);
                }
                Effect::Remember(target) => self.chore(Chore::Remember(target)),
                Effect::Checkpoint { target, at, state } => detectors.push((target, at, state)),
                Effect::Record(incident) => self.unrecorded.incidents.push(*incident),
                Effect::RecordCapture(capture) => self.unrecorded.captures.push(*capture),
                Effect::Survey { target, deadline } => {
                    self.collector.order(collector::Order::Survey { target, deadline });
                }
                Effect::Capture(order) => self.collector.order(collector::Order::Capture(order)),
                Effect::CancelCapture(capture) => self.collector.order(collector::Order::Cancel(capture)),
                Effect::Analyse(order) => self.collector.order(collector::Order::Analyse(order)),
                Effect::Notify(notice) => self.notifier.notify(*notice),
            }
        }
        if !scrapes.is_empty() {
            self.scraper.order(Order::Scrape(scrapes));
        }
        if !detectors.is_empty() {
            self.chore(Chore::SaveDetectors(detectors));
        }
    }

    /// The keeper outlives this loop, so the chore always arrives.
    fn chore(&self, chore: Chore) {
        let _ = self.chores.send(chore);
    }
}

/// Incidents and captures that the disk refused.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded {
    incidents: Vec<Incident>,
    captures: Vec<Capture>,
}

fn log_capture(capture: &Capture) {
    let (id, kind, state) = (capture.id.0, capture.kind.name(), capture.state.name());
    let (service, instance, note) = (&capture.service, &capture.instance, &capture.note);
    if capture.state == CaptureState::Failed {
        tracing::warn!(capture = id, kind, state, service, instance, "{note}");
    } else {
        tracing::info!(capture = id, kind, state, service, instance, "{note}");
    }
}

fn log_incident(incident: &Incident) {
    if let Some(last) = incident.transitions.last() {
        tracing::warn!(
            incident = incident.id.0,
            service = incident.service,
            state = incident.state.name(),
            score = incident.score,
            "{}",
            last.cause
        );
    }
}
