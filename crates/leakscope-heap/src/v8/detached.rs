//! Which nodes of the embedder are detached from their document: `propagateDOMState` of DevTools.

use crate::graph::{Bits, Graph};

use super::snapshot::{Link, NodeKind, Snapshot};

const ATTACHED: u8 = 1;
const DETACHED: u8 = 2;

/// The detached nodes. The state of those that the file knows is handed on through nodes of the embedder alone; attached wins.
pub(super) fn detached(snapshot: &Snapshot<'_>, graph: &Graph) -> Bits {
    let n = snapshot.n_nodes();
    let mut detached = Bits::new(n);
    if snapshot.layout.node.place("detachedness").is_none() {
        // Snapshots of old say it in the name.
        for node in 0..n as u32 {
            let raw = || snapshot.strings.raw(snapshot.names[node as usize]);
            if snapshot.kind(node) == NodeKind::Native && raw().starts_with(b"Detached ") {
                detached.set(node);
            }
        }
        return detached;
    }
    if snapshot.detachedness.is_empty() {
        return detached;
    }
    let mut visited = Bits::new(n);
    let (mut attached_list, mut detached_list) = (Vec::new(), Vec::new());
    for &(node, state) in &snapshot.detachedness {
        visited.set(node);
        match state {
            ATTACHED if snapshot.kind(node) == NodeKind::Native => attached_list.push(node),
            DETACHED if snapshot.kind(node) == NodeKind::Native => {
                detached.set(node);
                detached_list.push(node);
            }
            _ => {}
        }
    }
    hand_on(snapshot, graph, attached_list, &mut visited, |_| {});
    hand_on(snapshot, graph, detached_list, &mut visited, |node| detached.set(node));
    detached
}

fn hand_on(snapshot: &Snapshot<'_>, graph: &Graph, mut list: Vec<u32>, visited: &mut Bits, mut found: impl FnMut(u32)) {
    while let Some(node) = list.pop() {
        for edge in graph.first.range(node as usize) {
            let target = graph.targets[edge];
            if matches!(snapshot.edge_words[edge].link(), Link::Hidden | Link::Weak) || visited.get(target) {
                continue;
            }
            visited.set(target);
            if snapshot.kind(target) == NodeKind::Native {
                found(target);
                list.push(target);
            }
        }
    }
}
