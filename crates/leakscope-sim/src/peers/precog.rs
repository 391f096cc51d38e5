//! Backward windows with a straight line in each: LBR and Precog of TU Munich and Huawei.
//!
//! Source: Jindal et al. 2021, arXiv:2101.09799 and arXiv:2106.08938; `github.com/ansjin/memory_leak_detection` for the defaults.
//! Both see medians of 5 minutes, smoothed by a running median of an hour, and extrapolate to the limit.
//!
//! Precog learns from a leak-free training part which trends are usual; a target that is new has none, so neither has this.
//! Its test of daily seasonality is not published: here it is a correlation of 0.5 with the day before, after three days,
//! as generous as may be.

use std::collections::VecDeque;

use leakscope_model::{Readings, Signal, Timestamp};

use super::Peer;
use super::window::{FIVE_MINUTES_MS, FiveMinutes, Sums, median};
use crate::inject::resident;

/// Blocks of an hour, over which the median smooths.
const SMOOTHED: usize = 12;
/// Blocks that are kept: 14 days.
const KEPT: usize = 14 * DAY;
/// Blocks of a day.
const DAY: usize = 288;
/// A limit further away than this is no alarm.
const CRITICAL_H: f64 = 7.0 * 24.0;

/// What both share: smoothed memory.
#[derive(Clone, Debug, Default)]
struct Smoothed {
    blocks: FiveMinutes,
    recent: VecDeque<f64>,
    /// Ends of blocks and smoothed values, oldest first.
    points: VecDeque<(Timestamp, f64)>,
    limit: Option<f64>,
}

impl Smoothed {
    /// Takes a scrape; whether there is a new point.
    fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool {
        self.limit = readings.get(Signal::Limit).or(self.limit);
        let Some((end, value)) = resident(readings).and_then(|value| self.blocks.push(at, value)) else { return false };
        self.recent.push_back(value);
        if self.recent.len() > SMOOTHED {
            self.recent.pop_front();
        }
        let mut recent: Vec<f64> = self.recent.iter().copied().collect();
        self.points.extend(median(&mut recent).map(|value| (end, value)));
        if self.points.len() > KEPT {
            self.points.pop_front();
        }
        true
    }

    fn bytes(&self) -> usize {
        self.blocks.bytes() + size_of_val(&self.recent) + self.points.len() * size_of::<(Timestamp, f64)>()
    }

    /// Windows that end now, as hours before now and values: their numbers of points ascend with the iterator.
    fn backwards(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let now = self.points.back().map_or(Timestamp::EPOCH, |(at, _)| *at);
        // Values beside the newest keep the sums exact.
        let level = self.points.back().map_or(0.0, |(_, value)| *value);
        self.points.iter().rev().map(move |(at, value)| (at.hours_since(now), value - level))
    }

    /// Hours until the limit at this slope.
    fn exit_h(&self, slope: f64) -> f64 {
        let room = self.limit.zip(self.points.back()).map(|(limit, (_, value))| limit - value);
        room.filter(|_| slope > 0.0).map_or(f64::INFINITY, |room| room / slope)
    }
}

/// LBR: any window from an hour on whose line fits well enough and meets the limit within a week.
#[derive(Clone, Debug, Default)]
pub struct Lbr {
    smoothed: Smoothed,
    alarms: bool,
}

impl Lbr {
    /// Least share of the variance that a line must explain.
    const R2: f64 = 0.8;
    /// Points in the smallest window.
    const SMALLEST: usize = 12;
}

impl Peer for Lbr {
    fn name(&self) -> &'static str {
        "LBR"
    }

    fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool {
        if self.smoothed.observe(at, readings) {
            let mut sums = Sums::default();
            let mut n_points = 0;
            self.alarms = self.smoothed.backwards().any(|point| {
                sums.add(point);
                n_points += 1;
                let line = sums.line().filter(|line| n_points >= Self::SMALLEST && line.r2 >= Self::R2);
                line.is_some_and(|line| self.smoothed.exit_h(line.slope) <= CRITICAL_H)
            });
        }
        self.alarms
    }

    fn state_bytes(&self) -> usize {
        self.smoothed.bytes()
    }
}

/// Precog: of a hundred windows from six hours on, the longest whose line fits well enough decides.
#[derive(Clone, Debug, Default)]
pub struct Precog {
    smoothed: Smoothed,
    alarms: bool,
}

impl Precog {
    /// Least share of the variance that a line must explain.
    const R2: f64 = 0.88;
    /// Points in the smallest window: six hours.
    const SMALLEST: usize = 72;
    /// Windows that are tried at most, and points between two of them at least: 15 minutes.
    const TRIED: (usize, usize) = (100, 3);
    /// Below this share of the limit it looks at nothing.
    const LEVEL_MIN: f64 = 0.4;
    /// Correlation with the day before from which on a day is seen.
    const DAILY: f64 = 0.5;

    fn evaluate(&self) -> bool {
        let points = &self.smoothed.points;
        let high =
            self.smoothed.limit.zip(points.back()).is_some_and(|(limit, (_, value))| *value >= Self::LEVEL_MIN * limit);
        if !high || points.len() < Self::SMALLEST || self.daily() {
            return false;
        }
        let step = (points.len() - Self::SMALLEST).div_ceil(Self::TRIED.0).max(Self::TRIED.1);
        let mut sums = Sums::default();
        let mut longest = None;
        for (number, point) in self.smoothed.backwards().enumerate() {
            sums.add(point);
            let n_points = number + 1;
            let tried = n_points == points.len()
                || (n_points >= Self::SMALLEST && (n_points - Self::SMALLEST).is_multiple_of(step));
            longest = sums.line().filter(|line| tried && line.r2 > Self::R2).or(longest);
        }
        longest.is_some_and(|line| self.smoothed.exit_h(line.slope) <= CRITICAL_H)
    }

    fn daily(&self) -> bool {
        let points = &self.smoothed.points;
        if points.len() < 3 * DAY {
            return false;
        }
        let pairs: Vec<(f64, f64)> =
            points.iter().zip(points.iter().skip(DAY)).map(|(before, after)| (before.1, after.1)).collect();
        let Some(level) = pairs.first().map(|(value, _)| *value) else { return false };
        let beside: Vec<(f64, f64)> = pairs.iter().map(|(before, after)| (before - level, after - level)).collect();
        Sums::of(&beside).line().is_some_and(|line| line.slope > 0.0 && line.r2.sqrt() >= Self::DAILY)
    }
}

impl Peer for Precog {
    fn name(&self) -> &'static str {
        "Precog"
    }

    fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool {
        if self.smoothed.observe(at, readings) {
            self.alarms = self.evaluate();
        }
        self.alarms
    }

    fn state_bytes(&self) -> usize {
        self.smoothed.bytes()
    }
}

const _: () = assert!(SMOOTHED as i64 * FIVE_MINUTES_MS == 3_600_000);
