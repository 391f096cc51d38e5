//! Any bytes as a V8 heap snapshot: as they are, as numbers of a well-formed one, and as a small graph whose dominators are known by
//! their definition. Seeds: `fixtures/heap`, unpacked.
#![no_main]

#[path = "../heap/asked.rs"]
mod asked;
#[path = "../heap/snapshot.rs"]
mod snapshot;

use leakscope_heap::analyse;
use libfuzzer_sys::fuzz_target;
use snapshot::{Node, Snapshot, Taken};

/// Nodes of the graphs that are compared with the definition.
const NODES_MAX: usize = 12;

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    match how % 4 {
        0 => as_it_is(bytes),
        1 => dominators(&mut Taken(bytes)),
        2 => {
            // A snapshot with bytes of it replaced.
            let mut taken = Taken(bytes);
            let places = [(); 6].map(|()| (taken.next(), taken.next(), taken.next()));
            let mut text = Snapshot::of(&mut taken).text().into_bytes();
            for (high, low, by) in places {
                let at = (usize::from(high) << 8 | usize::from(low)) % text.len();
                text[at] = by;
            }
            as_it_is(&text);
        }
        _ => {
            let text = Snapshot::of(&mut Taken(bytes)).text();
            asked::everything_of(&analyse(text.as_bytes(), &|_| {}).expect("a well-formed snapshot"));
        }
    }
});

fn as_it_is(bytes: &[u8]) {
    if let Ok(heap) = analyse(bytes, &|_| {}) {
        asked::everything_of(&heap);
    }
}

/// Compares with what is reached without each node.
fn dominators(bytes: &mut Taken<'_>) {
    let n = 1 + usize::from(bytes.next()) % NODES_MAX;
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); n];
    for from in &mut edges {
        from.extend((0..bytes.next() % 5).map(|_| usize::from(bytes.next()) % n));
    }
    let held = |edges: &[Vec<usize>], node| (0..n).any(|from| from != node && edges[from].contains(&node));
    for node in 1..n {
        // What nothing refers to hangs on the root, for which the definition has no word.
        if !held(&edges, node) {
            edges[0].push(node);
        }
    }
    let node = |(index, targets): (usize, &Vec<usize>)| Node {
        kind: if index == 0 { 9 } else { 3 },
        name: 14,
        id: 2 * index as u64 + 1,
        self_bytes: 8 << index,
        detachedness: 0,
        edges: targets.iter().map(|&target| (2, 24, target)).collect(),
    };
    let text = Snapshot { nodes: edges.iter().enumerate().map(node).collect(), locations: Vec::new() }.text();
    let heap = analyse(text.as_bytes(), &|_| {}).expect("a well-formed snapshot");
    let all = reached(&edges, None);
    let without: Vec<Vec<bool>> = (0..n).map(|node| reached(&edges, Some(node))).collect();
    for node in heap.nodes() {
        let above: Vec<usize> =
            (0..n).filter(|&d| all[d] && all[node.0 as usize] && !without[d][node.0 as usize]).collect();
        let mut claimed: Vec<usize> =
            std::iter::successors(Some(node), |&at| heap.dominator(at)).map(|node| node.0 as usize).collect();
        claimed.sort_unstable();
        assert!(
            claimed == above || !all[node.0 as usize] && claimed.len() == 2,
            "{node:?} of {edges:?}: {claimed:?} {above:?}"
        );
    }
    asked::everything_of(&heap);
}

/// What is reached from the root without passing `without`.
fn reached(edges: &[Vec<usize>], without: Option<usize>) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut stack = vec![0];
    while let Some(node) = stack.pop() {
        if Some(node) != without && !std::mem::replace(&mut reached[node], true) {
            stack.extend(&edges[node]);
        }
    }
    reached
}
