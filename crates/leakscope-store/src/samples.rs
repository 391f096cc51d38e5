//! Samples on their way: appended to a head, flushed to the journal, made into blocks; and read back from all three.

use std::time::Duration;

use leakscope_model::{Readings, Signal, TargetId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::block::Block;
use crate::columns::Columns;
use crate::error::{Damage, StoreError};
use crate::head::{Appended, NewBlock};
use crate::journal;
use crate::store::{Durability, Store, Writer, lock};

/// How long a silent target's last time stays in memory; after that the next append asks the file for it.
const HEAD_IDLE_MAX: Duration = Duration::from_hours(1);

impl Store {
    /// Adds one scrape of one target. In memory only: the next [`Self::flush`] makes it last.
    ///
    /// A reading that is not later than the target's last is refused. Cost: under a microsecond, except for the first
    /// one of a target, which asks the file where the target's history ends.
    pub fn append(&self, target: TargetId, at: Timestamp, readings: &Readings) -> Appended {
        let mut heads = lock(&self.heads);
        if heads.get(target).is_none() {
            drop(heads);
            // When the file cannot be read the history's end is unknown; readers bring overlaps into order.
            let last = self.last_block_end(target).unwrap_or(None);
            heads = lock(&self.heads);
            heads.adopt(target, last);
        }
        heads.append(target, at, readings)
    }

    /// Writes everything appended since the last flush to the journal. To be called every few seconds.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: nothing is lost, the next flush tries again.
    pub fn flush(&self, now: Timestamp) -> Result<(), StoreError> {
        self.tell(now);
        let mut writer = lock(&self.writer);
        let (row, ends, crowded) = {
            let heads = lock(&self.heads);
            (journal::row_of(&heads), heads.ends(), heads.crowded())
        };
        if crowded {
            return self.write_blocks(&mut writer, now);
        }
        let Some(row) = row else { return Ok(()) };
        self.write(&mut writer, "the journal", Durability::Process, |db| {
            db.prepare_cached("INSERT INTO journal(body) VALUES(?1)")?.execute([row]).map(drop)
        })?;
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
        self.write_blocks(&mut lock(&self.writer), now)?;
        self.merge_due()
    }

    /// Makes a checkpoint, packs everything as small as it gets and folds the log into the file. The store stays usable.
    ///
    /// # Errors
    /// As [`Self::checkpoint`]; what was flushed is safe in any case.
    pub fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        self.tell(now);
        self.write_blocks(&mut lock(&self.writer), now)?;
        self.merge_all()?;
        self.close_readers();
        let writer = lock(&self.writer);
        let folded = writer
            .db
            .execute_batch("PRAGMA incremental_vacuum")
            .and_then(|()| writer.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        folded.map_err(|source| StoreError::writing(&self.path, "the log's end", source))
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
            each_block(db, target, from, to, |id, body| {
                match Block::parse(body).and_then(|block| extend(&mut columns, &block, signals, from, to)) {
                    Ok(()) => {}
                    Err(damage) => damaged.push((id, damage)),
                }
            })
        })?;
        for (id, damage) in damaged {
            self.note("block", id, &damage);
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
        let found = self.read("read the last block", |db| {
            db.prepare_cached(
                "SELECT id, body FROM block WHERE target = ?1 AND level >= 0 ORDER BY end_ms DESC LIMIT 1",
            )?
            .query_row([target.0 as i64], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .optional()
        })?;
        let Some((id, body)) = found else { return Ok(None) };
        match Block::parse(&body).and_then(|block| block.columns()) {
            Ok(columns) => Ok(last_of(&columns)),
            Err(damage) => {
                self.note("block", id, &damage);
                Ok(None)
            }
        }
    }

    /// Takes up the readings that the last process flushed and did not make blocks of.
    pub(crate) fn replay(&self) -> Result<(), StoreError> {
        let mut after = 0_i64;
        loop {
            let row = self.read("read the journal", |db| {
                db.query_row("SELECT id, body FROM journal WHERE id > ?1 ORDER BY id LIMIT 1", [after], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
                })
                .optional()
            })?;
            let Some((id, body)) = row else { break };
            after = id;
            let replayed = journal::read_row(&body, |target, columns| {
                for (index, at) in columns.at.iter().enumerate() {
                    self.append(target, *at, &columns.readings(index));
                }
            });
            if let Err(damage) = replayed {
                self.note("journal", id, &damage);
            }
            if lock(&self.heads).crowded() {
                self.make_blocks(&mut lock(&self.writer), Timestamp::EPOCH, after)?;
            }
        }
        let mut heads = lock(&self.heads);
        let ends = heads.ends();
        heads.flushed_to(&ends);
        Ok(())
    }

    /// Makes blocks of everything in memory and empties the journal.
    fn write_blocks(&self, writer: &mut Writer, now: Timestamp) -> Result<(), StoreError> {
        self.make_blocks(writer, now, i64::MAX)
    }

    /// As [`Self::write_blocks`], for the journal up to the row `through`.
    fn make_blocks(&self, writer: &mut Writer, now: Timestamp, through: i64) -> Result<(), StoreError> {
        let (blocks, ends) = {
            let heads = lock(&self.heads);
            (heads.blocks(), heads.ends())
        };
        self.write(writer, "blocks", Durability::Disk, |db| {
            for block in &blocks {
                insert_block(db, block, 0)?;
            }
            db.execute("DELETE FROM journal WHERE id <= ?1", [through]).map(drop)
        })?;
        for block in &blocks {
            writer.unmerged.add(block.target, block.n);
        }
        lock(&self.heads).forget_to(&ends, now.minus(HEAD_IDLE_MAX));
        Ok(())
    }

    fn last_block_end(&self, target: TargetId) -> Result<Option<Timestamp>, StoreError> {
        self.read("find the end of a history", |db| {
            db.prepare_cached("SELECT max(end_ms) FROM block WHERE target = ?1")?
                .query_row([target.0 as i64], |row| row.get::<_, Option<i64>>(0))
        })
        .map(|end| end.map(Timestamp::from_millis))
    }
}

/// Writes one block row.
pub(crate) fn insert_block(db: &Transaction<'_>, block: &NewBlock, level: i64) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO block(target, start_ms, end_ms, n, level, body) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            block.target.0 as i64,
            block.start.as_millis(),
            block.end.as_millis(),
            block.n as i64,
            level,
            block.body
        ])
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
        "SELECT id, body FROM block WHERE target = ?1 AND end_ms >= ?2 AND start_ms <= ?3 AND level >= 0 ORDER BY end_ms",
    )?;
    let mut rows = query.query(params![target.0 as i64, from.as_millis(), to.as_millis()])?;
    while let Some(row) = rows.next()? {
        each(row.get(0)?, row.get_ref(1)?.as_bytes()?);
    }
    Ok(())
}

/// Adds the points of `block` within `from..=to` to `columns`, all or nothing.
fn extend(
    columns: &mut Columns,
    block: &Block<'_>,
    signals: &[Signal],
    from: Timestamp,
    to: Timestamp,
) -> Result<(), Damage> {
    let mut read = Columns { at: block.times()?, values: Vec::with_capacity(signals.len()) };
    for signal in signals {
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
