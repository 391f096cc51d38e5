//! An incident's report, in the form that is asked for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use leakscope_engine::{Engine, Watch};
use leakscope_model::{Bytes, Incident, IncidentId, Lacking, Signal, TargetId, Timestamp};
use leakscope_wire as wire;
use serde::Deserialize;

use super::ApiState;
use super::params::{Params, Segment, one_of};
use super::problem::Problem;
use crate::clock;
use crate::report::{self, Around, Facts};
use crate::sync::lock;

/// In which form.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    /// `json` (the default), `text`, `markdown` or `html`.
    format: Option<String>,
}

/// What `format` may be.
const FORMATS: [&str; 4] = ["json", "text", "markdown", "html"];

/// Where samples are still to be read, and from when on the growth is told.
struct Open {
    report: wire::Report,
    worst: Option<TargetId>,
    since: Timestamp,
}

/// An incident as a story: what happened, what was looked at, what it says, and what would make it surer.
#[utoipa::path(get, path = "/api/v1/incidents/{id}/report", params(("id" = u64, Path, description = "the incident's number"), ReportQuery), responses((status = 200, body = wire::Report), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 404, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn report(
    State(state): State<Arc<ApiState>>,
    Segment { value: id, path }: Segment,
    query: Params<ReportQuery>,
) -> Result<Response, Problem> {
    one_of(&FORMATS, query.value.format.as_deref(), "format", &path)?;
    let now = clock::now();
    let Open { mut report, worst, since } = {
        let engine = lock(&state.engine);
        let found = id.parse().ok().and_then(|id| engine.incident(IncidentId(id)));
        let incident = found.ok_or_else(|| {
            Problem::not_found(format!("incident `{id}` is not known; `/api/v1/incidents` lists them"), &path)
        })?;
        open(&engine, incident, now)
    };
    if let Some(worst) = worst {
        let around = around(&state, worst, since, now).await.map_err(|reason| Problem::internal(reason, &path))?;
        report::add_samples(&mut report, &around, since);
    }
    Ok(match query.value.format.as_deref() {
        Some("text") => typed("text/plain; charset=utf-8", report::text(&report)),
        Some("markdown") => typed("text/markdown; charset=utf-8", report::markdown(&report)),
        Some("html") => typed("text/html; charset=utf-8", report::html(&report)),
        _ => Json(report).into_response(),
    })
}

fn typed(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// The report as far as the engine knows it.
fn open(engine: &Engine, incident: &Incident, now: Timestamp) -> Open {
    let replicas: Vec<(TargetId, &Watch)> =
        engine.watches().filter(|(_, watch)| watch.target.service == incident.service).collect();
    let worst = replicas
        .iter()
        .filter(|(id, _)| incident.targets.contains(id))
        .max_by(|(_, a), (_, b)| a.state().cmp(&b.state()).then(a.score().total_cmp(&b.score())));
    let limit = worst.and_then(|(_, watch)| watch.last.get(Signal::Limit));
    let facts = Facts {
        incident,
        captures: incident.captures.iter().filter_map(|id| engine.capture(*id)).collect(),
        verdict: worst.map(|(_, watch)| watch.verdict()),
        limit: limit.map(|limit| Bytes(limit.max(0.0) as u64)),
        peers: replicas.iter().map(|(id, watch)| peer(*id, watch, incident.targets.contains(id))).collect(),
        lacking: lacking(engine, incident),
    };
    let since = report::begun(&facts).unwrap_or(incident.opened_at);
    Open { report: report::story(&facts, now), worst: worst.map(|(id, _)| *id), since }
}

fn lacking(engine: &Engine, incident: &Incident) -> Vec<Lacking> {
    let surveys = incident.targets.iter().filter_map(|id| engine.survey(*id));
    surveys.flat_map(|survey| survey.lacking.iter().cloned()).collect()
}

fn peer(id: TargetId, watch: &Watch, leaks: bool) -> wire::Peer {
    let verdict = wire::Verdict::from(&watch.verdict());
    wire::Peer {
        target: id.to_string(),
        instance: watch.target.instance.clone(),
        version: watch.target.version.clone(),
        state: verdict.state,
        score: verdict.score,
        growth_bytes_per_hour: verdict.growth_bytes_per_hour,
        leaks,
    }
}

async fn around(state: &ApiState, target: TargetId, since: Timestamp, now: Timestamp) -> Result<Around, String> {
    let store = state.store.clone();
    let from = since.minus(report::BEFORE);
    let read = move || store.range(target, &[Signal::Requests, Signal::StartTime], from, now);
    let columns = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
    let columns = columns.map_err(|error| error.to_string())?;
    Ok(Around {
        requests: columns.samples(Signal::Requests).collect(),
        starts: columns.samples(Signal::StartTime).collect(),
    })
}
