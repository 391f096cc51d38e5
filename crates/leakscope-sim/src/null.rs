//! Healthy processes for thousands of years: what memory does where nothing leaks, as cheap to make as it is to judge.
//!
//! Reading order: [`Process`] is one process written down, [`Process::samples`] runs it, `draw` makes processes of each [`Family`] from a
//! seed. `service` has richer processes; here a sample costs tens of nanoseconds.

mod draw;
mod run;

use std::time::Duration;

use leakscope_model::Timestamp;

pub use draw::of_years;
pub use run::Samples;

/// What moves a healthy process's memory most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Independent noise.
    White,
    /// Noise that depends on the sample before by 0.3 to 0.99.
    Autoregressive,
    /// A random walk between two walls.
    Walk,
    /// A resident set that remembers the maximum of noisy demand.
    HighWater,
    /// Days and weeks of load, with a counter of requests.
    LoadShown,
    /// Days and weeks of load that nobody tells.
    LoadHidden,
    /// Garbage and collections, live heap told.
    ToothLive,
    /// Garbage and collections, heap in use told.
    ToothHeap,
    /// A saw-tooth in the resident set, nothing else told.
    ToothResident,
    /// New versions of other sizes.
    Deploys,
    /// Steps of one process: reloads, features that are switched.
    Steps,
    /// A process that is replaced every 2 hours to 3 days and warms up.
    Restarts,
    /// Jobs that come and go.
    Batch,
    /// A warm-up, then nothing.
    WarmUp,
    /// Several of these at once.
    Mixed,
}

impl Family {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 15] = [
        Self::White,
        Self::Autoregressive,
        Self::Walk,
        Self::HighWater,
        Self::LoadShown,
        Self::LoadHidden,
        Self::ToothLive,
        Self::ToothHeap,
        Self::ToothResident,
        Self::Deploys,
        Self::Steps,
        Self::Restarts,
        Self::Batch,
        Self::WarmUp,
        Self::Mixed,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::White => "white noise",
            Self::Autoregressive => "noise, ar(0.3 to 0.99)",
            Self::Walk => "bounded random walk",
            Self::HighWater => "rss high-water mark",
            Self::LoadShown => "days and weeks, requests shown",
            Self::LoadHidden => "days and weeks, requests hidden",
            Self::ToothLive => "saw-tooth, live heap shown",
            Self::ToothHeap => "saw-tooth, heap in use shown",
            Self::ToothResident => "saw-tooth, resident set only",
            Self::Deploys => "deploys",
            Self::Steps => "steps of one process",
            Self::Restarts => "restarts every 2 h to 3 d",
            Self::Batch => "batch jobs",
            Self::WarmUp => "warm-up, then steady",
            Self::Mixed => "several at once",
        }
    }
}

/// Noise that depends on the sample before.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Standard deviation, bytes.
    pub sigma: f64,
    /// Correlation with the sample before.
    pub rho: f64,
}

/// A random walk between zero and a wall.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Bytes from wall to wall.
    pub width: f64,
    /// Hours in which its standard deviation would be the width, were there no walls.
    pub crossing_h: f64,
}

/// Requests, by the hour and by the day.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests a minute on the mean.
    pub per_min: f64,
    /// Bytes held at the mean rate.
    pub bytes: f64,
    /// Share by which the day moves it.
    pub daily: f64,
    /// Share by which a second wave within the day moves it.
    pub half_daily: f64,
    /// Hour of the day at which it is least.
    pub least_h: f64,
    /// Share by which the weekend lowers it.
    pub weekly: f64,
    /// Share by which one day differs from another, as a standard deviation.
    pub by_day: f64,
    /// The same from minute to minute.
    pub by_minute: f64,
}

/// Garbage that grows until it is collected.
#[derive(Clone, Copy, Debug)]
pub struct Tooth {
    /// Minutes from one collection to the next.
    pub period_min: f64,
    /// Share by which that differs from time to time, at most.
    pub jitter: f64,
    /// Bytes of garbage at a collection on time.
    pub height: f64,
    /// Share of it that a collection leaves, at most.
    pub left: f64,
    /// What of the heap is told.
    pub told: Told,
}

/// What is told of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// The heap in use.
    InUse,
    /// The heap in use, and what the last collection left.
    Live,
}

/// Jobs at regular times.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Minutes from one to the next.
    pub every_min: f64,
    /// Share of that for which it runs.
    pub busy: f64,
    /// Bytes that it takes.
    pub size: f64,
    /// Share by which one takes more or less than another, at most.
    pub by_job: f64,
}

/// What fills after a start.
#[derive(Clone, Copy, Debug)]
pub struct WarmUp {
    /// Bytes when full.
    pub size: f64,
    /// Minutes after which 63 % are there.
    pub tau_min: f64,
}

/// Changes of level at random times.
#[derive(Clone, Copy, Debug)]
pub struct Changes {
    /// Hours between two, at least and at most.
    pub every_h: (f64, f64),
    /// Share by which the level differs from its usual one after each, as a standard deviation; it does not add up.
    pub by: f64,
}

/// One healthy process, or a chain of them, written down.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// What it is an example of.
    pub family: Family,
    /// Seed of its chance.
    pub seed: u64,
    /// When it is first scraped.
    pub begin: Timestamp,
    /// For how many days.
    pub days: u32,
    /// How often.
    pub interval: Duration,
    /// Bytes that are always there.
    pub base: f64,
    /// Memory limit; it is never met.
    pub limit: Option<f64>,
    /// Noise on what it demands.
    pub noise: Noise,
    /// Its walk.
    pub walk: Option<Walk>,
    /// Its load.
    pub load: Option<Load>,
    /// Its garbage.
    pub tooth: Option<Tooth>,
    /// Its jobs.
    pub batch: Option<Batch>,
    /// What fills after each start.
    pub warm_up: Option<WarmUp>,
    /// A new process, of another level.
    pub restarts: Option<Changes>,
    /// Another level of the same process.
    pub steps: Option<Changes>,
    /// Whether the resident set keeps the maximum of what was demanded.
    pub keeps_maximum: bool,
    /// Whether the start time is told.
    pub tells_start: bool,
    /// Whether the counter of requests is told.
    pub tells_requests: bool,
}
