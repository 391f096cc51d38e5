//! The API: one handler per route, and nothing decided here. What the page shows is what the API returns.

mod access;
mod alerts;
mod captures;
mod events;
mod fleet;
mod incidents;
mod listener;
mod openapi;
mod ops;
mod params;
mod problem;
mod report;
mod series;
mod sever;
mod ui;
mod views;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use leakscope_engine::{Engine, Event};
use leakscope_model::Timestamp;
use leakscope_store::Store;
use tokio::sync::{mpsc, oneshot, watch};

use crate::telemetry::Telemetry;

pub(crate) use access::Access;
pub(crate) use events::{Live, publish_changes};
pub(crate) use listener::{TlsListener, server_config};
pub(crate) use sever::Severable;

/// Asks the daemon to read its configuration again; the answer is why it could not.
pub(crate) type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// How configuration and discovery fare.
#[derive(Clone, Debug, Default)]
pub(crate) struct FleetStatus {
    /// Whether the last reload succeeded; `None` without a configuration file.
    pub(crate) reloaded: Option<bool>,
    /// Why it did not.
    pub(crate) error: Option<String>,
    /// Sources of targets that fail, and processes that cannot be seen.
    pub(crate) problems: Vec<String>,
}

/// What handlers can see. They lock the engine for as long as they copy.
#[derive(Debug)]
pub(crate) struct ApiState {
    pub(crate) engine: Arc<Mutex<Engine>>,
    pub(crate) store: Arc<Store>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) live: Arc<Live>,
    pub(crate) reload: mpsc::Sender<ReloadRequest>,
    pub(crate) fleet: watch::Receiver<FleetStatus>,
    pub(crate) started_at: Timestamp,
    /// `detection.false_alarms_per_1000_service_days` as it was at the start.
    pub(crate) false_alarms: f64,
    pub(crate) access: Access,
    /// What a person asks for goes to the loop.
    pub(crate) events: std::sync::mpsc::Sender<Vec<Event>>,
}

/// All routes.
pub(crate) fn router(state: Arc<ApiState>) -> Router {
    Router::new()
        .route("/api/v1/status", get(ops::status))
        .route("/api/v1/targets", get(fleet::targets))
        .route("/api/v1/targets/{id}", get(fleet::target))
        .route("/api/v1/targets/{id}/evidence", get(captures::evidence))
        .route("/api/v1/services", get(fleet::services))
        .route("/api/v1/services/{name}", get(fleet::service))
        .route("/api/v1/series", get(series::series))
        .route("/api/v1/samples", get(series::samples))
        .route("/api/v1/incidents", get(incidents::incidents))
        .route("/api/v1/incidents/{id}", get(incidents::incident))
        .route("/api/v1/incidents/{id}/report", get(report::report))
        .route("/api/v1/incidents/{id}/acknowledge", post(captures::acknowledge))
        .route("/api/v1/captures", get(captures::captures).post(captures::ask))
        .route("/api/v1/captures/{id}", get(captures::capture).delete(captures::cancel))
        .route("/api/v1/captures/{id}/file", get(captures::file))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/-/healthy", get(ops::healthy))
        .route("/-/ready", get(ops::ready))
        .route("/-/reload", post(ops::reload).put(ops::reload))
        .route("/metrics", get(ops::metrics))
        .fallback(ui::file)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(state.clone(), access::guard))
        .with_state(state)
}
