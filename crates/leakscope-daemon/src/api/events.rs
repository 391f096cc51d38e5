//! Live changes as server-sent events, with resume.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use leakscope_engine::{Engine, ServiceKey};
use leakscope_model::{IncidentId, Timestamp};
use leakscope_wire as wire;
use tokio::sync::watch;

use super::ApiState;
use super::ops::status_dto;
use super::problem::Problem;
use super::views::service_dto;
use crate::sync::lock;
use crate::telemetry::Telemetry;

/// Messages kept for clients that come back. Full: the oldest goes and is counted; a client that missed it is told to load all anew.
const RING: usize = 512;
/// Clients at once. Full: further ones are told to ask later.
const SUBSCRIBERS_MAX: usize = 64;
/// Services in one message. More follow in the next.
const SERVICES_PER_MESSAGE: usize = 500;
/// How often changes are gathered.
pub(crate) const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// Rounds that changes are still kept after the last client has left, for when it comes back. Then it starts anew.
const ROUNDS_ALONE_MAX: u32 = 60;
/// Rounds between two resets because services are gone.
const ROUNDS_PER_RESET: u32 = 5;
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One message.
#[derive(Clone, Debug)]
struct Message {
    id: u64,
    name: &'static str,
    data: Arc<str>,
}

/// The ring of messages and who listens.
#[derive(Debug)]
pub(crate) struct Live {
    /// Tells this run's ids from another's, which count anew.
    run: i64,
    ring: Mutex<VecDeque<Message>>,
    /// The id of the newest message. Closed when the daemon stops.
    newest: watch::Sender<u64>,
    subscribers: AtomicUsize,
    telemetry: Arc<Telemetry>,
}

impl Live {
    pub(crate) fn new(started_at: Timestamp, telemetry: Arc<Telemetry>) -> Self {
        Self {
            run: started_at.as_millis(),
            ring: Mutex::new(VecDeque::new()),
            newest: watch::Sender::new(0),
            subscribers: AtomicUsize::new(0),
            telemetry,
        }
    }

    /// Clients that listen now.
    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    fn publish(&self, name: &'static str, data: &impl serde::Serialize) {
        let Ok(data) = serde_json::to_string(data) else { return };
        let mut ring = lock(&self.ring);
        let Some(id) = self.next_id() else { return };
        if ring.len() == RING {
            ring.pop_front();
            self.telemetry.events_dropped.inc();
        }
        ring.push_back(Message { id, name, data: data.into() });
        self.newest.send_replace(id);
    }

    /// Notes that something happened which is not told, so that whoever comes back starts anew.
    fn skip(&self) {
        let mut ring = lock(&self.ring);
        let Some(id) = self.next_id() else { return };
        ring.clear();
        self.newest.send_replace(id);
    }

    /// ORDER: called with the ring locked, as [`Live::stop`] sends, so that no id follows [`STOPPED`].
    fn next_id(&self) -> Option<u64> {
        let newest = *self.newest.borrow();
        (newest != STOPPED).then(|| newest + 1)
    }

    fn id_text(&self, id: u64) -> String {
        format!("{}-{id}", self.run)
    }

    /// The message that a client has seen last; one that is not of this run is none that could be resumed after.
    fn seen(&self, id: &str) -> u64 {
        let of_this_run = id.split_once('-').filter(|(run, _)| run.parse() == Ok(self.run));
        of_this_run.and_then(|(_, id)| id.parse().ok()).unwrap_or(NONE_OF_OURS)
    }

    /// The first message after `seen`; `Err` with the newest id when messages between them are gone.
    fn after(&self, seen: u64) -> Result<Option<Message>, u64> {
        let ring = lock(&self.ring);
        let newest = *self.newest.borrow();
        if seen == NONE_OF_OURS
            || seen > newest
            || (seen < newest && ring.front().is_none_or(|oldest| oldest.id > seen + 1))
        {
            return Err(newest);
        }
        Ok(ring.iter().find(|message| message.id > seen).cloned())
    }
}

