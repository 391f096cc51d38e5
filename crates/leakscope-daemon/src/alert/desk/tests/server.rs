//! A receiver: a real HTTP server that keeps what it is sent and behaves as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Take,
    /// 503.
    Refuse,
    /// 400.
    RefuseForGood,
    /// 429, and patience for two minutes.
    Busy,
    /// Takes the request and closes the connection.
    Vanish,
    /// Takes the request and never answers.
    Hang,
}

#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) path: String,
    /// `idempotency-key`.
    pub(super) id: String,
    pub(super) body: Value,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    shared: Arc<Shared>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let shared = Arc::new(Shared { behaviour: Mutex::new(Behaviour::Take), received: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    pub(super) fn requests(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits for so many requests.
    pub(super) async fn until(&self, n_requests: usize) {
        let arrived = async {
            while self.requests().len() < n_requests {
                // poll: the requests arrived
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), arrived).await.unwrap();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let id = head.headers.get("idempotency-key").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(&body).unwrap();
    shared.received.lock().unwrap().push(Received { path: head.uri.path().to_owned(), id, body });
    let behaviour = *shared.behaviour.lock().unwrap();
    match behaviour {
        Behaviour::Take => (StatusCode::OK, "ok").into_response(),
        Behaviour::Refuse => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Behaviour::RefuseForGood => (StatusCode::BAD_REQUEST, "no").into_response(),
        Behaviour::Busy => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "120")]).into_response(),
        Behaviour::Vanish => panic!("this receiver vanishes"),
        Behaviour::Hang => std::future::pending().await,
    }
}
