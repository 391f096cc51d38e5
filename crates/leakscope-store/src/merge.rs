//! Merging: many small blocks of one target, written by checkpoints, become one that is packed as small as it gets.

use std::collections::BTreeMap;

use leakscope_model::TargetId;
use rusqlite::{Connection, Transaction};

use crate::block::Block;
use crate::columns::Columns;
use crate::error::{Damage, StoreError};
use crate::head::blocks_of;
use crate::packing::Effort;
use crate::samples::insert_block;
use crate::store::{Durability, Store, Writer, lock};

/// Points of a final block at least: six hours at 15 s. Larger ones pack little better and take longer to read.
const MERGED_POINTS_MIN: usize = 1_440;
/// Targets come due at up to this many points more, spread by their ids, so that those which began together do not all
/// merge in one checkpoint.
const SPREAD_POINTS: usize = 480;
/// Targets merged in one transaction: the writer is free for others in between.
const BATCH: usize = 32;

/// How many points each target has in blocks that are still to be merged.
#[derive(Debug, Default)]
pub(crate) struct Unmerged(BTreeMap<TargetId, Pending>);

#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    n_points: usize,
    n_blocks: usize,
}

impl Unmerged {
    /// As the file has it.
    pub(crate) fn count(db: &Connection) -> rusqlite::Result<Self> {
        let mut query = db.prepare("SELECT target, sum(n), count(*) FROM block WHERE level = 0 GROUP BY target")?;
        let mut rows = query.query([])?;
        let mut unmerged = Self::default();
        while let Some(row) = rows.next()? {
            let pending =
                Pending { n_points: row.get::<_, i64>(1)? as usize, n_blocks: row.get::<_, i64>(2)? as usize };
            unmerged.0.insert(TargetId(row.get::<_, i64>(0)? as u64), pending);
        }
        Ok(unmerged)
    }

    pub(crate) fn add(&mut self, target: TargetId, n_points: usize) {
        let pending = self.0.entry(target).or_default();
        pending.n_points += n_points;
        pending.n_blocks += 1;
    }

    fn due(&self) -> Vec<TargetId> {
        let due_at = |target: &TargetId| MERGED_POINTS_MIN + (target.0 % SPREAD_POINTS as u64) as usize;
        self.0
            .iter()
            .filter(|(target, pending)| pending.n_points >= due_at(target))
            .map(|(target, _)| *target)
            .collect()
    }

    fn several(&self) -> Vec<TargetId> {
        self.0.iter().filter(|(_, pending)| pending.n_blocks > 1).map(|(target, _)| *target).collect()
    }
}

impl Store {
    /// Merges the blocks of every target that has enough of them.
    pub(crate) fn merge_due(&self) -> Result<(), StoreError> {
        let due = lock(&self.writer).unmerged.due();
        self.merge(&due)
    }

    /// Merges whatever there is, also what is too short to be final.
    pub(crate) fn merge_all(&self) -> Result<(), StoreError> {
        let targets = lock(&self.writer).unmerged.several();
        self.merge(&targets)
    }

    fn merge(&self, targets: &[TargetId]) -> Result<(), StoreError> {
        for batch in targets.chunks(BATCH) {
            self.merge_batch(&mut lock(&self.writer), batch)?;
        }
        Ok(())
    }

    fn merge_batch(&self, writer: &mut Writer, targets: &[TargetId]) -> Result<(), StoreError> {
        let merged = self.write(writer, "merged blocks", Durability::Process, |db| {
            targets.iter().map(|target| merge_target(db, *target)).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for (target, (left, damaged)) in targets.iter().zip(merged) {
            match left {
                Some(pending) => writer.unmerged.0.insert(*target, pending),
                None => writer.unmerged.0.remove(target),
            };
            for (id, damage) in damaged {
                self.note("block", id, &damage);
            }
        }
        Ok(())
    }
}

/// What is still to be merged afterwards, and the blocks that could not be read, which are kept aside.
type Outcome = (Option<Pending>, Vec<(i64, Damage)>);

fn merge_target(db: &Transaction<'_>, target: TargetId) -> rusqlite::Result<Outcome> {
    let Blocks { columns, ids, damaged } = unmerged_of(db, target)?;
    for id in ids {
        db.prepare_cached("DELETE FROM block WHERE id = ?1")?.execute([id])?;
    }
    for (id, _) in &damaged {
        db.prepare_cached("UPDATE block SET level = -1 WHERE id = ?1")?.execute([id])?;
    }
    if columns.is_empty() {
        return Ok((None, damaged));
    }
    let level = i64::from(columns.len() >= MERGED_POINTS_MIN);
    let mut blocks = Vec::new();
    blocks_of(target, &columns, Effort::Dense, &mut blocks);
    for block in &blocks {
        insert_block(db, block, level)?;
    }
    let left = (level == 0).then_some(Pending { n_points: columns.len(), n_blocks: blocks.len() });
    Ok((left, damaged))
}

/// The unmerged blocks of a target.
#[derive(Default)]
struct Blocks {
    /// Their readings.
    columns: Columns,
    /// Their ids.
    ids: Vec<i64>,
    /// Those that could not be read.
    damaged: Vec<(i64, Damage)>,
}

fn unmerged_of(db: &Transaction<'_>, target: TargetId) -> rusqlite::Result<Blocks> {
    let mut blocks = Blocks::default();
    let mut query = db.prepare_cached("SELECT id, body FROM block WHERE target = ?1 AND level = 0 ORDER BY end_ms")?;
    let mut rows = query.query([target.0 as i64])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        match Block::parse(row.get_ref(1)?.as_bytes()?).and_then(|block| block.columns()) {
            Ok(read) => {
                blocks.columns.extend(&read, 0, read.len());
                blocks.ids.push(id);
            }
            Err(damage) => blocks.damaged.push((id, damage)),
        }
    }
    blocks.columns.order();
    Ok(blocks)
}
