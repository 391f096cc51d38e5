//! Samples of the last hours, and straight lines through them.

use std::collections::VecDeque;
use std::time::Duration;

use leakscope_model::Timestamp;

/// Samples not older than a range, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Window {
    range: Duration,
    samples: VecDeque<(Timestamp, f64)>,
}

impl Window {
    pub(super) fn new(range: Duration) -> Self {
        Self { range, samples: VecDeque::new() }
    }

    pub(super) fn push(&mut self, at: Timestamp, value: f64) {
        self.samples.push_back((at, value));
        while self.samples.front().is_some_and(|(first, _)| at.since(*first) > self.range) {
            self.samples.pop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// Hours before `now` (so at most 0) with their values, oldest first.
    pub(super) fn points(&self, now: Timestamp) -> Vec<(f64, f64)> {
        self.samples.iter().map(|(at, value)| (at.hours_since(now), *value)).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.samples.len() * size_of::<(Timestamp, f64)>()
    }
}

/// Sums for a least-squares line: points can be added, none taken away.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

/// A least-squares line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Value at x = 0.
    pub(super) at_zero: f64,
    pub(super) slope: f64,
    /// Share of the variance that it explains.
    pub(super) r2: f64,
}

impl Sums {
    pub(super) fn of(points: &[(f64, f64)]) -> Self {
        let mut sums = Self::default();
        for point in points {
            sums.add(*point);
        }
        sums
    }

    pub(super) fn add(&mut self, (x, y): (f64, f64)) {
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.yy += y * y;
    }

    /// The line; nothing for fewer than two different x.
    pub(super) fn line(&self) -> Option<Line> {
        let sxx = self.xx - self.x * self.x / self.n;
        let sxy = self.xy - self.x * self.y / self.n;
        let syy = self.yy - self.y * self.y / self.n;
        if self.n < 2.0 || sxx <= 0.0 {
            return None;
        }
        let slope = sxy / sxx;
        let r2 = if syy > 0.0 { (slope * sxy / syy).clamp(0.0, 1.0) } else { 0.0 };
        Some(Line { at_zero: (self.y - slope * self.x) / self.n, slope, r2 })
    }
}

/// Medians of five minutes, as those who resample have them.
#[derive(Clone, Debug, Default)]
pub(super) struct FiveMinutes {
    block: Option<i64>,
    values: Vec<f64>,
}

/// Length of a block.
pub(super) const FIVE_MINUTES_MS: i64 = 300_000;

impl FiveMinutes {
    /// Takes a sample; the median of the block that it closes, with that block's end.
    pub(super) fn push(&mut self, at: Timestamp, value: f64) -> Option<(Timestamp, f64)> {
        let block = at.as_millis().div_euclid(FIVE_MINUTES_MS);
        let closed = self.block.filter(|open| *open != block).and_then(|open| {
            let end = Timestamp::from_millis((open + 1) * FIVE_MINUTES_MS);
            Some((end, median(&mut std::mem::take(&mut self.values))?))
        });
        self.block = Some(block);
        self.values.push(value);
        closed
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.len() * size_of::<f64>()
    }
}

/// Median; the mean of the two in the middle of an even number.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let lower = if even { below.iter().copied().fold(f64::NEG_INFINITY, f64::max) } else { upper };
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_points_on_a_line_explains_them_wholly() {
        let points: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))).collect();
        let line = Sums::of(&points).line().unwrap();
        assert!((line.at_zero - 3.0).abs() < 1e-9 && (line.slope - 2.0).abs() < 1e-9 && line.r2 > 0.999_999);
        assert_eq!(Sums::of(&points[..1]).line(), None);
        assert_eq!(Sums::of(&[(0.0, 5.0), (1.0, 5.0)]).line().map(|line| line.r2), Some(0.0));
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn five_minutes_become_one_value() {
        let mut blocks = FiveMinutes::default();
        let closed: Vec<_> =
            (0..11).filter_map(|n| blocks.push(Timestamp::from_millis(n * 60_000), n as f64)).collect();
        assert_eq!(closed, [(Timestamp::from_millis(300_000), 2.0), (Timestamp::from_millis(600_000), 7.0)]);
    }
}
