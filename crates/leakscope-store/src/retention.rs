//! Retention: what is too old or too much goes, oldest first, and the file gives its pages back.

use std::time::Duration;

use leakscope_model::{Bytes, CaptureState, IncidentState, Timestamp};
use rusqlite::{Connection, Transaction};

use crate::error::StoreError;
use crate::merge::Fresh;
use crate::store::{Durability, Store, lock};

/// Blocks deleted in one transaction: the writer is free for others in between.
const BATCH: i64 = 2_000;

/// How long and how much to keep. Samples obey both; closed incidents, targets not seen, detectors not saved, deliveries
/// that ended, accesses and attempts to capture that left nothing obey the age alone, and open incidents stay. Files of
/// captures are none of it: [`Store::expire_captures`] has limits of its own for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older samples go.
    pub samples_age_max: Duration,
    /// Incidents that were closed longer ago go, with targets and detectors that were last seen longer ago, and what was
    /// delivered, looked at or tried longer ago.
    pub incidents_age_max: Duration,
    /// When the database holds more than this, its oldest samples go. Files of captures do not count.
    pub size_max: Option<Bytes>,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Blocks of samples that went.
    pub n_blocks: u64,
    /// Incidents that went.
    pub n_incidents: u64,
}

impl Store {
    /// Deletes what `retention` does not keep and gives the file's empty pages back. To be called every hour or so.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: deleting needs a little room too.
    pub fn retain(&self, now: Timestamp, retention: Retention) -> Result<Retained, StoreError> {
        self.tell(now);
        let mut retained = Retained::default();
        let samples_from = now.minus(retention.samples_age_max);
        while self.delete_blocks(&mut retained, &Excess::Before(samples_from))? {}
        if let Some(size_max) = retention.size_max {
            while self.delete_blocks(&mut retained, &Excess::Above(size_max))? {}
        }
        let incidents_from = now.minus(retention.incidents_age_max);
        retained.n_incidents =
            self.write(&mut lock(&self.writer), "what retention leaves", Durability::Process, |db| {
                let from = incidents_from.as_millis();
                db.execute("DELETE FROM detector WHERE at_ms < ?1", [from])?;
                db.execute(
                    "DELETE FROM target WHERE last_seen_ms < ?1
                     AND NOT EXISTS(SELECT 1 FROM block WHERE block.target = target.id)",
                    [from],
                )?;
                let n_incidents = delete_incidents(db, from)?;
                delete_records(db, from)?;
                Ok(n_incidents)
            })?;
        while shrink(&lock(&self.writer).db)
            .map_err(|source| StoreError::writing(&self.path, "the shrunk file", source))?
        {}
        Ok(retained)
    }

    /// Deletes one batch of the oldest blocks; whether there may be more to delete.
    fn delete_blocks(&self, retained: &mut Retained, excess: &Excess) -> Result<bool, StoreError> {
        let mut writer = lock(&self.writer);
        let old = |table| {
            let found = excess.oldest(&writer.db, table);
            found.map_err(|source| StoreError::reading(&self.path, "find old blocks", source))
        };
        // Blocks first: what is in bundles is newer.
        let (mut delete, mut ids) = ("DELETE FROM block WHERE id = ?1", old("block")?);
        if ids.is_empty() {
            (delete, ids) = ("DELETE FROM bundle WHERE id = ?1", old("bundle")?);
        }
        if ids.is_empty() {
            return Ok(false);
        }
        self.write(&mut writer, "what retention leaves", Durability::Process, |db| {
            let mut delete = db.prepare_cached(delete)?;
            for id in &ids {
                delete.execute([id])?;
            }
            Ok(())
        })?;
        retained.n_blocks += ids.len() as u64;
        let depth = writer.fresh.depth;
        let counted = Fresh::count(&writer.db);
        writer.fresh = counted.map_err(|source| StoreError::reading(&self.path, "count blocks", source))?;
        writer.fresh.depth = depth;
        Ok(true)
    }
}

/// Which blocks are too many.
enum Excess {
    /// Those that ended before this.
    Before(Timestamp),
    /// The oldest, as long as the file holds more than this.
    Above(Bytes),
}

impl Excess {
    /// The ids of the oldest blocks that have to go, at most [`BATCH`].
    fn oldest(&self, db: &Connection, table: &str) -> rusqlite::Result<Vec<i64>> {
        match self {
            Self::Before(from) => {
                let sql = format!("SELECT id FROM {table} WHERE end_ms < ?1 ORDER BY end_ms LIMIT ?2");
                let mut query = db.prepare_cached(&sql)?;
                query.query_map([from.as_millis(), BATCH], |row| row.get(0))?.collect()
            }
            Self::Above(size_max) => {
                let mut excess = bytes_in_use(db)?.saturating_sub(size_max.0);
                let sql = format!("SELECT id, length(body) FROM {table} ORDER BY end_ms LIMIT ?1");
                let mut query = db.prepare_cached(&sql)?;
                let mut rows = query.query([BATCH])?;
                let mut ids = Vec::new();
                while excess > 0 {
                    let Some(row) = rows.next()? else { break };
                    ids.push(row.get(0)?);
                    excess = excess.saturating_sub(row.get::<_, i64>(1)?.unsigned_abs());
                }
                Ok(ids)
            }
        }
    }
}

/// Gives a batch of the file's empty pages back to the disk; whether there are more.
pub(crate) fn shrink(db: &Connection) -> rusqlite::Result<bool> {
    let mut vacuum = db.prepare_cached("PRAGMA incremental_vacuum(2000)")?;
    let mut rows = vacuum.query([])?;
    // Each step gives one page back.
    while rows.next()?.is_some() {}
    Ok(db.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))? > 0)
}

/// Bytes of the pages that hold something.
fn bytes_in_use(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(pages.unsigned_abs() * pragma("page_size")?.unsigned_abs())
}

/// Deletes incidents whose last transition closed them before `from_ms`; how many.
fn delete_incidents(db: &Transaction<'_>, from_ms: i64) -> rusqlite::Result<u64> {
    let mut query = db.prepare_cached(
        "SELECT id FROM incident WHERE state = ?1
             AND (SELECT max(at_ms) FROM transition WHERE incident = incident.id) < ?2",
    )?;
    let closed = IncidentState::Closed.name();
    let ids = query.query_map((closed, from_ms), |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    for id in &ids {
        db.execute("DELETE FROM suspect WHERE incident = ?1", [id])?;
        db.execute("DELETE FROM transition WHERE incident = ?1", [id])?;
        db.execute("DELETE FROM incident WHERE id = ?1", [id])?;
    }
    Ok(ids.len() as u64)
}

/// Deletes what was recorded of captures and deliveries before `from_ms` and is of no use any more. The capture with the
/// highest number stays, so that numbers go on from it.
fn delete_records(db: &Transaction<'_>, from_ms: i64) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM capture WHERE began_ms < ?1 AND state NOT IN (?2, ?3)
             AND NOT EXISTS(SELECT 1 FROM incident WHERE incident.id = capture.incident)
             AND id < (SELECT max(id) FROM capture)",
        (from_ms, CaptureState::Running.name(), CaptureState::Stored.name()),
    )?;
    db.execute("DELETE FROM access WHERE at_ms < ?1", [from_ms])?;
    db.execute("DELETE FROM delivery WHERE created_ms < ?1 AND (delivered_ms IS NOT NULL OR given_up = 1)", [from_ms])?;
    Ok(())
}
