//! The leaks. Each is a mistake of production code, in a function or type of its own name, so that a heap analysis can
//! point at it; nothing outside this file may retain bytes for ever.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::work::Dice;

pub(crate) struct WorkRequest<'a> {
    pub(crate) user: &'a str,
    pub(crate) number: u64,
    pub(crate) rate_bytes: usize,
    pub(crate) dice: &'a Dice,
}

#[derive(Clone, Copy)]
pub(crate) struct Leak {
    pub(crate) name: &'static str,
    /// Called once per work request.
    pub(crate) retain: fn(&WorkRequest<'_>),
}

/// Every kind of `--leak`; the first is the default.
pub(crate) static LEAKS: [Leak; 6] = [
    Leak { name: "none", retain: |_| {} },
    Leak { name: "unbounded-cache", retain: remember_recommendation },
    Leak { name: "session-map", retain: open_session },
    Leak { name: "task", retain: expect_reservation },
    Leak { name: "native-buffer", retain: keep_thumbnail },
    Leak { name: "channel", retain: publish_order },
];

/// Keyed by a revision that never comes again, and nothing ever evicts.
static RECOMMENDATION_CACHE: LazyLock<Mutex<HashMap<String, Vec<String>>>> = LazyLock::new(Mutex::default);

fn remember_recommendation(request: &WorkRequest<'_>) {
    let texts = request.dice.texts(request.rate_bytes);
    let mut cache = RECOMMENDATION_CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache.insert(format!("{}@{}", request.user, request.number), texts);
}

/// A session for each request of a client that sends no cookie, without an end.
#[derive(Default)]
struct SessionStore {
    history_by_id: Mutex<HashMap<u64, Vec<String>>>,
}

static SESSION_STORE: LazyLock<SessionStore> = LazyLock::new(SessionStore::default);

impl SessionStore {
    fn open(&self, request: &WorkRequest<'_>) {
        let history = request.dice.texts(request.rate_bytes);
        self.history_by_id.lock().unwrap_or_else(PoisonError::into_inner).insert(request.number, history);
    }
}

fn open_session(request: &WorkRequest<'_>) {
    SESSION_STORE.open(request);
}

/// Told when a reservation is made, which never happens.
static RESERVED: Notify = Notify::const_new();

fn expect_reservation(request: &WorkRequest<'_>) {
    tokio::spawn(wait_for_reservation(request.dice.touched(request.rate_bytes)));
}

async fn wait_for_reservation(mut order: Vec<u8>) {
    RESERVED.notified().await;
    order.clear();
}

/// What a binding does that hands memory to C and never takes it back.
fn keep_thumbnail(request: &WorkRequest<'_>) {
    Box::leak(request.dice.touched(request.rate_bytes).into_boxed_slice());
}

/// The consumer waits for a broker that is gone, and nothing bounds the queue before it.
static ORDERS: LazyLock<mpsc::UnboundedSender<Vec<u8>>> = LazyLock::new(|| {
    let (orders, queue) = mpsc::unbounded_channel();
    tokio::spawn(forward_orders(queue));
    orders
});

async fn forward_orders(mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while queue.recv().await.is_some() {
        std::future::pending::<()>().await;
    }
}

fn publish_order(request: &WorkRequest<'_>) {
    // The receiver lives as long as its stuck consumer, so this cannot fail; a lost order would be no leak.
    let _ = ORDERS.send(request.dice.touched(request.rate_bytes));
}
