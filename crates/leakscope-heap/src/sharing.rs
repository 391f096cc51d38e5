//! Objects that several hold: none dominates them, and yet one of the holders is where they belong.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Bits;
use crate::heap::{Heap, Node};

/// Objects that are asked for who holds them.
const SAMPLE: usize = 256;
/// The main holder has this part of the objects at least.
const PART_MIN: f64 = 0.5;

/// Holders of this part of what the main one holds are as good.
const NEAR_MOST: f64 = 0.9;
/// Dominators between an object and its branch; what is deeper is in a chain and not asked.
const DEPTH_MAX: usize = 1_000;

/// Who holds most of the objects like `element` that hang where it does, if not what dominates them: what refers to one of them, and that
/// one.
///
/// The branches below the common dominator are compared by how many of the objects they refer to. One pass over the graph.
pub(crate) fn main_holder(heap: &Heap<'_>, element: Node) -> Option<(Node, Node)> {
    let dominator = heap.dominator(element)?;
    let sample = sample(heap, dominator, element);
    let mut sampled = Bits::new(heap.n_nodes());
    for node in &sample {
        sampled.set(node.0);
    }
    let direct: BTreeSet<u32> =
        heap.graph.targets(dominator.0).iter().copied().filter(|&target| sampled.get(target)).collect();
    if direct.len() as f64 > (1.0 - PART_MIN) * sample.len() as f64 {
        return None;
    }
    // Of each branch: what it refers to, and one that refers to one.
    let mut branches: BTreeMap<Node, (BTreeSet<Node>, Node, Node)> = BTreeMap::new();
    for from in heap.nodes().filter(|from| *from != dominator) {
        for &target in heap.graph.targets(from.0).iter().filter(|&&target| sampled.get(target)) {
            if !heap.detail.retains(&heap.graph, from.0, target) {
                continue;
            }
            if let Some(branch) =
                branch_of(heap, from, dominator).filter(|&branch| heap.class(branch) != heap.class(element))
            {
                branches.entry(branch).or_insert((BTreeSet::new(), from, Node(target))).0.insert(Node(target));
            }
        }
    }
    let most = branches.values().map(|(held, ..)| held.len()).max()?;
    // Of those that hold about as many, the one that holds most beside.
    let near = branches.into_iter().filter(|(_, (held, ..))| held.len() as f64 >= NEAR_MOST * most as f64);
    let (_, (held, from, target)) = near.max_by_key(|(branch, _)| heap.retained_bytes(*branch))?;
    (held.len() as f64 >= PART_MIN * sample.len() as f64).then_some((from, target))
}

/// Some of the nodes of the class of `element` that `dominator` dominates, spread over all.
fn sample(heap: &Heap<'_>, dominator: Node, element: Node) -> Vec<Node> {
    let class = heap.class_of.get(element.0);
    let like = |node: &Node| heap.dominators[node.0 as usize] == dominator.0 && heap.class_of.get(node.0) == class;
    let all: Vec<Node> = heap.nodes().filter(like).collect();
    let every = all.len().div_ceil(SAMPLE).max(1);
    all.into_iter().step_by(every).collect()
}

/// The child of `dominator` that dominates `node`, or is it.
fn branch_of(heap: &Heap<'_>, node: Node, dominator: Node) -> Option<Node> {
    let mut at = node;
    for _ in 0..DEPTH_MAX {
        let above = heap.dominator(at)?;
        if above == dominator {
            return Some(at);
        }
        at = above;
    }
    None
}
