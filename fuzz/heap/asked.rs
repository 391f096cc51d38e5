//! Everything that can be asked of an analysed capture, and what holds for each.

use leakscope_heap::{Format, Heap};

/// Nodes of which everything is asked; of more, what takes a pass over the graph is asked of the first alone.
const NODES_MAX: usize = 64;

pub fn everything_of(heap: &Heap<'_>) {
    let tree = heap.dominator_tree();
    let mut self_bytes = 0_u64;
    for node in heap.nodes() {
        let (own, retained) = (heap.self_bytes(node), heap.retained_bytes(node));
        self_bytes = self_bytes.saturating_add(own);
        assert!(retained >= own, "{node:?} retains {retained} of its own {own} bytes");
        let below = tree.children(node).fold(own, |sum, child| sum.saturating_add(heap.retained_bytes(child)));
        assert_eq!(retained, below, "what {node:?} retains");
        let mut at = node;
        for _ in 0..heap.n_nodes() {
            at = heap.dominator(at).unwrap_or(at);
        }
        assert_eq!(at, heap.root(), "the dominators of {node:?} end at the root");
        drop((heap.id(node), heap.name(node), heap.text(node, 10), heap.location(node), heap.distance(node)));
        drop((heap.class(node), heap.find(heap.id(node)), heap.edges(node)));
        if node.0 as usize >= NODES_MAX {
            continue;
        }
        drop((heap.retainers(node, 3), heap.paths(node, 3), heap.dominator_path(node), heap.biggest(&tree, node, 3)));
    }
    assert_eq!(heap.total_bytes(), self_bytes, "all bytes are the bytes of all");
    let counted: u64 = heap.classes().iter().fold(0, |sum, class| sum.saturating_add(class.self_bytes));
    // Of records of a dump that have the same id, the graph has the last; types count each.
    let fits = if heap.format() == Format::Hprof { counted >= self_bytes } else { counted == self_bytes };
    assert!(fits, "all {self_bytes} bytes are the bytes of all types, {counted}");
    drop((heap.suspects(10), heap.duplicate_strings(10), heap.collections(10)));
}