/// Gathers what changed and publishes it while anybody listens, until the daemon stops.
pub(crate) async fn publish_changes(state: Arc<ApiState>, mut stop: watch::Receiver<bool>) {
    let mut published = Published::new(&lock(&state.engine));
    // Rounds since anybody listened.
    let mut n_alone = ROUNDS_ALONE_MAX;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PUBLISH_INTERVAL) => {}
            _ = stop.changed() => return,
        }
        n_alone = if state.live.subscribers() == 0 { n_alone.saturating_add(1) } else { 0 };
        let news = published.take(&lock(&state.engine), n_alone < ROUNDS_ALONE_MAX);
        match news {
            News::None => {}
            News::Untold => state.live.skip(),
            News::Told { gone, services, incidents } => {
                if gone {
                    state.live.publish("reset", &serde_json::json!({}));
                }
                for incident in incidents {
                    state.live.publish("incident", &incident);
                }
                for services in services.chunks(SERVICES_PER_MESSAGE) {
                    state.live.publish("services", &serde_json::json!({ "services": services }));
                }
                state.live.publish("status", &status_dto(&state));
            }
        }
    }
}

/// What happened since the round before.
enum News {
    /// Nothing, and nobody listens.
    None,
    /// Something, and nobody listens.
    Untold,
    /// What to tell.
    Told {
        /// Services are gone.
        gone: bool,
        services: Vec<wire::Service>,
        incidents: Vec<wire::Incident>,
    },
}

/// What clients have been told.
struct Published {
    revision: u64,
    /// Transitions told of each incident.
    incidents: BTreeMap<IncidentId, (usize, usize)>,
    services: BTreeSet<ServiceKey>,
    /// Services have gone that clients were not told of.
    gone: bool,
    /// Rounds since clients were last told to load everything.
    n_since_reset: u32,
}

impl Published {
    fn new(engine: &Engine) -> Self {
        let mut published = Self {
            revision: engine.revision(),
            incidents: BTreeMap::new(),
            services: BTreeSet::new(),
            gone: false,
            n_since_reset: ROUNDS_PER_RESET,
        };
        published.take_incidents(engine);
        published
    }

    fn take(&mut self, engine: &Engine, told: bool) -> News {
        if !told {
            let changed = !self.take_incidents(engine).is_empty() || engine.revision() != self.revision;
            self.revision = engine.revision();
            (self.services, self.gone) = (BTreeSet::new(), false);
            return if changed { News::Untold } else { News::None };
        }
        let gone = self.take_gone(engine);
        News::Told { gone, services: self.take_services(engine), incidents: self.take_incidents(engine) }
    }

    /// Whether clients have to be told that services are gone. A fleet that comes and goes does not make them load everything all the time.
    fn take_gone(&mut self, engine: &Engine) -> bool {
        let services: BTreeSet<ServiceKey> = engine.services().map(|view| view.key.clone()).collect();
        self.gone |= !self.services.is_subset(&services);
        self.services = services;
        self.n_since_reset = self.n_since_reset.saturating_add(1);
        if !self.gone || self.n_since_reset < ROUNDS_PER_RESET {
            return false;
        }
        (self.gone, self.n_since_reset) = (false, 0);
        true
    }

    fn take_services(&mut self, engine: &Engine) -> Vec<wire::Service> {
        let since = std::mem::replace(&mut self.revision, engine.revision());
        engine.services().filter(|view| view.revision() > since).filter_map(|view| service_dto(&view)).collect()
    }

    fn take_incidents(&mut self, engine: &Engine) -> Vec<wire::Incident> {
        let mut changed = Vec::new();
        for incident in engine.incidents() {
            let known = (incident.transitions.len(), incident.captures.len());
            if self.incidents.insert(incident.id, known) != Some(known) {
                changed.push(super::incidents::shown(engine, incident));
            }
        }
        changed
    }
}

