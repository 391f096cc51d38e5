//! Errors as RFC 9457 problem documents.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use leakscope_wire as wire;

/// An error answer: what was expected, what was found, what is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    document: wire::Problem,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &str, detail: impl Into<String>, instance: &str) -> Self {
        let document = wire::Problem {
            kind: format!("/problems/{kind}"),
            title: status.canonical_reason().unwrap_or("Problem").into(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: instance.into(),
        };
        Self { document, retry_after: None }
    }

    /// With the advice to ask again, and when.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    pub(crate) fn not_found(detail: impl Into<String>, instance: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail, instance)
    }

    pub(crate) fn bad_request(detail: impl Into<String>, instance: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail, instance)
    }

    pub(crate) fn internal(detail: impl Into<String>, instance: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail, instance)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A struct of strings and numbers always serialises.
        let body = serde_json::to_vec(&self.document).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().into());
        }
        response
    }
}

/// A known route, asked in a way it does not know.
pub(crate) async fn method_not_allowed(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("`{}` is not allowed on `{path}`", request.method()),
        path,
    )
}
