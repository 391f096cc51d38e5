//! `--profile`: the profile of jemalloc, as pprof and as jemalloc writes it. Without it jemalloc works alike and samples nothing.

use std::collections::HashMap;
use std::env;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use jemalloc_pprof::PROF_CTL;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Where jemalloc looks for its options, before `main`.
const OPTIONS: &str = "_RJEM_MALLOC_CONF";
/// Profiling on, with a sample for every 128 KiB on average.
const PROFILING: &str = "prof:true,lg_prof_sample:17";

/// Makes sure that jemalloc profiles. It can be asked for at the start of a process only: where it was not, the program starts anew
/// in this process, with the same arguments, and this does not return.
///
/// # Errors
/// When the program cannot be started anew, or profiles nothing even then.
pub(crate) fn begin() -> io::Result<()> {
    if PROF_CTL.is_some() {
        return Ok(());
    }
    if env::var(OPTIONS).is_ok_and(|options| options == PROFILING) {
        return Err(io::Error::other(format!("jemalloc does not profile, though `{OPTIONS}` is `{PROFILING}`")));
    }
    Err(Command::new(env::current_exe()?).args(env::args_os().skip(1)).env(OPTIONS, PROFILING).exec())
}

/// `GET /debug/pprof/heap`, with `?format=jemalloc` the text that jemalloc writes itself.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/debug/pprof/heap", get(heap))
}

async fn heap(Query(query): Query<HashMap<String, String>>) -> Result<impl IntoResponse, (StatusCode, String)> {
    let failed = |reason: String| (StatusCode::INTERNAL_SERVER_ERROR, reason);
    let profile = PROF_CTL.as_ref().ok_or_else(|| failed("jemalloc does not profile".to_owned()))?;
    let mut profile = profile.lock().await;
    if query.get("format").is_some_and(|format| format == "jemalloc") {
        let text = profile.dump().and_then(|mut file| {
            let mut text = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut text)?;
            Ok(text)
        });
        return Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text.map_err(|error| failed(error.to_string()))?));
    }
    let pprof = profile.dump_pprof().map_err(|error| failed(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], pprof))
}
