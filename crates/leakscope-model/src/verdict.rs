//! What the detector says of a target.

use std::fmt;
use std::time::Duration;

use crate::{Bytes, BytesPerHour, BytesPerRequest, Interval, Signal, Timestamp};

/// Where a target stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not enough has been seen to say anything.
    #[default]
    TooEarly,
    /// No growth that time would not explain.
    Steady,
    /// It leaked and has stopped.
    Recovered,
    /// Worth cheap evidence, not a person's sleep.
    Suspect,
    /// Worth waking someone: the alarm.
    Leaking,
}

impl State {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooEarly => "too_early",
            Self::Steady => "steady",
            Self::Recovered => "recovered",
            Self::Suspect => "suspect",
            Self::Leaking => "leaking",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What kind of growth it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Live objects of the managed heap.
    Managed,
    /// Memory outside the managed heap.
    Native,
    /// Goroutines, tasks, threads or handles.
    Tasks,
    /// File descriptors.
    Descriptors,
    /// A cache that is filling and may still bend.
    CacheFill,
    /// Growth in step with the load.
    LoadGrowth,
    /// Resident memory grows, live memory does not.
    Fragmentation,
    /// The series alone do not tell.
    #[default]
    Unknown,
}

impl Kind {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Native => "native",
            Self::Tasks => "tasks",
            Self::Descriptors => "descriptors",
            Self::CacheFill => "cache_fill",
            Self::LoadGrowth => "load_growth",
            Self::Fragmentation => "fragmentation",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How fast it grows, with 95 % intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Against time.
    pub per_hour: Interval<BytesPerHour>,
    /// Against requests, where a counter of them exists.
    pub per_request: Option<Interval<BytesPerRequest>>,
}

/// The fitted line behind a growth: `level + per_hour × (t − from)` over `from..=to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// First block of the window.
    pub from: Timestamp,
    /// Last block of the window.
    pub to: Timestamp,
    /// Fitted value at `from`, in the signal's unit.
    pub level: f64,
    /// Fitted slope, in the signal's unit an hour.
    pub per_hour: Interval<f64>,
}

/// The detector's answer for one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Evidence on one scale: at least 0, and 1.0 is the alarm boundary.
    pub score: f64,
    /// Where the target stands.
    pub state: State,
    /// What kind of growth it is.
    pub kind: Kind,
    /// The signal that decided.
    pub signal: Option<Signal>,
    /// Bytes an hour and a request; `None` when nothing grows or when what grows is not counted in bytes.
    pub growth: Option<Growth>,
    /// Time until the limit is met by the peaks; `None` without limit or growth.
    pub time_to_limit: Option<Interval<Duration>>,
    /// When the growth began, as far as the window shows.
    pub since: Option<Timestamp>,
    /// The line that was fitted, for drawing.
    pub fit: Option<Fit>,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
}

