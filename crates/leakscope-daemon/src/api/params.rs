//! Query parameters: read once, refused with a problem document.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use leakscope_model::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query as `T`, with the path it was asked on.
#[derive(Clone, Debug)]
pub(crate) struct Params<T> {
    pub(crate) value: T,
    pub(crate) path: String,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().to_owned();
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self { value, path }),
            Err(error) => Err(Problem::bad_request(error.body_text(), &path)),
        }
    }
}

/// The one variable part of a route, decoded, with the path it was asked on.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) value: String,
    pub(crate) path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().to_owned();
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self { value, path }),
            Err(error) => Err(Problem::bad_request(error.body_text(), &path)),
        }
    }
}

/// A query that has no parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// One of `known`, or a problem that lists them.
pub(crate) fn one_of(known: &[&str], found: Option<&str>, name: &str, path: &str) -> Result<(), Problem> {
    match found {
        Some(found) if !known.contains(&found) => Err(Problem::bad_request(
            format!("expected `{name}` to be one of {}, found `{found}`", known.join(", ")),
            path,
        )),
        _ => Ok(()),
    }
}

/// Rows of a page that nobody asked otherwise.
pub(crate) const LIMIT: usize = 1_000;
/// Most rows of one page.
const LIMIT_MAX: usize = 10_000;

/// One page of `rows` and the cursor of the next. Cursors are positions: rows that change places between two pages may show twice or not at all.
pub(crate) fn page<T>(
    rows: Vec<T>,
    limit: Option<usize>,
    cursor: Option<&str>,
    path: &str,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let limit = rows_of_page(limit, path)?;
    let start: usize = cursor_of(cursor, path)?.unwrap_or(0);
    let next = start.saturating_add(limit);
    let more = next < rows.len();
    let rows = rows.into_iter().skip(start).take(limit).collect();
    Ok((rows, more.then(|| next.to_string())))
}

/// How many rows a page may have.
pub(crate) fn rows_of_page(limit: Option<usize>, path: &str) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("expected a `limit` of 1 to {LIMIT_MAX}, found {limit}"), path));
    }
    Ok(limit)
}

/// Where a page begins; `None` for the first.
pub(crate) fn cursor_of<T: FromStr>(cursor: Option<&str>, path: &str) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
    cursor
        .parse()
        .map(Some)
        .map_err(|_| Problem::bad_request(format!("expected a `cursor` of an earlier page, found `{cursor}`"), path))
}

/// A moment as unix seconds or RFC 3339.
pub(crate) fn moment(text: &str, name: &str, path: &str) -> Result<Timestamp, Problem> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok(Timestamp::from_secs_f64(seconds));
    }
    text.parse::<jiff::Timestamp>().map(|at| Timestamp::from_millis(at.as_millisecond())).map_err(|_| {
        Problem::bad_request(format!("expected unix seconds or an RFC 3339 time for `{name}`, found `{text}`"), path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let rows: Vec<u32> = (0..5).collect();
        let (first, next) = page(rows.clone(), Some(2), None, "/").unwrap();
        let (second, next) = page(rows.clone(), Some(2), next.as_deref(), "/").unwrap();
        let (third, end) = page(rows.clone(), Some(2), next.as_deref(), "/").unwrap();
        assert_eq!([first, second, third].concat(), rows);
        assert_eq!(end, None);
        assert!(page(rows.clone(), Some(0), None, "/").is_err());
        assert!(page(rows, None, Some("x"), "/").is_err());
    }

    #[test]
    fn moments_are_unix_seconds_or_rfc_3339() {
        assert_eq!(moment("1.5", "start", "/").unwrap(), Timestamp::from_millis(1_500));
        assert_eq!(moment("1970-01-01T00:00:02Z", "start", "/").unwrap(), Timestamp::from_millis(2_000));
        for bad in ["", "NaN", "yesterday"] {
            assert!(moment(bad, "start", "/").is_err(), "{bad}");
        }
    }
}
