//! The dominator tree, downwards.

use crate::heap::{Heap, Node};

/// Who is dominated by whom, at once.
#[derive(Debug)]
pub struct DominatorTree {
    /// `children[first[node]..first[node + 1]]`
    first: Vec<u32>,
    children: Vec<u32>,
}

impl DominatorTree {
    /// What `node` dominates immediately, in the order of the graph.
    pub fn children(&self, node: Node) -> impl ExactSizeIterator<Item = Node> + '_ {
        let range = self.first[node.0 as usize] as usize..self.first[node.0 as usize + 1] as usize;
        self.children[range].iter().copied().map(Node)
    }
}

impl DominatorTree {
    /// From the immediate dominator of each node. One pass; 8 bytes a node.
    pub(crate) fn of(dominators: &[u32], root: u32) -> Self {
        Self::in_place_of(Vec::new(), dominators, root)
    }

    /// As [`DominatorTree::of`], in the memory of `scratch`.
    pub(crate) fn in_place_of(scratch: Vec<u32>, dominators: &[u32], root: u32) -> Self {
        let n = dominators.len();
        let mut first = vec![0_u32; n + 1];
        let below = |node: &u32| *node != root;
        for node in (0..n as u32).filter(below) {
            first[dominators[node as usize] as usize] += 1;
        }
        let mut end = 0;
        for count in &mut first {
            end += *count;
            *count = end;
        }
        let mut children = scratch;
        children.resize(end as usize, 0);
        for node in (0..n as u32).rev().filter(below) {
            let at = &mut first[dominators[node as usize] as usize];
            *at -= 1;
            children[*at as usize] = node;
        }
        Self { first, children }
    }
}

impl Heap<'_> {
    /// The dominator tree downwards. One pass; 8 bytes a node.
    pub fn dominator_tree(&self) -> DominatorTree {
        DominatorTree::of(&self.dominators, self.root)
    }

    /// The biggest of `tree` below `node` by retained size, at most `max`.
    pub fn biggest(&self, tree: &DominatorTree, node: Node, max: usize) -> Vec<Node> {
        let mut children: Vec<Node> = tree.children(node).collect();
        let by_size = |a: &Node, b: &Node| self.retained_bytes(*b).cmp(&self.retained_bytes(*a)).then(a.cmp(b));
        if max < children.len() {
            children.select_nth_unstable_by(max, by_size);
            children.truncate(max);
        }
        children.sort_unstable_by(by_size);
        children
    }
}
