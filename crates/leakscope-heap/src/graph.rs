//! A directed graph in compressed rows: the edges of node `v` are `targets[first(v)..first(v + 1)]`.

use std::ops::Range;

/// Ascending positions in 4 bytes each, also beyond 2^32: where the upper half grows is listed apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets {
    low: Vec<u32>,
    /// Index of the first position at or above 2^32, 2^33, ...
    wraps: Vec<u32>,
}

impl Offsets {
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self { low: Vec::with_capacity(n), wraps: Vec::new() }
    }

    /// Appends a position, which must not be below the last.
    pub(crate) fn push(&mut self, position: usize) {
        while (position >> 32) > self.wraps.len() {
            self.wraps.push(self.low.len() as u32);
        }
        self.low.push(position as u32);
    }

    pub(crate) fn len(&self) -> usize {
        self.low.len()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> usize {
        let low = self.low[index] as usize;
        if self.wraps.is_empty() {
            low
        } else {
            low | (self.wraps.partition_point(|&wrap| wrap as usize <= index) << 32)
        }
    }

    #[inline]
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        self.get(index)..self.get(index + 1)
    }
}

/// What has nodes `0..n_nodes()` and edges between them.
pub(crate) trait Successors: Sync {
    fn n_nodes(&self) -> usize;
    /// The targets of the edges of `node` that count, in order, repeated where edges are.
    fn successors(&self, node: u32) -> impl Iterator<Item = u32> + '_;
    /// Whether what no way leads to and nothing refers to counts as a way in.
    fn orphans_hold(&self) -> bool {
        true
    }
}

/// All edges of a heap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    /// One more than there are nodes.
    pub(crate) first: Offsets,
    pub(crate) targets: Vec<u32>,
}

impl Graph {
    pub(crate) fn n_nodes(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    #[inline]
    pub(crate) fn targets(&self, node: u32) -> &[u32] {
        &self.targets[self.first.range(node as usize)]
    }
}

impl Successors for Graph {
    fn n_nodes(&self) -> usize {
        self.n_nodes()
    }

    #[inline]
    fn successors(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.targets(node).iter().copied()
    }
}

/// One bit a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn new(n: usize) -> Self {
        Self { words: vec![0; n.div_ceil(64)] }
    }

    #[inline]
    pub(crate) fn get(&self, node: u32) -> bool {
        self.words[node as usize / 64] >> (node % 64) & 1 == 1
    }

    #[inline]
    pub(crate) fn set(&mut self, node: u32) {
        self.words[node as usize / 64] |= 1 << (node % 64);
    }

    /// The bits, 64 a word; those behind the last node are 0.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn clear(&mut self, node: u32) {
        self.words[node as usize / 64] &= !(1 << (node % 64));
    }

    /// The nodes whose bit is set, ascending.
    pub(crate) fn ones(&self) -> impl Iterator<Item = u32> + '_ {
        let of_word = |(index, &word): (usize, &u64)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(index as u32 * 64 + bit)
            })
        };
        self.words.iter().enumerate().flat_map(of_word)
    }
}

/// Sizes of nodes in 4 bytes each; the few of 4 GiB and more are listed apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    small: Vec<u32>,
    /// Those at or above `u32::MAX`, which `small` marks.
    large: std::collections::BTreeMap<u32, u64>,
}

impl Sizes {
    pub(crate) fn from_small(small: Vec<u32>) -> Self {
        debug_assert!(small.iter().all(|&size| size != u32::MAX), "the mark is not a size");
        Self { small, large: std::collections::BTreeMap::new() }
    }

    #[inline]
    pub(crate) fn get(&self, node: u32) -> u64 {
        match self.small[node as usize] {
            u32::MAX => self.large.get(&node).copied().unwrap_or(u64::from(u32::MAX)),
            small => u64::from(small),
        }
    }

    /// Adds to a size, up to the largest number.
    #[inline]
    pub(crate) fn add(&mut self, node: u32, size: u64) {
        let sum = u64::from(self.small[node as usize]).saturating_add(size);
        if sum < u64::from(u32::MAX) {
            self.small[node as usize] = sum as u32;
        } else {
            self.set(node, self.get(node).saturating_add(size));
        }
    }

    pub(crate) fn set(&mut self, node: u32, size: u64) {
        if size >= u64::from(u32::MAX) {
            self.small[node as usize] = u32::MAX;
            self.large.insert(node, size);
        } else {
            self.small[node as usize] = size as u32;
            if !self.large.is_empty() {
                self.large.remove(&node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_hold_positions_beyond_four_thousand_million() {
        let positions = [0, 7, u32::MAX as usize, 1 << 32, (1 << 32) + 5, 3 << 32, (3 << 32) + 1];
        let mut offsets = Offsets::with_capacity(positions.len());
        positions.iter().for_each(|&position| offsets.push(position));
        let found: Vec<usize> = (0..positions.len()).map(|index| offsets.get(index)).collect();
        assert_eq!(found, positions);
    }

    #[test]
    fn sizes_hold_both_sides_of_the_mark() {
        let mut sizes = Sizes::from_small(vec![0; 3]);
        for size in [1, u64::from(u32::MAX) - 1, u64::from(u32::MAX), u64::from(u32::MAX) + 1, 1 << 40, 5] {
            sizes.set(1, size);
            assert_eq!((sizes.get(0), sizes.get(1), sizes.get(2)), (0, size, 0));
        }
    }
}
