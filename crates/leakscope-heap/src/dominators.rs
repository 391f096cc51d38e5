//! Who dominates whom: `d` dominates `v` when every way from the root to `v` passes `d`.
//!
//! Semi-NCA (Georgiadis 2005, "Linear-Time Algorithms for Dominators and Related Problems", section 2.3): semidominators as
//! Lengauer and Tarjan find them (1979, doi:10.1145/357062.357071), then each dominator as the nearest common ancestor of parent
//! and semidominator. Nodes without successors dominate nothing; they are left out and get theirs last, as the nearest common
//! dominator of what refers to them, which spares most of the memory where most objects are leaves.

use crate::graph::{Bits, Offsets, Successors};

/// In place of an order: not reached.
const NONE: u32 = u32::MAX;

/// The dominator tree.
#[derive(Debug)]
pub(crate) struct Dominators {
    /// The immediate dominator of each node; the root's is itself.
    pub(crate) of: Vec<u32>,
    /// All nodes, each behind its dominator; the root first.
    pub(crate) order: Vec<u32>,
}

/// The dominators of all nodes of `graph`.
///
/// What no way from `root` leads to hangs on the root: what nothing refers to is taken for a root's successor, if the graph says that
/// orphans hold; what is left then gets the root, each alone. Cost is about linear; 28 bytes a node with successors and 4
/// bytes an edge to a node that has several are needed meanwhile.
pub(crate) fn dominators(graph: &impl Successors, root: u32) -> Dominators {
    let n = graph.n_nodes();
    let (counts, leaves) = counts(graph, root);
    let walk = Walk::of(graph, root, leaves);
    let predecessors = Predecessors::of(graph, counts, &walk);
    let Walk { nodes, parents, orders, leaves } = walk;
    // As much memory as a quarter of what comes now.
    drop(orders);
    let idoms = semi_nca(&nodes, parents, &predecessors);
    let mut of = vec![root; n];
    for (&node, &idom) in nodes.iter().zip(&idoms) {
        of[node as usize] = nodes[idom as usize];
    }
    for leaf in leaves.ones() {
        let mut at = NONE;
        for order in predecessors.of_node(leaf) {
            at = if at == NONE { order } else { common(&idoms, at, order) };
        }
        if at != NONE {
            of[leaf as usize] = nodes[at as usize];
        }
    }
    of[root as usize] = root;
    let mut order = nodes;
    let mut placed = Bits::new(n);
    for &node in &order {
        placed.set(node);
    }
    order.extend((0..n as u32).filter(|&node| !placed.get(node)));
    Dominators { of, order }
}

/// How many edges lead to each node, and the nodes without successors but the root.
fn counts(graph: &impl Successors, root: u32) -> (Vec<u32>, Bits) {
    // One more, so that each node's predecessors lie between two positions.
    let mut counts = vec![0_u32; graph.n_nodes() + 1];
    let mut leaves = Bits::new(graph.n_nodes());
    for node in 0..graph.n_nodes() as u32 {
        let mut leaf = node != root;
        for target in graph.successors(node) {
            counts[target as usize] += 1;
            leaf = false;
        }
        if leaf {
            leaves.set(node);
        }
    }
    (counts, leaves)
}

/// The nearest common dominator of two orders. A dominator's order is below that of what it dominates.
fn common(idoms: &[u32], mut a: u32, mut b: u32) -> u32 {
    while a != b {
        if a > b {
            a = idoms[a as usize];
        } else {
            b = idoms[b as usize];
        }
    }
    a
}

/// The nodes with successors that are reached, in the order of a depth-first search.
struct Walk {
    nodes: Vec<u32>,
    /// Order of the parent of each, by order.
    parents: Vec<u32>,
    /// Order of each node; `NONE` for leaves and for what is not reached.
    orders: Vec<u32>,
    /// Nodes without successors.
    leaves: Bits,
}

