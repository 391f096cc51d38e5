//! Captures: what was taken and what was not, the files, and asking for one. A capture's record is the operation itself: its state
//! says whether it runs, was refused, is kept or failed.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use leakscope_engine::{Command, Event};
use leakscope_model::{Capture, CaptureId, CaptureKind, CaptureState, IncidentId, Phase, TargetId, Weight};
use leakscope_store::StoreError;
use leakscope_wire as wire;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::ApiState;
use super::params::{NoQuery, Params, Segment, one_of, page};
use super::problem::Problem;
use crate::clock;
use crate::sync::lock;

/// How long the target may take to be looked at before a capture that was asked for is on record.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(15);
/// How often to look whether it is.
const ADMISSION_POLL: Duration = Duration::from_millis(50);
/// Bytes of a file that are sent at once.
const PIECE_BYTES: usize = 256 << 10;

/// Which captures.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct CapturesQuery {
    /// Only of this service.
    service: Option<String>,
    /// Only evidence of this incident.
    incident: Option<u64>,
    /// Only in this state: `refused`, `running`, `stored`, `failed`, `cancelled` or `expired`.
    state: Option<String>,
    /// Rows of a page, at most 10,000; 1,000 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What `state` may be.
const STATES: [&str; 6] = [
    CaptureState::Refused.name(),
    CaptureState::Running.name(),
    CaptureState::Stored.name(),
    CaptureState::Failed.name(),
    CaptureState::Cancelled.name(),
    CaptureState::Expired.name(),
];

/// Every attempt to take evidence, newest first.
#[utoipa::path(get, path = "/api/v1/captures", params(CapturesQuery), responses((status = 200, body = wire::Captures), (status = 400, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn captures(
    State(state): State<Arc<ApiState>>,
    query: Params<CapturesQuery>,
) -> Result<Json<wire::Captures>, Problem> {
    let Params { value: query, path } = query;
    one_of(&STATES, query.state.as_deref(), "state", &path)?;
    let engine = lock(&state.engine);
    let wanted = |capture: &&Capture| {
        query.service.as_deref().is_none_or(|service| capture.service == service)
            && query.incident.is_none_or(|incident| capture.incident == Some(IncidentId(incident)))
            && query.state.as_deref().is_none_or(|state| capture.state.name() == state)
    };
    let found = engine.captures().rev().filter(wanted).collect();
    let (rows, next_cursor) = page(found, query.limit, query.cursor.as_deref(), &path)?;
    Ok(Json(wire::Captures { captures: rows.into_iter().map(Into::into).collect(), next_cursor }))
}

/// One attempt.
#[utoipa::path(get, path = "/api/v1/captures/{id}", params(("id" = u64, Path, description = "the capture's number")), responses((status = 200, body = wire::Capture), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 404, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn capture(
    State(state): State<Arc<ApiState>>,
    segment: Segment,
    _: Params<NoQuery>,
) -> Result<Json<wire::Capture>, Problem> {
    known(&state, &segment).map(|capture| Json((&capture).into()))
}

/// What was captured. That it was opened, and by whom, is on record before the first byte is sent.
#[utoipa::path(get, path = "/api/v1/captures/{id}/file", params(("id" = u64, Path, description = "the capture's number")), responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = wire::Problem, content_type = "application/problem+json"), (status = 410, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn file(
    State(state): State<Arc<ApiState>>,
    segment: Segment,
    _: Params<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let capture = known(&state, &segment)?;
    let Segment { path, .. } = segment;
    let by = state.access.who(&headers);
    let name = file_name(&capture);
    let store = state.store.clone();
    let open = move || store.open_capture(&capture, &by, "downloaded over the API", clock::now());
    let opened =
        tokio::task::spawn_blocking(open).await.map_err(|error| Problem::internal(error.to_string(), &path))?;
    let (file, size) = opened.map_err(|error| match error {
        StoreError::NoFile { .. } => Problem::new(StatusCode::GONE, "no-file", error.to_string(), &path),
        error => Problem::internal(error.to_string(), &path),
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.0.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces(file))).into_response())
}

/// A file piece by piece; the end of the stream is the end of the file, or the error that it met.
fn pieces(file: std::fs::File) -> impl futures_util::Stream<Item = std::io::Result<Vec<u8>>> {
    stream::try_unfold(file, |mut file| async move {
        let read = move || {
            let mut piece = vec![0; PIECE_BYTES];
            let n_read = file.read(&mut piece)?;
            piece.truncate(n_read);
            Ok((n_read > 0).then_some((piece, file)))
        };
        tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)?
    })
}

/// `shop-12.pb.gz`, of characters that mean nothing in a header or a shell.
fn file_name(capture: &Capture) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let service: String = capture.service.chars().map(plain).collect();
    format!("{service}-{}.{}", capture.id.0, capture.kind.extension())
}

