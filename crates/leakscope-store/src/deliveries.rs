//! Deliveries: what receivers are to be told, kept until they were told or given up. What is in a delivery, and when it is
//! tried again, is its sender's affair.

use leakscope_model::{IncidentId, Timestamp};
use rusqlite::{Row, params};

use crate::error::StoreError;
use crate::store::{Durability, Store, lock};

/// What a receiver is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The receiver's name in the configuration.
    pub receiver: String,
    /// The key of the group of alerts: deliveries of one group reach one receiver in their order.
    pub key: String,
    /// The incident it tells of, where it is one.
    pub incident: Option<IncidentId>,
    /// Whether the alert stands, or is over.
    pub firing: bool,
    /// What is sent, as the receiver's kind makes it.
    pub body: String,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it is first tried.
    pub next_try_at: Timestamp,
}

/// What a receiver is to be told, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number, counted up in one store; never given twice.
    pub id: u64,
    /// The receiver's name in the configuration.
    pub receiver: String,
    /// The key of the group of alerts.
    pub key: String,
    /// The incident it tells of, where it is one.
    pub incident: Option<IncidentId>,
    /// Whether the alert stands, or is over.
    pub firing: bool,
    /// What is sent, as the receiver's kind makes it.
    pub body: String,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it is tried next, while it is neither delivered nor given up.
    pub next_try_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When the receiver took it.
    pub delivered_at: Option<Timestamp>,
    /// Whether it will not be tried again.
    pub given_up: bool,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

impl Store {
    /// Keeps new deliveries, all or none; their numbers in the same order. On the disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: none is kept, and the caller has to try again.
    pub fn enqueue(&self, deliveries: &[NewDelivery]) -> Result<Vec<u64>, StoreError> {
        let mut writer = lock(&self.writer);
        self.write(&mut writer, "deliveries", Durability::Disk, |db| {
            let mut insert = db.prepare_cached(
                "INSERT INTO delivery(receiver, group_key, incident, firing, body, created_ms, next_try_ms, attempts,
                     given_up) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0)",
            )?;
            let mut ids = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let id = insert.insert(params![
                    delivery.receiver,
                    delivery.key,
                    delivery.incident.map(|incident| incident.0 as i64),
                    delivery.firing,
                    delivery.body,
                    delivery.created_at.as_millis(),
                    delivery.next_try_at.as_millis(),
                ])?;
                ids.push(id as u64);
            }
            Ok(ids)
        })
    }

    /// Deliveries to try now, by number, at most `limit`. One that still waits holds back the later ones of its group to the
    /// same receiver, so that nobody hears that it is over before hearing that it began.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn due_deliveries(&self, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.read("read due deliveries", |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM delivery WHERE delivered_ms IS NULL AND given_up = 0 AND next_try_ms <= ?1
                     AND NOT EXISTS(SELECT 1 FROM delivery earlier WHERE earlier.receiver = delivery.receiver
                         AND earlier.group_key = delivery.group_key AND earlier.id < delivery.id
                         AND earlier.delivered_ms IS NULL AND earlier.given_up = 0)
                     ORDER BY id LIMIT ?2",
            )?;
            query.query_map([now.as_millis(), to_limit(limit)], delivery_of)?.collect()
        })
    }

    /// Deliveries of a group to one receiver that were neither delivered nor given up, by number.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn waiting_deliveries(&self, receiver: &str, key: &str) -> Result<Vec<Delivery>, StoreError> {
        self.read("read waiting deliveries", |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM delivery WHERE receiver = ?1 AND group_key = ?2 AND delivered_ms IS NULL
                     AND given_up = 0 ORDER BY id",
            )?;
            query.query_map([receiver, key], delivery_of)?.collect()
        })
    }

    /// Notes that a try begins, as `note` in place of the last error, so that a process that is killed meanwhile can tell
    /// afterwards. On the disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: the try must not begin.
    pub fn delivery_under_way(&self, id: u64, note: &str) -> Result<(), StoreError> {
        self.write(&mut lock(&self.writer), "a delivery", Durability::Disk, |db| {
            db.prepare_cached("UPDATE delivery SET last_error = ?2 WHERE id = ?1")?
                .execute(params![id as i64, note])
                .map(drop)
        })
    }

    /// Notes that the receiver took a delivery. On the disk when it returns, so that a restart does not send it twice.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: it stays due.
    pub fn delivery_done(&self, id: u64, now: Timestamp) -> Result<(), StoreError> {
        self.write(&mut lock(&self.writer), "a delivery", Durability::Disk, |db| {
            db.prepare_cached("UPDATE delivery SET delivered_ms = ?2, attempts = attempts + 1 WHERE id = ?1")?
                .execute([id as i64, now.as_millis()])
                .map(drop)
        })
    }

    /// Notes that a try failed, and when the next is; `None` gives the delivery up. On the disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: it stays due.
    pub fn delivery_failed(&self, id: u64, error: &str, next_try_at: Option<Timestamp>) -> Result<(), StoreError> {
        self.write(&mut lock(&self.writer), "a delivery", Durability::Disk, |db| {
            db.prepare_cached(
                "UPDATE delivery SET attempts = attempts + 1, last_error = ?2, given_up = ?3 IS NULL,
                     next_try_ms = coalesce(?3, next_try_ms) WHERE id = ?1",
            )?
            .execute(params![id as i64, error, next_try_at.map(Timestamp::as_millis)])
            .map(drop)
        })
    }

    /// The newest deliveries of every outcome, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn deliveries(&self, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.read("read deliveries", |db| {
            let mut query = db.prepare_cached("SELECT * FROM delivery ORDER BY id DESC LIMIT ?1")?;
            query.query_map([to_limit(limit)], delivery_of)?.collect()
        })
    }
}

fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn delivery_of(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row.get::<_, i64>("id")? as u64,
        receiver: row.get("receiver")?,
        key: row.get("group_key")?,
        incident: row.get::<_, Option<i64>>("incident")?.map(|incident| IncidentId(incident as u64)),
        firing: row.get("firing")?,
        body: row.get("body")?,
        created_at: Timestamp::from_millis(row.get("created_ms")?),
        next_try_at: Timestamp::from_millis(row.get("next_try_ms")?),
        attempts: row.get("attempts")?,
        delivered_at: row.get::<_, Option<i64>>("delivered_ms")?.map(Timestamp::from_millis),
        given_up: row.get("given_up")?,
        last_error: row.get("last_error")?,
    })
}
