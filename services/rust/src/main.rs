//! A small shopping-cart service, healthy or leaking in one chosen way.
//!
//! It must not grow in any way that `--leak` did not ask for.

mod arguments;
mod held;
mod leaks;
#[cfg(feature = "profile")]
mod profile;
mod status;
mod work;

use std::collections::HashMap;
use std::io::Read;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Json};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::arguments::{Arguments, Options};
use crate::held::Held;
use crate::leaks::WorkRequest;
use crate::status::Status;
use crate::work::{Dice, Shop};

/// Characters of a user name; longer ones are cut, so that a client cannot choose how much a session holds.
const USER_LENGTH_MAX: usize = 64;
/// Threads of the runtime: each has its own allocator arena, so more of them only blur the resident set.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let options = match arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::Run(options)) => options,
        Ok(Arguments::Help) => {
            print(&arguments::usage());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            complain(&message);
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("cannot serve: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> std::io::Result<()> {
    #[cfg(feature = "profile")]
    if options.profile {
        profile::begin()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    let served = runtime.block_on(serve(options));
    // Leaked tasks never finish; waiting for them would keep the process.
    runtime.shutdown_background();
    served
}

async fn serve(options: Options) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    let start_line = json!({
        "listening": format!("http://{}", listener.local_addr()?),
        "runtime": "rust",
        "leak": options.leak.name,
        "pid": std::process::id(),
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let stdin_end = options.exit_with_stdin.then(end_of_stdin);
    let router = router(options);
    print(&format!("{start_line}\n"));
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served,
        _ = terminate.recv() => Ok(()),
        () = ended(stdin_end) => Ok(()),
    }
}

/// Tells of the end of standard input. A thread of its own: the blocking read must not hold up the runtime's end.
fn end_of_stdin() -> oneshot::Receiver<()> {
    let (end, seen) = oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 4096];
        while std::io::stdin().read(&mut ignored).is_ok_and(|n_bytes| n_bytes > 0) {}
        end.send(())
    });
    seen
}

async fn ended(stdin_end: Option<oneshot::Receiver<()>>) {
    match stdin_end {
        Some(seen) => drop(seen.await),
        None => std::future::pending().await,
    }
}

struct App {
    options: Options,
    dice: Dice,
    shop: Shop,
    held: Mutex<Held>,
    status: Status,
    requests_total: AtomicU64,
}

fn router(options: Options) -> Router {
    let app = Arc::new(App {
        dice: Dice::new(options.seed),
        shop: Shop::default(),
        held: Mutex::default(),
        status: Status::new(),
        requests_total: AtomicU64::new(0),
        options,
    });
    debug_routes(&app.options)
        .route("/work", get(work))
        .route("/hold", post(hold))
        .route("/status/memory", get(async |State(app): State<Arc<App>>| Json(app.status.memory(app.n_requests()))))
        .route("/api/memory_usage", get(async || Json(status::host_memory())))
        .route("/api/leak_indicators", get(async |State(app): State<Arc<App>>| Json(app.status.indicators())))
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/", get(async |State(app): State<Arc<App>>| Html(app.status.page(app.n_requests()))))
        .with_state(app)
}

/// What there is only with `--profile`.
fn debug_routes(options: &Options) -> Router<Arc<App>> {
    #[cfg(feature = "profile")]
    if options.profile {
        return profile::routes();
    }
    debug_assert!(!options.profile, "refused where it is not built in");
    Router::new()
}

impl App {
    fn n_requests(&self) -> u64 {
        self.requests_total.load(Ordering::Relaxed)
    }
}

async fn work(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let user = query.get("user").filter(|user| !user.is_empty()).map_or("anonymous", String::as_str);
    let user: String = user.chars().take(USER_LENGTH_MAX).collect();
    let reply = app.shop.serve(&app.dice, &user);
    let number = app.requests_total.fetch_add(1, Ordering::Relaxed);
    let request = WorkRequest { user: &user, number, rate_bytes: app.options.rate_bytes, dice: &app.dice };
    if query.get("leak").is_none_or(|leak| leak != "off") {
        (app.options.leak.retain)(&request);
    }
    Json(reply)
}

async fn hold(
    State(app): State<Arc<App>>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let mut held = app.held.lock().unwrap_or_else(PoisonError::into_inner);
    let holding = held.set(&query, &app.dice);
    holding.map(Json).map_err(|failure| (StatusCode::INTERNAL_SERVER_ERROR, failure.to_string()))
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.status.exposition(app.n_requests()))
}

#[expect(clippy::print_stdout, reason = "the start line and the help text are this program's output")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "a refused flag is told to the person who typed it")]
fn complain(message: &str) {
    eprintln!("{message}");
}