/// What can be captured of a target, and what each would cost.
#[utoipa::path(get, path = "/api/v1/targets/{id}/evidence", params(("id" = String, Path, description = "16 hex digits")), responses((status = 200, body = wire::Evidence), (status = 404, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn evidence(
    State(state): State<Arc<ApiState>>,
    Segment { value: id, path }: Segment,
    _: Params<NoQuery>,
) -> Result<Json<wire::Evidence>, Problem> {
    let engine = lock(&state.engine);
    let target = id.parse().ok().filter(|id| engine.watch(*id).is_some());
    let target: TargetId = target.ok_or_else(|| {
        Problem::not_found(format!("target `{id}` is not known; `/api/v1/targets` lists them"), &path)
    })?;
    let Some(survey) = engine.survey(target) else { return Ok(Json(wire::Evidence::default())) };
    let means = survey.means.iter().map(|means| wire::Means {
        kind: means.kind.name().into(),
        weight: match means.kind.weight() {
            Weight::Light => "light",
            Weight::Heavy => "heavy",
        }
        .into(),
        way: means.way.clone(),
        predicted: engine.predict(target, means.kind).unwrap_or(means.hint).into(),
    });
    let lacking = survey.lacking.iter().map(Into::into).collect();
    Ok(Json(wire::Evidence { surveyed: true, means: means.collect(), lacking }))
}

/// Asks for evidence of a target, now. The budgets are overruled; room is not, unless `force`. Answers as soon as the attempt is on
/// record, with what it is expected to cost: look at `Location` for what becomes of it.
#[utoipa::path(post, path = "/api/v1/captures", request_body = wire::CaptureRequest, responses((status = 202, body = wire::Capture), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 404, body = wire::Problem, content_type = "application/problem+json"), (status = 503, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn ask(
    State(state): State<Arc<ApiState>>,
    Params { path, .. }: Params<NoQuery>,
    request: Result<Json<wire::CaptureRequest>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, Problem> {
    let Json(request) = request.map_err(|error| Problem::bad_request(error.body_text(), &path))?;
    let kind = request.kind.as_deref().map(|name| kind_of(name, &path)).transpose()?;
    let target = request.target.parse().ok().filter(|id| lock(&state.engine).watch(*id).is_some());
    let target: TargetId = target.ok_or_else(|| {
        Problem::not_found(format!("target `{}` is not known; `/api/v1/targets` lists them", request.target), &path)
    })?;
    let newest = lock(&state.engine).captures().next_back().map(|capture| capture.id);
    tell(&state, Command::Capture { target, kind, force: request.force }, &path)?;
    let is_asked =
        |capture: &&Capture| Some(capture.id) > newest && capture.target == target && capture.phase == Phase::Asked;
    let admitted = async {
        loop {
            // poll: the attempt is on record
            let found = lock(&state.engine).captures().rev().find(is_asked).map(wire::Capture::from);
            match found {
                Some(capture) => break capture,
                None => sleep(ADMISSION_POLL).await,
            }
        }
    };
    let capture = timeout(ADMISSION_TIMEOUT, admitted).await.map_err(|_| {
        let detail = format!("the target was not looked at within {} s", ADMISSION_TIMEOUT.as_secs());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-surveyed", detail, &path)
    })?;
    let location = format!("/api/v1/captures/{}", capture.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(capture)).into_response())
}

fn kind_of(name: &str, path: &str) -> Result<CaptureKind, Problem> {
    CaptureKind::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = CaptureKind::ALL.into_iter().map(CaptureKind::name).collect();
        Problem::bad_request(format!("expected `kind` to be one of {}, found `{name}`", known.join(", ")), path)
    })
}

/// Stops a capture that runs. What is kept goes by age and size alone.
#[utoipa::path(delete, path = "/api/v1/captures/{id}", params(("id" = u64, Path, description = "the capture's number")), responses((status = 202, body = wire::Capture), (status = 404, body = wire::Problem, content_type = "application/problem+json"), (status = 409, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn cancel(
    State(state): State<Arc<ApiState>>,
    segment: Segment,
    _: Params<NoQuery>,
) -> Result<Response, Problem> {
    let capture = known(&state, &segment)?;
    if capture.state != CaptureState::Running {
        let detail = format!("capture {} is {}; only one that runs can be stopped", capture.id.0, capture.state.name());
        return Err(Problem::new(StatusCode::CONFLICT, "not-running", detail, &segment.path));
    }
    tell(&state, Command::CancelCapture(capture.id), &segment.path)?;
    Ok((StatusCode::ACCEPTED, Json(wire::Capture::from(&capture))).into_response())
}

/// Notes that a person knows of an incident.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/acknowledge", params(("id" = u64, Path, description = "the incident's number")), responses((status = 202, body = wire::Incident), (status = 404, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn acknowledge(
    State(state): State<Arc<ApiState>>,
    Segment { value: id, path }: Segment,
    _: Params<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let incident = {
        let engine = lock(&state.engine);
        let found = id.parse().ok().and_then(|id| engine.incident(IncidentId(id)));
        found.map(|incident| super::incidents::shown(&engine, incident))
    };
    let incident = incident.ok_or_else(|| {
        Problem::not_found(format!("incident `{id}` is not known; `/api/v1/incidents` lists them"), &path)
    })?;
    let by = state.access.who(&headers);
    tell(&state, Command::Acknowledge { incident: IncidentId(incident.id), by }, &path)?;
    Ok((StatusCode::ACCEPTED, Json(incident)).into_response())
}

fn known(state: &ApiState, segment: &Segment) -> Result<Capture, Problem> {
    let id = &segment.value;
    let found = id.parse().ok().and_then(|id| lock(&state.engine).capture(CaptureId(id)).cloned());
    found.ok_or_else(|| {
        Problem::not_found(format!("capture `{id}` is not known; `/api/v1/captures` lists them"), &segment.path)
    })
}

fn tell(state: &ApiState, command: Command, path: &str) -> Result<(), Problem> {
    let stopping = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "leakscope is stopping", path);
    state.events.send(vec![Event::Asked(command)]).map_err(stopping)
}
