//! The `OpenAPI` document, made from the handlers themselves.

use axum::Json;
use utoipa::OpenApi;

use super::{alerts, captures, events, fleet, incidents, ops, report, series};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "leakscope",
        description = "Which services leak memory, how fast, and until when. Errors are RFC 9457 problem documents; lists are paged by `limit` and `cursor`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        ops::status,
        fleet::targets,
        fleet::target,
        fleet::services,
        fleet::service,
        series::series,
        series::samples,
        incidents::incidents,
        incidents::incident,
        report::report,
        captures::acknowledge,
        captures::captures,
        captures::ask,
        captures::capture,
        captures::cancel,
        captures::evidence,
        captures::file,
        alerts::alerts,
        events::events,
        document,
        ops::healthy,
        ops::ready,
        ops::reload,
        ops::metrics
    )
)]
struct Document;

/// The API described for machines.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200, body = Object)))]
pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
