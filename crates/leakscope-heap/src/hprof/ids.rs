//! Ids of objects to numbers of nodes and back, in little more than a byte an object: ids are addresses, so which there are is a set
//! of bits, and an object's number is how many are before it.

use crate::error::HeapError;

/// Slots of addresses in a leaf.
const SLOTS: u64 = 384;
/// Objects that 32 bits can number, the synthetic root among them.
const OBJECTS_MAX: u64 = u32::MAX as u64 - 1;

/// Which of [`SLOTS`] addresses are objects, and how many objects are before them: one line of a processor's cache.
#[repr(align(64))]
#[derive(Clone, Debug, Default)]
struct Leaf {
    bits: [u64; 6],
    /// Objects before the leaf.
    rank: u32,
    /// Objects in the leaf before each word.
    before: [u16; 6],
}

/// From the number of a leaf's addresses to the leaf.
#[derive(Debug)]
enum Directory {
    /// Indexed by the number less the first leaf's; `u32::MAX` where there is no leaf.
    Dense(Vec<u32>),
    /// Addresses are strewn too thinly to list all: `keys` is searched.
    Sorted,
}

/// All ids.
#[derive(Debug)]
pub(crate) struct Ids {
    shift: u32,
    base: u64,
    leaves: Vec<Leaf>,
    /// Number of each leaf's addresses, ascending.
    keys: Vec<u64>,
    directory: Directory,
    len: u32,
}

/// 64 neighbouring slots with objects: `slot / 64` and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) key: u64,
    pub(crate) bits: u64,
}

/// Collects ids; quick where most come in ascending order.
#[derive(Debug)]
pub(crate) struct IdsBuilder {
    shift: u32,
    last: Word,
    words: Vec<Word>,
    /// All ids, one upon another: which low bits are ever set.
    union: u64,
}

impl IdsBuilder {
    /// `shift`: low bits that no id has set. What has one is noticed by [`IdsBuilder::finish`].
    pub(crate) fn new(shift: u32) -> Self {
        Self { shift, last: Word { key: 0, bits: 0 }, words: Vec::new(), union: 0 }
    }

    #[inline]
    pub(crate) fn insert(&mut self, id: u64) {
        self.union |= id;
        let slot = id >> self.shift;
        if slot >> 6 != self.last.key {
            self.flush(slot >> 6);
        }
        self.last.bits |= 1 << (slot & 63);
    }

    fn flush(&mut self, key: u64) {
        if self.last.bits != 0 {
            self.words.push(self.last);
        }
        self.last = Word { key, bits: 0 };
    }

    /// The words, and all ids one upon another.
    pub(crate) fn finish(mut self) -> (Vec<Word>, u64) {
        self.flush(0);
        (self.words, self.union)
    }
}

