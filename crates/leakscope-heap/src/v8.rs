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
mod redact;
mod retention;
mod snapshot;
mod strings;
mod tables;

use crate::dominators::dominators;
use crate::error::HeapError;
use crate::heap::{Format, Heap, Phase};
use crate::retained::{class_retained, retained};
use crate::tree::DominatorTree;

pub(crate) use classes::Interface;
use describe::Described;
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
    let snapshot::Read { mut snapshot, graph, mut self_bytes } = snapshot::read(bytes)?;
    let root = snapshot.root;
    let pairs = retention::WeakPairs::of(&snapshot);
    progress(Phase::Dominators);
    let (owned, ()) = rayon::join(
        || retention::page_owned(&snapshot, &graph),
        || ownership::transfer_sizes(&snapshot, &graph, &mut self_bytes),
    );
    retention::mark(&mut snapshot, &graph, &pairs, &owned);
    let (distances, dominators) = rayon::join(
        || distances::distances(&snapshot, &graph, &pairs),
        || dominators(&retention::Retaining { words: &snapshot.edge_words, graph: &graph }, root),
    );
    progress(Phase::Sizes);
    let retained = retained(&dominators, &self_bytes);
    let dominators = dominators.of;
    let detached = detached::detached(&snapshot, &graph);
    let scripts = describe::Scripts::of(&snapshot, &graph);
    let classes::Classes { of: class_of, mut classes, interfaces } =
        classes::classes(&snapshot, &graph, &self_bytes, &detached, &scripts, interfaces);
    let class_of = class_of.into();
    let tree = DominatorTree::of(&dominators, root);
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
