//! Samples on their way: appended to a head, flushed to the journal, made into blocks; and read back from all three.

use std::time::Duration;

use leakscope_model::{Readings, Signal, TargetId, Timestamp};
use rusqlite::{Connection, Transaction, params};

use crate::block::Block;
use crate::bundle;
use crate::columns::Columns;
use crate::error::{Damage, StoreError};
use crate::head::{Appended, NewBlock};
use crate::health::Part;
use crate::journal;
use crate::retention::shrink;
use crate::store::{Durability, Store, Writer, lock};

/// How long a silent target's last time stays in memory; after that the next append asks the file for it.
const HEAD_IDLE_MAX: Duration = Duration::from_hours(24);

impl Store {
    /// Adds one scrape of one target. In memory only: the next [`Self::flush`] makes it last.
    ///
    /// A reading that is not later than the target's last is refused. Cost: under a microsecond, except for the first
    /// one of a target, which asks the file where the target's history ends.
    pub fn append(&self, target: TargetId, at: Timestamp, readings: &Readings) -> Appended {
        if let Some(appended) = lock(&self.heads).append(target, at, readings) {
            return appended;
        }
        // When the file cannot be read the history's end is unknown; readers bring overlaps into order.
        let last = self.last_block_end(target).unwrap_or(None);
        let mut heads = lock(&self.heads);
        heads.adopt(target, last);
        heads.append(target, at, readings).unwrap_or(Appended::Nothing)
    }

    /// Writes everything appended since the last flush to the journal. To be called every few seconds.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: nothing is lost, the next flush tries again.
    pub fn flush(&self, now: Timestamp) -> Result<(), StoreError> {
        self.tell(now);
        let mut writer = lock(&self.writer);
        let (record, ends, crowded) = {
            let heads = lock(&self.heads);
            (journal::record_of(&heads), heads.unflushed_ends(), heads.crowded())
        };
        let journal_full = record
            .as_ref()
            .is_some_and(|record| writer.journal.len() + record.len() as u64 > self.options.journal_size_max.0);
        if crowded || journal_full || lock(&self.condition).is_refusing(Part::Database) {
            let made = self.make_blocks(&mut writer, now);
            if made.is_ok() || journal_full {
                return made;
            }
        }
        let Some(record) = record else { return Ok(()) };
        self.write_journal(&mut writer, &record)?;
        lock(&self.heads).flushed_to(&ends);
        Ok(())
    }

    /// Makes blocks of everything in memory, empties the journal and merges blocks that have become many. To be called
    /// every ten minutes or so; durable against a power cut.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: nothing is lost until memory is full, the next one tries again.
    pub fn checkpoint(&self, now: Timestamp) -> Result<(), StoreError> {
        self.tell(now);
        self.make_blocks(&mut lock(&self.writer), now)?;
        self.merge_due()
    }