impl Ids {
    /// All ids of `groups`, each the words of one builder with this `shift`.
    ///
    /// # Errors
    /// [`HeapError::TooMany`] objects for 32 bits.
    pub(crate) fn of(groups: &[Vec<Word>], shift: u32) -> Result<Self, HeapError> {
        let words = || groups.iter().flatten();
        let mut keys: Vec<u64> = Vec::new();
        for word in words() {
            if keys.last() != Some(&(word.key / 6)) {
                keys.push(word.key / 6);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        let base = keys.first().copied().unwrap_or(0);
        let span = keys.last().map_or(0, |last| last - base + 1);
        let directory = if span <= 64 * keys.len() as u64 + 4096 {
            let mut dense = vec![u32::MAX; span as usize];
            keys.iter().enumerate().for_each(|(leaf, key)| dense[(key - base) as usize] = leaf as u32);
            Directory::Dense(dense)
        } else {
            Directory::Sorted
        };
        let leaves = vec![Leaf::default(); keys.len()];
        let mut ids = Self { shift, base: base * SLOTS, leaves, keys, directory, len: 0 };
        for word in words() {
            if let Some(leaf) = ids.leaf(word.key / 6) {
                ids.leaves[leaf].bits[(word.key % 6) as usize] |= word.bits;
            }
        }
        ids.number()?;
        Ok(ids)
    }

    fn number(&mut self) -> Result<(), HeapError> {
        let mut rank = 0_u64;
        for leaf in &mut self.leaves {
            leaf.rank = rank as u32;
            let mut before = 0;
            for (word, at) in leaf.bits.iter().zip(&mut leaf.before) {
                *at = before;
                before += word.count_ones() as u16;
            }
            rank += u64::from(before);
        }
        if rank > OBJECTS_MAX {
            return Err(HeapError::TooMany { what: "objects", max: OBJECTS_MAX, found: rank });
        }
        self.len = rank as u32;
        Ok(())
    }

    fn leaf(&self, key: u64) -> Option<usize> {
        match &self.directory {
            Directory::Dense(dense) => {
                let leaf = *dense.get(key.wrapping_sub(self.base / SLOTS) as usize)?;
                (leaf != u32::MAX).then_some(leaf as usize)
            }
            Directory::Sorted => self.keys.binary_search(&key).ok(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// How many are below `id`, if it is one of them.
    #[inline]
    pub(crate) fn find(&self, id: u64) -> Option<u32> {
        // An id with low bits set becomes one beyond all.
        let slot = id.rotate_right(self.shift).wrapping_sub(self.base);
        let leaf = match &self.directory {
            Directory::Dense(dense) => self.leaves.get(*dense.get((slot / SLOTS) as usize)? as usize)?,
            Directory::Sorted => &self.leaves[self.keys.binary_search(&(slot / SLOTS + self.base / SLOTS)).ok()?],
        };
        let within = slot % SLOTS;
        let word = leaf.bits[(within / 64) as usize];
        let bit = 1_u64 << (within & 63);
        let below = (word & (bit - 1)).count_ones();
        (word & bit != 0).then(|| leaf.rank + u32::from(leaf.before[(within / 64) as usize]) + below)
    }

    /// The id that `number` others are below.
    pub(crate) fn get(&self, number: u32) -> Option<u64> {
        if number >= self.len {
            return None;
        }
        let index = self.leaves.partition_point(|leaf| leaf.rank <= number) - 1;
        let leaf = &self.leaves[index];
        let within = number - leaf.rank;
        let word = leaf.before.partition_point(|&before| u32::from(before) <= within) - 1;
        let mut bits = leaf.bits[word];
        for _ in 0..within - u32::from(leaf.before[word]) {
            bits &= bits - 1;
        }
        Some((self.keys[index] * SLOTS + 64 * word as u64 + u64::from(bits.trailing_zeros())) << self.shift)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(all: &[u64], shift: u32) -> Ids {
        let groups: Vec<Vec<Word>> = all
            .chunks(3)
            .map(|some| {
                let mut builder = IdsBuilder::new(shift);
                for &id in some {
                    builder.insert(id);
                }
                builder.finish().0
            })
            .collect();
        Ids::of(&groups, shift).unwrap()
    }

    fn holds(all: &[u64], others: &[u64], shift: u32) {
        let set: std::collections::BTreeSet<u64> = all.iter().copied().collect();
        let ids = ids(all, shift);
        assert_eq!(ids.len() as usize, set.len());
        for (number, id) in set.iter().enumerate() {
            assert_eq!((ids.find(*id), ids.get(number as u32)), (Some(number as u32), Some(*id)));
        }
        for other in others.iter().filter(|other| !set.contains(other)) {
            assert_eq!(ids.find(*other), None, "{other:#x}");
        }
        assert_eq!(ids.get(ids.len()), None);
    }

    #[test]
    fn edges_of_words_leaves_and_of_the_address_space_are_told_apart() {
        let others =
            [0, 1, 7, 8, 63 << 3, (64 << 3) + 1, (384 << 3) - 8, 1 << 61, u64::MAX, u64::MAX - 7, (1 << 63) | 8];
        for all in [
            vec![],
            vec![0],
            vec![8, 16],
            vec![63 << 3, 64 << 3, 383 << 3, 384 << 3],
            vec![0, u64::MAX - 7],
            others.map(|id| id & !7).to_vec(),
        ] {
            holds(&all, &others, 3);
        }
        holds(&others, &[2, 9, 1 << 60], 0);
    }

    proptest! {
        #[test]
        fn any_set_of_ids_is_numbered_in_order(near in prop::collection::vec(0_u64..5_000, 0..300), far in prop::collection::vec(any::<u64>(), 0..30), shift in 0_u32..4) {
            let all: Vec<u64> = near.iter().chain(&far).map(|id| id << shift).collect();
            let others: Vec<u64> = near.iter().chain(&far).map(|id| id ^ 1).collect();
            holds(&all, &others, shift);
        }
    }
}
