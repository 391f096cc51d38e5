//! The collector: surveys targets and takes evidence, on a thread of its own. It decides nothing: the engine says what, where and by when.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use leakscope_engine::{AnalysisOrder, CaptureFailure, CaptureOrder, Captured, Event};
use leakscope_model::{
    Bytes, Capture, CaptureId, CaptureState, Cost, Room, Runtime, Signal, Survey, TargetId, Timestamp,
};
use leakscope_store::{CaptureFile, Kept, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::analysis::Analyser;
use crate::capture::{self, CaptureError, Gauge, Output, Subject, Taken};
use crate::scrape::process;
use crate::{clock, discovery, proc};

/// How long the evidence of a capture that was stopped may take to clean up behind itself in the target.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the contents of one capture may take to be removed.
const REDACTION_TIMEOUT: Duration = Duration::from_mins(15);
/// Two start times this close are of one process.
const SAME_START: Duration = Duration::from_secs(5);
/// How often to look whether it has.
const CLEANUP_POLL: Duration = Duration::from_millis(10);

/// What the collector is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// All targets there are now.
    Subjects(Vec<Arc<Subject>>),
    /// See what a target gives.
    Survey { target: TargetId, deadline: Timestamp },
    /// Take evidence.
    Capture(Box<CaptureOrder>),
    /// Stop a capture.
    Cancel(CaptureId),
    /// Ask what captures say.
    Analyse(Box<AnalysisOrder>),
    /// Stop everything and end.
    Stop,
}

/// The handle to the collector's thread.
#[derive(Debug)]
pub(crate) struct Collector {
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts the thread. Outcomes arrive on `events`. Must be called within a tokio runtime, on which costs are measured.
    pub(crate) fn start(
        store: Arc<Store>,
        analyser: Analyser,
        redaction_memory: Bytes,
        events: Sender<Vec<Event>>,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker {
            subjects: BTreeMap::new(),
            under_way: BTreeMap::new(),
            cut_off: cut_off(&store),
            shared: Arc::new(Shared { store, analyser, events, gauges: Handle::current(), redaction_memory }),
        };
        let thread =
            std::thread::Builder::new().name("capture".into()).spawn(move || runtime.block_on(worker.run(inbox)))?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// For whoever else gives orders.
    pub(crate) fn orders(&self) -> mpsc::UnboundedSender<Order> {
        self.orders.clone()
    }

    pub(crate) fn order(&self, order: Order) {
        // The thread ends with this handle only.
        let _ = self.orders.send(order);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What every task of the collector needs.
#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    analyser: Analyser,
    events: Sender<Vec<Event>>,
    /// The runtime on which pauses are measured.
    gauges: Handle,
    /// Memory that the removal of contents may take.
    redaction_memory: Bytes,
}

impl Shared {
    fn tell(&self, event: Event) {
        // The loop ends after the collector.
        let _ = self.events.send(vec![event]);
    }
}

struct Worker {
    subjects: BTreeMap<TargetId, Arc<Subject>>,
    /// How to stop each capture.
    under_way: BTreeMap<CaptureId, oneshot::Sender<()>>,
    /// What the last run did not end, of targets that were not seen yet.
    cut_off: Vec<Capture>,
    shared: Arc<Shared>,
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let order = tokio::select! {
                order = inbox.recv() => order.unwrap_or(Order::Stop),
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            };
            let shared = self.shared.clone();
            match order {
                Order::Subjects(subjects) => {
                    self.subjects = subjects.into_iter().map(|subject| (subject.target, subject)).collect();
                    self.close_leftovers();
                }
                Order::Survey { target, deadline } => {
                    let subject = self.subjects.get(&target).cloned();
                    tasks.spawn(async move { shared.tell(survey(&shared, target, subject, deadline).await) });
                }
                Order::Capture(order) => {
                    self.under_way.retain(|_, stop| !stop.is_closed());
                    let (stop, stopped) = oneshot::channel();
                    self.under_way.insert(order.capture, stop);
                    let subject = self.subjects.get(&order.target).cloned();
                    tasks.spawn(async move { shared.tell(collect(&shared, &order, subject, stopped).await) });
                }
                Order::Cancel(capture) => {
                    // One that has ended meanwhile is told as what it became.
                    let _ = self.under_way.remove(&capture).map(|stop| stop.send(()));
                }
                Order::Analyse(order) => {
                    tasks.spawn(async move { shared.tell(analyse(&shared, &order).await) });
                }
                Order::Stop => break,
            }
        }
        for (_, stop) in std::mem::take(&mut self.under_way) {
            let _ = stop.send(());
        }
        // What captures opened in their targets is closed before we go, also by tasks that their guards started.
        let cleanup = async {
            while tasks.join_next().await.is_some() {}
            while Handle::current().metrics().num_alive_tasks() > 0 {
                tokio::time::sleep(CLEANUP_POLL).await;
            }
        };
        let _ = tokio::time::timeout(CLEANUP_TIMEOUT, cleanup).await;
    }

