//! The part of a dominator tree that is worth a look: its biggest branches down to a depth, the rest summed up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use leakscope_heap::{Heap, Node};

/// How much of a tree is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Rows in all.
    pub(super) rows: usize,
    /// Rows right below one.
    pub(super) rows_below: usize,
    /// Levels below the root.
    pub(super) depth: usize,
    /// Smaller ones are summed up with the rest: one part of the whole in so many.
    pub(super) parts: u64,
}

/// Nodes that are looked at for one row that is shown. Beyond: smaller ones are summed up with the rest.
const CANDIDATES: usize = 16;

/// One node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) node: Node,
    /// 0 for the root.
    pub(super) depth: usize,
    /// Index of the row that dominates it; its own for the root.
    pub(super) above: usize,
    /// What it retains beside its own bytes and those of the rows right below it.
    pub(super) rest_bytes: u64,
}

/// Rows from the root down, each after the one above it, siblings by size. One pass over the heap.
pub(super) fn outline(heap: &Heap<'_>, limits: Limits) -> Vec<Row> {
    let below = children(heap, limits);
    let mut rows = chosen(heap, &below, limits);
    for index in 0..rows.len() {
        let Row { node, .. } = rows[index];
        rows[index].rest_bytes += heap.retained_bytes(node).saturating_sub(heap.self_bytes(node));
        if index > 0 {
            let above = rows[index].above;
            rows[above].rest_bytes = rows[above].rest_bytes.saturating_sub(heap.retained_bytes(node));
        }
    }
    rows
}

/// The big nodes by who dominates them, biggest first.
fn children(heap: &Heap<'_>, limits: Limits) -> BTreeMap<Node, Vec<Node>> {
    let bytes_min = (heap.total_bytes() / limits.parts).max(1);
    let big = heap.nodes().filter(|node| heap.retained_bytes(*node) >= bytes_min);
    let mut below: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
    for node in biggest(big, limits.rows * CANDIDATES, |node| heap.retained_bytes(node)) {
        if let Some(dominator) = heap.dominator(node) {
            let siblings = below.entry(dominator).or_default();
            if siblings.len() < limits.rows_below {
                siblings.push(node);
            }
        }
    }
    below
}

/// The biggest rows whose way up is chosen too, in the order of the tree.
fn chosen(heap: &Heap<'_>, below: &BTreeMap<Node, Vec<Node>>, limits: Limits) -> Vec<Row> {
    let mut taken: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
    let mut waiting = BinaryHeap::from([(heap.total_bytes(), Reverse(0), Reverse(heap.root()))]);
    let mut n_rows = 0;
    while let Some((_, Reverse(depth), Reverse(node))) = waiting.pop().filter(|_| n_rows < limits.rows) {
        n_rows += 1;
        if let Some(dominator) = heap.dominator(node) {
            taken.entry(dominator).or_default().push(node);
        }
        if depth < limits.depth {
            let next = below.get(&node).into_iter().flatten();
            waiting.extend(next.map(|node| (heap.retained_bytes(*node), Reverse(depth + 1), Reverse(*node))));
        }
    }
    let mut rows: Vec<Row> = Vec::with_capacity(n_rows);
    let mut down = vec![Row { node: heap.root(), depth: 0, above: 0, rest_bytes: 0 }];
    while let Some(row) = down.pop() {
        let above = rows.len();
        rows.push(row);
        let next = taken.get(&row.node).into_iter().flatten().rev();
        down.extend(next.map(|node| Row { node: *node, depth: row.depth + 1, above, rest_bytes: 0 }));
    }
    rows
}

/// The biggest of `nodes`, at most `max`, biggest first; of equals the first.
pub(super) fn biggest(nodes: impl Iterator<Item = Node>, max: usize, size: impl Fn(Node) -> u64) -> Vec<Node> {
    let mut kept: BinaryHeap<Reverse<(u64, Reverse<Node>)>> = BinaryHeap::new();
    for node in nodes {
        let found = (size(node), Reverse(node));
        if kept.len() < max {
            kept.push(Reverse(found));
        } else if let Some(mut smallest) = kept.peek_mut()
            && found > smallest.0
        {
            *smallest = Reverse(found);
        }
    }
    kept.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(node)))| node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_biggest_come_first_and_of_equals_the_first() {
        let sizes = [3, 9, 1, 9, 5];
        let found = biggest((0..5).map(Node), 3, |node| sizes[node.0 as usize]);
        assert_eq!(found, [1, 3, 4].map(Node));
        assert_eq!(biggest((0..5).map(Node), 0, |_| 1), []);
    }
}
