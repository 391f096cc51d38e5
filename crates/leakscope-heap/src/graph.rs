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

    /// Where each of `counts` begins when all follow each other; in the memory of `counts`.
    pub(crate) fn starts(mut counts: Vec<u32>) -> Self {
        let mut wraps = Vec::new();
        let mut sum = 0_usize;
        for (index, count) in counts.iter_mut().enumerate() {
            while (sum >> 32) > wraps.len() {
                wraps.push(index as u32);
            }
            let n = std::mem::replace(count, sum as u32);
            sum += n as usize;
        }
        Self { low: counts, wraps }
    }

    /// Where each of `counts` ends when all follow each other; in the memory of `counts`. See [`Offsets::retreat`].
    pub(crate) fn ends(mut counts: Vec<u32>) -> Self {
        let mut wraps = Vec::new();
        let mut sum = 0_usize;
        for (index, count) in counts.iter_mut().enumerate() {
            sum += *count as usize;
            while (sum >> 32) > wraps.len() {
                wraps.push(index as u32);
            }
            *count = sum as u32;
        }
        Self { low: counts, wraps }
    }

    /// Takes one from a position, which must stay above the one before it, and returns what is left.
    #[inline]
    pub(crate) fn retreat(&mut self, index: usize) -> usize {
        let (low, wrapped) = self.low[index].overflowing_sub(1);
        if wrapped {
            let above = self.wraps.partition_point(|&wrap| wrap as usize <= index);
            // All before it are below the border already.
            if let Some(wrap) = above.checked_sub(1).and_then(|last| self.wraps.get_mut(last)) {
                *wrap = index as u32 + 1;
            }
        }
        self.low[index] = low;
        self.get(index)
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

/// The class of each node: in 2 bytes where there are few classes.
#[derive(Clone, Debug)]
pub(crate) enum ClassOf {
    Few(Vec<u16>),
    Many(Vec<u32>),
}

impl From<Vec<u32>> for ClassOf {
    fn from(classes: Vec<u32>) -> Self {
        if classes.iter().any(|&class| class > u32::from(u16::MAX)) {
            return Self::Many(classes);
        }
        Self::Few(classes.into_iter().map(|class| class as u16).collect())
    }
}

impl ClassOf {
    #[inline]
    pub(crate) fn get(&self, node: u32) -> u32 {
        match self {
            Self::Few(classes) => u32::from(classes[node as usize]),
            Self::Many(classes) => classes[node as usize],
        }
    }
}

/// Sizes of nodes in 4 bytes each, or 2; the few that do not fit are listed apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    small: Small,
    /// Those that `small` marks by its highest number.
    large: std::collections::BTreeMap<u32, u64>,
}

#[derive(Clone, Debug)]
enum Small {
    Bytes(Vec<u32>),
    /// In units of 8 bytes.
    Words(Vec<u16>),
}

impl Default for Small {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Sizes {
    pub(crate) fn from_small(small: Vec<u32>) -> Self {
        debug_assert!(small.iter().all(|&size| size != u32::MAX), "the mark is not a size");
        Self { small: Small::Bytes(small), large: std::collections::BTreeMap::new() }
    }

    /// In half the memory, where nearly all sizes are small multiples of 8.
    pub(crate) fn narrowed(self) -> Self {
        let Small::Bytes(bytes) = &self.small else { return self };
        let fits = |size: u32| size.is_multiple_of(8) && size / 8 < u32::from(u16::MAX);
        let misfits = || bytes.iter().enumerate().filter(|(_, size)| !fits(**size));
        if misfits().count() > bytes.len() / 64 {
            return self;
        }
        let large = misfits().map(|(node, _)| (node as u32, self.get(node as u32))).collect();
        let words = bytes.iter().map(|&size| if fits(size) { (size / 8) as u16 } else { u16::MAX }).collect();
        Self { small: Small::Words(words), large }
    }

