//! What operators ask: status, health, reload, metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use leakscope_store::Health;
use leakscope_wire as wire;
use tokio::sync::oneshot;

use super::ApiState;
use super::params::{NoQuery, Params};
use super::problem::Problem;
use super::views::state_counts;
use crate::sync::lock;
use crate::telemetry::{Facts, own_memory};

/// How leakscope itself is.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = wire::Status), (status = 400, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn status(State(state): State<Arc<ApiState>>, _: Params<NoQuery>) -> Json<wire::Status> {
    Json(status_dto(&state))
}

pub(crate) fn status_dto(state: &ApiState) -> wire::Status {
    let (targets, targets_up, services, time_scale) = {
        let engine = lock(&state.engine);
        let up = engine.watches().filter(|(_, watch)| watch.health.up == Some(true)).count();
        (engine.watches().count(), up, state_counts(&engine), engine.config().time_scale)
    };
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
        false_alarms_per_1000_service_days: state.false_alarms,
        targets: targets as u32,
        targets_up: targets_up as u32,
        services,
        memory_bytes: own_memory().unwrap_or(0.0) as u64,
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
#[utoipa::path(get, path = "/-/healthy", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn healthy() -> &'static str {
    "leakscope is healthy\n"
}

/// Able to serve: the store takes writes.
#[utoipa::path(get, path = "/-/ready", responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn ready(State(state): State<Arc<ApiState>>) -> Response {
    match state.store.health() {
        Health::Ok => "leakscope is ready\n".into_response(),
        Health::Refusing { reason, .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-refuses", reason, "/-/ready").into_response()
        }
    }
}

/// Reads the configuration again. A bad one leaves the old one running. `PUT` does the same.
#[utoipa::path(post, path = "/-/reload", responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 503, body = wire::Problem, content_type = "application/problem+json")))]
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
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(crate) async fn metrics(State(state): State<Arc<ApiState>>) -> Response {
    let stats = state.store.stats();
    let facts = Facts {
        targets: lock(&state.engine).watches().count(),
        subscribers: state.live.subscribers(),
        storage_bytes: stats.file_size.0,
        storage_writable: state.store.health() == Health::Ok,
        samples_dropped: stats.dropped_samples,
    };
    let body = state.telemetry.encode(facts);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], body).into_response()
}
