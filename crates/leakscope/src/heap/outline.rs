//! The part of a dominator tree that is worth a look: its biggest branches down to a depth, the rest summed up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use leakscope_heap::{Class, Heap, Node};

/// How much of a tree is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Rows in all.
    pub(super) rows: usize,
    /// Rows right below one.
    pub(super) rows_below: usize,
    /// Levels below the root.
    pub(super) depth: usize,
    /// Smaller ones are summed up by type: one part of the whole in so many.
    pub(super) parts: u64,
    /// Types right below one row whose objects are summed up; the others are its rest.
    pub(super) groups: usize,
}

/// Nodes that are looked at for one row that is shown. Beyond: smaller ones are summed up with the rest.
const CANDIDATES: usize = 16;

/// One node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) node: Node,
    /// 0 for the root.
    pub(super) depth: usize,
    /// Index of the row that dominates it; its own for the root.
    pub(super) above: usize,
    /// Objects right below it that have no row, by type, most bytes first.
    pub(super) groups: Vec<Group>,
    /// What it retains beside its own bytes, those of the rows right below it and of `groups`.
    pub(super) rest_bytes: u64,
}

/// Small objects of one type with one dominator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Their type.
    pub(super) name: String,
    pub(super) count: u64,
    /// What they retain together.
    pub(super) bytes: u64,
}

/// Rows from the root down, each after the one above it, siblings by size. Two passes over the heap; 4 bytes a node.
pub(super) fn outline(heap: &Heap<'_>, limits: Limits) -> Vec<Row> {
    let below = children(heap, limits);
    let mut rows = chosen(heap, &below, limits);
    for index in 0..rows.len() {
        let Row { node, above, .. } = rows[index];
        rows[index].rest_bytes += heap.retained_bytes(node).saturating_sub(heap.self_bytes(node));
        if index > 0 {
            rows[above].rest_bytes = rows[above].rest_bytes.saturating_sub(heap.retained_bytes(node));
        }
    }
    let bytes_min = (heap.total_bytes() / limits.parts).max(1);
    for (index, group) in groups(heap, &rows).into_iter().filter(|(_, group)| group.bytes >= bytes_min) {
        let row = &mut rows[index];
        if row.groups.len() < limits.groups {
            row.rest_bytes = row.rest_bytes.saturating_sub(group.bytes);
            row.groups.push(group);
        }
    }
    rows
}

/// What is right below the rows without a row of its own, by row and type, most bytes first.
fn groups(heap: &Heap<'_>, rows: &[Row]) -> Vec<(usize, Group)> {
    const NO_ROW: u32 = u32::MAX;
    let mut row_of = vec![NO_ROW; heap.n_nodes()];
    for (index, row) in rows.iter().enumerate() {
        row_of[row.node.0 as usize] = index as u32;
    }
    let mut place: HashMap<(u32, *const Class), usize> = HashMap::new();
    let mut sums: Vec<(u32, &Class, u64, u64)> = Vec::new();
    for node in heap.nodes().filter(|node| row_of[node.0 as usize] == NO_ROW) {
        let Some(row) = heap.dominator(node).map(|dominator| row_of[dominator.0 as usize]) else { continue };
        let bytes = heap.retained_bytes(node);
        if row == NO_ROW || bytes == 0 {
            continue;
        }
        // Types of one name may be several; their address tells them apart without a look at the name.
        let class = heap.class(node);
        let index = *place.entry((row, std::ptr::from_ref(class))).or_insert_with(|| {
            sums.push((row, class, 0, 0));
            sums.len() - 1
        });
        let (_, _, count, sum) = &mut sums[index];
        *count += 1;
        *sum += bytes;
    }
    sums.sort_by_key(|(_, _, _, bytes)| Reverse(*bytes));
    let group = |(row, class, count, bytes): (u32, &Class, u64, u64)| {
        (row as usize, Group { name: class.name.clone(), count, bytes })
    };
    sums.into_iter().map(group).collect()
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
    let mut down = vec![Row { node: heap.root(), depth: 0, above: 0, groups: Vec::new(), rest_bytes: 0 }];
    while let Some(row) = down.pop() {
        let above = rows.len();
        let next = taken.get(&row.node).into_iter().flatten().rev();
        down.extend(next.map(|node| Row {
            node: *node,
            depth: row.depth + 1,
            above,
            groups: Vec::new(),
            rest_bytes: 0,
        }));
        rows.push(row);
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