impl Walk {
    fn of(graph: &impl Successors, root: u32, leaves: Bits) -> Self {
        let n = graph.n_nodes();
        // Room for all at once: only what is written is ever in memory.
        let (nodes, parents) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut walk = Self { nodes, parents, orders: vec![NONE; n], leaves };
        let mut seen = walk.leaves.clone();
        let mut stack = Vec::new();
        walk.from(graph, root, &mut seen, &mut stack);
        if graph.orphans_hold() && (0..n as u32).any(|node| !seen.get(node)) {
            let mut referred = Bits::new(n);
            for node in 0..n as u32 {
                graph.successors(node).filter(|&target| target != node).for_each(|target| referred.set(target));
            }
            for orphan in (0..n as u32).filter(|&node| !referred.get(node)) {
                walk.from(graph, orphan, &mut seen, &mut stack);
            }
        }
        walk.nodes.shrink_to_fit();
        walk.parents.shrink_to_fit();
        walk
    }

    /// A child of the root, and all that is reached from it and was not before.
    fn from(&mut self, graph: &impl Successors, start: u32, seen: &mut Bits, stack: &mut Vec<(u32, u32)>) {
        stack.push((start, 0));
        // What is popped was pushed last by the deepest node that refers to it, so parents are those of a depth-first search.
        while let Some((node, parent)) = stack.pop() {
            if seen.get(node) {
                continue;
            }
            seen.set(node);
            let order = self.nodes.len() as u32;
            self.orders[node as usize] = order;
            self.nodes.push(node);
            self.parents.push(parent);
            stack.extend(graph.successors(node).filter(|&target| !seen.get(target)).map(|target| (target, order)));
        }
    }
}

/// Who refers to each node, as orders.
struct Predecessors {
    first: Offsets,
    orders: Vec<u32>,
}

impl Predecessors {
    /// `counts`: how many edges lead to each node, and one 0 more.
    fn of(graph: &impl Successors, mut counts: Vec<u32>, walk: &Walk) -> Self {
        // One predecessor is the parent, which the walk knows; of leaves it does not.
        let mut needed = Bits::new(counts.len());
        let mut n_needed = 0;
        for (node, count) in counts.iter_mut().enumerate() {
            if *count > 1 || *count > 0 && walk.leaves.get(node as u32) {
                needed.set(node as u32);
                n_needed += *count as usize;
            } else {
                *count = 0;
            }
        }
        let mut first = Offsets::ends(counts);
        // Edges from what is not reached leave gaps.
        let mut orders = vec![NONE; n_needed];
        for (node, &order) in walk.orders.iter().enumerate().filter(|&(_, &order)| order != NONE) {
            for target in graph.successors(node as u32).filter(|&target| needed.get(target)) {
                orders[first.retreat(target as usize)] = order;
            }
        }
        Self { first, orders }
    }

    fn of_node(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.orders[self.first.range(node as usize)].iter().copied().filter(|&order| order != NONE)
    }
}

/// The order of the immediate dominator of each order.
fn semi_nca(nodes: &[u32], parents: Vec<u32>, predecessors: &Predecessors) -> Vec<u32> {
    let mut idoms = parents.clone();
    let mut semis = parents.clone();
    // `best[v]`: the least semidominator on the way from `v` up to its ancestor in the forest that is linked so far.
    let mut best: Vec<u32> = (0..nodes.len() as u32).collect();
    let mut ancestors = parents;
    let mut path = Vec::new();
    for order in (1..nodes.len()).rev() {
        let mut semi = semis[order];
        for predecessor in predecessors.of_node(nodes[order]) {
            if semi == 0 {
                break;
            }
            semi = semi.min(least(predecessor, order as u32, &mut ancestors, &mut best, &mut path));
        }
        semis[order] = semi;
        best[order] = semi;
    }
    for order in 1..nodes.len() {
        let semi = semis[order];
        let mut idom = idoms[order];
        while idom > semi {
            idom = idoms[idom as usize];
        }
        idoms[order] = idom;
    }
    idoms
}

