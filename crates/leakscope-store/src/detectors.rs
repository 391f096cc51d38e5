//! Checkpoints of detectors, so that a restart goes on where the last process stopped. Opaque bytes here.

use leakscope_model::{TargetId, Timestamp};
use rusqlite::params;

use crate::error::StoreError;
use crate::store::{Durability, Store, lock};

/// What a detector remembered of one target, and when; its bytes are the detector's own.
pub type DetectorCheckpoint = (TargetId, Timestamp, Vec<u8>);

impl Store {
    /// Keeps these detectors' states in place of their former ones, all or none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses.
    pub fn save_checkpoint(&self, detectors: &[DetectorCheckpoint]) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        self.write(&mut writer, "detector checkpoints", Durability::Process, |db| {
            let mut insert =
                db.prepare_cached("INSERT OR REPLACE INTO detector(target, at_ms, state) VALUES(?1, ?2, ?3)")?;
            for (target, at, state) in detectors {
                insert.execute(params![target.0 as i64, at.as_millis(), state])?;
            }
            Ok(())
        })
    }

    /// The last state of every detector, by target.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<DetectorCheckpoint>, StoreError> {
        self.read("read detector checkpoints", |db| {
            let mut query = db.prepare_cached("SELECT target, at_ms, state FROM detector ORDER BY target")?;
            let rows = query.query_map([], |row| {
                Ok((TargetId(row.get::<_, i64>(0)? as u64), Timestamp::from_millis(row.get(1)?), row.get(2)?))
            })?;
            rows.collect()
        })
    }
}
