//! The signals that end us: SIGINT, SIGTERM, and in a terminal that closes SIGHUP.

use crate::exit::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for a signal to end; from here on none of them kills us.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// For commands to which it does not mean "reload".
    hangup: Option<Signal>,
}

impl Stop {
    /// For commands that run in a terminal.
    pub(crate) fn new() -> Result<Self, Failure> {
        let hangup = Some(listen(SignalKind::hangup())?);
        Ok(Self { hangup, ..Self::of_daemon()? })
    }

    /// For the daemon, which reloads on SIGHUP.
    pub(crate) fn of_daemon() -> Result<Self, Failure> {
        let (interrupt, terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup: None })
    }

    pub(crate) async fn wait(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }

    /// The value of `work`, unless a signal comes first: then `work` is dropped.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            value = work => Ok(value),
            () = self.wait() => Err(Failure::inconclusive("interrupted")),
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::inconclusive(format!("signals cannot be received: {error}")))
}
