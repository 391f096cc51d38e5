//! A series in bounded memory, for drawing: columns of equal width, each with its first, lowest, highest and last sample.

use std::collections::BTreeMap;

/// Columns of one sketch. Beyond: columns become wider, until fewer do.
const COLUMNS_MAX: usize = 4_096;

/// Widths that columns can have, seconds; each divides the next, so that a column lies within one block of any larger width.
const WIDTHS_S: [i64; 9] = [1, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400];

/// The width at a place of the ladder, milliseconds: [`WIDTHS_S`], then four times the one before.
pub(super) fn width_ms(step: usize) -> i64 {
    match WIDTHS_S.get(step) {
        Some(seconds) => seconds * 1_000,
        None => 86_400_000_i64.saturating_mul(4_i64.saturating_pow((step + 1 - WIDTHS_S.len()) as u32)),
    }
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) at_ms: i64,
    pub(super) value: f64,
}

/// The samples of one span of time, by their extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) first: Point,
    pub(super) low: Point,
    pub(super) high: Point,
    pub(super) last: Point,
}

impl Column {
    fn of(point: Point) -> Self {
        Self { first: point, low: point, high: point, last: point }
    }

    /// Takes what another column holds. Of equals the earlier stays.
    pub(super) fn join(&mut self, other: &Self) {
        if other.first.at_ms < self.first.at_ms {
            self.first = other.first;
        }
        if other.last.at_ms >= self.last.at_ms {
            self.last = other.last;
        }
        if other.low.value < self.low.value {
            self.low = other.low;
        }
        if other.high.value > self.high.value {
            self.high = other.high;
        }
    }

    /// Its points in the order of time, each once.
    pub(super) fn points(&self) -> impl Iterator<Item = Point> {
        let [a, b] = if self.low.at_ms <= self.high.at_ms { [self.low, self.high] } else { [self.high, self.low] };
        let mut points = vec![self.first, a, b, self.last];
        points.dedup();
        points.into_iter()
    }
}

/// A series in bounded memory. Samples may come in any order.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    /// Place of the columns' width in the ladder.
    step: usize,
    /// By the number of their width since the epoch.
    columns: BTreeMap<i64, Column>,
}

impl Sketch {
    pub(super) fn push(&mut self, at_ms: i64, value: f64) {
        let point = Column::of(Point { at_ms, value });
        let place = at_ms.div_euclid(width_ms(self.step));
        self.columns.entry(place).and_modify(|column| column.join(&point)).or_insert(point);
        while self.columns.len() > COLUMNS_MAX {
            self.step += 1;
            self.columns = self.grouped(width_ms(self.step));
        }
    }

    /// Its columns, ascending.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.values()
    }

    /// The lowest and the highest value.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        self.columns().map(|column| (column.low.value, column.high.value)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The lowest value of every block of `block_ms` with its start, ascending; of a multiple of the columns' width.
    pub(super) fn floors(&self, block_ms: i64) -> Vec<Point> {
        let floor = |(block, column): (i64, Column)| Point { at_ms: block * block_ms, value: column.low.value };
        self.grouped(block_ms).into_iter().map(floor).collect()
    }

    fn grouped(&self, width_ms: i64) -> BTreeMap<i64, Column> {
        let mut grouped: BTreeMap<i64, Column> = BTreeMap::new();
        for column in self.columns.values() {
            let place = column.first.at_ms.div_euclid(width_ms);
            grouped.entry(place).and_modify(|group| group.join(column)).or_insert(*column);
        }
        grouped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(samples: impl Iterator<Item = (i64, f64)>) -> Sketch {
        let mut sketch = Sketch::default();
        for (at_ms, value) in samples {
            sketch.push(at_ms, value);
        }
        sketch
    }

    #[test]
    fn a_million_samples_stay_within_bounds_and_no_spike_is_lost() {
        let value = |n: i64| if n == 777_777 { 9e9 } else { (n % 100) as f64 };
        let sketch = sketch((0..1_000_000).map(|n| (n * 1_000, value(n))));
        assert!(sketch.columns.len() <= COLUMNS_MAX);
        assert_eq!(sketch.range(), Some((0.0, 9e9)));
        let highest = sketch.columns().find(|column| column.high.value > 1e9).unwrap();
        assert_eq!(highest.high.at_ms, 777_777_000);
        assert!(highest.points().is_sorted_by(|a, b| a.at_ms < b.at_ms));
    }

    #[test]
    fn floors_are_the_lowest_of_each_block_and_gaps_have_none() {
        let samples = [(0, 5.0), (30_000, 3.0), (60_000, 7.0), (240_000, 9.0), (250_000, 8.0)];
        let floors: Vec<(i64, f64)> =
            sketch(samples.into_iter()).floors(60_000).into_iter().map(|floor| (floor.at_ms, floor.value)).collect();
        assert_eq!(floors, [(0, 3.0), (60_000, 7.0), (240_000, 8.0)]);
    }

    #[test]
    fn times_of_any_order_and_distance_are_kept_apart() {
        let far = 300_000_000_000_000;
        let spread = sketch((0..10_000).map(|n| (if n % 2 == 0 { far - n } else { n - far }, n as f64)));
        assert!(spread.columns.len() <= COLUMNS_MAX);
        let widths: Vec<i64> = (0..24).map(width_ms).collect();
        assert!(widths.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }
}
