//! Sizes where people look for them: what belongs to one object alone is added to it. `calculateShallowSizes` of DevTools.
//!
//! The elements of an array, the table of a map, the properties of an object are nodes of their own in V8. When one object alone
//! leads to them, over such nodes alone, their bytes are its bytes.

use crate::graph::{Bits, Graph, Sizes};

use super::retention::is_user_root;
use super::snapshot::{NodeKind, Snapshot};

/// Not reached yet.
const NONE: u32 = u32::MAX;
/// Reached from several owners.
const SEVERAL: u32 = u32::MAX - 1;

/// Moves the own bytes of what one node owns to that node.
pub(super) fn transfer_sizes(snapshot: &Snapshot<'_>, graph: &Graph, self_bytes: &mut Sizes) {
    // Without an entry of the program's the snapshot shows the engine's own memory, which is to be seen as it is.
    if !graph.targets(snapshot.root).iter().any(|&child| is_user_root(snapshot, child)) {
        return;
    }
    let n = snapshot.n_nodes();
    let external = snapshot.strings.find(["system / ExternalStringData"])[0];
    let mut ownable = Bits::new(n);
    let mut n_ownable = 0;
    for node in 0..n as u32 {
        let owns = match snapshot.kind(node) {
            NodeKind::Hidden | NodeKind::Array => true,
            NodeKind::Native => Some(snapshot.names[node as usize]) == external,
            _ => false,
        };
        if owns {
            ownable.set(node);
            n_ownable += 1;
        }
    }
    // Owners of the ownable nodes alone, by their rank among them.
    let ranks = Ranks::of(&ownable, n);
    let mut owners = vec![NONE; n_ownable];
    let mut changed: Vec<u32> = Vec::new();
    let reach = |source: u32, owner: u32, owners: &mut [u32], changed: &mut Vec<u32>| {
        for edge in graph.first.range(source as usize) {
            let target = graph.targets[edge];
            if !ownable.get(target) || snapshot.edge_words[edge].is_weak() {
                continue;
            }
            let found = &mut owners[ranks.get(&ownable, target)];
            match *found {
                NONE => *found = owner,
                SEVERAL => continue,
                same if same == owner => continue,
                _ => *found = SEVERAL,
            }
            changed.push(target);
        }
    };
    for source in (0..n as u32).filter(|&node| !ownable.get(node)) {
        reach(source, source, &mut owners, &mut changed);
        // What it reaches is followed at once: near in memory, and the list stays short.
        while let Some(node) = changed.pop() {
            let owner = owners[ranks.get(&ownable, node)];
            reach(node, owner, &mut owners, &mut changed);
        }
    }
    for (node, &owner) in ownable.ones().zip(&owners) {
        if owner < SEVERAL && owner != snapshot.root && snapshot.kind(owner) != NodeKind::Synthetic {
            self_bytes.add(owner, self_bytes.get(node));
            self_bytes.set(node, 0);
        }
    }
}

/// How many ones stand before a bit.
struct Ranks {
    /// Before each block of 64.
    before: Vec<u32>,
}

impl Ranks {
    fn of(bits: &Bits, n: usize) -> Self {
        let mut before = Vec::with_capacity(n.div_ceil(64));
        let mut count = 0;
        for word in bits.words() {
            before.push(count);
            count += word.count_ones();
        }
        Self { before }
    }

    #[inline]
    fn get(&self, bits: &Bits, node: u32) -> usize {
        let below = bits.words()[node as usize / 64] & ((1 << (node % 64)) - 1);
        (self.before[node as usize / 64] + below.count_ones()) as usize
    }
}
