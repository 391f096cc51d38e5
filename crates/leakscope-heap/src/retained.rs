//! What would be free without a node: sums over the dominator tree.

use crate::dominators::Dominators;
use crate::graph::{Bits, ClassOf, Sizes};
use crate::heap::{Class, Node};
use crate::tree::DominatorTree;

/// Retained bytes of each node: its own and those of all that it dominates.
pub(crate) fn retained(dominators: &Dominators, self_bytes: &Sizes) -> Sizes {
    let mut retained = self_bytes.clone();
    for &node in dominators.order.iter().skip(1).rev() {
        let bytes = retained.get(node);
        retained.add(dominators.of[node as usize], bytes);
    }
    retained
}

/// Fills in `retained_bytes` of `classes`: the sum over a class's nodes that no node of the same class dominates.
///
/// `class_of`: the class of each node. Nodes without own bytes do not count, as in Chrome `DevTools`.
pub(crate) fn class_retained(
    classes: &mut [Class],
    class_of: &ClassOf,
    self_bytes: &Sizes,
    retained: &Sizes,
    tree: &DominatorTree,
    root: u32,
) {
    // A node to visit, or the class that ends here.
    enum Step {
        Enter(Node),
        Leave(u32),
    }
    let mut open = Bits::new(classes.len());
    let mut stack = vec![Step::Enter(Node(root))];
    while let Some(step) = stack.pop() {
        let node = match step {
            Step::Leave(class) => {
                open.clear(class);
                continue;
            }
            Step::Enter(node) => node,
        };
        let class = class_of.get(node.0);
        let children = tree.children(node);
        if !open.get(class) && self_bytes.get(node.0) > 0 {
            let bytes = &mut classes[class as usize].retained_bytes;
            *bytes = bytes.saturating_add(retained.get(node.0));
            if children.len() > 0 {
                open.set(class);
                stack.push(Step::Leave(class));
            }
        }
        stack.extend(children.map(Step::Enter));
    }
}
