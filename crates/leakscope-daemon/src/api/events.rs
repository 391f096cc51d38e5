//! Live changes as server-sent events, with resume.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use leakscope_engine::Engine;
use leakscope_model::IncidentId;
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
    ring: Mutex<VecDeque<Message>>,
    /// The id of the newest message. Closed when the daemon stops.
    newest: watch::Sender<u64>,
    subscribers: AtomicUsize,
    telemetry: Arc<Telemetry>,
}

impl Live {
    pub(crate) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
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
        if ring.len() == RING {
            ring.pop_front();
            self.telemetry.events_dropped.inc();
        }
        let id = *self.newest.borrow() + 1;
        ring.push_back(Message { id, name, data: data.into() });
        drop(ring);
        self.newest.send_replace(id);
    }

    /// The first message after `seen`; `Err` with the newest id when messages between them are gone.
    fn after(&self, seen: u64) -> Result<Option<Message>, u64> {
        let ring = lock(&self.ring);
        let newest = *self.newest.borrow();
        if seen > newest || (seen < newest && ring.front().is_none_or(|oldest| oldest.id > seen + 1)) {
            return Err(newest);
        }
        Ok(ring.iter().find(|message| message.id > seen).cloned())
    }
}

/// Gathers what changed and publishes it while anybody listens, until the daemon stops.
pub(crate) async fn publish_changes(state: Arc<ApiState>, mut stop: watch::Receiver<bool>) {
    let mut published = Published { revision: lock(&state.engine).revision(), incidents: BTreeMap::new() };
    published.take_incidents(&lock(&state.engine));
    loop {
        tokio::select! {
            () = tokio::time::sleep(PUBLISH_INTERVAL) => {}
            _ = stop.changed() => return,
        }
        let (services, incidents) = {
            let engine = lock(&state.engine);
            if state.live.subscribers() == 0 {
                published.revision = engine.revision();
                published.take_incidents(&engine);
                continue;
            }
            (published.take_services(&engine), published.take_incidents(&engine))
        };
        for incident in incidents {
            state.live.publish("incident", &incident);
        }
        for services in services.chunks(SERVICES_PER_MESSAGE) {
            state.live.publish("services", &serde_json::json!({ "services": services }));
        }
        state.live.publish("status", &status_dto(&state));
    }
}

/// What clients have been told.
struct Published {
    revision: u64,
    /// Transitions told of each incident.
    incidents: BTreeMap<IncidentId, usize>,
}

impl Published {
    fn take_services(&mut self, engine: &Engine) -> Vec<wire::Service> {
        let since = std::mem::replace(&mut self.revision, engine.revision());
        engine.services().filter(|view| view.revision() > since).filter_map(|view| service_dto(&view)).collect()
    }

    fn take_incidents(&mut self, engine: &Engine) -> Vec<wire::Incident> {
        let mut changed = Vec::new();
        for incident in engine.incidents() {
            let told = self.incidents.insert(incident.id, incident.transitions.len());
            if told != Some(incident.transitions.len()) {
                changed.push(incident.into());
            }
        }
        changed
    }
}

/// Live changes: `services` (rows that changed), `incident`, `status`, and `reset` when some were missed. Resumes after `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/events", responses((status = 200, content_type = "text/event-stream", body = String), (status = 503, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn events(
    State(state): State<Arc<ApiState>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let live = state.live.clone();
    let subscription = Subscription::new(live.clone()).ok_or_else(|| {
        let detail = format!("expected at most {SUBSCRIBERS_MAX} clients of live changes at once");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-subscribers", detail, "/api/v1/events")
    })?;
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
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
                let event = Event::default().id(newest_id.to_string()).event("reset").data("{}");
                return Some((Ok(event), (subscription, newest, newest_id)));
            }
            Ok(Some(message)) => {
                let event = Event::default().id(message.id.to_string()).event(message.name).data(&*message.data);
                return Some((Ok(event), (subscription, newest, message.id)));
            }
            Ok(None) => newest.changed().await.ok()?,
        }
    }
}

/// In place of an id: the daemon stops, and streams end.
const STOPPED: u64 = u64::MAX;

impl Live {
    /// Ends every stream, so that the server can stop.
    pub(crate) fn stop(&self) {
        self.newest.send_replace(STOPPED);
    }
}

/// One listening client, counted for as long as it lives.
struct Subscription(Arc<Live>);

impl Subscription {
    fn new(live: Arc<Live>) -> Option<Self> {
        let admitted = live
            .subscribers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < SUBSCRIBERS_MAX).then_some(n + 1));
        admitted.is_ok().then_some(Self(live))
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
        let live = Live::new(Arc::new(Telemetry::new()));
        assert!(matches!(live.after(0), Ok(None)));
        for n in 0..RING as u64 + 10 {
            live.publish("services", &n);
        }
        let newest = RING as u64 + 10;
        assert!(matches!(live.after(newest - 1), Ok(Some(Message { id, .. })) if id == newest));
        assert!(matches!(live.after(10), Ok(Some(Message { id: 11, .. }))));
        assert!(matches!(live.after(9), Err(id) if id == newest));
        assert!(matches!(live.after(newest + 1), Err(id) if id == newest));
    }
}