/// The least semidominator on the way up from `at`, for orders above `linked`, which are linked to their ancestors; compresses it.
fn least(at: u32, linked: u32, ancestors: &mut [u32], best: &mut [u32], path: &mut Vec<u32>) -> u32 {
    if at <= linked {
        return at;
    }
    let mut top = at;
    while ancestors[top as usize] > linked {
        path.push(top);
        top = ancestors[top as usize];
    }
    let (mut value, end) = (best[top as usize], ancestors[top as usize]);
    while let Some(node) = path.pop() {
        value = value.min(best[node as usize]);
        best[node as usize] = value;
        ancestors[node as usize] = end;
    }
    value
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::graph::Graph;
    use proptest::prelude::*;

    pub(crate) fn graph_of(n: usize, edges: &[(u32, u32)]) -> Graph {
        let mut graph = Graph::default();
        graph.first.push(0);
        for node in 0..n as u32 {
            graph.targets.extend(edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| *to));
            graph.first.push(graph.targets.len());
        }
        graph
    }

    /// What is reached from the root without passing `without`.
    fn reached(graph: &Graph, root: u32, without: Option<u32>) -> Vec<bool> {
        let mut reached = vec![false; graph.n_nodes()];
        let mut stack = vec![root];
        while let Some(node) = stack.pop() {
            if Some(node) != without && !std::mem::replace(&mut reached[node as usize], true) {
                stack.extend(graph.targets(node));
            }
        }
        reached
    }

    /// By the definition: `d` dominates `v` when `v` is not reached without it. The immediate one is dominated by all others.
    pub(crate) fn by_definition(graph: &Graph, root: u32) -> Vec<u32> {
        let n = graph.n_nodes() as u32;
        let all = reached(graph, root, None);
        let without: Vec<Vec<bool>> = (0..n).map(|node| reached(graph, root, Some(node))).collect();
        let dominates = |d: u32, v: u32| d != v && !without[d as usize][v as usize];
        let of = |v: u32| {
            let of_v: Vec<u32> = (0..n).filter(|&d| all[d as usize] && dominates(d, v)).collect();
            of_v.iter().copied().find(|&d| of_v.iter().all(|&other| other == d || dominates(other, d))).unwrap_or(root)
        };
        (0..n).map(|v| if v == root || !all[v as usize] { root } else { of(v) }).collect()
    }

    #[test]
    fn known_graphs_have_known_dominators() {
        let check = |n, edges: &[(u32, u32)], expected: &[u32]| {
            assert_eq!(dominators(&graph_of(n, edges), 0).of, expected, "{edges:?}");
        };
        check(1, &[], &[0]);
        check(4, &[(0, 1), (0, 2), (1, 3), (2, 3)], &[0, 0, 0, 0]);
        check(4, &[(0, 1), (1, 2), (2, 3), (3, 1)], &[0, 0, 1, 2]);
        // The graph of Lengauer and Tarjan's paper, r a b c d e f g h i j k l.
        let paper = [
            (0, 1),
            (0, 2),
            (0, 3),
            (1, 4),
            (2, 1),
            (2, 4),
            (2, 5),
            (3, 6),
            (3, 7),
            (4, 12),
            (5, 8),
            (6, 9),
            (7, 9),
            (7, 10),
            (8, 5),
            (8, 11),
            (9, 11),
            (10, 9),
            (11, 9),
            (11, 0),
            (12, 8),
        ];
        check(13, &paper, &[0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 7, 0, 4]);
    }

    #[test]
    fn what_nothing_refers_to_hangs_on_the_root_and_counts_as_a_way() {
        // 2 is an orphan that refers to 3, which 1 holds too; 4 and 5 hold each other.
        let graph = graph_of(6, &[(0, 1), (1, 3), (2, 3), (4, 5), (5, 4), (5, 1)]);
        assert_eq!(dominators(&graph, 0).of, [0, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn dominators_are_those_of_the_definition(
            (n, edges) in (1_usize..24).prop_flat_map(|n| (Just(n), prop::collection::vec((0..n as u32, 0..n as u32), 0..60)))
        ) {
            // Every orphan hangs on the root, as the definition has no word for it.
            let mut edges = edges;
            for node in 1..n as u32 {
                if !edges.iter().any(|&(from, to)| to == node && from != node) {
                    edges.push((0, node));
                }
            }
            let graph = graph_of(n, &edges);
            let found = dominators(&graph, 0);
            prop_assert_eq!(&found.of, &by_definition(&graph, 0));
            let mut place = vec![0; n];
            found.order.iter().enumerate().for_each(|(at, &node)| place[node as usize] = at);
            prop_assert_eq!(found.order.len(), n);
            prop_assert!((1..n).all(|node| node == found.order[0] as usize || place[found.of[node] as usize] < place[node]));
        }
    }
}
