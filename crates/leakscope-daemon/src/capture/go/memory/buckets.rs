//! The runtime's heap buckets: a list of records by stack, each with the objects that were sampled there.
//!
//! What is read may change meanwhile, or be no list at all: everything is bounded, and a walk during which the runtime published new
//! figures is done again. Source: `runtime/mprof.go` of Go 1.21 to 1.27.

use std::collections::{BTreeMap, BTreeSet};

use super::Memory;
use super::program::Program;

/// Most buckets that are read. Beyond: the oldest are left out.
pub(super) const BUCKETS_MAX: usize = 1 << 20;
/// Most frames of a stack (`maxProfStackDepth`). Beyond: the list is torn.
const DEPTH_MAX: u64 = 1_024;
/// Most pages that are read: 256 MiB. Beyond: the oldest buckets are left out.
const PAGES_MAX: usize = 65_536;
const PAGE: u64 = 4_096;
/// Times that a walk is begun because figures were published meanwhile; the last is taken as it is.
const WALKS_MAX: usize = 4;
/// `memProfile`, the type of the list's buckets.
const TYPE: u64 = 1;
/// Words of a `bucket`: next, allnext, typ, hash, size, nstk.
const HEAD_WORDS: u64 = 6;

/// Sampled objects of one size and stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) size: u64,
    /// Return addresses, leaf first.
    pub(super) stack: Vec<u64>,
    pub(super) allocs: u64,
    pub(super) frees: u64,
}

/// A bucket with its counts of all cycles: published, and the three to come.
struct Bucket {
    record: Record,
    future: [(u64, u64); 3],
}

/// All buckets, the newest first, as `runtime.MemProfile` would count them now. None where the memory holds something else.
pub(super) fn read(memory: &Memory, program: &Program, max: usize) -> Option<Vec<Record>> {
    let mut walked = None;
    for _ in 0..WALKS_MAX {
        let before = cycle(memory, program)?;
        walked = walk(memory, program, max).map(|buckets| (before, buckets));
        if walked.is_some() && cycle(memory, program)? == before {
            break;
        }
    }
    let (cycle, buckets) = walked?;
    Some(published(buckets, (cycle % 3) as usize))
}

/// The number of the cycle. Its lowest bit says whether it was flushed, which makes no difference: what was flushed is zero.
fn cycle(memory: &Memory, program: &Program) -> Option<u64> {
    Some((memory.word(program.cycle)? & 0xffff_ffff) >> 1)
}

/// What is published and what the current cycle adds; where no collection has been at all, all that there is.
fn published(buckets: Vec<Bucket>, current: usize) -> Vec<Record> {
    let counts = |bucket: &Bucket, cycles: &[usize]| {
        let add = |(allocs, frees): (u64, u64), cycle: &usize| {
            (allocs.wrapping_add(bucket.future[*cycle].0), frees.wrapping_add(bucket.future[*cycle].1))
        };
        cycles.iter().fold((bucket.record.allocs, bucket.record.frees), add)
    };
    let is_clear = buckets.iter().all(|bucket| counts(bucket, &[current]) == (0, 0));
    let cycles: &[usize] = if is_clear { &[0, 1, 2] } else { &[current] };
    let record = |bucket: Bucket| {
        let (allocs, frees) = counts(&bucket, cycles);
        Record { allocs, frees, ..bucket.record }
    };
    buckets.into_iter().map(record).filter(|record| record.allocs > 0 || record.frees > 0).collect()
}

fn walk(memory: &Memory, program: &Program, max: usize) -> Option<Vec<Bucket>> {
    let mut pages = Pages { memory, pages: BTreeMap::new() };
    let mut buckets = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = memory.word(program.buckets)?;
    while at != 0 && buckets.len() < max && pages.pages.len() < PAGES_MAX {
        if !at.is_multiple_of(8) || !seen.insert(at) {
            return None;
        }
        let (bucket, next) = bucket_at(&mut pages, at, program.words)?;
        buckets.push(bucket);
        at = next;
    }
    Some(buckets)
}

/// A bucket and the address of the next.
fn bucket_at(pages: &mut Pages<'_>, at: u64, words: u64) -> Option<(Bucket, u64)> {
    let mut word = |index: u64| pages.word(at.checked_add(index * 8)?);
    let (next, kind, size, depth) = (word(1)?, word(2)?, word(4)?, word(5)?);
    if kind != TYPE || depth > DEPTH_MAX {
        return None;
    }
    let mut stack = Vec::with_capacity(depth as usize);
    for frame in 0..depth {
        stack.push(word(HEAD_WORDS + frame)?);
    }
    let mut counts = |cycle: u64| {
        let from = HEAD_WORDS + depth + cycle * words;
        Some((word(from)?, word(from + 1)?))
    };
    let (allocs, frees) = counts(0)?;
    let future = [counts(1)?, counts(2)?, counts(3)?];
    Some((Bucket { record: Record { size, stack, allocs, frees }, future }, next))
}

/// Pages that were read, each once.
struct Pages<'m> {
    memory: &'m Memory,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Pages<'_> {
    fn word(&mut self, address: u64) -> Option<u64> {
        let (page, at) = (address / PAGE, (address % PAGE) as usize);
        if !self.pages.contains_key(&page) {
            let mut bytes = vec![0; PAGE as usize];
            self.memory.read(page * PAGE, &mut bytes)?;
            self.pages.insert(page, bytes);
        }
        let word = self.pages.get(&page)?.get(at..at + 8)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(published: (u64, u64), future: [(u64, u64); 3]) -> Bucket {
        Bucket { record: Record { size: 8, stack: vec![1], allocs: published.0, frees: published.1 }, future }
    }

    fn counts(buckets: Vec<Bucket>, current: usize) -> Vec<(u64, u64)> {
        published(buckets, current).into_iter().map(|record| (record.allocs, record.frees)).collect()
    }

    #[test]
    fn the_current_cycle_counts_and_those_to_come_only_before_the_first_collection() {
        let future = [(1, 0), (2, 1), (4, 0)];
        assert_eq!(counts(vec![bucket((10, 5), future)], 1), [(12, 6)]);
        assert_eq!(counts(vec![bucket((0, 0), future), bucket((1, 0), [(0, 0); 3])], 2), [(4, 0), (1, 0)]);
        assert_eq!(counts(vec![bucket((0, 0), [(0, 0), (3, 1), (4, 0)])], 0), [(7, 1)]);
        assert_eq!(counts(vec![bucket((0, 0), [(0, 0); 3])], 0), []);
    }

    #[test]
    fn words_are_read_to_the_end_of_their_page_and_nothing_is_read_that_is_not_mapped() {
        let memory = Memory(std::fs::File::open("/proc/self/mem").unwrap());
        let held = vec![7_u64; 2_048];
        let mut pages = Pages { memory: &memory, pages: BTreeMap::new() };
        let base = held.as_ptr() as u64;
        assert!((0..2_048).all(|index| pages.word(base + index * 8) == Some(7)));
        assert_eq!((pages.word(8), pages.word(u64::MAX - 7)), (None, None));
    }
}