    /// Makes a checkpoint, packs everything as small as it gets and folds the log into the file. The store stays usable.
    ///
    /// # Errors
    /// As [`Self::checkpoint`]; what was flushed is safe in any case.
    pub fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        self.tell(now);
        self.make_blocks(&mut lock(&self.writer), now)?;
        self.merge_all()?;
        self.close_readers();
        let failed = |source| StoreError::writing(&self.path, "the log's end", source);
        while shrink(&lock(&self.writer).db).map_err(failed)? {}
        let writer = lock(&self.writer);
        writer.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)
    }

    /// The readings of `signals` of one target from `from` to `to`, both included, ascending. Damaged blocks are left out
    /// and counted, see [`Self::problems`].
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn range(
        &self,
        target: TargetId,
        signals: &[Signal],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Columns, StoreError> {
        // ORDER: the head first. A checkpoint in between then shows its points twice, never not at all.
        let newest = {
            let heads = lock(&self.heads);
            heads.get(target).map(|head| clipped(&head.columns, signals, from, to)).unwrap_or_default()
        };
        let mut columns = Columns::default();
        let mut damaged = Vec::new();
        self.read("read blocks", |db| {
            // One transaction: a merge in between must not hide what it moves.
            let db = db.unchecked_transaction()?;
            each_block(&db, target, from, to, |id, body| {
                if let Err(damage) = extend(&mut columns, body, signals, from, to) {
                    damaged.push(("block", id, damage));
                }
            })?;
            bundle::each_entry(&db, target, from, to, |id, entry| {
                if let Err(damage) = entry.and_then(|entry| extend(&mut columns, entry.block, signals, from, to)) {
                    damaged.push(("bundle", id, damage));
                }
            })
        })?;
        for (table, id, damage) in damaged {
            self.note(table, id, &damage);
        }
        columns.order();
        let last = columns.at.last().copied();
        let new = last.map_or(0, |last| newest.at.partition_point(|at| *at <= last));
        columns.extend(&newest, new, newest.len());
        Ok(columns)
    }

    /// The last reading of one target.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn last(&self, target: TargetId) -> Result<Option<(Timestamp, Readings)>, StoreError> {
        let newest = {
            let heads = lock(&self.heads);
            heads.get(target).and_then(|head| last_of(&head.columns))
        };
        if newest.is_some() {
            return Ok(newest);
        }
        let end = self.last_block_end(target)?;
        let Some(end) = end else { return Ok(None) };
        Ok(last_of(&self.range(target, &Signal::ALL, end, end)?))
    }

    /// Takes up the `journal` of the last process and makes blocks of it.
    pub(crate) fn replay(&self, journal: &[u8]) -> Result<(), StoreError> {
        let mut damaged = Vec::new();
        let mut outcome = Ok(());
        let whole = journal::read(
            journal,
            |target, at, readings| {
                self.append(target, at, readings);
                if outcome.is_ok() && lock(&self.heads).crowded() {
                    outcome = self.keep_blocks(&mut lock(&self.writer), Timestamp::EPOCH);
                }
            },
            |place, damage| damaged.push((place, damage)),
        );
        for (place, damage) in damaged {
            self.note("journal", place as i64, &damage);
        }
        // What was refused here is no news, and not the caller's doing.
        lock(&self.heads).not_later = 0;
        let mut writer = lock(&self.writer);
        match outcome.and_then(|()| self.make_blocks(&mut writer, Timestamp::EPOCH)) {
            // The disk is full or fails: the journal stays as it is, and everything can be read.
            Err(StoreError::Refused { .. }) => {
                drop(writer.journal.cut(whole as u64));
                let mut heads = lock(&self.heads);
                let ends = heads.ends();
                heads.flushed_to(&ends);
                Ok(())
            }
            made => made,
        }
    }

    fn write_journal(&self, writer: &mut Writer, record: &[u8]) -> Result<(), StoreError> {
        let written = writer.journal.append(record);
        let refusal = written.as_ref().err().map(|error| error as &dyn std::fmt::Display);
        lock(&self.condition).wrote(Part::Journal, refusal);
        written.map_err(|error| StoreError::Refused {
            path: self.journal_path(),
            what: "the journal",
            reason: error.to_string(),
        })
    }

    /// Makes blocks of everything in memory and empties the journal.
    fn make_blocks(&self, writer: &mut Writer, now: Timestamp) -> Result<(), StoreError> {
        self.keep_blocks(writer, now)?;
        // When the file cannot be cut its readings are replayed at the next start, and refused as not later.
        drop(writer.journal.cut(0));
        lock(&self.condition).wrote(Part::Journal, None);
        Ok(())
    }

    /// Makes blocks of everything in memory, node by node: what is packed for one is written before the next is packed, and
    /// appends come in between. One transaction, since a commit for each would be a sync for each.
    fn keep_blocks(&self, writer: &mut Writer, now: Timestamp) -> Result<(), StoreError> {
        // Taken with the look at whether there is anything: what comes later is not forgotten unwritten.
        let (mut ends, all_empty) = {
            let heads = lock(&self.heads);
            (heads.ends(), heads.all_empty())
        };
        if all_empty {
            if lock(&self.condition).is_refusing(Part::Database) {
                self.probe(writer)?;
            }
        } else {
            let depth = writer.fresh.depth.max(bundle::depth_for(ends.len()));
            let nodes = bundle::by_node(ends.iter().map(|(target, _)| *target), depth);
            let mut written = Vec::with_capacity(nodes.len());
            ends.clear();
            self.write(writer, "blocks", Durability::Disk, |db| {
                for targets in nodes.values() {
                    let (blocks, ends_of_node) = lock(&self.heads).blocks(targets);
                    ends.extend(ends_of_node);
                    for bundle in bundle::bundles_of(&blocks, depth) {
                        bundle::insert(db, &bundle)?;
                        written.push((bundle.node, bundle.n));
                    }
                }
                Ok(())
            })?;
            writer.fresh.depth = depth;
            for (node, n) in written {
                writer.fresh.add(node, n);
            }
        }
        lock(&self.heads).forget_to(&ends, now.minus(HEAD_IDLE_MAX));
        Ok(())
    }

    /// Writes a little, to learn whether the disk takes it again.
    fn probe(&self, writer: &mut Writer) -> Result<(), StoreError> {
        self.write(writer, "a probe", Durability::Disk, |db| {
            db.execute("INSERT OR REPLACE INTO meta(key, value) VALUES('probe', 0)", []).map(drop)
        })
    }

    /// When the newest block of `target` ends, fresh ones included.
    fn last_block_end(&self, target: TargetId) -> Result<Option<Timestamp>, StoreError> {
        self.read("find the end of a history", |db| {
            let db = db.unchecked_transaction()?;
            let end: Option<i64> = db
                .prepare_cached("SELECT max(end_ms) FROM block WHERE target = ?1")?
                .query_row([target.0 as i64], |row| row.get(0))?;
            Ok(end.map(Timestamp::from_millis).max(bundle::last_end(&db, target)?))
        })
    }
}

