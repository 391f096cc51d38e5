//! Work for one service by one client, with the time of every answer, so that the cost of captures shows in them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock;
use crate::record::http;

/// Rest between an answer and the next question: some thirty requests a second.
const REST: Duration = Duration::from_millis(30);
/// Users that come again and again, so that the sessions of a healthy service do not grow.
const N_USERS: u64 = 40;

/// One answered request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// When it was asked, Unix milliseconds.
    pub(super) asked_ms: i64,
    /// How long it took, milliseconds.
    pub(super) took_ms: f64,
}

/// A client at work.
#[derive(Debug)]
pub(super) struct Load {
    over: Arc<AtomicBool>,
    client: Option<JoinHandle<Vec<Answer>>>,
}

impl Load {
    pub(super) fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let client = std::thread::spawn({
            let over = over.clone();
            move || drive(address, &over)
        });
        Self { over, client: Some(client) }
    }

    /// Ends the work; every answer in the order of the questions.
    pub(super) fn stop(mut self) -> Vec<Answer> {
        self.over.store(true, Ordering::Relaxed);
        // A client that panicked has no answers.
        self.client.take().and_then(|client| client.join().ok()).unwrap_or_default()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn drive(address: SocketAddr, over: &AtomicBool) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut user = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let (asked_ms, began) = (unix_ms(), clock::now());
        if http::get(address, &format!("/work?user=user-{}", user % N_USERS)).is_ok() {
            answers.push(Answer { asked_ms, took_ms: began.elapsed().as_secs_f64() * 1e3 });
        }
        user += 1;
        std::thread::sleep(REST);
    }
    answers
}

#[expect(clippy::disallowed_methods, reason = "answers are laid beside captures, which have moments of the real clock")]
fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
