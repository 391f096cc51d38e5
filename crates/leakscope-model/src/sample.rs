//! Values at points in time.

use crate::{Signal, Timestamp};

/// One value of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was read.
    pub at: Timestamp,
    /// Its value, in the unit of its signal.
    pub value: f64,
}

/// What one scrape of one target said: at most one finite, non-negative value per signal. No allocation.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    /// NaN marks a signal that was not there.
    values: [f64; Signal::COUNT],
}

impl PartialEq for Readings {
    /// Signals that are missing on both sides are equal, though NaN is not.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Default for Readings {
    fn default() -> Self {
        Self { values: [f64::NAN; Signal::COUNT] }
    }
}

impl Readings {
    /// The value of `signal`, if it was there.
    pub fn get(&self, signal: Signal) -> Option<f64> {
        let value = self.values[signal.index()];
        (!value.is_nan()).then_some(value)
    }

    /// Sets a value. Values that no signal can have (NaN, infinite, negative) are refused: `false`.
    pub fn set(&mut self, signal: Signal, value: f64) -> bool {
        let plausible = value.is_finite() && value >= 0.0;
        if plausible {
            self.values[signal.index()] = value;
        }
        plausible
    }

    /// Forgets a value.
    pub fn clear(&mut self, signal: Signal) {
        self.values[signal.index()] = f64::NAN;
    }

    /// Takes from `other` what is missing here.
    pub fn fill_from(&mut self, other: &Self) {
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            if mine.is_nan() {
                *mine = theirs;
            }
        }
    }

    /// The signals that are there with their values, in the order of [`Signal::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Signal, f64)> + '_ {
        Signal::ALL.into_iter().zip(self.values).filter(|(_, value)| !value.is_nan())
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|value| value.is_nan())
    }
}

impl FromIterator<(Signal, f64)> for Readings {
    /// Implausible values are left out, as [`Readings::set`] does.
    fn from_iter<I: IntoIterator<Item = (Signal, f64)>>(pairs: I) -> Self {
        let mut readings = Self::default();
        for (signal, value) in pairs {
            readings.set(signal, value);
        }
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_values_are_refused() {
        let mut readings = Readings::default();
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(!readings.set(Signal::Rss, value));
        }
        assert!(readings.is_empty());
    }

    #[test]
    fn what_is_missing_on_both_sides_is_equal() {
        let readings = Readings::from_iter([(Signal::Rss, 1.0)]);
        assert_eq!(readings, readings);
        assert_ne!(readings, Readings::default());
    }

    #[test]
    fn filling_keeps_what_is_there() {
        let mut first = Readings::from_iter([(Signal::Rss, 1.0)]);
        first.fill_from(&Readings::from_iter([(Signal::Rss, 2.0), (Signal::Threads, 3.0)]));
        assert_eq!(first.iter().collect::<Vec<_>>(), [(Signal::Rss, 1.0), (Signal::Threads, 3.0)]);
    }
}