    #[inline]
    pub(crate) fn get(&self, node: u32) -> u64 {
        let small = match &self.small {
            Small::Bytes(bytes) => Some(bytes[node as usize]).filter(|&size| size != u32::MAX),
            Small::Words(words) => {
                Some(words[node as usize]).filter(|&size| size != u16::MAX).map(|size| u32::from(size) * 8)
            }
        };
        match small {
            Some(size) => u64::from(size),
            None => self.large.get(&node).copied().unwrap_or(u64::from(u32::MAX)),
        }
    }

    /// Adds to a size, up to the largest number.
    #[inline]
    pub(crate) fn add(&mut self, node: u32, size: u64) {
        if let Small::Bytes(bytes) = &mut self.small {
            let sum = u64::from(bytes[node as usize]).saturating_add(size);
            if sum < u64::from(u32::MAX) {
                bytes[node as usize] = sum as u32;
                return;
            }
        }
        self.set(node, self.get(node).saturating_add(size));
    }

    pub(crate) fn set(&mut self, node: u32, size: u64) {
        let fits = match &mut self.small {
            Small::Bytes(bytes) => {
                bytes[node as usize] = u32::try_from(size).unwrap_or(u32::MAX);
                size < u64::from(u32::MAX)
            }
            Small::Words(words) => {
                let fitting = u16::try_from(size / 8).ok().filter(|&word| word != u16::MAX && size.is_multiple_of(8));
                words[node as usize] = fitting.unwrap_or(u16::MAX);
                fitting.is_some()
            }
        };
        if !fits {
            self.large.insert(node, size);
        } else if !self.large.is_empty() {
            self.large.remove(&node);
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
        for position in positions {
            offsets.push(position);
        }
        let found: Vec<usize> = (0..positions.len()).map(|index| offsets.get(index)).collect();
        assert_eq!(found, positions);
    }

    #[test]
    fn positions_are_sums_and_go_back_over_the_border() {
        let counts = vec![3, u32::MAX, 0, 5, 0, u32::MAX, 2];
        let sums: Vec<usize> =
            (0..=counts.len()).map(|n| counts[..n].iter().map(|&count| count as usize).sum()).collect();
        let (starts, mut ends) = (Offsets::starts(counts.clone()), Offsets::ends(counts));
        let all = |offsets: &Offsets| (0..offsets.len()).map(|index| offsets.get(index)).collect::<Vec<_>>();
        assert_eq!((all(&starts), all(&ends)), (sums[..7].to_vec(), sums[1..].to_vec()));
        for (index, times) in [(3, 5), (1, 10), (6, 2), (5, 3)] {
            let before = all(&ends);
            for time in 1..=times {
                assert_eq!(ends.retreat(index), before[index] - time);
            }
            let after: Vec<usize> =
                before.iter().enumerate().map(|(at, &end)| if at == index { end - times } else { end }).collect();
            assert_eq!(all(&ends), after);
        }
    }

    #[test]
    fn sizes_hold_both_sides_of_the_mark() {
        let narrow = || Sizes::from_small(vec![0; 3]).narrowed();
        for mut sizes in [Sizes::from_small(vec![0; 3]), narrow()] {
            for size in [
                1,
                u64::from(u32::MAX) - 1,
                u64::from(u32::MAX),
                u64::from(u32::MAX) + 1,
                1 << 40,
                8 * 65_535,
                8 * 65_534,
                5,
            ] {
                sizes.set(1, size);
                assert_eq!((sizes.get(0), sizes.get(1), sizes.get(2)), (0, size, 0));
                sizes.add(1, 8);
                assert_eq!(sizes.get(1), size + 8);
            }
        }
        let mut many = Sizes::from_small((0..200).map(|node| node * 8).collect());
        many.set(7, 1 << 40);
        many.set(9, 3);
        let found = |sizes: &Sizes| (0..200).map(|node| sizes.get(node)).collect::<Vec<_>>();
        assert_eq!(found(&many.clone().narrowed()), found(&many));
    }
}
