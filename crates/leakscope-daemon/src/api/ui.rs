//! The page: built by npm, carried in the binary.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::problem::Problem;

/// What `npm run build` made of `ui/`, as build.rs left it.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/ui"]
struct Files;

/// A file of the page. Hashed assets never change, so they are cached for ever; the page itself is asked for anew.
pub(crate) async fn file(request: Request) -> Response {
    let path = request.uri().path();
    let wanted = path.trim_start_matches('/');
    let wanted = if wanted.is_empty() { "index.html" } else { wanted };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return super::problem::method_not_allowed(request).await.into_response();
    }
    let Some(file) = Files::get(wanted) else {
        return Problem::not_found(
            format!("nothing is at `{path}`; the page is at `/`, the API under `/api/v1`"),
            path,
        )
        .into_response();
    };
    let kept = if wanted.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = file.data.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(wanted)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "ico" => "image/x-icon",
        _ => "application/octet-stream",
    }
}