/// Writes one block row.
pub(crate) fn insert_block(db: &Transaction<'_>, block: &NewBlock) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO block(target, start_ms, end_ms, body) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![block.target.0 as i64, block.start.as_millis(), block.end.as_millis(), block.body])
        .map(drop)
}

/// Hands every block of `target` that touches `from..=to` to `each`, in order of their ends.
fn each_block(
    db: &Connection,
    target: TargetId,
    from: Timestamp,
    to: Timestamp,
    mut each: impl FnMut(i64, &[u8]),
) -> rusqlite::Result<()> {
    let mut query = db.prepare_cached(
        "SELECT id, body FROM block WHERE target = ?1 AND end_ms >= ?2 AND start_ms <= ?3 ORDER BY end_ms",
    )?;
    let mut rows = query.query(params![target.0 as i64, from.as_millis(), to.as_millis()])?;
    while let Some(row) = rows.next()? {
        each(row.get(0)?, row.get_ref(1)?.as_bytes()?);
    }
    Ok(())
}

/// Adds the points of the block `body` within `from..=to` to `columns`, all or nothing.
fn extend(
    columns: &mut Columns,
    body: &[u8],
    signals: &[Signal],
    from: Timestamp,
    to: Timestamp,
) -> Result<(), Damage> {
    let block = Block::parse(body)?;
    let mut read = Columns { at: block.times()?, values: Vec::with_capacity(signals.len()) };
    for (place, signal) in signals.iter().enumerate() {
        if signals[..place].contains(signal) {
            continue;
        }
        if let Some(values) = block.column(*signal)? {
            read.values.push((*signal, values));
        }
    }
    let (start, end) = places(&read.at, from, to);
    columns.extend(&read, start, end);
    Ok(())
}

/// Of a head: the points within `from..=to` and only the columns of `signals`.
fn clipped(columns: &Columns, signals: &[Signal], from: Timestamp, to: Timestamp) -> Columns {
    let (start, end) = places(&columns.at, from, to);
    let wanted = columns.values.iter().filter(|(signal, _)| signals.contains(signal));
    Columns {
        at: columns.at[start..end].to_vec(),
        values: wanted.map(|(signal, values)| (*signal, values[start..end].to_vec())).collect(),
    }
}

/// The places `start..end` of the times within `from..=to`.
fn places(at: &[Timestamp], from: Timestamp, to: Timestamp) -> (usize, usize) {
    let start = at.partition_point(|at| *at < from);
    (start, at.partition_point(|at| *at <= to).max(start))
}

fn last_of(columns: &Columns) -> Option<(Timestamp, Readings)> {
    columns.at.last().map(|at| (*at, columns.readings(columns.len() - 1)))
}
