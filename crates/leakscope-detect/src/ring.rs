//! One value per block on one time scale, the last [`MAX`] blocks: floors of a signal, or totals of a counter.

use crate::stats::MAX;

/// Milliseconds in a block of scale 1.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// A ring of block values. Blocks without a sample are NaN.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ring {
    /// Length of a block in minutes.
    pub(crate) minutes: u32,
    /// Number of the open block since the epoch; `None` before the first sample.
    pub(crate) open: Option<i64>,
    /// The open block's value so far.
    pub(crate) open_value: f32,
    /// Blocks closed since the last reset, NaN ones included.
    pub(crate) n_closed: u32,
    /// Values of closed blocks, at most [`MAX`]; block `n` (counted from 0 at the reset) is at `n % MAX`.
    pub(crate) values: Vec<f32>,
}

impl Ring {
    pub(crate) fn new(minutes: u32) -> Self {
        Self { minutes, open: None, open_value: f32::NAN, n_closed: 0, values: Vec::new() }
    }

    /// Takes a sample of a signal, keeping the block's smallest; `true` when a block closed. NaN only lets time pass.
    pub(crate) fn observe_floor(&mut self, at_ms: i64, value: f32) -> bool {
        self.observe(at_ms, value, f32::min)
    }

    /// Takes a value, keeping the block's largest.
    pub(crate) fn observe_top(&mut self, at_ms: i64, value: f32) {
        self.observe(at_ms, value, f32::max);
    }

    /// Takes what was counted since the last time, keeping the block's sum.
    pub(crate) fn observe_sum(&mut self, at_ms: i64, count: f32) {
        self.observe(at_ms, count, |sum, count| sum + count);
    }

    /// `at_ms` never goes back: the caller drops late samples.
    fn observe(&mut self, at_ms: i64, value: f32, fold: impl Fn(f32, f32) -> f32) -> bool {
        let block = at_ms.div_euclid(MINUTE_MS * i64::from(self.minutes));
        match self.open {
            Some(open) if block <= open => {
                self.open_value = fold(self.open_value, value);
                false
            }
            Some(open) => {
                self.push(self.open_value);
                let missing = block.saturating_sub(open).saturating_sub(1).min(MAX as i64);
                for _ in 0..missing {
                    self.push(f32::NAN);
                }
                self.open = Some(block);
                self.open_value = value;
                true
            }
            None => {
                self.open = Some(block);
                self.open_value = value;
                false
            }
        }
    }

    fn push(&mut self, value: f32) {
        match self.values.get_mut(self.n_closed as usize % MAX) {
            Some(oldest) => *oldest = value,
            None => self.values.push(value),
        }
        // The count goes on within 2^32, but never back to where the ring would look half empty.
        self.n_closed = if self.n_closed == u32::MAX { u32::MAX - MAX as u32 + 1 } else { self.n_closed + 1 };
    }

    /// The value `back` blocks before the newest closed one (0 = newest); `None` outside of the ring or without a sample.
    pub(crate) fn get(&self, back: usize) -> Option<f64> {
        if back >= self.held() {
            return None;
        }
        let value = self.values[(self.n_closed as usize - 1 - back) % MAX];
        (!value.is_nan()).then(|| f64::from(value))
    }

    /// Middle of the block `back` blocks before the newest closed one, in milliseconds.
    pub(crate) fn middle_ms(&self, back: usize) -> i64 {
        self.end_ms(back) - MINUTE_MS * i64::from(self.minutes) / 2
    }

    /// End of the block `back` blocks before the newest closed one, in milliseconds.
    pub(crate) fn end_ms(&self, back: usize) -> i64 {
        let block_ms = MINUTE_MS * i64::from(self.minutes);
        (self.open.unwrap_or(0) - back as i64) * block_ms
    }

    /// Closed blocks in the ring.
    pub(crate) fn held(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_become_missing_blocks() {
        let mut ring = Ring::new(1);
        for (minute, value) in [(0, 5.0), (0, 3.0), (1, 7.0), (4, 9.0)] {
            ring.observe_floor(minute * MINUTE_MS, value);
        }
        assert_eq!(ring.held(), 4);
        let floors: Vec<_> = (0..4).rev().map(|back| ring.get(back)).collect();
        assert_eq!(floors, [Some(3.0), Some(7.0), None, None]);
        assert_eq!(ring.middle_ms(0), 3 * MINUTE_MS + MINUTE_MS / 2);
    }

    #[test]
    fn a_gap_of_years_is_bounded() {
        let mut ring = Ring::new(1);
        ring.observe_floor(0, 1.0);
        ring.observe_floor(i64::MAX / 2, 1.0);
        assert_eq!(ring.held(), MAX);
        assert_eq!(ring.get(0), None);
    }
}
