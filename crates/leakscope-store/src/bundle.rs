//! Bundles: the fresh blocks of several targets in one row, as a checkpoint makes them. One row for each target would
//! cost more than what is in it; one row for all would have to be read whole for a single target.
//!
//! Targets are put together by the first bits of a hash of their ids, as many bits as give about a dozen targets. A node
//! of that tree is numbered as in a heap: `1 << depth | bits`. The body: for each target its id and the time of its last
//! point (8 bytes each, little-endian), the length of its block (a varint) and the block.

use std::collections::BTreeMap;

use leakscope_model::{TargetId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::block::Block;
use crate::bytes::{Cursor, put_varint};
use crate::columns::Columns;
use crate::error::Damage;
use crate::head::NewBlock;

/// Nodes are at most this deep: 4,096 of them.
pub(crate) const DEPTH_MAX: u32 = 12;
/// Targets in a node, on average, beyond which nodes are split in two.
const NODE_TARGETS: usize = 16;

/// A place in the tree of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node(pub(crate) i64);

impl Node {
    /// The node of `target` at `depth`.
    pub(crate) const fn of(target: TargetId, depth: u32) -> Self {
        let hash = target.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = if depth == 0 { 0 } else { hash >> (64 - depth) };
        Self((1_u64 << depth | bits) as i64)
    }

    /// How deep it lies.
    pub(crate) const fn depth(self) -> u32 {
        self.0.unsigned_abs().ilog2()
    }
}

/// How deep the nodes lie for so many targets.
pub(crate) fn depth_for(n_targets: usize) -> u32 {
    (n_targets / NODE_TARGETS).checked_ilog2().map_or(0, |depth| (depth + 1).min(DEPTH_MAX))
}

/// A bundle to be written.
#[derive(Debug)]
pub(crate) struct NewBundle {
    pub(crate) node: Node,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// Points of the target that has most.
    pub(crate) n: usize,
    body: Vec<u8>,
}

/// Targets by their nodes.
pub(crate) fn by_node(targets: impl Iterator<Item = TargetId>, depth: u32) -> BTreeMap<Node, Vec<TargetId>> {
    let mut nodes: BTreeMap<Node, Vec<TargetId>> = BTreeMap::new();
    for target in targets {
        nodes.entry(Node::of(target, depth)).or_default().push(target);
    }
    nodes
}

/// Puts blocks together by the nodes of their targets.
pub(crate) fn bundles_of(blocks: &[NewBlock], depth: u32) -> Vec<NewBundle> {
    let mut by_node: BTreeMap<Node, NewBundle> = BTreeMap::new();
    for block in blocks {
        let node = Node::of(block.target, depth);
        let bundle = by_node.entry(node).or_insert_with(|| NewBundle {
            node,
            start: block.start,
            end: block.end,
            n: 0,
            body: Vec::new(),
        });
        bundle.start = bundle.start.min(block.start);
        bundle.end = bundle.end.max(block.end);
        bundle.n = bundle.n.max(block.n);
        bundle.body.extend_from_slice(&block.target.0.to_le_bytes());
        bundle.body.extend_from_slice(&block.end.as_millis().to_le_bytes());
        put_varint(&mut bundle.body, block.body.len() as u64);
        bundle.body.extend_from_slice(&block.body);
    }
    by_node.into_values().collect()
}

/// One target's part of a bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) target: TargetId,
    pub(crate) end: Timestamp,
    pub(crate) block: &'a [u8],
}

