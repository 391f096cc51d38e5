//! How many entries V8's collections have, from the tables that they keep them in.
//!
//! A snapshot has no lengths. An array's table has a word for each place; that of a `Map` or `Set` is an `OrderedHashTable`
//! (v8/src/objects/ordered-hash-table.h): three words of counts, a word a bucket, and for each of twice as many entries a key, the
//! value of a map, and the next of the chain. Edges name the word they come from. Entries of small integers alone have no edge and
//! are not seen.

use std::collections::BTreeSet;

use crate::graph::Graph;

use super::describe::target_of;
use super::snapshot::{Link, Snapshot};

/// Words before the first place of a table: its map and its length.
const HEADER_WORDS: u64 = 2;
/// Counts of entries, of deleted ones, of buckets.
const COUNT_WORDS: u64 = 3;
/// Bytes of a word, without compressed pointers: Node.js. Chrome's have 4.
const WORD_BYTES: u64 = 8;
/// Entries to a bucket.
const LOAD_FACTOR: u64 = 2;

/// The names of the edges to tables, as strings of the snapshot.
#[derive(Debug)]
pub(super) struct TableNames {
    elements: Option<u32>,
    table: Option<u32>,
}

impl TableNames {
    pub(super) fn of(snapshot: &Snapshot<'_>) -> Self {
        let [elements, table] = snapshot.strings.find(["elements", "table"]);
        Self { elements, table }
    }

    /// Entries and places of a `Map`, `Set`, `WeakMap`, `WeakSet` or `Array`; none for what has no table.
    pub(super) fn entries(&self, snapshot: &Snapshot<'_>, graph: &Graph, node: u32) -> Option<(u64, Option<u64>)> {
        let class = snapshot.raw_name(node);
        if class == "Array" {
            let edges = graph.first.range(node as usize);
            let indexed = edges.filter(|&edge| snapshot.edge_words[edge].link() == Link::Element);
            let size = indexed.map(|edge| u64::from(snapshot.edge_name(edge)) + 1).max().unwrap_or(0);
            let capacity = target_of(snapshot, graph, node, self.elements).map(|table| words(snapshot, table));
            return Some((size, capacity.filter(|&capacity| capacity >= size)));
        }
        Some(hashed(snapshot, graph, &class, target_of(snapshot, graph, node, self.table)?))
    }
}

fn hashed(snapshot: &Snapshot<'_>, graph: &Graph, class: &str, table: u32) -> (u64, Option<u64>) {
    let places = graph.first.range(table as usize).filter_map(|edge| place(snapshot, edge));
    let entry_words = match class {
        "Map" => 3,
        "Set" => 2,
        // Weak tables are of another make; each entry has a key.
        _ => return (places.count() as u64, None),
    };
    let words = words(snapshot, table);
    let buckets = words.saturating_sub(COUNT_WORDS) / (1 + LOAD_FACTOR * entry_words);
    let first = COUNT_WORDS + buckets;
    let entries: BTreeSet<u64> =
        places.filter(|&place| place >= first).map(|place| (place - first) / entry_words).collect();
    let (size, capacity) = (entries.len() as u64, LOAD_FACTOR * buckets);
    (size, (capacity >= size).then_some(capacity))
}

fn words(snapshot: &Snapshot<'_>, table: u32) -> u64 {
    (snapshot.bytes_in_file(table) / WORD_BYTES).saturating_sub(HEADER_WORDS)
}

/// The word of a table that an edge comes from.
fn place(snapshot: &Snapshot<'_>, edge: usize) -> Option<u64> {
    let (word, name) = (snapshot.edge_words[edge], snapshot.edge_name(edge));
    if word.is_weak() {
        return None;
    }
    if word.link().is_numbered() {
        return Some(u64::from(name));
    }
    std::str::from_utf8(snapshot.strings.raw(name)).ok()?.parse().ok()
}
