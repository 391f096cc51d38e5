//! How far from the root each node is.

use crate::graph::Graph;
use crate::heap::Heap;

/// Least number of edges from `root` to each node; [`Heap::UNREACHED`] where there is no way.
pub(crate) fn distances(graph: &Graph, root: u32) -> Vec<u32> {
    let mut distances = vec![Heap::UNREACHED; graph.n_nodes()];
    distances[root as usize] = 0;
    let (mut ring, mut next) = (vec![root], Vec::new());
    let mut distance = 0;
    while !ring.is_empty() {
        distance += 1;
        for &node in &ring {
            for &to in graph.targets(node) {
                if distances[to as usize] == Heap::UNREACHED {
                    distances[to as usize] = distance;
                    next.push(to);
                }
            }
        }
        ring.clear();
        std::mem::swap(&mut ring, &mut next);
    }
    distances
}
