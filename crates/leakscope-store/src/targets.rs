//! Targets that were ever watched, so that a restart can name them and their histories before the first scrape.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{Runtime, Target, TargetId, Timestamp};
use rusqlite::{Row, params};

use crate::error::StoreError;
use crate::store::{Durability, Store, lock};

/// A target the store remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownTarget {
    /// As it was last seen.
    pub target: Target,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

const RUNTIMES: [Runtime; 7] =
    [Runtime::Go, Runtime::Node, Runtime::Jvm, Runtime::Python, Runtime::DotNet, Runtime::Native, Runtime::Unknown];

impl Store {
    /// Remembers a target, in place of what was known under its id.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses.
    pub fn remember_target(&self, target: &Target, last_seen: Timestamp) -> Result<(), StoreError> {
        self.remember_targets(&[(target, last_seen)])
    }

    /// Remembers many targets in one transaction, all or none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses.
    pub fn remember_targets(&self, targets: &[(&Target, Timestamp)]) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        self.write(&mut writer, "targets", Durability::Process, |db| {
            let mut insert = db.prepare_cached(
                "INSERT OR REPLACE INTO target(id, job, instance, service, version, labels, runtime, interval_ms,
                     timeout_ms, last_seen_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            for (target, last_seen) in targets {
                insert.execute(params![
                    target.id.0 as i64,
                    target.job,
                    target.instance,
                    target.service,
                    target.version,
                    serde_json::to_string(&target.labels).map_err(to_sql)?,
                    target.runtime.name(),
                    millis(target.interval),
                    millis(target.timeout),
                    last_seen.as_millis(),
                ])?;
            }
            Ok(())
        })
    }

    /// Every target the store remembers, by id. Rows that cannot be read are left out and counted.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn targets(&self) -> Result<Vec<KnownTarget>, StoreError> {
        let rows = self.read("read targets", |db| {
            let mut query = db.prepare_cached("SELECT * FROM target ORDER BY id")?;
            query.query_map([], |row| Ok((row.get::<_, i64>("id")?, known_target(row))))?.collect::<Result<Vec<_>, _>>()
        })?;
        let mut targets = Vec::with_capacity(rows.len());
        for (id, target) in rows {
            match target {
                Ok(target) => targets.push(target),
                Err(error) => self.note("target", id, &error),
            }
        }
        Ok(targets)
    }
}

fn known_target(row: &Row<'_>) -> rusqlite::Result<KnownTarget> {
    let labels: String = row.get("labels")?;
    let labels: BTreeMap<String, String> = serde_json::from_str(&labels).map_err(from_sql)?;
    let runtime: String = row.get("runtime")?;
    let target = Target {
        id: TargetId(row.get::<_, i64>("id")? as u64),
        job: row.get("job")?,
        instance: row.get("instance")?,
        service: row.get("service")?,
        version: row.get("version")?,
        labels,
        // A runtime that a newer version knew is unknown to this one.
        runtime: RUNTIMES.into_iter().find(|known| known.name() == runtime).unwrap_or_default(),
        interval: Duration::from_millis(row.get::<_, i64>("interval_ms")?.unsigned_abs()),
        timeout: Duration::from_millis(row.get::<_, i64>("timeout_ms")?.unsigned_abs()),
    };
    Ok(KnownTarget { target, last_seen: Timestamp::from_millis(row.get("last_seen_ms")?) })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A value that could not be made into JSON.
pub(crate) fn to_sql(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// JSON that could not be made into a value.
pub(crate) fn from_sql(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
}

/// A published name that this version does not know.
pub(crate) fn unknown_name(expected: &str, found: &str) -> rusqlite::Error {
    let unknown = format!("expected {expected}, found `{found}`");
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, unknown.into())
}
