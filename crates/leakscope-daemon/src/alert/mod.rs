//! Alerts: takes notices of the engine into the journal of deliveries, tells receivers, tries again, and says that leakscope lives.
//!
//! Must not decide what is alerted: that is the engine's, see `leakscope-engine/src/alert.rs`.

mod alertmanager;
mod desk;
mod email;
mod pagerduty;
mod send;
mod slack;
mod test;
#[cfg(test)]
mod tests;
mod webhook;
mod word;

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use leakscope_engine::{Engine, Notice};
use leakscope_model::Incident;
use leakscope_store::Store;
use tokio::sync::mpsc;

use crate::clock;
use crate::config::Config;
use crate::sync::lock;
use desk::Desk;

pub use test::{TestError, TestReport, test_receiver};

/// How often the journal is looked at for what is due.
const POLL: Duration = Duration::from_secs(1);
/// How long tries that are under way may take at a stop; then the journal knows no answer of them.
const DRAIN: Duration = Duration::from_secs(2);

/// What the task is told.
#[derive(Debug)]
enum Message {
    Notice(Box<Notice>),
    Configure(Box<Config>),
    Stop,
}

/// The way to the task that tells receivers.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    inbox: mpsc::UnboundedSender<Message>,
}

impl Notifier {
    /// Starts the thread that tells receivers. It ends on [`Self::stop`].
    ///
    /// # Errors
    /// Why no thread or runtime can be made.
    pub(crate) fn start(
        config: &Config,
        store: Arc<Store>,
        engine: Arc<Mutex<Engine>>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (inbox, messages) = mpsc::unbounded_channel();
        // A runtime of its own: the journal is written and synced here, which would hold up others.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let config = config.clone();
        let thread = std::thread::Builder::new().name("alert".into()).spawn(move || {
            runtime.block_on(run(&config, store, &engine, messages));
        })?;
        Ok((Self { inbox }, thread))
    }

    /// Tells receivers of it, once it is in the journal.
    pub(crate) fn notify(&self, notice: Notice) {
        let _ = self.inbox.send(Message::Notice(Box::new(notice)));
    }

    /// Goes on with another configuration.
    pub(crate) fn reload(&self, config: &Config) {
        let _ = self.inbox.send(Message::Configure(Box::new(config.clone())));
    }

    /// Ends the task. What it was told before is in the journal then.
    pub(crate) fn stop(&self) {
        let _ = self.inbox.send(Message::Stop);
    }
}

async fn run(
    config: &Config,
    store: Arc<Store>,
    engine: &Mutex<Engine>,
    mut messages: mpsc::UnboundedReceiver<Message>,
) {
    let mut desk = match Desk::open(store, config) {
        Ok(desk) => desk,
        Err(error) => {
            tracing::error!(%error, "the journal of deliveries cannot be read; nobody is told of anything");
            return;
        }
    };
    let mut waiting = Vec::new();
    let mut tick = tokio::time::interval(POLL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        for message in waiting.drain(..) {
            match message {
                Message::Notice(notice) => desk.notice(clock::now(), *notice),
                Message::Configure(config) => desk.configure(&config),
                Message::Stop => return,
            }
        }
        let stopped = tokio::select! {
            message = messages.recv() => {
                waiting.extend(message);
                false
            }
            _ = tick.tick() => tell(&mut desk, engine, &mut messages, &mut waiting).await,
        };
        if stopped {
            return;
        }
    }
}

/// One round. Messages that come meanwhile wait in `waiting`; a stop cuts the round short. Returns whether it was one.
async fn tell(
    desk: &mut Desk,
    engine: &Mutex<Engine>,
    messages: &mut mpsc::UnboundedReceiver<Message>,
    waiting: &mut Vec<Message>,
) -> bool {
    let now = clock::now();
    let firing: Vec<Incident> = lock(engine).firing().cloned().collect();
    let mut late = Vec::new();
    let stopped = {
        let round = async {
            desk.round(now).await;
            desk.resend(now, &firing).await;
        };
        tokio::pin!(round);
        loop {
            tokio::select! {
                () = &mut round => break false,
                message = messages.recv() => match message {
                    Some(Message::Stop) | None => {
                        let _ = tokio::time::timeout(DRAIN, &mut round).await;
                        break true;
                    }
                    Some(message) => late.push(message),
                },
            }
        }
    };
    if stopped {
        // Whoever was told to the task before its stop is in the journal.
        for message in late {
            if let Message::Notice(notice) = message {
                desk.notice(now, *notice);
            }
        }
        return true;
    }
    waiting.extend(late);
    false
}
