//! Records of captures: every attempt with what became of it, and who looked at what was kept. No file is touched here.

use std::time::Duration;

use leakscope_model::{
    Bytes, Capture, CaptureId, CaptureKind, CaptureState, Cost, IncidentId, Phase, TargetId, Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::store::{Durability, Store, lock};
use crate::targets::{from_sql, to_sql, unknown_name};

/// Who opened which capture, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The capture.
    pub capture: CaptureId,
    /// When.
    pub at: Timestamp,
    /// Who, as far as known: a user's name, an address, a command.
    pub by: String,
    /// What for.
    pub why: String,
}

impl Store {
    /// Records an attempt as it is now, in place of what was recorded under its number. On the disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: the former record stands, and the caller has to try again.
    pub fn record_capture(&self, capture: &Capture) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        self.write(&mut writer, "a capture", Durability::Disk, |db| put_capture(db, capture))?;
        if capture.state != CaptureState::Running {
            self.settle_file(&writer.db, capture.id)?;
        }
        Ok(())
    }

    /// Every attempt, by number. Those that cannot be read are left out and counted.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn captures(&self) -> Result<Vec<Capture>, StoreError> {
        let found = self.read("read captures", |db| {
            let mut query = db.prepare_cached("SELECT * FROM capture ORDER BY id")?;
            let rows = query.query_map([], |row| Ok((row.get::<_, i64>("id")?, capture_of(row))))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut captures = Vec::with_capacity(found.len());
        for (id, capture) in found {
            match capture {
                Ok(capture) => captures.push(capture),
                Err(error) => self.note("capture", id, &error),
            }
        }
        Ok(captures)
    }

    /// One attempt; `None` when its number is not known.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be read.
    pub fn capture(&self, id: CaptureId) -> Result<Option<Capture>, StoreError> {
        self.read("read a capture", |db| {
            let mut query = db.prepare_cached("SELECT * FROM capture WHERE id = ?1")?;
            query.query_row([id.0 as i64], capture_of).optional()
        })
    }

    /// The newest accesses to captures, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn accesses(&self, limit: usize) -> Result<Vec<Access>, StoreError> {
        self.read("read accesses", |db| {
            let mut query = db.prepare_cached("SELECT * FROM access ORDER BY id DESC LIMIT ?1")?;
            let rows = query.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok(Access {
                    capture: CaptureId(row.get::<_, i64>("capture")? as u64),
                    at: Timestamp::from_millis(row.get("at_ms")?),
                    by: row.get("who")?,
                    why: row.get("why")?,
                })
            })?;
            rows.collect()
        })
    }

    /// Notes an access. On the disk when it returns.
    pub(crate) fn log_access(&self, access: &Access) -> Result<(), StoreError> {
        self.write(&mut lock(&self.writer), "an access", Durability::Disk, |db| {
            db.prepare_cached("INSERT INTO access(capture, at_ms, who, why) VALUES(?1, ?2, ?3, ?4)")?
                .execute(params![access.capture.0 as i64, access.at.as_millis(), access.by, access.why])
                .map(drop)
        })
    }
}

pub(crate) fn put_capture(db: &Connection, capture: &Capture) -> rusqlite::Result<()> {
    let cost = capture.cost.as_ref().map(CostRow::from_model);
    db.prepare_cached(
        "INSERT OR REPLACE INTO capture(id, target, service, instance, kind, phase, incident, state, began_ms, ended_ms,
             process_started_ms, predicted, cost, digest, redacted, note)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        capture.id.0 as i64,
        capture.target.0 as i64,
        capture.service,
        capture.instance,
        capture.kind.name(),
        capture.phase.name(),
        capture.incident.map(|incident| incident.0 as i64),
        capture.state.name(),
        capture.began_at.as_millis(),
        capture.ended_at.map(Timestamp::as_millis),
        capture.process_started_at.map(Timestamp::as_millis),
        serde_json::to_string(&CostRow::from_model(&capture.predicted)).map_err(to_sql)?,
        cost.map(|cost| serde_json::to_string(&cost)).transpose().map_err(to_sql)?,
        capture.digest,
        capture.redacted,
        capture.note,
    ])
    .map(drop)
}

pub(crate) fn capture_of(row: &Row<'_>) -> rusqlite::Result<Capture> {
    let name = |column: &str| row.get::<_, String>(column);
    let (kind, phase, state) = (name("kind")?, name("phase")?, name("state")?);
    let at = |column: &str| row.get::<_, Option<i64>>(column).map(|millis| millis.map(Timestamp::from_millis));
    let predicted: CostRow = serde_json::from_str(&name("predicted")?).map_err(from_sql)?;
    let cost: Option<String> = row.get("cost")?;
    let cost: Option<CostRow> = cost.map(|cost| serde_json::from_str(&cost)).transpose().map_err(from_sql)?;
    Ok(Capture {
        id: CaptureId(row.get::<_, i64>("id")? as u64),
        target: TargetId(row.get::<_, i64>("target")? as u64),
        service: row.get("service")?,
        instance: row.get("instance")?,
        kind: CaptureKind::from_name(&kind).ok_or_else(|| unknown_name("a kind of capture", &kind))?,
        phase: Phase::from_name(&phase).ok_or_else(|| unknown_name("a phase of a capture", &phase))?,
        incident: row.get::<_, Option<i64>>("incident")?.map(|incident| IncidentId(incident as u64)),
        state: CaptureState::from_name(&state).ok_or_else(|| unknown_name("a state of a capture", &state))?,
        began_at: Timestamp::from_millis(row.get("began_ms")?),
        ended_at: at("ended_ms")?,
        process_started_at: at("process_started_ms")?,
        predicted: predicted.into_model(),
        cost: cost.map(CostRow::into_model),
        digest: row.get("digest")?,
        redacted: row.get("redacted")?,
        note: row.get("note")?,
    })
}

/// A [`Cost`] as the file has it.
#[derive(Serialize, Deserialize)]
struct CostRow {
    duration_ns: u64,
    pause_ns: u64,
    memory: u64,
    size: u64,
}

impl CostRow {
    fn from_model(cost: &Cost) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            duration_ns: nanos(cost.duration),
            pause_ns: nanos(cost.pause),
            memory: cost.memory.0,
            size: cost.size.0,
        }
    }

    fn into_model(self) -> Cost {
        Cost {
            duration: Duration::from_nanos(self.duration_ns),
            pause: Duration::from_nanos(self.pause_ns),
            memory: Bytes(self.memory),
            size: Bytes(self.size),
        }
    }
}
