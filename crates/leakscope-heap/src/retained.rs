//! What would be free without a node: sums over the dominator tree.