/// Live changes: `services` (rows that changed), `incident`, `status`, and `reset` when some were missed or services are gone: load everything anew. Resumes after `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/events", responses((status = 200, content_type = "text/event-stream", body = String), (status = 503, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn events(
    State(state): State<Arc<ApiState>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let live = state.live.clone();
    let subscription = Subscription::new(live.clone()).ok_or_else(|| {
        let detail = format!("expected at most {SUBSCRIBERS_MAX} clients of live changes at once");
        let path = "/api/v1/events";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-subscribers", detail, path).retry_after(HEARTBEAT)
    })?;
    let last_seen = headers.get("last-event-id").map(|id| live.seen(id.to_str().unwrap_or_default()));
    let newest = live.newest.subscribe();
    let seen = last_seen.unwrap_or_else(|| *newest.borrow());
    let stream = futures_util::stream::unfold((subscription, newest, seen), next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

type Progress = (Subscription, watch::Receiver<u64>, u64);

async fn next((subscription, mut newest, seen): Progress) -> Option<(Result<Event, Infallible>, Progress)> {
    loop {
        if *newest.borrow_and_update() == STOPPED {
            return None;
        }
        match subscription.0.after(seen) {
            Err(newest_id) => {
                let event = Event::default().id(subscription.0.id_text(newest_id)).event("reset").data("{}");
                return Some((Ok(event), (subscription, newest, newest_id)));
            }
            Ok(Some(message)) => {
                let event =
                    Event::default().id(subscription.0.id_text(message.id)).event(message.name).data(&*message.data);
                return Some((Ok(event), (subscription, newest, message.id)));
            }
            Ok(None) => newest.changed().await.ok()?,
        }
    }
}

/// In place of an id: the daemon stops, and streams end.
const STOPPED: u64 = u64::MAX;
/// In place of an id: a client has seen something that is not ours.
const NONE_OF_OURS: u64 = u64::MAX - 1;

impl Live {
    /// Ends every stream, so that the server can stop.
    pub(crate) fn stop(&self) {
        let _ring = lock(&self.ring);
        self.newest.send_replace(STOPPED);
    }
}

/// One listening client, counted for as long as it lives.
struct Subscription(Arc<Live>);

impl Subscription {
    fn new(live: Arc<Live>) -> Option<Self> {
        let admitted = live
            .subscribers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < SUBSCRIBERS_MAX).then(|| n + 1));
        // Made only when admitted: dropping one counts down.
        admitted.is_ok().then(|| Self(live))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.subscribers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_resumes_or_is_told_to_start_anew() {
        let live = Live::new(Timestamp::from_millis(7), Arc::new(Telemetry::new(Arc::default())));
        assert!(matches!(live.after(0), Ok(None)));
        for n in 0..RING as u64 + 10 {
            live.publish("services", &n);
        }
        let newest = RING as u64 + 10;
        assert!(matches!(live.after(newest - 1), Ok(Some(Message { id, .. })) if id == newest));
        assert!(matches!(live.after(10), Ok(Some(Message { id: 11, .. }))));
        assert!(matches!(live.after(9), Err(id) if id == newest));
        assert!(matches!(live.after(newest + 1), Err(id) if id == newest));
        for (text, seen) in [("7-5", 5), ("8-5", NONE_OF_OURS), ("5", NONE_OF_OURS), ("", NONE_OF_OURS)] {
            assert_eq!(live.seen(text), seen, "{text}");
        }
        live.skip();
        assert!(matches!(live.after(newest), Err(id) if id == newest + 1));
    }

    #[test]
    fn nothing_is_published_after_the_end() {
        let live = Live::new(Timestamp::EPOCH, Arc::new(Telemetry::new(Arc::default())));
        live.stop();
        live.publish("services", &0);
        live.skip();
        assert_eq!(*live.newest.borrow(), STOPPED);
    }
}
