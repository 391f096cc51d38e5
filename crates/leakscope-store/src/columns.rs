//! Readings of one target side by side: shared times, one column of values per signal.

use leakscope_model::{Readings, Sample, Signal, Timestamp};

/// Readings of one target over time. Every column is as long as `at`; NaN marks a value that was not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// When, strictly ascending.
    pub at: Vec<Timestamp>,
    /// The values of each signal, in no particular order, each signal once.
    pub values: Vec<(Signal, Vec<f64>)>,
}

impl Columns {
    /// How many points in time there are.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// The column of `signal`, NaN where it was not there; empty when it never was.
    pub fn column(&self, signal: Signal) -> &[f64] {
        self.values.iter().find(|(s, _)| *s == signal).map_or(&[], |(_, values)| values)
    }

    /// The samples of `signal`, ascending, without the points at which it was not there.
    pub fn samples(&self, signal: Signal) -> impl Iterator<Item = Sample> + '_ {
        self.at
            .iter()
            .zip(self.column(signal))
            .filter(|(_, value)| !value.is_nan())
            .map(|(at, value)| Sample { at: *at, value: *value })
    }

    /// What was read at the point `index`.
    pub fn readings(&self, index: usize) -> Readings {
        self.values.iter().filter_map(|(signal, values)| values.get(index).map(|value| (*signal, *value))).collect()
    }

    /// How many values are there, missing ones included.
    pub(crate) fn n_cells(&self) -> usize {
        self.at.len() * self.values.len()
    }

    /// Adds one point. The caller keeps the order of time.
    pub(crate) fn push(&mut self, at: Timestamp, readings: &Readings) {
        let mut n_taken = 0;
        for (signal, values) in &mut self.values {
            let value = readings.get(*signal);
            n_taken += usize::from(value.is_some());
            make_room(values);
            values.push(value.unwrap_or(f64::NAN));
        }
        make_room(&mut self.at);
        self.at.push(at);
        if n_taken < readings.iter().count() {
            self.push_new(readings);
        }
    }

    /// Adds columns for the signals of the last point that had none yet.
    fn push_new(&mut self, readings: &Readings) {
        for (signal, value) in readings.iter() {
            if self.column(signal).is_empty() {
                let mut values = vec![f64::NAN; self.at.len() - 1];
                values.push(value);
                self.values.push((signal, values));
            }
        }
    }

    /// The place of `signal`'s column, which is added when it is not there.
    fn column_index(&mut self, signal: Signal) -> usize {
        if let Some(index) = self.values.iter().position(|(s, _)| *s == signal) {
            return index;
        }
        self.values.push((signal, vec![f64::NAN; self.at.len()]));
        self.values.len() - 1
    }

    /// Adds the points `from..to` of `other` behind those that are there; out of bounds is clipped.
    pub(crate) fn extend(&mut self, other: &Self, from: usize, to: usize) {
        let to = to.min(other.len());
        let from = from.min(to);
        for (signal, values) in &other.values {
            let index = self.column_index(*signal);
            self.values[index].1.extend_from_slice(&values[from..to]);
        }
        self.at.extend_from_slice(&other.at[from..to]);
        let n = self.at.len();
        for (_, values) in &mut self.values {
            values.resize(n, f64::NAN);
        }
    }

    /// Forgets the first `n` points.
    pub(crate) fn drop_first(&mut self, n: usize) {
        let n = n.min(self.at.len());
        self.at.drain(..n);
        for (_, values) in &mut self.values {
            values.drain(..n);
        }
    }

    /// Brings points that came in blocks which overlap into order; the first of equal times stays.
    pub(crate) fn order(&mut self) {
        if self.at.is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut places: Vec<usize> = (0..self.at.len()).collect();
        places.sort_by_key(|place| self.at[*place]);
        places.dedup_by_key(|place| self.at[*place]);
        self.at = places.iter().map(|place| self.at[*place]).collect();
        for (_, values) in &mut self.values {
            *values = places.iter().map(|place| values[*place]).collect();
        }
    }
}

/// Points that a full column grows by, an eighth of it when that is more.
const GROWTH_MIN: usize = 16;

/// Makes room for another point. A vector that grows by itself doubles: the columns of thousands of targets, as long as each
/// other, would do so within the same minute, and most of what they then take stays empty until the next checkpoint.
fn make_room<T>(column: &mut Vec<T>) {
    if column.len() == column.capacity() {
        column.reserve_exact(GROWTH_MIN.max(column.len() / 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_signal_that_appears_late_was_missing_before() {
        let mut columns = Columns::default();
        columns.push(at(1), &Readings::from_iter([(Signal::Rss, 1.0)]));
        columns.push(at(2), &Readings::from_iter([(Signal::Threads, 2.0)]));
        assert_eq!(columns.samples(Signal::Rss).collect::<Vec<_>>(), [Sample { at: at(1), value: 1.0 }]);
        assert_eq!(columns.samples(Signal::Threads).collect::<Vec<_>>(), [Sample { at: at(2), value: 2.0 }]);
        assert!(columns.readings(1).iter().eq([(Signal::Threads, 2.0)]));
    }

    #[test]
    fn overlapping_points_come_into_order_and_the_first_of_equals_stays() {
        let mut columns = Columns { at: vec![at(3), at(1), at(3)], values: vec![(Signal::Rss, vec![3.0, 1.0, 9.0])] };
        columns.order();
        assert_eq!(columns, Columns { at: vec![at(1), at(3)], values: vec![(Signal::Rss, vec![1.0, 3.0])] });
    }
}
