//! Targets and services.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use leakscope_engine::{ServiceView, Watch};
use leakscope_model::{Runtime, State as Verdict, TargetId};
use leakscope_wire as wire;
use serde::Deserialize;

use super::ApiState;
use super::params::{NoQuery, Params, Segment, one_of, page};
use super::problem::Problem;
use super::views::{service_dto, target_dto};
use crate::sync::lock;

/// Which targets.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetsQuery {
    /// Only of this job.
    job: Option<String>,
    /// Only of this service.
    service: Option<String>,
    /// Only in this state: `too_early`, `steady`, `recovered`, `suspect` or `leaking`.
    state: Option<String>,
    /// Only those whose last scrape succeeded, or failed.
    up: Option<bool>,
    /// Rows of a page, at most 10,000; 1,000 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which services.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServicesQuery {
    /// Only in this state.
    state: Option<String>,
    /// Only of this runtime.
    runtime: Option<String>,
    /// Only those whose name contains this.
    name: Option<String>,
    /// Rows of a page, at most 10,000; 1,000 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which version of a service.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceQuery {
    /// The version; without it the worst one is shown.
    version: Option<String>,
}

/// What `state` may be.
const STATES: [&str; 5] = [
    Verdict::TooEarly.name(),
    Verdict::Steady.name(),
    Verdict::Recovered.name(),
    Verdict::Suspect.name(),
    Verdict::Leaking.name(),
];
/// What `runtime` may be.
const RUNTIMES: [&str; 7] = [
    Runtime::Go.name(),
    Runtime::Node.name(),
    Runtime::Jvm.name(),
    Runtime::Python.name(),
    Runtime::DotNet.name(),
    Runtime::Native.name(),
    Runtime::Unknown.name(),
];

/// Everything that is watched.
#[utoipa::path(get, path = "/api/v1/targets", params(TargetsQuery), responses((status = 200, body = wire::Targets), (status = 400, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn targets(
    State(state): State<Arc<ApiState>>,
    query: Params<TargetsQuery>,
) -> Result<Json<wire::Targets>, Problem> {
    let Params { value: query, path } = query;
    one_of(&STATES, query.state.as_deref(), "state", &path)?;
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let engine = lock(&state.engine);
    let mut wanted: Vec<(TargetId, &Watch)> = engine
        .watches()
        .filter(|(_, watch)| {
            is(&query.job, &watch.target.job)
                && is(&query.service, &watch.target.service)
                && is(&query.state, watch.state().name())
                && (query.up.is_none() || watch.health.up == query.up)
        })
        .collect();
    wanted.sort_by(|(_, a), (_, b)| (&a.target.job, &a.target.instance).cmp(&(&b.target.job, &b.target.instance)));
    let (rows, next_cursor) = page(wanted, query.limit, query.cursor.as_deref(), &path)?;
    let targets = rows.into_iter().map(|(id, watch)| target_dto(id, watch)).collect();
    Ok(Json(wire::Targets { targets, next_cursor }))
}

/// One thing that is watched.
#[utoipa::path(get, path = "/api/v1/targets/{id}", params(("id" = String, Path, description = "16 hex digits")), responses((status = 200, body = wire::Target), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 404, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn target(
    State(state): State<Arc<ApiState>>,
    Segment { value: id, path }: Segment,
    _: Params<NoQuery>,
) -> Result<Json<wire::Target>, Problem> {
    let engine = lock(&state.engine);
    let found = id.parse().ok().and_then(|id: TargetId| Some((id, engine.watch(id)?)));
    let (id, watch) = found.ok_or_else(|| {
        Problem::not_found(format!("target `{id}` is not known; `/api/v1/targets` lists them"), &path)
    })?;
    Ok(Json(target_dto(id, watch)))
}

/// Every service, worst first.
#[utoipa::path(get, path = "/api/v1/services", params(ServicesQuery), responses((status = 200, body = wire::Services), (status = 400, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn services(
    State(state): State<Arc<ApiState>>,
    query: Params<ServicesQuery>,
) -> Result<Json<wire::Services>, Problem> {
    let Params { value: query, path } = query;
    one_of(&STATES, query.state.as_deref(), "state", &path)?;
    one_of(&RUNTIMES, query.runtime.as_deref(), "runtime", &path)?;
    let engine = lock(&state.engine);
    let mut wanted: Vec<ServiceView<'_>> = engine
        .services()
        .filter(|view| {
            let Some((_, worst)) = view.worst() else { return false };
            query.state.as_deref().is_none_or(|state| worst.state().name() == state)
                && query.runtime.as_deref().is_none_or(|runtime| worst.target.runtime.name() == runtime)
                && query.name.as_deref().is_none_or(|name| view.key.name.contains(name))
        })
        .collect();
    wanted.sort_by(|a, b| worse(b, a).then_with(|| a.key.cmp(b.key)));
    let (rows, next_cursor) = page(wanted, query.limit, query.cursor.as_deref(), &path)?;
    Ok(Json(wire::Services { services: rows.iter().filter_map(service_dto).collect(), next_cursor }))
}

/// Compares by state, then score.
fn worse(a: &ServiceView<'_>, b: &ServiceView<'_>) -> Ordering {
    let rank = |view: &ServiceView<'_>| view.worst().map(|(_, watch)| (watch.state(), watch.score()));
    rank(a).partial_cmp(&rank(b)).unwrap_or(Ordering::Equal)
}

/// One service with its replicas.
#[utoipa::path(get, path = "/api/v1/services/{name}", params(("name" = String, Path, description = "the service's name"), ServiceQuery), responses((status = 200, body = wire::ServiceDetail), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 404, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn service(
    State(state): State<Arc<ApiState>>,
    Segment { value: name, .. }: Segment,
    query: Params<ServiceQuery>,
) -> Result<Json<wire::ServiceDetail>, Problem> {
    let engine = lock(&state.engine);
    let versions = engine.services().filter(|view| {
        view.key.name == name && (query.value.version.is_none() || view.key.version == query.value.version)
    });
    let view = versions.max_by(worse).ok_or_else(|| {
        Problem::not_found(format!("service `{name}` is not known; `/api/v1/services` lists them"), &query.path)
    })?;
    let mut replicas = view.replicas.clone();
    replicas.sort_by(|(_, a), (_, b)| a.target.instance.cmp(&b.target.instance));
    let service = service_dto(&view)
        .ok_or_else(|| Problem::not_found(format!("service `{name}` has no replica left"), &query.path))?;
    let replicas = replicas.into_iter().map(|(id, watch)| target_dto(id, watch)).collect();
    Ok(Json(wire::ServiceDetail { service, replicas }))
}
