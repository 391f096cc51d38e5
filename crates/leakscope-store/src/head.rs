//! Heads: the newest readings of every target, in memory until a checkpoint makes blocks of them. Bounded.

use leakscope_model::{Readings, TargetId, Timestamp};
use rustc_hash::FxHashMap;

use crate::block::{BLOCK_POINTS_MAX, encode};
use crate::columns::Columns;
use crate::packing::Effort;

/// Points a head may always hold, however many heads share the memory.
const HEAD_POINTS_MIN: usize = 64;

/// What became of an appended reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is there; the next flush makes it last.
    Kept,
    /// There was no value in it.
    Nothing,
    /// Its time is not later than the target's last, so it was refused and counted: a clock went back, or a duplicate.
    NotLater {
        /// The target's last time.
        last: Timestamp,
    },
}

/// The newest readings of one target.
#[derive(Debug)]
pub(crate) struct Head {
    target: TargetId,
    pub(crate) columns: Columns,
    /// Points that were in front of the first one; places count from there, so that they survive what is dropped.
    base: u64,
    /// The place up to which the journal has it.
    flushed: u64,
    /// The last time ever seen, whether or not its point is still here.
    last: Option<Timestamp>,
}

/// A block body to be written.
#[derive(Debug)]
pub(crate) struct NewBlock {
    pub(crate) target: TargetId,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) n: usize,
    pub(crate) body: Vec<u8>,
}

/// All heads of a store.
#[derive(Debug)]
pub(crate) struct Heads {
    /// In no order.
    list: Vec<Head>,
    /// Where in the list each target's head is.
    places: FxHashMap<TargetId, usize>,
    /// Values in all heads, missing ones included.
    n_cells: usize,
    cells_max: usize,
    /// Values dropped because the disk refused for too long.
    pub(crate) dropped: u64,
    /// Readings refused because they were not later than the last.
    pub(crate) not_later: u64,
}

impl Heads {
    pub(crate) fn new(cells_max: usize) -> Self {
        Self { list: Vec::new(), places: FxHashMap::default(), n_cells: 0, cells_max, dropped: 0, not_later: 0 }
    }

    pub(crate) fn get(&self, target: TargetId) -> Option<&Head> {
        self.places.get(&target).and_then(|place| self.list.get(*place))
    }

