//! The leaks. Each is a mistake of production code, in a function or type of its own name, so that a heap analysis can
//! point at it; nothing outside this file may retain bytes for ever.

use std::collections::HashMap;
use std::fs::File;
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
pub(crate) static LEAKS: [Leak; 8] = [
    Leak { name: "none", retain: |_| {} },
    Leak { name: "unbounded-cache", retain: remember_recommendation },
    Leak { name: "session-map", retain: open_session },
    Leak { name: "task", retain: expect_reservation },
    Leak { name: "native-buffer", retain: keep_thumbnail },
    Leak { name: "channel", retain: publish_order },
    Leak { name: "descriptor", retain: open_connection },
    Leak { name: "tiny-objects", retain: chain_clicks },
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

/// Connections that nobody returns to their pool, each with the buffer that belongs to it.
static LOST_CONNECTIONS: Mutex<Vec<(File, Vec<u8>)>> = Mutex::new(Vec::new());

fn open_connection(request: &WorkRequest<'_>) {
    let Ok(file) = File::open("/dev/null") else { return };
    let connection = (file, request.dice.touched(request.rate_bytes));
    LOST_CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
}

/// One of millions of small objects instead of some large ones: each click knows the one before.
struct TinyClick {
    _before: Option<Box<Self>>,
    _at: usize,
}

/// Bytes of a click with the allocator's own eight, rounded up to its sixteen.
const TINY_CLICK_BYTES: usize = 32;

static LAST_CLICK: Mutex<Option<Box<TinyClick>>> = Mutex::new(None);

fn chain_clicks(request: &WorkRequest<'_>) {
    let mut last = LAST_CLICK.lock().unwrap_or_else(PoisonError::into_inner);
    for at in (0..request.rate_bytes).step_by(TINY_CLICK_BYTES) {
        *last = Some(Box::new(TinyClick { _before: last.take(), _at: at }));
    }
}