    /// Closes what captures of the last run may have left open in processes that still run.
    fn close_leftovers(&mut self) {
        self.cut_off.retain(|capture| {
            let Some(subject) = self.subjects.get(&capture.target) else { return true };
            let subject = located(subject);
            let started_at = subject.pid.and_then(proc::started_at).zip(capture.process_started_at);
            if started_at.is_some_and(|(now, then)| now.since(then).max(then.since(now)) <= SAME_START) {
                capture::close_leftover(&subject, capture.kind);
            }
            false
        });
    }
}

/// Captures that the last run left under way: the engine has not yet recorded them as failed.
fn cut_off(store: &Store) -> Vec<Capture> {
    // A store that cannot be read has been told of where the engine was restored.
    let captures = store.captures().unwrap_or_default();
    captures.into_iter().filter(|capture| capture.state == CaptureState::Running).collect()
}

fn remaining(deadline: Timestamp) -> Duration {
    deadline.since(clock::now())
}

fn late(deadline: Timestamp, began: Timestamp) -> CaptureError {
    CaptureError::Late(deadline.since(began))
}

async fn survey(shared: &Shared, target: TargetId, subject: Option<Arc<Subject>>, deadline: Timestamp) -> Event {
    let began = clock::now();
    let Some(subject) = subject else {
        return Event::SurveyFailed { target, reason: "the target is gone".into() };
    };
    let look = look_at(&subject, shared.store.disk_free());
    match tokio::time::timeout(remaining(deadline), look).await {
        Ok(survey) => Event::Surveyed(Box::new(survey)),
        Err(_) => Event::SurveyFailed { target, reason: late(deadline, began).to_string() },
    }
}

/// What a target gives, what room it has, and what it is, as seen now.
pub(crate) async fn look_at(subject: &Subject, disk_free: Option<Bytes>) -> Survey {
    let subject = located(subject);
    let found = capture::survey(&subject).await;
    let page = subject.pid.and_then(|pid| process::read(pid).ok());
    let bytes = |signal| page.as_ref().and_then(|page| page.own.get(signal)).map(|value| Bytes(value as u64));
    let resident = bytes(Signal::Rss);
    Survey {
        target: subject.target,
        process_started_at: subject.pid.and_then(proc::started_at),
        pid: subject.pid,
        means: found.means,
        lacking: found.lacking,
        room: Room {
            limit: bytes(Signal::Limit),
            used: resident,
            host_available: subject.pid.and_then(|_| proc::host_available()),
            disk_free,
        },
        resident,
        heap: found.heap,
        tasks: found.tasks,
    }
}

/// With the process behind a loopback address, and its runtime: a target that was restarted has another than before.
pub(crate) fn located(subject: &Subject) -> Subject {
    let pid = subject.pid.or_else(|| proc::listener_on(subject.http.as_ref()?.loopback_port()?));
    let runtime = match (subject.runtime, pid) {
        (Runtime::Unknown, Some(pid)) => discovery::runtime_of(Path::new("/proc"), pid),
        (known, _) => known,
    };
    Subject { runtime, pid, ..subject.clone() }
}

