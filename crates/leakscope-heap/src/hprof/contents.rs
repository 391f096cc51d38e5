//! What Java's strings and collections hold: the same text several times, entries and places.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use rustc_hash::FxHasher;

use crate::contents::{DuplicateString, duplicates_of};
use crate::graph::Sizes;
use crate::hprof::dump::{Dump, Record, Value};
use crate::hprof::edges::{atomics, over_pieces};
use crate::hprof::records::{Type, Visitor};

/// Fields in which collections count their entries, in the order in which they are asked for.
const COUNTS: [&str; 5] = ["size", "elementCount", "count", "baseCount", "c"];
/// Fields that refer to the array of places.
const PLACES: [&str; 6] = ["table", "elementData", "elements", "array", "queue", "items"];
/// Fields that refer to the collection that does the work.
const INNER: [&str; 5] = ["map", "m", "list", "al", "q"];
/// Collections within collections that are followed.
const DEPTH_MAX: usize = 4;
/// Characters of a text that is told.
const TEXT_MAX: usize = 200;
const STRING: &str = "java.lang.String";

impl Dump<'_> {
    /// Texts that several `String`s have, most bytes first. Two passes over the dump; 12 bytes an object meanwhile.
    pub(crate) fn duplicate_texts(&self, self_bytes: &Sizes, max: usize) -> Vec<DuplicateString> {
        let Some(string) = self.classes.infos.iter().position(|info| info.name == STRING) else { return Vec::new() };
        let n_nodes = self.ids.len() as usize + 1;
        let hashes: Vec<AtomicU64> = (0..n_nodes).map(|_| AtomicU64::new(0)).collect();
        let values = atomics(n_nodes);
        let pieces: Vec<_> = self.spans.iter().map(|span| span.bytes.clone()).collect();
        let string_id = self.classes.infos[string].id;
        over_pieces(self.strings.bytes, self.strings.width, &pieces, !self.duplicates, || Texts {
            dump: self,
            string: (string_id, string as u32),
            hashes: &hashes,
            values: &values,
        });
        // Count, bytes and one of the strings of each text.
        let mut texts: BTreeMap<u64, (u64, u64, u32)> = BTreeMap::new();
        for node in 1..n_nodes as u32 {
            let value = values[node as usize].load(Relaxed);
            let hash = hashes[value as usize].load(Relaxed);
            if value != 0 && hash != 0 {
                let (count, bytes, example) = texts.entry(hash).or_default();
                *count += 1;
                *bytes = bytes.saturating_add(self_bytes.get(node)).saturating_add(self_bytes.get(value));
                *example = node;
            }
        }
        let strings = texts.values().map(|&(count, bytes, example)| (u64::from(example), count, bytes));
        duplicates_of(strings, max, |example| {
            self.record(example as u32).and_then(|record| self.string(&record, TEXT_MAX)).unwrap_or_default()
        })
    }

    /// Entries of a collection, and its places where it has an array of them.
    pub(crate) fn entries_of(&self, node: u32) -> Option<(u64, Option<u64>)> {
        if let Some(known) = self.collection(node) {
            return Some(known);
        }
        let mut record = self.record(node)?;
        for _ in 0..DEPTH_MAX {
            let places = PLACES.iter().find_map(|field| match self.referred(&record, field)? {
                Record::Objects { elements, .. } => Some((elements.len() / self.strings.width.bytes()) as u64),
                _ => None,
            });
            if let Some(count) = COUNTS.iter().find_map(|field| self.whole(&record, field)) {
                return Some((u64::try_from(count).unwrap_or(0), places));
            }
            if let Some(places) = places {
                // One that is as long as its array: `CopyOnWriteArrayList`.
                return Some((places, Some(places)));
            }
            record = INNER.iter().find_map(|field| self.referred(&record, field))?;
        }
        None
    }
}

/// Whether a class of this name keeps entries that it counts.
pub(crate) fn may_be_collection(class: &str) -> bool {
    let of_library = class.starts_with("java.util.") && !class.contains('$');
    of_library
        && ["Map", "List", "Set", "Deque", "Queue", "Vector", "Stack", "table"].iter().any(|end| class.ends_with(end))
}

/// Hears of arrays and of strings.
struct Texts<'s, 'a> {
    dump: &'s Dump<'a>,
    /// Id and number of the class `String`.
    string: (u64, u32),
    /// Of the contents of each array; 0 for other nodes.
    hashes: &'s [AtomicU64],
    /// The array of each string; 0 for other nodes.
    values: &'s [AtomicU32],
}

impl Visitor for Texts<'_, '_> {
    fn instance(&mut self, _at: usize, id: u64, class: u64, data: &[u8]) {
        if class != self.string.0 {
            return;
        }
        let mut value = None;
        self.dump.fields(self.string.1, data, &mut |_, field, found| {
            if value.is_none() && self.dump.strings.get(field.name).as_deref() == Some("value") {
                value = Some(found);
            }
        });
        if let (Some(node), Some(Value::Reference(value))) = (self.dump.node(id), value) {
            self.values[node as usize].store(self.dump.node(value).unwrap_or(0), Relaxed);
        }
    }

    fn primitives(&mut self, _at: usize, id: u64, of: Type, _n: u32, elements: &[u8]) {
        if !matches!(of, Type::Byte | Type::Char) || elements.is_empty() {
            return;
        }
        if let Some(node) = self.dump.node(id) {
            let mut hasher = FxHasher::default();
            hasher.write_u8(u8::from(of == Type::Byte));
            hasher.write(elements);
            self.hashes[node as usize].store(hasher.finish().max(1), Relaxed);
        }
    }
}
