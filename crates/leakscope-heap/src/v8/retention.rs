//! Which edges keep their target alive: `initEssentialEdges` and `markPageOwnedNodes` of DevTools.

use rustc_hash::FxHashMap;

use crate::graph::{Bits, Graph, Successors};

use super::snapshot::{EdgeWord, Link, NodeKind, Snapshot};

/// A part of the name of each edge that stands for an entry of a `WeakMap`: `N / part of key (K @k) -> value (V @v) pair in WeakMap
/// (table @T)`.
const PAIR: &str = "pair in WeakMap (table @";

/// The edges that stand for entries of a `WeakMap`. V8 writes each entry twice, from its key and from its table, by names that
/// differ in their first number.
#[derive(Debug, Default)]
pub(super) struct WeakPairs {
    /// Whether the string names such an edge.
    named: Bits,
    /// Of each such string.
    pairs: FxHashMap<u32, WeakPair>,
}

/// One entry of a `WeakMap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WeakPair {
    /// Id of the table.
    pub(super) table: u64,
    /// The first of the strings that name this entry; the same for both its edges.
    pub(super) entry: u32,
}

impl WeakPairs {
    pub(super) fn of(snapshot: &Snapshot<'_>) -> Self {
        let mut pairs = Self { named: Bits::new(snapshot.strings.len()), pairs: FxHashMap::default() };
        let mut entries: FxHashMap<&[u8], u32> = FxHashMap::default();
        for index in snapshot.strings.containing(PAIR.as_bytes()) {
            let raw = snapshot.strings.raw(index);
            if let Some((entry, table)) = parsed(raw) {
                let entry = *entries.entry(entry).or_insert(index);
                pairs.named.set(index);
                pairs.pairs.insert(index, WeakPair { table, entry });
            }
        }
        pairs
    }

    /// The entry that an internal edge of this name stands for.
    #[inline]
    pub(super) fn get(&self, name: u32) -> Option<WeakPair> {
        if self.pairs.is_empty() || !self.named.get(name) {
            return None;
        }
        self.pairs.get(&name).copied()
    }
}

/// What is alike in both names of an entry, and the id of its table.
fn parsed(raw: &[u8]) -> Option<(&[u8], u64)> {
    let digits = raw.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let entry = &raw[digits..];
    let table_at = memchr::memmem::rfind(raw, PAIR.as_bytes())? + PAIR.len();
    let table = raw[table_at..].strip_suffix(b")")?;
    let shaped = digits > 0
        && entry.starts_with(b" / part of key (")
        && memchr::memmem::find(entry, b") -> value (").is_some()
        && table.iter().all(u8::is_ascii_digit);
    let table = std::str::from_utf8(table).ok()?.parse().ok()?;
    shaped.then_some((entry, table))
}

/// What the program's own entry points reach: the targets of the root's shortcuts, and the documents' trees.
pub(super) fn page_owned(snapshot: &Snapshot<'_>, graph: &Graph) -> Bits {
    let mut owned = Bits::new(snapshot.n_nodes());
    let mut stack = Vec::new();
    for edge in graph.first.range(snapshot.root as usize) {
        let target = graph.targets[edge];
        let enters = match snapshot.edge_words[edge].link() {
            Link::Element => is_documents(snapshot, target),
            link => link == Link::Shortcut,
        };
        if enters && !owned.get(target) {
            owned.set(target);
            stack.push(target);
        }
    }
    while let Some(node) = stack.pop() {
        for edge in graph.first.range(node as usize) {
            let target = graph.targets[edge];
            if !owned.get(target) && !snapshot.edge_words[edge].is_weak() {
                owned.set(target);
                stack.push(target);
            }
        }
    }
    owned
}

/// Whether the program, not the engine, enters here: a child of the root that is not synthetic, or the documents' trees.
pub(super) fn is_user_root(snapshot: &Snapshot<'_>, node: u32) -> bool {
    snapshot.kind(node) != NodeKind::Synthetic || is_documents(snapshot, node)
}

fn is_documents(snapshot: &Snapshot<'_>, node: u32) -> bool {
    snapshot.kind(node) == NodeKind::Synthetic
        && snapshot.strings.raw(snapshot.names[node as usize]) == b"(Document DOM trees)"
}

/// Marks the edges that keep their target alive. `owned`: see [`page_owned`].
pub(super) fn mark(snapshot: &mut Snapshot<'_>, graph: &Graph, pairs: &WeakPairs, owned: &Bits) {
    let root = snapshot.root;
    for node in 0..snapshot.n_nodes() as u32 {
        let node_owned = owned.get(node);
        for edge in graph.first.range(node as usize) {
            let (word, target) = (snapshot.edge_words[edge], graph.targets[edge]);
            let retains = target != node
                && match word.link() {
                    Link::Weak => false,
                    _ if node == root => true,
                    Link::Shortcut => false,
                    // What the engine also holds, as for a debugger, is held by the program.
                    _ if !node_owned && owned.get(target) => false,
                    // The key holds the value as much as the table does; the way by the key says more.
                    Link::Internal => pairs.get(word.name()).is_none_or(|pair| pair.table != snapshot.id(node)),
                    _ => true,
                };
            if retains {
                snapshot.edge_words[edge].set_retains();
            }
        }
    }
}

/// The graph of the edges that keep their target alive, once they are marked.
pub(super) struct Retaining<'s> {
    pub(super) words: &'s [EdgeWord],
    pub(super) graph: &'s Graph,
}

impl Successors for Retaining<'_> {
    fn n_nodes(&self) -> usize {
        self.graph.n_nodes()
    }

    #[inline]
    fn successors(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let range = self.graph.first.range(node as usize);
        let edges = self.graph.targets[range.clone()].iter().zip(&self.words[range]);
        edges.filter(|(_, word)| word.retains()).map(|(&target, _)| target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_entry_of_a_weak_map_is_taken_apart() {
        let name = b"12 / part of key (Session @77) -> value (Object @79) pair in WeakMap (table @4711)";
        let entry = &name[2..];
        assert_eq!(parsed(name), Some((entry, 4711)));
        assert_eq!(parsed(b"12 / part of key (a) pair in WeakMap (table @4711)"), None);
        assert_eq!(parsed(b"/ part of key (a @1) -> value (b @2) pair in WeakMap (table @3)"), None);
        assert_eq!(parsed(b"1 / part of key (a @1) -> value (b @2) pair in WeakMap (table @x)"), None);
    }
}