/// The entries of a bundle's body, up to the first that is damaged.
pub(crate) fn entries(body: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Damage>> {
    let mut cursor = Some(Cursor::new(body));
    std::iter::from_fn(move || {
        let mut at = cursor.take().filter(|cursor| cursor.remaining() > 0)?;
        let entry = read_entry(&mut at);
        if entry.is_ok() {
            cursor = Some(at);
        }
        Some(entry)
    })
}

fn read_entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Damage> {
    let target = TargetId(u64::from_le_bytes(cursor.array("a target")?));
    let end = Timestamp::from_millis(i64::from_le_bytes(cursor.array("a time")?));
    let len = cursor.count(cursor.remaining(), "a length")?;
    Ok(Entry { target, end, block: cursor.take(len, "a block")? })
}

/// Every reading of a bundle, by target; and what could not be read.
pub(crate) fn read_all(body: &[u8], targets: &mut BTreeMap<TargetId, Columns>) -> Result<(), Damage> {
    let mut outcome = Ok(());
    for entry in entries(body) {
        let read = entry.and_then(|entry| Ok((entry.target, Block::parse(entry.block)?.columns()?)));
        match read {
            Ok((target, columns)) => targets.entry(target).or_default().extend(&columns, 0, columns.len()),
            Err(damage) => outcome = Err(damage),
        }
    }
    outcome
}

/// Writes one bundle row.
pub(crate) fn insert(db: &Transaction<'_>, bundle: &NewBundle) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO bundle(node, start_ms, end_ms, n, body) VALUES(?1, ?2, ?3, ?4, ?5)")?
        .execute(params![bundle.node.0, bundle.start.as_millis(), bundle.end.as_millis(), bundle.n as i64, bundle.body])
        .map(drop)
}

/// Hands every fresh block of `target` that may touch `from..=to` to `each`, with the id of its bundle.
pub(crate) fn each_entry(
    db: &Connection,
    target: TargetId,
    from: Timestamp,
    to: Timestamp,
    mut each: impl FnMut(i64, Result<Entry<'_>, Damage>),
) -> rusqlite::Result<()> {
    let mut query = db.prepare_cached(
        "SELECT id, body FROM bundle WHERE node = ?1 AND end_ms >= ?2 AND start_ms <= ?3 ORDER BY end_ms",
    )?;
    for depth in 0..=DEPTH_MAX {
        let mut rows = query.query(params![Node::of(target, depth).0, from.as_millis(), to.as_millis()])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            for entry in entries(row.get_ref(1)?.as_bytes()?) {
                if entry.as_ref().map_or(true, |entry| entry.target == target) {
                    each(id, entry);
                }
            }
        }
    }
    Ok(())
}

/// When the newest fresh block of `target` ends.
pub(crate) fn last_end(db: &Connection, target: TargetId) -> rusqlite::Result<Option<Timestamp>> {
    let mut last = None;
    let mut query = db.prepare_cached("SELECT body FROM bundle WHERE node = ?1 ORDER BY end_ms DESC")?;
    for depth in 0..=DEPTH_MAX {
        let mut rows = query.query([Node::of(target, depth).0])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_bytes()?;
            let found = entries(body).flatten().filter(|entry| entry.target == target).map(|entry| entry.end).max();
            if found.is_some() {
                last = last.max(found);
                break;
            }
        }
    }
    Ok(last)
}

/// The deepest node of any bundle.
pub(crate) fn depth_of(db: &Connection) -> rusqlite::Result<u32> {
    let node: Option<i64> = db.query_row("SELECT max(node) FROM bundle", [], |row| row.get(0)).optional()?.flatten();
    Ok(node.filter(|node| *node > 0).map_or(0, |node| Node(node).depth().min(DEPTH_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nodes_of_one_target_lie_on_one_path() {
        let target = TargetId(0x0123_4567_89ab_cdef);
        for depth in 0..DEPTH_MAX {
            assert_eq!(Node::of(target, depth + 1).0 >> 1, Node::of(target, depth).0);
            assert_eq!(Node::of(target, depth).depth(), depth);
        }
    }

    #[test]
    fn nodes_hold_about_a_dozen_targets() {
        let depths: Vec<u32> = [0, 1, 15, 16, 31, 32, 1_000, 1 << 30].into_iter().map(depth_for).collect();
        assert_eq!(depths, [0, 0, 0, 1, 1, 2, 6, DEPTH_MAX]);
    }

    #[test]
    fn blocks_come_back_from_their_bundle() {
        let block = |target, byte| NewBlock {
            target: TargetId(target),
            start: Timestamp::from_millis(1),
            end: Timestamp::from_millis(target as i64),
            n: 1,
            body: vec![byte; 3],
        };
        let bundles = bundles_of(&[block(1, 10), block(2, 20)], 0);
        assert_eq!(bundles.len(), 1);
        let found: Vec<_> = entries(&bundles[0].body)
            .map(|entry| entry.map(|entry| (entry.target.0, entry.end.as_millis(), entry.block.to_vec())))
            .collect();
        assert_eq!(found, [Ok((1, 1, vec![10; 3])), Ok((2, 2, vec![20; 3]))]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_entries_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_all(&bytes, &mut BTreeMap::new());
        }
    }
}