/// One reason, with its numbers. Displays as a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Too few blocks yet.
    Warming {
        /// Blocks of one minute seen.
        blocks: u32,
        /// Blocks of one minute needed.
        want: u32,
    },
    /// Nothing to judge by.
    NoMemorySignal,
    /// The floor grew over the window.
    FloorGrew {
        /// Which signal.
        signal: Signal,
        /// First fitted level.
        from: f64,
        /// Last fitted level.
        to: f64,
        /// Length of the window.
        over: Duration,
    },
    /// New maxima came more often than chance allows.
    Records {
        /// Floors that were higher than all before.
        records: u32,
        /// Floors in the window.
        blocks: u32,
        /// The record test's e-value.
        e_value: f64,
    },
    /// The trend test.
    Trend {
        /// Mann–Kendall z, corrected for autocorrelation.
        z: f64,
    },
    /// Growth keeps its pace.
    Sustained {
        /// Slope of the second half over the slope of the first.
        tail_over_head: f64,
    },
    /// Growth slows down: a warm-up or a cache that fills.
    Decelerates {
        /// Slope of the second half over the slope of the first.
        tail_over_head: f64,
    },
    /// Growth speeds up: load, or another cause than a leak at a steady pace.
    SpeedsUp {
        /// Slope of the second half over the slope of the first.
        tail_over_head: f64,
    },
    /// Growth is not yet sure to go on: a cache that fills would look the same.
    MayBend {
        /// What it would reach at the strongest bend that the samples allow, over what is left.
        reach: f64,
    },
    /// The growth has to last before it counts.
    Holding {
        /// For how long every test has held.
        held: Duration,
        /// For how long they must hold.
        want: Duration,
    },
    /// The limit is too far away to be claimed from this window.
    FarAway {
        /// Best estimate of the time to the limit.
        time_to_limit: Duration,
        /// The furthest that may be claimed.
        horizon: Duration,
    },
    /// The heap grows, but no full collection has shown what of it lives.
    NoCollection,
    /// One step makes up the growth.
    Step {
        /// Largest rise between two blocks over the whole growth.
        share: f64,
    },
    /// Growth follows the load.
    FollowsLoad {
        /// Share of the growth that the request rate explains.
        share: f64,
    },
    /// Growth per request.
    PerRequest {
        /// Bytes that stay for each request.
        growth: BytesPerRequest,
    },
    /// Growth too small to matter.
    TooSmall {
        /// Growth in the window.
        grew: f64,
        /// The least growth that counts.
        least: f64,
        /// Which signal.
        signal: Signal,
    },
    /// A better signal stays flat.
    OtherFlat {
        /// The signal that grows.
        grows: Signal,
        /// The signal that stays flat.
        flat: Signal,
    },
    /// The floor stays level.
    Level {
        /// Which signal.
        signal: Signal,
        /// Its last floor.
        floor: f64,
    },
    /// The growth stopped.
    Stopped {
        /// Which signal.
        signal: Signal,
    },
    /// Among so many targets chance alone would show as much.
    Withheld {
        /// Targets under watch.
        targets: usize,
    },
    /// Earlier lives of the process grew the same way.
    Recurs {
        /// Lives that grew.
        lives: u32,
    },
}

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "a sentence for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Warming { blocks, want } => {
                write!(f, "seen for {blocks} min of the {want} min a verdict needs")
            }
            Self::NoMemorySignal => f.write_str("the target shows no memory signal"),
            Self::FloorGrew { signal, from, to, over } => write!(
                f,
                "the floor of {} grew from {} to {} in {}",
                signal.name(),
                Quantity(*signal, *from),
                Quantity(*signal, *to),
                Span(*over)
            ),
            Self::Records { records, blocks, e_value } => write!(
                f,
                "{records} of {blocks} floors were higher than every one before; by chance that happens less than once in {e_value:.0e} series"
            ),
            Self::Trend { z } => {
                write!(f, "the trend is {z:.1} standard deviations away from none, corrected for autocorrelation")
            }
            Self::Sustained { tail_over_head } => {
                write!(f, "it keeps its pace: the second half grows at {tail_over_head:.2} times the first half's rate")
            }
            Self::Decelerates { tail_over_head } => write!(
                f,
                "it slows down: the second half grows at {tail_over_head:.2} times the first half's rate, as a warm-up or a filling cache does"
            ),
            Self::SpeedsUp { tail_over_head } => write!(
                f,
                "it speeds up: the second half grows at {tail_over_head:.2} times the first half's rate, which a steady leak does not"
            ),
            Self::MayBend { reach } => write!(
                f,
                "it may yet level off, as a filling cache does: at the strongest bend that the samples allow it would fill {:.0} % of what is left",
                reach * 100.0
            ),
            Self::Holding { held, want } => {
                write!(f, "the evidence has held for {}, an alarm needs {}", Span(*held), Span(*want))
            }
            Self::FarAway { time_to_limit, horizon } => write!(
                f,
                "the limit would be met in {}, further away than the {} this window can claim",
                Span(*time_to_limit),
                Span(*horizon)
            ),
            Self::NoCollection => {
                f.write_str("the heap grows, but no full collection has yet shown how much of it is still alive")
            }
            Self::Step { share } => write!(f, "one step makes up {:.0} % of the growth", share * 100.0),
            Self::FollowsLoad { share } => {
                write!(f, "the request rate explains {:.0} % of the growth", share * 100.0)
            }
            Self::PerRequest { growth } => write!(f, "{growth} stays behind"),
            Self::TooSmall { grew, least, signal } => write!(
                f,
                "{} grew by {}, below the {} that would matter",
                signal.name(),
                Quantity(*signal, *grew),
                Quantity(*signal, *least)
            ),
            Self::OtherFlat { grows, flat } => {
                write!(f, "{} grows while {} stays flat", grows.name(), flat.name())
            }
            Self::Level { signal, floor } => {
                write!(f, "the floor of {} stays level at {}", signal.name(), Quantity(*signal, *floor))
            }
            Self::Stopped { signal } => write!(f, "{} no longer grows", signal.name()),
            Self::Withheld { targets } => {
                write!(f, "among {targets} targets chance alone shows this much at times: it has to get clearer first")
            }
            Self::Recurs { lives } => write!(f, "{lives} lives of this process grew the same way"),
        }
    }
}

/// A value in its signal's unit.
struct Quantity(Signal, f64);

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.unit() {
            crate::Unit::Bytes => write!(f, "{}", Bytes(self.1.max(0.0) as u64)),
            _ => write!(f, "{:.0}", self.1),
        }
    }
}

/// A duration in its two largest units: `2 d 4 h`, `35 min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_secs() / 60;
        match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
            (0, 0, _) if minutes == 0 => write!(f, "{} s", self.0.as_secs()),
            (0, 0, m) => write!(f, "{m} min"),
            (0, h, m) => write!(f, "{h} h {m} min"),
            (d, h, _) => write!(f, "{d} d {h} h"),
        }
    }
}
