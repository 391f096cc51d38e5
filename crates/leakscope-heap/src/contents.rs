//! What is inside: duplicate strings, collections and how full they are, ways to an object.

use leakscope_model::PathStep;

use crate::heap::{Heap, Node};
use crate::story::{self, Step};

/// Collections that are looked into: those that retain most.
const COLLECTIONS_MAX: usize = 20_000;
/// Steps of a way that are followed upwards.
const WAY_STEPS_MAX: usize = 10_000;

/// The same text in several strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateString {
    /// Its beginning.
    pub text: String,
    /// How many strings have it.
    pub count: u64,
    /// Own bytes of all of them.
    pub bytes: u64,
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The collection itself.
    pub node: Node,
    /// `Map`, `Set`, `Array`, `java.util.HashMap`, ...
    pub kind: String,
    /// Entries in it.
    pub size: u64,
    /// Places for entries, where the capture shows them.
    pub capacity: Option<u64>,
}

impl Heap<'_> {
    /// Texts that several strings have, most bytes first, at most `max`.
    pub fn duplicate_strings(&self, max: usize) -> Vec<DuplicateString> {
        self.detail.duplicates(&self.self_bytes, max)
    }

    /// The collections with the most entries, at most `max`, of the 20,000 that retain most.
    pub fn collections(&self, max: usize) -> Vec<Collection> {
        let of_classes: Vec<bool> =
            self.classes.iter().map(|class| self.detail.may_be_collection(&class.name)).collect();
        let mut biggest: Vec<Node> =
            self.nodes().filter(|node| of_classes[self.class_of.get(node.0) as usize]).collect();
        biggest.sort_unstable_by_key(|&node| (std::cmp::Reverse(self.retained_bytes(node)), node));
        let mut collections = Vec::new();
        for &node in biggest.iter().take(COLLECTIONS_MAX) {
            if let Some((size, capacity)) = self.detail.entries(&self.graph, node.0).filter(|(size, _)| *size > 0) {
                collections.push((node, size, capacity));
            }
        }
        collections.sort_by_key(|&(node, size, _)| (std::cmp::Reverse(size), node));
        let told = |(node, size, capacity): (Node, u64, Option<u64>)| Collection {
            node,
            kind: self.class(node).name.clone(),
            size,
            capacity,
        };
        collections.into_iter().take(max).map(told).collect()
    }

    /// Ways from a root down to `node`, shortest first, one for each of at most `max` that refer to it. Steps of the runtime's own are
    /// left out where a step of the program's says the same.
    ///
    /// Two passes over the graph, then 4 bytes an edge.
    pub fn paths(&self, node: Node, max: usize) -> Vec<Vec<PathStep>> {
        let above = Above::of(self);
        let mut nearest: Vec<Node> = above.holders(self, node).collect();
        nearest.sort_unstable_by_key(|&holder| (self.distance(holder).unwrap_or(Self::UNREACHED), holder));
        nearest.dedup();
        let mut paths = Vec::new();
        for holder in nearest.into_iter().take(max) {
            let mut way = vec![Step { node, holds: None }];
            let mut at = holder;
            let mut below = node;
            loop {
                way.push(Step { node: at, holds: story::edge_between(self, at, below) });
                let nearer = |from: &Node| self.distance(*from) < self.distance(at) && self.distance(*from).is_some();
                let next = above.holders(self, at).filter(nearer).min_by_key(|&from| (self.distance(from), from));
                match next.filter(|next| *next != self.root() && way.len() < WAY_STEPS_MAX) {
                    Some(next) => (below, at) = (at, next),
                    None => break,
                }
            }
            way.reverse();
            paths.push(story::path_of(self, &way));
        }
        paths
    }
}

/// Who refers to each node.
struct Above {
    first: Vec<usize>,
    sources: Vec<u32>,
}

impl Above {
    fn of(heap: &Heap<'_>) -> Self {
        let n = heap.n_nodes();
        let mut first = vec![0_usize; n + 1];
        for &target in &heap.graph.targets {
            first[target as usize] += 1;
        }
        let mut end = 0;
        for count in &mut first {
            end += *count;
            *count = end;
        }
        let mut sources = vec![0; end];
        for source in 0..n as u32 {
            for &target in heap.graph.targets(source) {
                first[target as usize] -= 1;
                sources[first[target as usize]] = source;
            }
        }
        Self { first, sources }
    }

    /// What keeps `node` alive, but the root.
    fn holders<'h>(&'h self, heap: &'h Heap<'_>, node: Node) -> impl Iterator<Item = Node> + 'h {
        let sources = &self.sources[self.first[node.0 as usize]..self.first[node.0 as usize + 1]];
        let strong = move |source: &u32| *source != node.0 && heap.detail.retains(&heap.graph, *source, node.0);
        sources.iter().copied().filter(strong).map(Node).filter(|&source| source != heap.root())
    }
}

/// The texts of most bytes that occur more than once. `strings`: text, number of strings and own bytes of each text.
pub(crate) fn duplicates_of(
    strings: impl Iterator<Item = (u64, u64, u64)>,
    max: usize,
    text: impl Fn(u64) -> String,
) -> Vec<DuplicateString> {
    let mut found: Vec<(u64, u64, u64)> = strings.filter(|&(_, count, _)| count > 1).collect();
    found.sort_unstable_by_key(|&(key, _, bytes)| (std::cmp::Reverse(bytes), key));
    let told = |(key, count, bytes)| DuplicateString { text: text(key), count, bytes };
    found.into_iter().take(max).map(told).collect()
}
