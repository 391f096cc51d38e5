//! One value per block on one time scale, the last [`MAX`] blocks: floors of a signal, or totals of a counter.

use crate::stats::MAX;

/// Milliseconds in a block of scale 1.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// A ring of block values in two bytes each: multiples of a unit above a base. Blocks without a sample are missing.
///
/// The unit is a power of two, at most 1/16,384 of the largest value of the ring or 1/65,534 of its spread, whichever is more: far below the
/// growth that any test looks at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ring {
    /// Length of a block in minutes.
    pub(crate) minutes: u32,
    /// Number of the open block since the epoch; `None` before the first sample.
    pub(crate) open: Option<i64>,
    /// The open block's value so far.
    pub(crate) open_value: f32,
    /// Blocks closed since the last reset, missing ones included.
    pub(crate) n_closed: u32,
    /// Value of code 1.
    pub(crate) base: f32,
    /// What a code is worth; 0 while all values are the base.
    pub(crate) unit: f32,
    /// Codes of closed blocks; block `n` (counted from 0 at the reset) is at `n % MAX`.
    pub(crate) codes: [u16; MAX],
}

/// The code of a block without a sample.
const MISSING: u16 = 0;
/// The largest code above the base.
const STEPS: f64 = 65_534.0;
/// A unit is at most the largest value's power of two over two to this.
const BITS: i32 = 14;

impl Ring {
    pub(crate) fn new(minutes: u32) -> Self {
        Self { minutes, open: None, open_value: f32::NAN, n_closed: 0, base: 0.0, unit: 0.0, codes: [MISSING; MAX] }
    }

    /// Takes a sample of a signal, keeping the block's smallest; `true` when a block closed. NaN only lets time pass.
    pub(crate) fn observe_floor(&mut self, at_ms: i64, value: f32) -> bool {
        self.observe(at_ms, value, f32::min)
    }

    /// Takes a value, keeping the block's largest.
    pub(crate) fn observe_top(&mut self, at_ms: i64, value: f32) {
        self.observe(at_ms, value, f32::max);
    }

    /// Takes what was counted since the last time, keeping the block's sum; `true` when a block closed. NaN only lets time pass.
    pub(crate) fn observe_sum(&mut self, at_ms: i64, count: f32) -> bool {
        self.observe(at_ms, count, |sum, count| {
            if sum.is_nan() {
                count
            } else if count.is_nan() {
                sum
            } else {
                sum + count
            }
        })
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
        let place = self.n_closed as usize % MAX;
        self.codes[place] = MISSING;
        if value.is_finite() {
            self.codes[place] = self.code(f64::from(value));
        }
        // The count goes on within 2^32, but never back to where the ring would look half empty.
        self.n_closed = if self.n_closed == u32::MAX { u32::MAX - MAX as u32 + 1 } else { self.n_closed + 1 };
    }

    /// The code of a value. What does not fit moves the base and the unit first, and all other codes with them.
    fn code(&mut self, value: f64) -> u16 {
        let fits = |ring: &Self| {
            let steps = (value - f64::from(ring.base)) / f64::from(ring.unit);
            (0.0..=STEPS).contains(&steps)
        };
        // Once a round the unit is made as fine as it can be.
        let round = (self.n_closed as usize).is_multiple_of(MAX);
        if self.codes == [MISSING; MAX] {
            (self.base, self.unit) = (value as f32, 0.0);
        } else if round && self.unit > 0.0 || !(fits(self) || self.unit == 0.0 && value == f64::from(self.base)) {
            self.refit(value);
        }
        self.encoded(value)
    }

    /// The base and the finest unit that hold all values and this one.
    fn refit(&mut self, value: f64) {
        let old = self.clone();
        let values = old.codes.iter().filter_map(|code| old.decoded(*code));
        let (low, high) = values.fold((value, value), |(low, high), value| (low.min(value), high.max(value)));
        let power = |value: f64| 2.0_f64.powi(value.max(f64::MIN_POSITIVE).log2().floor() as i32);
        let finest = power(low.abs().max(high.abs())) / 2.0_f64.powi(BITS);
        let spread = 2.0 * power((high - low) / STEPS);
        self.unit = finest.max(spread) as f32;
        // Room on both sides, so that what goes on rising or falling fits for a while.
        let room = (STEPS - (high - low) / f64::from(self.unit)).max(0.0);
        self.base = (low - (room / 2.0).floor() * f64::from(self.unit)) as f32;
        for place in 0..MAX {
            if let Some(value) = old.decoded(old.codes[place]) {
                self.codes[place] = self.encoded(value);
            }
        }
    }

