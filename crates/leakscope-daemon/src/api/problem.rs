//! Errors as RFC 9457 problem documents.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use leakscope_wire as wire;

/// An error answer: what was expected, what was found, what is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Problem(pub(crate) wire::Problem);

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &str, detail: impl Into<String>, instance: &str) -> Self {
        Self(wire::Problem {
            kind: format!("/problems/{kind}"),
            title: status.canonical_reason().unwrap_or("Problem").into(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: instance.into(),
        })
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
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A struct of strings and numbers always serialises.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
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
