//! The daemon's own threads: the engine's loop, the scraper, the collector of evidence, the keeper and the one that tells receivers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use leakscope_engine::{Command, Engine, Event};
use leakscope_store::Store;

use crate::alert::Notifier;
use crate::analysis::{self, Analyser};
use crate::clock;
use crate::collector::{self, Collector};
use crate::daemon::{Settings, StartError, keep};
use crate::keeper::{self, Chore};
use crate::runtime::{Performers, Unrecorded};
use crate::scrape::{Order, Scraper};
use crate::telemetry::Telemetry;

/// The threads, and how each is spoken to.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) events: Sender<Vec<Event>>,
    pub(crate) chores: Sender<Chore>,
    pub(crate) orders: Sender<Order>,
    pub(crate) evidence: tokio::sync::mpsc::UnboundedSender<collector::Order>,
    pub(crate) notifier: Notifier,
    pub(crate) telemetry: Arc<Telemetry>,
    stop_loop: Arc<AtomicBool>,
    loop_thread: JoinHandle<()>,
    keeper_thread: JoinHandle<()>,
    alert_thread: JoinHandle<()>,
}

impl Threads {
    /// Starts all of them. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError::Thread`] when the system gives none.
    pub(crate) fn start(
        settings: &Settings,
        store: &Arc<Store>,
        engine: &Arc<Mutex<Engine>>,
    ) -> Result<Self, StartError> {
        let config = &settings.config;
        let (events, inbox) = std::sync::mpsc::channel();
        let (chores, chore_inbox) = std::sync::mpsc::channel();
        let scraper = Scraper::start(events.clone()).map_err(StartError::Thread)?;
        let telemetry = Arc::new(Telemetry::new(scraper.stats.clone()));
        let keeper_thread = {
            let (store, telemetry, events, keep) = (store.clone(), telemetry.clone(), events.clone(), keep(config));
            spawn("store", move || keeper::run(&store, &chore_inbox, &telemetry, &events, keep))?
        };
        let program = settings.program.clone().unwrap_or_else(analysis::own_program);
        let analyser = Analyser::new(program, config.capture.analysis_workers);
        let memory = config.capture.analysis_memory;
        let collector =
            Collector::start(store.clone(), analyser, memory, events.clone()).map_err(StartError::Thread)?;
        let (orders, evidence) = (scraper.orders(), collector.orders());
        let (notifier, alert_thread) =
            Notifier::start(config, store.clone(), engine.clone()).map_err(StartError::Thread)?;
        let stop_loop = Arc::new(AtomicBool::new(false));
        let performers = Performers {
            engine: engine.clone(),
            store: store.clone(),
            scraper,
            chores: chores.clone(),
            telemetry: telemetry.clone(),
            collector,
            notifier: notifier.clone(),
            unrecorded: Unrecorded::default(),
            logged: BTreeMap::new(),
            stop: stop_loop.clone(),
        };
        let loop_thread = spawn("engine", move || run_loop(performers, &inbox))?;
        Ok(Self {
            events,
            chores,
            orders,
            evidence,
            notifier,
            telemetry,
            stop_loop,
            loop_thread,
            keeper_thread,
            alert_thread,
        })
    }

    /// Ends them one after the other, so that none loses what another still has to say. Blocks.
    pub(crate) fn stop(self) {
        self.stop_loop.store(true, Ordering::Relaxed);
        // A panic in a thread was printed.
        let _ = self.loop_thread.join();
        // After the loop, whose last step may have something to tell.
        self.notifier.stop();
        let _ = self.alert_thread.join();
        let _ = self.chores.send(Chore::Close);
        let _ = self.keeper_thread.join();
    }
}

/// The loop, and at its end one last step that hands out every detector.
fn run_loop(mut performers: Performers, inbox: &Receiver<Vec<Event>>) {
    performers.run(inbox);
    performers.step(clock::now(), vec![Event::Asked(Command::Checkpoint)], &mut Vec::new());
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.into()).spawn(run).map_err(StartError::Thread)
}
