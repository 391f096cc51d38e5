//! What operators ask: status, health, reload, metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use leakscope_model::Signal;
use leakscope_store::Health;
use leakscope_wire as wire;
use tokio::sync::oneshot;

use super::ApiState;
use super::problem::Problem;
use super::views::state_counts;
use crate::scrape::process;
use crate::sync::lock;
use crate::telemetry::Facts;

/// How leakscope itself is.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = wire::Status)))]
pub(crate) async fn status(State(state): State<Arc<ApiState>>) -> Json<wire::Status> {
    Json(status_dto(&state))
}

pub(crate) fn status_dto(state: &ApiState) -> wire::Status {
    let (targets, targets_up, services, time_scale) = {
        let engine = lock(&state.engine);
        let up = engine.watches().filter(|(_, watch)| watch.health.up == Some(true)).count();
        (engine.watches().count(), up, state_counts(&engine), engine.config().time_scale)
    };
    let memory = process::read(std::process::id()).ok().and_then(|page| page.own.get(Signal::Rss));
    let stats = state.store.stats();
    let reason = match state.store.health() {
        Health::Ok => None,
        Health::Refusing { reason, .. } => Some(reason),
    };
    let fleet = state.fleet.borrow().clone();
    wire::Status {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: wire::rfc3339(state.started_at),
        time_scale,
        targets: targets as u32,
        targets_up: targets_up as u32,
        services,
        memory_bytes: memory.unwrap_or(0.0) as u64,
        storage: wire::StorageStatus {
            writable: reason.is_none(),
            reason,
            bytes: stats.file_size.0,
            dropped_samples: stats.dropped_samples,
        },
        config_reloaded: fleet.reloaded,
        config_error: fleet.error,
        problems: fleet.problems,
    }
}

/// Alive.
pub(crate) async fn healthy() -> &'static str {
    "leakscope is healthy\n"
}

/// Able to serve: the store takes writes.
pub(crate) async fn ready(State(state): State<Arc<ApiState>>) -> Response {
    match state.store.health() {
        Health::Ok => "leakscope is ready\n".into_response(),
        Health::Refusing { reason, .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-refuses", reason, "/-/ready").into_response()
        }
    }
}

/// Reads the configuration again. A bad one leaves the old one running.
pub(crate) async fn reload(State(state): State<Arc<ApiState>>) -> Result<&'static str, Problem> {
    let (answer, outcome) = oneshot::channel();
    let stopping = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "leakscope is stopping", "/-/reload");
    state.reload.send(answer).await.map_err(|_| stopping())?;
    match outcome.await.map_err(|_| stopping())? {
        Ok(()) => Ok("the configuration was reloaded\n"),
        Err(reason) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad-configuration", reason, "/-/reload")),
    }
}

/// Our own metrics, in OpenMetrics text.
pub(crate) async fn metrics(State(state): State<Arc<ApiState>>) -> Response {
    let stats = state.store.stats();
    let facts = Facts {
        targets: lock(&state.engine).watches().count(),
        subscribers: state.live.subscribers(),
        storage_bytes: stats.file_size.0,
        storage_writable: state.store.health() == Health::Ok,
        samples_dropped: stats.dropped_samples,
    };
    let body = state.telemetry.encode(facts, &state.scraper);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], body).into_response()
}