    pub(crate) fn n_cells(&self) -> usize {
        self.n_cells
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether a checkpoint should come before its time.
    pub(crate) fn crowded(&self) -> bool {
        self.n_cells > self.cells_max / 2
    }

    /// Begins a head for a target whose last block ends at `last`.
    pub(crate) fn adopt(&mut self, target: TargetId, last: Option<Timestamp>) {
        self.places.entry(target).or_insert_with(|| {
            self.list.push(Head { target, columns: Columns::default(), base: 0, flushed: 0, last });
            self.list.len() - 1
        });
    }

    /// Adds a reading; `None` when the target has no head yet, see [`Self::adopt`].
    pub(crate) fn append(&mut self, target: TargetId, at: Timestamp, readings: &Readings) -> Option<Appended> {
        if readings.is_empty() {
            return Some(Appended::Nothing);
        }
        let n_heads = self.list.len();
        let head = self.places.get(&target).and_then(|place| self.list.get_mut(*place))?;
        if let Some(last) = head.last.filter(|last| at <= *last) {
            self.not_later += 1;
            return Some(Appended::NotLater { last });
        }
        let before = head.columns.n_cells();
        head.columns.push(at, readings);
        head.last = Some(at);
        self.n_cells += head.columns.n_cells() - before;
        if self.n_cells > self.cells_max {
            self.n_cells -= drop_oldest(head, self.cells_max / n_heads.max(1), &mut self.dropped);
        }
        Some(Appended::Kept)
    }

    /// What the journal does not have yet: target, columns and the places of their unwritten points.
    pub(crate) fn unflushed(&self) -> impl Iterator<Item = (TargetId, &Columns, usize)> {
        self.list.iter().filter_map(|head| {
            let from = head.flushed.saturating_sub(head.base) as usize;
            (from < head.columns.len()).then_some((head.target, &head.columns, from))
        })
    }

    /// The end of every head as a place, for [`Self::flushed_to`] and [`Self::forget_to`].
    pub(crate) fn ends(&self) -> Vec<(TargetId, u64)> {
        self.list.iter().map(|head| (head.target, head.base + head.columns.len() as u64)).collect()
    }

    /// The ends of those heads of which the journal does not have everything yet.
    pub(crate) fn unflushed_ends(&self) -> Vec<(TargetId, u64)> {
        let ends = self.list.iter().map(|head| (head, head.base + head.columns.len() as u64));
        ends.filter(|(head, end)| *end > head.flushed).map(|(head, end)| (head.target, end)).collect()
    }

    /// Notes that the journal holds everything up to `ends`.
    pub(crate) fn flushed_to(&mut self, ends: &[(TargetId, u64)]) {
        for (target, end) in ends {
            if let Some(head) = self.places.get(target).and_then(|place| self.list.get_mut(*place)) {
                head.flushed = head.flushed.max(*end);
            }
        }
    }

    /// Whether no head holds anything.
    pub(crate) fn all_empty(&self) -> bool {
        self.list.iter().all(|head| head.columns.is_empty())
    }

    /// Everything of these targets as blocks, with as little work as will do; and their ends, for [`Self::forget_to`].
    pub(crate) fn blocks(&self, targets: &[TargetId]) -> (Vec<NewBlock>, Vec<(TargetId, u64)>) {
        let mut blocks = Vec::new();
        let mut ends = Vec::with_capacity(targets.len());
        for head in targets.iter().filter_map(|target| self.get(*target)) {
            blocks_of(head.target, &head.columns, Effort::Light, &mut blocks);
            ends.push((head.target, head.base + head.columns.len() as u64));
        }
        (blocks, ends)
    }

    /// Forgets what is now in blocks, and heads that have been silent since `idle`.
    pub(crate) fn forget_to(&mut self, ends: &[(TargetId, u64)], idle: Timestamp) {
        for (target, end) in ends {
            let found = self.places.get(target).and_then(|place| self.list.get_mut(*place));
            let Some(head) = found else { continue };
            let before = head.columns.n_cells();
            let n = end.saturating_sub(head.base) as usize;
            // A signal that went away must not be carried along for ever.
            head.columns.values.retain(|(_, values)| values.iter().any(|value| !value.is_nan()));
            head.columns.drop_first(n);
            head.base = head.base.max(*end);
            head.flushed = head.flushed.max(*end);
            self.n_cells -= before - head.columns.n_cells();
            if head.columns.is_empty() && head.columns.at.capacity() > BLOCK_POINTS_MAX {
                head.columns = Columns::default();
            }
        }
        let n_heads = self.list.len();
        self.list.retain(|head| !head.columns.is_empty() || head.last.is_some_and(|last| last >= idle));
        if self.list.len() < n_heads {
            self.places = self.list.iter().enumerate().map(|(place, head)| (head.target, place)).collect();
        }
    }
}

/// Drops the oldest quarter of a head that holds more than its share; returns how many cells went.
fn drop_oldest(head: &mut Head, share: usize, dropped: &mut u64) -> usize {
    let n = head.columns.len();
    if n <= HEAD_POINTS_MIN || head.columns.n_cells() <= share {
        return 0;
    }
    let before = head.columns.n_cells();
    let n_dropped = n.div_ceil(4);
    let present = head.columns.values.iter().flat_map(|(_, values)| values.iter().take(n_dropped));
    *dropped += present.filter(|value| !value.is_nan()).count() as u64;
    head.columns.drop_first(n_dropped);
    head.base += n_dropped as u64;
    before - head.columns.n_cells()
}

/// Appends `columns` as blocks of at most [`BLOCK_POINTS_MAX`] points.
pub(crate) fn blocks_of(target: TargetId, columns: &Columns, effort: Effort, blocks: &mut Vec<NewBlock>) {
    for from in (0..columns.len()).step_by(BLOCK_POINTS_MAX) {
        let to = columns.len().min(from + BLOCK_POINTS_MAX);
        let mut body = Vec::new();
        encode(columns, from, to, effort, &mut body);
        blocks.push(NewBlock { target, start: columns.at[from], end: columns.at[to - 1], n: to - from, body });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leakscope_model::Signal;

    fn reading(value: f64) -> Readings {
        Readings::from_iter([(Signal::Rss, value)])
    }

    #[test]
    fn a_full_head_drops_its_oldest_and_counts_them() {
        let target = TargetId(1);
        let mut heads = Heads::new(100);
        heads.adopt(target, None);
        for millis in 0..1_000 {
            assert_eq!(heads.append(target, Timestamp::from_millis(millis), &reading(1.0)), Some(Appended::Kept));
        }
        let columns = &heads.get(target).unwrap().columns;
        assert_eq!(columns.at.last(), Some(&Timestamp::from_millis(999)));
        assert_eq!(heads.dropped as usize + columns.len(), 1_000);
        assert_eq!(heads.n_cells(), columns.len());
        assert!(heads.n_cells() <= 100);
    }

    #[test]
    fn times_that_do_not_ascend_are_refused_and_counted() {
        let target = TargetId(1);
        let mut heads = Heads::new(100);
        heads.adopt(target, Some(Timestamp::from_millis(10)));
        let last = Timestamp::from_millis(10);
        assert_eq!(heads.append(target, last, &reading(1.0)), Some(Appended::NotLater { last }));
        assert_eq!(heads.append(target, Timestamp::from_millis(11), &reading(1.0)), Some(Appended::Kept));
        assert_eq!(heads.not_later, 1);
    }
}