async fn collect(
    shared: &Shared,
    order: &CaptureOrder,
    subject: Option<Arc<Subject>>,
    stopped: oneshot::Receiver<()>,
) -> Event {
    let began = clock::now();
    let Some(subject) = subject else {
        let gone = CaptureError::Unavailable("the target is gone".into());
        return failed(order, &gone, false, Cost::default());
    };
    let subject = located(&subject);
    let gauge = Gauge::start(&shared.gauges, &subject);
    let outcome = tokio::select! {
        outcome = take(shared, order, &subject) => outcome,
        () = tokio::time::sleep(remaining(order.deadline)) => Err(late(order.deadline, began)),
        // A sender that is gone without a word is the collector's end: stopped as well.
        _ = stopped => Err(CaptureError::Cancelled),
    };
    let duration = clock::now().since(began);
    let (pause, memory) = gauge.read().await;
    let cost = Cost { duration, pause, memory, size: Bytes(0) };
    let redact = subject.settings.redact && order.kind.holds_contents();
    // The target is done with: what follows costs this host only.
    let kept = match outcome {
        Ok((taken, file)) => keep(shared, order, file, redact).await.map(|kept| (taken, kept)),
        Err(error) => Err(error),
    };
    match kept {
        Ok((taken, kept)) => Event::Captured(Box::new(Captured {
            capture: order.capture,
            cost: Cost { size: kept.size, ..cost },
            digest: kept.digest,
            redacted: redact,
            process_started_at: taken.process_started_at.or_else(|| subject.pid.and_then(proc::started_at)),
            armed: taken.armed,
        })),
        Err(error) => {
            let died =
                matches!(error, CaptureError::Died) || subject.pid.is_some_and(|pid| proc::started_at(pid).is_none());
            failed(order, &error, died, cost)
        }
    }
}

fn failed(order: &CaptureOrder, error: &CaptureError, target_died: bool, cost: Cost) -> Event {
    Event::CaptureFailed(Box::new(CaptureFailure {
        capture: order.capture,
        reason: error.to_string(),
        target_died,
        stopped: matches!(error, CaptureError::Late(_) | CaptureError::Cancelled),
        cost,
    }))
}

/// Takes evidence into a file of the store.
async fn take(shared: &Shared, order: &CaptureOrder, subject: &Subject) -> Result<(Taken, CaptureFile), CaptureError> {
    let mut file = shared.store.begin_capture_file(order.capture).map_err(disk)?;
    let mut output = Output::new(&mut file, order.size_max);
    let taken = capture::take(subject, order.kind, &mut output).await?;
    Ok((taken, file))
}

/// Keeps what was taken, without its contents where that is wanted: what cannot be redacted is not kept.
async fn keep(shared: &Shared, order: &CaptureOrder, file: CaptureFile, redact: bool) -> Result<Kept, CaptureError> {
    let file = if redact {
        let raw = file.set_aside().map_err(disk)?;
        let mut clean = shared.store.begin_capture_file(order.capture).map_err(disk)?;
        let (memory, within) = (shared.redaction_memory, REDACTION_TIMEOUT);
        let redacted = shared.analyser.redact(raw.path(), &mut clean, memory, within).await;
        redacted.map_err(|error| CaptureError::Unavailable(format!("its contents could not be removed: {error}")))?;
        clean
    } else {
        file
    };
    // It waits for the disk.
    let finished = tokio::task::spawn_blocking(move || file.finish()).await;
    finished.map_err(|error| CaptureError::Disk(std::io::Error::other(error.to_string())))?.map_err(disk)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn disk(error: StoreError) -> CaptureError {
    CaptureError::Disk(std::io::Error::other(error.to_string()))
}

async fn analyse(shared: &Shared, order: &AnalysisOrder) -> Event {
    let failed = |reason: String| Event::AnalysisFailed { analysis: order.analysis, reason };
    let mut files = Vec::new();
    for id in &order.captures {
        let capture = match shared.store.capture(*id) {
            Ok(capture) => capture,
            Err(error) => return failed(error.to_string()),
        };
        match capture.as_ref().and_then(|capture| shared.store.capture_path(capture)) {
            Some(path) => files.push((*id, path)),
            None => return failed(format!("capture {} is no longer kept", id.0)),
        }
    }
    let allowed = remaining(order.deadline);
    match shared.analyser.run(order, &files, allowed).await {
        Ok(analysis) => Event::Analysed(Box::new(analysis)),
        Err(error) => failed(error.to_string()),
    }
}
