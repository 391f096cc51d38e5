//! How far from an entry of the program each node is: `calculateDistances` of DevTools.

use rustc_hash::FxHashSet;

use crate::graph::Graph;
use crate::heap::Heap;

use super::retention::{WeakPairs, is_user_root};
use super::snapshot::{Link, NodeKind, Snapshot};

/// Added to what only the engine's own roots lead to.
pub(crate) const SYSTEM_BASE: u32 = 100_000_000;

/// The distance of each node: 1 for the program's entries, from [`SYSTEM_BASE`] on for what only the engine's roots lead to.
pub(super) fn distances(snapshot: &Snapshot<'_>, graph: &Graph, pairs: &WeakPairs) -> Vec<u32> {
    let mut search = Search::new(snapshot, graph, pairs);
    for &child in graph.targets(snapshot.root).iter().filter(|&&child| is_user_root(snapshot, child)) {
        if search.distances[child as usize] == Heap::UNREACHED {
            search.queue.push(child);
        }
        search.distances[child as usize] = 1;
    }
    let base = if search.queue.is_empty() { 0 } else { SYSTEM_BASE };
    search.run();
    search.distances[snapshot.root as usize] = base;
    search.queue.push(snapshot.root);
    search.run();
    search.distances
}

struct Search<'s, 'a> {
    snapshot: &'s Snapshot<'a>,
    graph: &'s Graph,
    pairs: &'s WeakPairs,
    distances: Vec<u32>,
    queue: Vec<u32>,
    /// Entries of a `WeakMap` of which one edge was met. The value is as far as the farther of key and table, so the first is passed.
    met: FxHashSet<u32>,
    native_context: Option<u32>,
    sloppy_function_map: Option<u32>,
    map_descriptors: Option<u32>,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(snapshot: &'s Snapshot<'a>, graph: &'s Graph, pairs: &'s WeakPairs) -> Self {
        let [native_context, sloppy_function_map, map_descriptors] =
            snapshot.strings.find(["system / NativeContext", "sloppy_function_map", "(map descriptors)"]);
        Self {
            snapshot,
            graph,
            pairs,
            distances: vec![Heap::UNREACHED; snapshot.n_nodes()],
            queue: Vec::new(),
            met: FxHashSet::default(),
            native_context,
            sloppy_function_map,
            map_descriptors,
        }
    }

    /// Breadth first from what is in the queue, which is empty thereafter.
    fn run(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        let mut next = Vec::new();
        while !queue.is_empty() {
            for &node in &queue {
                self.visit(node, &mut next);
            }
            queue.clear();
            std::mem::swap(&mut queue, &mut next);
        }
    }

    fn visit(&mut self, node: u32, next: &mut Vec<u32>) {
        let distance = self.distances[node as usize] + 1;
        let name = Some(self.snapshot.names[node as usize]);
        let special = (name == self.native_context && self.snapshot.kind(node) == NodeKind::Hidden)
            || (name == self.map_descriptors && self.snapshot.kind(node) == NodeKind::Array);
        for edge in self.graph.first.range(node as usize) {
            let target = self.graph.targets[edge];
            let word = self.snapshot.edge_words[edge];
            if word.is_weak() || self.distances[target as usize] != Heap::UNREACHED {
                continue;
            }
            if special && self.is_passed(node, edge) {
                continue;
            }
            if word.link() == Link::Internal {
                let pair = self.pairs.get(word.name());
                if pair.is_some_and(|pair| !self.met.remove(&pair.entry) && self.met.insert(pair.entry)) {
                    continue;
                }
            }
            self.distances[target as usize] = distance;
            next.push(target);
        }
    }

    /// Whether an edge of a native context or of descriptors says nothing about distance.
    fn is_passed(&self, node: u32, edge: usize) -> bool {
        let (link, name) = (self.snapshot.edge_words[edge].link(), self.snapshot.edge_name(edge));
        if self.snapshot.kind(node) == NodeKind::Hidden {
            return !link.is_numbered() && Some(name) == self.sloppy_function_map;
        }
        // Maps share descriptors, so that a key may belong to another map; see crbug.com/413608.
        let index = if link.is_numbered() { Some(name) } else { leading_number(self.snapshot.strings.raw(name)) };
        index.is_some_and(|index| index >= 2 && index % 3 == 1)
    }
}

fn leading_number(raw: &[u8]) -> Option<u32> {
    let digits = raw.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&raw[..digits]).ok()?.parse().ok()
}