    fn encoded(&self, value: f64) -> u16 {
        let steps = (value - f64::from(self.base)) / f64::from(self.unit);
        // Without a unit all values are the base.
        if self.unit > 0.0 { 1 + steps.round().clamp(0.0, STEPS) as u16 } else { 1 }
    }

    fn decoded(&self, code: u16) -> Option<f64> {
        (code != MISSING).then(|| f64::from(self.base) + f64::from(code - 1) * f64::from(self.unit))
    }

    /// The value `back` blocks before the newest closed one (0 = newest); `None` outside of the ring or without a sample.
    pub(crate) fn get(&self, back: usize) -> Option<f64> {
        if back >= self.held() {
            return None;
        }
        self.decoded(self.codes[(self.n_closed as usize - 1 - back) % MAX])
    }

    /// Lowest value of the ring, and the highest of its newest `n`; `None` when either has none.
    pub(crate) fn span(&self, n: usize) -> Option<(f64, f64)> {
        let lowest = self.codes.iter().copied().filter(|code| *code != MISSING).min()?;
        let newest = (0..n.min(self.held())).map(|back| self.codes[(self.n_closed as usize - 1 - back) % MAX]).max()?;
        Some((self.decoded(lowest)?, self.decoded(newest)?))
    }

    /// Middle of the block `back` blocks before the newest closed one, in milliseconds.
    pub(crate) fn middle_ms(&self, back: usize) -> i64 {
        self.end_ms(back).saturating_sub(MINUTE_MS * i64::from(self.minutes) / 2)
    }

    /// End of the block `back` blocks before the newest closed one, in milliseconds.
    pub(crate) fn end_ms(&self, back: usize) -> i64 {
        let block_ms = MINUTE_MS * i64::from(self.minutes);
        self.open.unwrap_or(0).saturating_sub(back as i64).saturating_mul(block_ms)
    }

    /// Where the open block begins, in milliseconds, and its value so far.
    pub(crate) fn opened(&self) -> Option<(i64, f32)> {
        Some((self.open?.saturating_mul(MINUTE_MS * i64::from(self.minutes)), self.open_value))
    }

    /// Closed blocks in the ring.
    pub(crate) fn held(&self) -> usize {
        (self.n_closed as usize).min(MAX)
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

    #[test]
    fn values_come_back_within_a_unit_whatever_came_before() {
        let mut seed = 1_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f64 / (1_u64 << 24) as f64
        };
        for scale in [1e-3, 1.0, 1e9, 1e18] {
            let mut ring = Ring::new(1);
            let mut written: Vec<f64> = Vec::new();
            for minute in 0..2_000_i64 {
                // Quiet stretches, steps of a thousandfold, negative values, zeros.
                let value = scale * (1.0 + random()) * [1.0, 1.001, 1_000.0, -1.0, 0.0][(minute / 100 % 5) as usize];
                ring.observe_floor(minute * MINUTE_MS, value as f32);
                written.push(f64::from(value as f32));
                let n_closed = written.len() - 1;
                let newest = &written[n_closed.saturating_sub(MAX)..n_closed];
                let largest = newest.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
                for (back, wrote) in newest.iter().rev().enumerate() {
                    let read = ring.get(back).unwrap();
                    // A thousandfold value that left the ring leaves its unit behind for a round at most.
                    let unit = largest.max(if minute % 500 < 300 { 0.0 } else { 1_000.0 * scale }) / 4_000.0;
                    assert!(
                        (read - wrote).abs() <= unit.max(2_000.0 * scale / 8_000.0),
                        "{minute} {back}: {wrote} read as {read}"
                    );
                }
            }
        }
    }
}
