//! Incidents.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use leakscope_engine::Engine;
use leakscope_model::{Incident, IncidentId, IncidentState};
use leakscope_wire as wire;
use serde::Deserialize;

use super::ApiState;
use super::params::{NoQuery, Params, Segment, one_of, page};
use super::problem::Problem;
use crate::sync::lock;

/// Which incidents.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentsQuery {
    /// Only in this state: `open`, `gathered`, `explained`, `acknowledged`, `recovered`, `verified` or `closed`.
    state: Option<String>,
    /// Only of this service.
    service: Option<String>,
    /// Rows of a page, at most 10,000; 1,000 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What `state` may be.
const STATES: [&str; 7] = [
    IncidentState::Open.name(),
    IncidentState::Gathered.name(),
    IncidentState::Explained.name(),
    IncidentState::Acknowledged.name(),
    IncidentState::Recovered.name(),
    IncidentState::Verified.name(),
    IncidentState::Closed.name(),
];

/// An incident with its captures, as the engine knows them.
pub(super) fn shown(engine: &Engine, incident: &Incident) -> wire::Incident {
    wire::Incident::of(incident, incident.captures.iter().filter_map(|id| engine.capture(*id)))
}

/// Every incident, newest first.
#[utoipa::path(get, path = "/api/v1/incidents", params(IncidentsQuery), responses((status = 200, body = wire::Incidents), (status = 400, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn incidents(
    State(state): State<Arc<ApiState>>,
    query: Params<IncidentsQuery>,
) -> Result<Json<wire::Incidents>, Problem> {
    let Params { value: query, path } = query;
    one_of(&STATES, query.state.as_deref(), "state", &path)?;
    let engine = lock(&state.engine);
    let wanted = engine
        .incidents()
        .rev()
        .filter(|incident| {
            query.state.as_deref().is_none_or(|state| incident.state.name() == state)
                && query.service.as_deref().is_none_or(|service| incident.service == service)
        })
        .collect();
    let (rows, next_cursor) = page(wanted, query.limit, query.cursor.as_deref(), &path)?;
    Ok(Json(wire::Incidents {
        incidents: rows.into_iter().map(|incident| shown(&engine, incident)).collect(),
        next_cursor,
    }))
}

/// One incident.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", params(("id" = u64, Path, description = "the incident's number")), responses((status = 200, body = wire::Incident), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 404, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn incident(
    State(state): State<Arc<ApiState>>,
    Segment { value: id, path }: Segment,
    _: Params<NoQuery>,
) -> Result<Json<wire::Incident>, Problem> {
    let engine = lock(&state.engine);
    let found = id.parse().ok().and_then(|id| engine.incident(IncidentId(id)));
    found.map(|incident| Json(shown(&engine, incident))).ok_or_else(|| {
        Problem::not_found(format!("incident `{id}` is not known; `/api/v1/incidents` lists them"), &path)
    })
}
