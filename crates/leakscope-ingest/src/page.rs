//! What one page said.

use std::fmt;
use std::time::Duration;

use leakscope_model::{Readings, Runtime, Signal};

/// Problems of one page that are kept with their text; further ones are counted only.
const PROBLEMS_KEPT: usize = 8;

/// What one page said: the target itself, the further containers and processes it describes, and hints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Readings of the process that served the page.
    pub own: Readings,
    /// Containers and process groups that the page describes, ascending by name.
    pub parts: Vec<Part>,
    /// The runtime, where names or labels give it away.
    pub runtime: Option<Runtime>,
    /// The version of the service, where the page tells it.
    pub version: Option<String>,
    /// Time since the process started, where the page tells that and not the start itself. The caller knows what time it is.
    pub uptime: Option<Duration>,
    /// The service's own opinion on whether it leaks: shown, never trusted.
    pub opinion: Option<Opinion>,
    /// Samples on the page, wanted or not; fields understood for formats without samples.
    pub series: u64,
    /// What was refused or could not be understood.
    pub problems: Problems,
}

/// One container or process group that a page describes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// `namespace/pod/container`, a container's name or a process group: stable while labels such as `id` and `image` churn.
    pub name: String,
    /// What identifies it (`namespace`, `pod`, `container`, `image`, `groupname`), ascending.
    pub labels: Vec<(String, String)>,
    /// Its readings.
    pub readings: Readings,
    /// Its runtime, where an agent tells.
    pub runtime: Option<Runtime>,
    /// Restarts since the pod was created; a counter.
    pub restarts: Option<f64>,
}

/// What a service says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// Its score, on a scale of its own.
    pub score: Option<f64>,
    /// Its word.
    pub status: Option<String>,
}

/// Something on the page that was refused or not understood. Displays as a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A value that its signal cannot have: NaN, infinite or negative.
    Implausible {
        /// Metric, field or selector.
        source: String,
        /// Line from 1, for text formats.
        line: Option<u64>,
        /// As found.
        value: f64,
    },
    /// A series that stood on the page before, with the same time stamp; the first value was kept.
    Duplicate {
        /// Metric.
        source: String,
        /// Line from 1.
        line: u64,
    },
    /// A configured signal that the page does not have, or not as a quantity.
    NotFound {
        /// Which signal.
        signal: Signal,
        /// What was looked for, and what was there instead.
        reason: String,
    },
    /// Figures of the whole host, which say nothing about the process.
    HostView,
    /// A page with more containers or processes than are kept.
    PartsDropped {
        /// How many are kept.
        limit: usize,
    },
    /// A part of a larger document that failed at its source.
    Refused {
        /// What was asked for.
        source: String,
        /// What the service answered.
        reason: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implausible { source, line: Some(line), value } => {
                write!(f, "expected a finite value of at least 0 for `{source}` at line {line}, found {value}")
            }
            Self::Implausible { source, line: None, value } => {
                write!(f, "expected a finite value of at least 0 for `{source}`, found {value}")
            }
            Self::Duplicate { source, line } => {
                write!(f, "`{source}` at line {line} repeats an earlier series; the first value was kept")
            }
            Self::NotFound { signal, reason } => write!(f, "no `{}`: {reason}", signal.name()),
            Self::HostView => f.write_str("the page shows the memory of the host, not of the process; it was not used"),
            Self::PartsDropped { limit } => {
                write!(f, "the page describes more than {limit} containers or processes; the rest was not used")
            }
            Self::Refused { source, reason } => write!(f, "`{source}` was not answered: {reason}"),
        }
    }
}

/// The problems of one page: the first eight, and how many there were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems {
    kept: Vec<Problem>,
    count: u64,
}

impl Problems {
    /// The first problems, in the order of the page.
    pub fn first(&self) -> &[Problem] {
        &self.kept
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Notes one; the text is made only while there is room.
    pub(crate) fn note(&mut self, problem: impl FnOnce() -> Problem) {
        self.count += 1;
        if self.kept.len() < PROBLEMS_KEPT {
            self.kept.push(problem());
        }
    }

    fn append(&mut self, other: Self) {
        self.count += other.count;
        let room = PROBLEMS_KEPT.saturating_sub(self.kept.len());
        self.kept.extend(other.kept.into_iter().take(room));
    }
}

impl Page {
    /// Takes from `other` what is missing here: several documents of one target become one page.
    pub fn merge(&mut self, other: Self) {
        self.own.fill_from(&other.own);
        for part in other.parts {
            match self.parts.binary_search_by(|mine| mine.name.cmp(&part.name)) {
                Ok(place) => {
                    if let Some(mine) = self.parts.get_mut(place) {
                        mine.merge(part);
                    }
                }
                Err(place) => self.parts.insert(place, part),
            }
        }
        self.runtime = self.runtime.or(other.runtime);
        self.version = self.version.take().or(other.version);
        self.uptime = self.uptime.or(other.uptime);
        self.opinion = self.opinion.take().or(other.opinion);
        self.series += other.series;
        self.problems.append(other.problems);
    }

    /// Whether nothing of any use was understood.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.parts.is_empty() && self.opinion.is_none()
    }

    /// Sets a reading, or notes why not.
    pub(crate) fn put(&mut self, signal: Signal, value: f64, source: &str) {
        if signal == Signal::Limit && !crate::harvest::is_limit(value) {
            return;
        }
        if self.own.set(signal, value) {
            self.series += 1;
        } else {
            self.problems.note(|| Problem::Implausible { source: source.to_owned(), line: None, value });
        }
    }
}

impl Part {
    fn merge(&mut self, other: Self) {
        self.readings.fill_from(&other.readings);
        self.runtime = self.runtime.or(other.runtime);
        self.restarts = self.restarts.or(other.restarts);
        for label in other.labels {
            if let Err(place) = self.labels.binary_search_by(|mine| mine.0.cmp(&label.0)) {
                self.labels.insert(place, label);
            }
        }
    }
}
