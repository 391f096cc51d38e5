//! The scraping thread: takes orders in batches, lets every ready exchange run, then rests for some milliseconds.
//!
//! Resting is what makes it cheap: a response that wakes a thread costs more in wake-ups than in work. While it rests,
//! responses gather in the sockets' buffers, and one system call finds them all.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use leakscope_engine::{Event, Scrape, ScrapeFailure};
use leakscope_ingest::Page;
use leakscope_model::{Signal, TargetId, Timestamp};
use tokio::sync::mpsc::UnboundedSender;

use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::ScrapeError;
use super::exchange::Outcome;
use super::{exchange, process};
use crate::clock;

/// Rest for each exchange that is under way ...
const REST_PER_EXCHANGE: Duration = Duration::from_micros(500);
/// ... and at most; durations of scrapes are measured in steps of it.
const REST_MAX: Duration = Duration::from_millis(50);

thread_local! {
    /// Counts up when an exchange runs: how the thread knows that others may be ready.
    static PROGRESS: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn note_progress() {
    PROGRESS.set(PROGRESS.get().wrapping_add(1));
}

/// What the scraping thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// All endpoints there are now. Connections to others are closed.
    Endpoints(Vec<Arc<Endpoint>>),
    /// Scrape these by their deadlines.
    Scrape(Vec<(TargetId, Timestamp)>),
    /// End.
    Stop,
}

/// Counters of the scraping thread.
#[derive(Debug, Default)]
pub(crate) struct ScraperStats {
    pub(crate) scrapes: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) under_way: AtomicU64,
}

/// The handle to the scraping thread.
#[derive(Debug)]
pub(crate) struct Scraper {
    orders: Sender<Order>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub(crate) stats: Arc<ScraperStats>,
}

impl Scraper {
    /// Starts the thread. Outcomes arrive on `events` in batches.
    pub(crate) fn start(events: Sender<Vec<Event>>) -> std::io::Result<Self> {
        let (orders, inbox) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stats = Arc::new(ScraperStats::default());
        let (done, finished) = tokio::sync::mpsc::unbounded_channel();
        let mut worker =
            Worker { slots: BTreeMap::new(), done, finished, under_way: 0, stats: stats.clone(), stopped: false };
        let thread =
            std::thread::Builder::new().name("scrape".into()).spawn(move || worker.run(&runtime, &inbox, &events))?;
        Ok(Self { orders, thread: Some(thread), stats })
    }

    /// For whoever else gives orders.
    pub(crate) fn orders(&self) -> Sender<Order> {
        self.orders.clone()
    }

    /// Gives an order. After the thread has ended it goes nowhere.
    pub(crate) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed by the thread itself.
            let _ = thread.join();
        }
    }
}

/// A target's endpoint with its resting connection.
struct Slot {
    endpoint: Arc<Endpoint>,
    connection: Option<Connection>,
}

/// A finished exchange.
struct Finished {
    endpoint: Arc<Endpoint>,
    event: Event,
    connection: Option<Connection>,
}

struct Worker {
    slots: BTreeMap<TargetId, Slot>,
    done: UnboundedSender<Finished>,
    finished: tokio::sync::mpsc::UnboundedReceiver<Finished>,
    under_way: u64,
    stats: Arc<ScraperStats>,
    stopped: bool,
}

