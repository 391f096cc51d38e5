//! Merging: the fresh blocks of a target, put down in bundles by checkpoints, become one block, packed as small as it gets.

use std::collections::BTreeMap;

use leakscope_model::{TargetId, Timestamp};
use rusqlite::{Connection, Transaction};

use crate::bundle::{self, NewBundle, Node, bundles_of};
use crate::columns::Columns;
use crate::error::{Damage, StoreError};
use crate::head::{NewBlock, blocks_of};
use crate::packing::Effort;
use crate::samples::insert_block;
use crate::store::{Durability, Store, Writer, lock};

/// Points of a block that is worth merging: nearly thirteen hours at 15 s. Half as many take 4 % more room, twice as many leave
/// more to be read from bundles.
const MERGED_POINTS: usize = 3_072;
/// Nodes come due at up to this many points more, spread by their numbers, so that those which began together do not all
/// merge in one checkpoint.
const SPREAD_POINTS: usize = 768;
/// A target with fewer points waits in a new bundle for the next merge, unless it fell silent.
const FINAL_POINTS_MIN: usize = MERGED_POINTS / 2;
/// Nodes merged in one transaction: the writer is free for others in between.
const BATCH: usize = 2;

/// What waits in bundles to be merged.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// How deep new bundles' nodes lie. Never less deep than any bundle's, except after a merge of all.
    pub(crate) depth: u32,
    points: BTreeMap<Node, usize>,
}

impl Fresh {
    /// As the file has it.
    pub(crate) fn count(db: &Connection) -> rusqlite::Result<Self> {
        let mut query = db.prepare("SELECT node, sum(n) FROM bundle WHERE node > 0 GROUP BY node")?;
        let mut rows = query.query([])?;
        let mut fresh = Self { depth: bundle::depth_of(db)?, points: BTreeMap::new() };
        while let Some(row) = rows.next()? {
            fresh.points.insert(Node(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs() as usize);
        }
        Ok(fresh)
    }

    /// Takes note of a new bundle of a node, of so many points.
    pub(crate) fn add(&mut self, node: Node, n: usize) {
        *self.points.entry(node).or_default() += n;
    }

    /// Nodes with enough points, and those of a tree that was less deep.
    fn due(&self) -> Vec<Node> {
        let due_at = |node: &Node| MERGED_POINTS + node.0.unsigned_abs().wrapping_mul(389) as usize % SPREAD_POINTS;
        let due = self.points.iter().filter(|(node, n)| **n >= due_at(node) || node.depth() != self.depth);
        due.map(|(node, _)| *node).collect()
    }
}

impl Store {
    /// Merges every node that has enough points.
    pub(crate) fn merge_due(&self) -> Result<(), StoreError> {
        let due = lock(&self.writer).fresh.due();
        self.merge(&due)
    }

    /// Merges whatever there is, also what is too short to be final.
    pub(crate) fn merge_all(&self) -> Result<(), StoreError> {
        let all: Vec<Node> = lock(&self.writer).fresh.points.keys().copied().collect();
        self.merge(&all)
    }

    fn merge(&self, nodes: &[Node]) -> Result<(), StoreError> {
        for batch in nodes.chunks(BATCH) {
            self.merge_batch(&mut lock(&self.writer), batch)?;
        }
        Ok(())
    }

    fn merge_batch(&self, writer: &mut Writer, nodes: &[Node]) -> Result<(), StoreError> {
        let depth = writer.fresh.depth;
        let merged = self.write(writer, "merged blocks", Durability::Process, |db| {
            nodes.iter().map(|node| merge_node(db, *node, depth)).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for node in nodes {
            writer.fresh.points.remove(node);
        }
        for outcome in merged {
            for waiting in &outcome.waiting {
                writer.fresh.add(waiting.node, waiting.n);
            }
            for (id, damage) in outcome.damaged {
                self.note("bundle", id, &damage);
            }
        }
        Ok(())
    }
}

/// What a merge leaves.
struct Outcome {
    /// Bundles of targets that are too short.
    waiting: Vec<NewBundle>,
    /// Bundles that could not be read whole; they are kept aside.
    damaged: Vec<(i64, Damage)>,
}

fn merge_node(db: &Transaction<'_>, node: Node, depth: u32) -> rusqlite::Result<Outcome> {
    let Bundles { targets, newest_start, ids, damaged } = bundles_at(db, node)?;
    let mut delete = db.prepare_cached("DELETE FROM bundle WHERE id = ?1")?;
    for id in ids {
        delete.execute([id])?;
    }
    for (id, _) in &damaged {
        db.prepare_cached("UPDATE bundle SET node = -node WHERE id = ?1")?.execute([id])?;
    }
    let (mut last, mut short): (Vec<NewBlock>, Vec<NewBlock>) = (Vec::new(), Vec::new());
    for (target, mut columns) in targets {
        columns.order();
        let silent = columns.at.last().is_none_or(|end| *end < newest_start);
        let blocks = if silent || columns.len() >= FINAL_POINTS_MIN { &mut last } else { &mut short };
        blocks_of(target, &columns, Effort::Dense, blocks);
    }
    for block in &last {
        insert_block(db, block)?;
    }
    let waiting = bundles_of(&short, depth);
    for bundle in &waiting {
        bundle::insert(db, bundle)?;
    }
    Ok(Outcome { waiting, damaged })
}

/// The bundles of a node.
struct Bundles {
    /// Their readings.
    targets: BTreeMap<TargetId, Columns>,
    /// When the newest of them begins.
    newest_start: Timestamp,
    /// The ids of those that could be read.
    ids: Vec<i64>,
    /// Those that could not be read whole.
    damaged: Vec<(i64, Damage)>,
}

fn bundles_at(db: &Transaction<'_>, node: Node) -> rusqlite::Result<Bundles> {
    let mut bundles =
        Bundles { targets: BTreeMap::new(), newest_start: Timestamp::EPOCH, ids: Vec::new(), damaged: Vec::new() };
    let mut query = db.prepare_cached("SELECT id, start_ms, body FROM bundle WHERE node = ?1 ORDER BY end_ms")?;
    let mut rows = query.query([node.0])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        bundles.newest_start = Timestamp::from_millis(row.get(1)?);
        match bundle::read_all(row.get_ref(2)?.as_bytes()?, &mut bundles.targets) {
            Ok(()) => bundles.ids.push(id),
            Err(damage) => bundles.damaged.push((id, damage)),
        }
    }
    Ok(bundles)
}
