//! V8 heap snapshots: read as they are, understood as Chrome DevTools understands them.
//!
//! The rules are those of `front_end/entrypoints/heap_snapshot_worker/HeapSnapshot.ts` (chrome-devtools-frontend 1.0.1705227), so that
//! figures can be compared node by node; where they are named below, they are named as there.

mod classes;
mod describe;
mod detached;
mod distances;
mod layout;
mod numbers;
mod ownership;
mod read;
mod redact;
mod retention;
mod snapshot;
mod strings;
mod tables;
mod traces;
mod uses;

use crate::dominators::{Dominators, dominators};
use crate::error::HeapError;
use crate::format::Format;
use crate::heap::{Heap, Phase};
use crate::retained::{class_retained, retained};
use crate::tree::DominatorTree;

pub(crate) use classes::Interface;
use describe::Described;
pub(crate) use distances::SYSTEM_BASE;
pub(crate) use redact::redact;

/// Bytes in which the first key of a snapshot must come.
const START_BYTES: usize = 64;

/// Whether these are the first bytes of a snapshot.
pub(crate) fn is_snapshot(bytes: &[u8]) -> bool {
    let start = bytes[..bytes.len().min(START_BYTES)].trim_ascii_start();
    start.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
}

/// Reads and analyses a snapshot.
///
/// # Errors
/// [`HeapError`] at the first byte that does not fit; a snapshot is whole or of no use, since its names come last.
///
/// `interfaces`: what to call plain objects by, where the snapshot is compared with another.
pub(crate) fn analyse<'a>(
    bytes: &'a [u8],
    interfaces: Option<&[Interface]>,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<Heap<'a>, HeapError> {
    progress(Phase::Reading);
    let read::Read { mut snapshot, graph, mut self_bytes } = read::read(bytes)?;
    let root = snapshot.root;
    let pairs = retention::WeakPairs::of(&snapshot);
    progress(Phase::Dominators);
    let owned = retention::page_owned(&snapshot, &graph);
    retention::mark(&mut snapshot, &graph, &pairs, &owned);
    drop(owned);
    // Beside the dominators only what needs little memory: they need most.
    let (dominators, ()) = rayon::join(
        || dominators(&retention::Retaining { words: &snapshot.edge_words, graph: &graph }, root),
        || ownership::transfer_sizes(&snapshot, &graph, &mut self_bytes),
    );
    progress(Phase::Sizes);
    let scripts = describe::Scripts::of(&snapshot, &graph);
    let (distances, (retained, found, detached)) = rayon::join(
        || distances::distances(&snapshot, &graph, &pairs),
        || {
            let detached = detached::detached(&snapshot, &graph);
            let found = classes::classes(&snapshot, &graph, &self_bytes, &detached, &scripts, interfaces);
            (retained(&dominators, &self_bytes), found, detached)
        },
    );
    let classes::Classes { of: class_of, all: mut classes, interfaces } = found;
    let class_of = class_of.into();
    let Dominators { of: dominators, order } = dominators;
    let tree = DominatorTree::in_place_of(order, &dominators, root);
    class_retained(&mut classes, &class_of, &self_bytes, &retained, &tree, root);
    Ok(Heap {
        format: Format::V8HeapSnapshot,
        file_bytes: bytes.len() as u64,
        root,
        self_bytes,
        class_of,
        classes,
        dominators,
        retained,
        distances: distances.into(),
        detail: Box::new(Described::new(snapshot, &graph, detached, scripts)),
        graph,
        interfaces,
        warnings: Vec::new(),
    })
}