impl Worker {
    fn run(&mut self, runtime: &tokio::runtime::Runtime, orders: &Receiver<Order>, events: &Sender<Vec<Event>>) {
        let mut rest = REST_PER_EXCHANGE;
        while !self.stopped {
            let first = if self.under_way == 0 {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                // The rest itself. An order ends it, and brings its batch of exchanges.
                orders.recv_timeout(rest)
            };
            let outcomes = runtime.block_on(async {
                match first {
                    Ok(order) => self.obey(order),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => self.stopped = true,
                }
                while let Ok(order) = orders.try_recv() {
                    self.obey(order);
                }
                settle().await;
                self.collect()
            });
            rest = if outcomes.is_empty() { rest * 2 } else { REST_PER_EXCHANGE };
            rest = rest.max(REST_PER_EXCHANGE * self.under_way as u32).min(REST_MAX);
            if !outcomes.is_empty() && events.send(outcomes).is_err() {
                return;
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Endpoints(endpoints) => {
                let mut kept = std::mem::take(&mut self.slots);
                for endpoint in endpoints {
                    let same = |slot: &Slot| slot.endpoint.shares_connections_with(&endpoint);
                    let connection = kept.remove(&endpoint.target).filter(same).and_then(|slot| slot.connection);
                    self.slots.insert(endpoint.target, Slot { endpoint, connection });
                }
            }
            Order::Scrape(batch) => {
                for (target, deadline) in batch {
                    self.begin(target, deadline);
                }
            }
            Order::Stop => self.stopped = true,
        }
    }

    fn begin(&mut self, target: TargetId, deadline: Timestamp) {
        let Some(slot) = self.slots.get_mut(&target) else { return };
        let endpoint = slot.endpoint.clone();
        let mut connection = slot.connection.take();
        let done = self.done.clone();
        self.under_way += 1;
        self.stats.under_way.store(self.under_way, Ordering::Relaxed);
        tokio::spawn(async move {
            let began = clock::now();
            let allowed = deadline.since(began);
            let outcome = scrape(&endpoint, &mut connection, allowed).await;
            let event = event(target, began, outcome);
            // The worker is gone only when the daemon stops.
            let _ = done.send(Finished { endpoint, event, connection });
        });
    }

    fn collect(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(Finished { endpoint, event, connection }) = self.finished.try_recv() {
            self.under_way -= 1;
            self.stats.scrapes.fetch_add(1, Ordering::Relaxed);
            if matches!(event, Event::ScrapeFailed(_)) {
                self.stats.failures.fetch_add(1, Ordering::Relaxed);
            }
            // The endpoint may have changed meanwhile.
            if let Some(slot) = self.slots.get_mut(&endpoint.target)
                && slot.endpoint.shares_connections_with(&endpoint)
            {
                slot.connection = connection;
            }
            events.push(event);
        }
        self.stats.under_way.store(self.under_way, Ordering::Relaxed);
        events
    }
}

/// Lets every exchange run that has something to do.
async fn settle() {
    loop {
        let before = PROGRESS.get();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        if PROGRESS.get() == before {
            return;
        }
    }
}

/// Pages and, where it runs on this host, the process. A process whose pages fail is still read: what is about to die of its memory answers last there.
async fn scrape(
    endpoint: &Endpoint,
    connection: &mut Option<Connection>,
    allowed: Duration,
) -> Result<Outcome, ScrapeError> {
    note_progress();
    let pages = exchange::scrape(endpoint, connection, allowed).await;
    note_progress();
    let Some(pid) = endpoint.pid else { return pages };
    let own = process::read(pid)?;
    let (mut page, problem) = pages.unwrap_or_else(|error| (Page::default(), Some(error)));
    page.merge(own);
    Ok((page, problem))
}

fn event(target: TargetId, began: Timestamp, outcome: Result<Outcome, ScrapeError>) -> Event {
    let now = clock::now();
    let duration = now.since(began);
    match outcome {
        Ok((page, problem)) => Event::Scraped(Box::new(scrape_of(target, now, duration, page, problem))),
        Err(error) => Event::ScrapeFailed(ScrapeFailure { target, duration, reason: error.to_string() }),
    }
}

/// What of a page could not be understood.
fn problem_of(page: &Page) -> Option<String> {
    match (page.problems.first().first(), page.problems.count()) {
        (Some(first), 1) => Some(first.to_string()),
        (Some(first), n) => Some(format!("{first} (and {} more)", n - 1)),
        (None, _) if page.is_empty() => {
            Some(format!("expected readings of memory, found none among {} samples", page.series))
        }
        (None, _) => None,
    }
}

/// A page in the engine's words.
fn scrape_of(
    target: TargetId,
    now: Timestamp,
    duration: Duration,
    mut page: Page,
    problem: Option<ScrapeError>,
) -> Scrape {
    if let (None, Some(uptime)) = (page.own.get(Signal::StartTime), page.uptime) {
        page.own.set(Signal::StartTime, now.minus(uptime).as_secs_f64().max(0.0));
    }
    let problem = problem.map(|error| error.to_string()).or_else(|| problem_of(&page));
    let part = |part: leakscope_ingest::Part| leakscope_engine::Part {
        name: part.name,
        labels: part.labels.into_iter().collect(),
        readings: part.readings,
    };
    let opinion =
        page.opinion.map(|opinion| leakscope_engine::Opinion { leak_score: opinion.score, status: opinion.status });
    Scrape {
        target,
        duration,
        readings: page.own,
        parts: page.parts.into_iter().map(part).collect(),
        runtime: page.runtime,
        version: page.version,
        opinion,
        problem,
    }
}
