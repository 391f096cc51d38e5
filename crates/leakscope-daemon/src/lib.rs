//! Performs what the engine says: scrapes, discovers, stores, and serves the API and the page. The only crate below the binary that knows tokio.
//!
//! Reading order: [`Daemon::start`] in `daemon`, the loop in `runtime`, then `fleet` (where targets come from), `scrape`
//! (how they are read), `keeper` (slow writes) and `api`.

mod alert;
mod analysis;
mod api;
mod by_hand;
mod capture;
mod clock;
mod collector;
pub mod config;
mod daemon;
mod discovery;
mod fleet;
mod http;
mod keeper;
mod proc;
mod report;
mod runtime;
mod scrape;
mod sync;
mod telemetry;
mod threads;
mod tls;

pub use alert::{TestError, TestReport, test_receiver};
pub use by_hand::{Capturable, HandTaken, LocalProcess, what_can_be_captured};
pub use daemon::{Daemon, Settings, StartError};
pub use discovery::{Finding, Status as FindingStatus};

/// What this host lets us see, and how to get the rest. Reads `/proc` and `/sys`.
pub fn doctor() -> Vec<Finding> {
    discovery::diagnose(&discovery::gather())
}
