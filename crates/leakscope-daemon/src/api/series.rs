//! Samples: thinned for charts, or as they were read.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use leakscope_model::{Sample, Signal, TargetId, Timestamp, Unit};
use leakscope_store::{Columns, downsample};
use leakscope_wire as wire;
use serde::Deserialize;

use super::ApiState;
use super::params::{Params, cursor_of, moment, rows_of_page};
use super::problem::Problem;
use crate::clock;

/// Which samples.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesQuery {
    /// The target's id.
    target: String,
    /// Signals, separated by commas; all by default.
    signal: Option<String>,
    /// First moment, unix seconds or RFC 3339; an hour before the last by default.
    start: Option<String>,
    /// Last moment, unix seconds or RFC 3339; now by default.
    end: Option<String>,
    /// Seconds that one bucket of the drawing covers; its first, smallest, largest and last sample remain.
    step: Option<f64>,
    /// Or: how many points a series may have at most; 2,000 by default, at most 50,000.
    points: Option<usize>,
}

const POINTS: usize = 2_000;
const POINTS_MAX: usize = 50_000;
/// Samples that remain of one bucket.
const PER_BUCKET: usize = 4;

/// Samples of one target, thinned so that every extreme remains.
#[utoipa::path(get, path = "/api/v1/series", params(SeriesQuery), responses((status = 200, body = wire::SeriesSet), (status = 400, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn series(
    State(state): State<Arc<ApiState>>,
    query: Params<SeriesQuery>,
) -> Result<Json<wire::SeriesSet>, Problem> {
    let Params { value: query, path } = query;
    let target = target_id(&query.target, &path)?;
    let signals = signals(query.signal.as_deref(), &path)?;
    let end = query.end.as_deref().map_or(Ok(clock::now()), |text| moment(text, "end", &path))?;
    let start = match &query.start {
        Some(text) => moment(text, "start", &path)?,
        None => end.minus(Duration::from_hours(1)),
    };
    if start > end {
        return Err(Problem::bad_request("expected `start` before `end`", &path));
    }
    let points = points(query.step, query.points, end.since(start), &path)?;
    let store = state.store.clone();
    let read = move || {
        let columns = store.range(target, &signals, start, end).map_err(|error| error.to_string())?;
        Ok::<_, String>(
            signals.into_iter().filter_map(|signal| one(signal, columns.samples(signal).collect(), points)).collect(),
        )
    };
    let series = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Problem::internal(error.to_string(), &path))?
        .map_err(|error| Problem::internal(error, &path))?;
    Ok(Json(wire::SeriesSet { target: target.to_string(), series }))
}

/// Which samples, all of them.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct SamplesQuery {
    /// The target's id.
    target: String,
    /// Signals, separated by commas; all by default.
    signal: Option<String>,
    /// First moment, unix seconds or RFC 3339; the oldest that is kept by default.
    start: Option<String>,
    /// Last moment, unix seconds or RFC 3339; the newest by default.
    end: Option<String>,
    /// Times of one page, 1 to 10,000; 1,000 by default.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Samples of one target as they were read, page by page: what a detector was shown.
#[utoipa::path(get, path = "/api/v1/samples", params(SamplesQuery), responses((status = 200, body = wire::Samples), (status = 400, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn samples(
    State(state): State<Arc<ApiState>>,
    query: Params<SamplesQuery>,
) -> Result<Json<wire::Samples>, Problem> {
    let Params { value: query, path } = query;
    let target = target_id(&query.target, &path)?;
    let signals = signals(query.signal.as_deref(), &path)?;
    let bound = |text: &Option<String>, name| text.as_deref().map(|text| moment(text, name, &path)).transpose();
    let start = bound(&query.start, "start")?.unwrap_or(Timestamp::from_millis(i64::MIN));
    let end = bound(&query.end, "end")?.unwrap_or(Timestamp::from_millis(i64::MAX));
    if start > end {
        return Err(Problem::bad_request("expected `start` before `end`", &path));
    }
    let limit = rows_of_page(query.limit, &path)?;
    // A cursor is the time of the page's first sample: samples that come or go meanwhile shift nothing.
    let from = cursor_of(query.cursor.as_deref(), &path)?.map_or(start, |at| Timestamp::from_millis(at).max(start));
    let store = state.store.clone();
    let columns = tokio::task::spawn_blocking(move || store.range(target, &signals, from, end))
        .await
        .map_err(|error| Problem::internal(error.to_string(), &path))?
        .map_err(|error| Problem::internal(error.to_string(), &path))?;
    Ok(Json(page_of(target, &columns, limit)))
}

fn page_of(target: TargetId, columns: &Columns, limit: usize) -> wire::Samples {
    let n = columns.len().min(limit);
    let cell = |value: &f64| (!value.is_nan()).then_some(*value);
    let column = |(signal, values): &(Signal, Vec<f64>)| {
        let values: Vec<Option<f64>> = values.iter().take(n).map(cell).collect();
        values.iter().any(Option::is_some).then(|| (signal.name().to_owned(), values))
    };
    wire::Samples {
        target: target.to_string(),
        at_ms: columns.at.iter().take(n).map(|at| at.as_millis()).collect(),
        values: columns.values.iter().filter_map(column).collect(),
        next_cursor: columns.at.get(n).map(|at| at.as_millis().to_string()),
    }
}

fn target_id(text: &str, path: &str) -> Result<TargetId, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("expected a target's id, found `{text}`"), path))
}

fn signals(list: Option<&str>, path: &str) -> Result<Vec<Signal>, Problem> {
    let Some(list) = list.filter(|list| !list.is_empty()) else { return Ok(Signal::ALL.to_vec()) };
    list.split(',')
        .map(|name| {
            Signal::from_name(name.trim()).ok_or_else(|| {
                let known: Vec<&str> = Signal::ALL.into_iter().map(Signal::name).collect();
                Problem::bad_request(format!("expected signals of {}, found `{name}`", known.join(", ")), path)
            })
        })
        .collect()
}

fn points(step: Option<f64>, points: Option<usize>, range: Duration, path: &str) -> Result<usize, Problem> {
    let wanted = match (step, points) {
        (Some(step), _) if step > 0.0 && step.is_finite() => {
            ((range.as_secs_f64() / step).ceil() as usize).saturating_mul(PER_BUCKET)
        }
        (Some(step), _) => {
            return Err(Problem::bad_request(format!("expected a `step` of more than 0 seconds, found {step}"), path));
        }
        (None, points) => points.unwrap_or(POINTS),
    };
    if (1..=POINTS_MAX).contains(&wanted) {
        Ok(wanted)
    } else {
        Err(Problem::bad_request(format!("expected 1 to {POINTS_MAX} points a series, found {wanted}"), path))
    }
}

fn one(signal: Signal, samples: Vec<Sample>, points: usize) -> Option<wire::Series> {
    let thinned = if samples.len() > points { downsample(&samples, points) } else { samples };
    (!thinned.is_empty()).then(|| wire::Series {
        signal: signal.name().into(),
        unit: match signal.unit() {
            Unit::Bytes => "bytes",
            Unit::Count => "count",
            Unit::Counter => "counter",
            Unit::UnixSeconds => "unix_seconds",
        }
        .into(),
        points: thinned.into_iter().map(|Sample { at, value }: Sample| (Timestamp::as_millis(at), value)).collect(),
    })
}
