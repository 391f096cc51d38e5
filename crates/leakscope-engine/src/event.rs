//! Everything that can happen to leakscope.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{Readings, Runtime, Target, TargetId};

/// Everything that can wake the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// All targets that discovery knows now; those that are not in the list are gone.
    TargetsSeen(Vec<Target>),
    /// A scrape succeeded.
    Scraped(Box<Scrape>),
    /// A scrape failed.
    ScrapeFailed(ScrapeFailure),
    /// A person or the shutdown asks for something.
    Asked(Command),
    /// Time has passed.
    Tick,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Hand out every detector's state, so that a restart loses nothing.
    Checkpoint,
}

/// What one scrape brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// The target that was scraped.
    pub target: TargetId,
    /// How long it took.
    pub duration: Duration,
    /// What the page says of the target itself.
    pub readings: Readings,
    /// Further processes and containers that the page describes.
    pub parts: Vec<Part>,
    /// The runtime, as the page gives it away.
    pub runtime: Option<Runtime>,
    /// The service's version, as the page gives it away.
    pub version: Option<String>,
    /// The service's own opinion.
    pub opinion: Option<Opinion>,
    /// What of the page could not be understood.
    pub problem: Option<String>,
}

/// One of several processes or containers on one page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its name on the page: `namespace/pod/container`, a process group, ...
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What the page says of it.
    pub readings: Readings,
}

/// A service's own opinion of its memory: shown, never trusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opinion {
    /// Its own score.
    pub leak_score: Option<f64>,
    /// Its own word.
    pub status: Option<String>,
}

/// Why one scrape failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeFailure {
    /// The target that was scraped.
    pub target: TargetId,
    /// How long it took.
    pub duration: Duration,
    /// What was expected and what was found.
    pub reason: String,
}
