//! How long files of captures are kept: by age, then by size, oldest first. Records of them stay, see `retention.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{Bytes, Capture, CaptureId, CaptureState, Timestamp};
use rusqlite::Connection;

use crate::captures::{capture_of, put_capture};
use crate::error::StoreError;
use crate::store::{Durability, Store, Writer, lock};

impl Store {
    /// Removes files of captures that began longer ago than `age_max`, then the oldest until the rest takes no more than
    /// `size_max`, and those that no record names. Returns the records that are expired now. A content that several
    /// captures share counts once, and goes with the last of them. To be called every hour or so.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: nothing is expired. [`StoreError::Io`] when the folder cannot be
    /// read or a file cannot be removed.
    pub fn expire_captures(
        &self,
        now: Timestamp,
        age_max: Duration,
        size_max: Bytes,
    ) -> Result<Vec<Capture>, StoreError> {
        self.tell(now);
        let mut writer = lock(&self.writer);
        self.evidence.sweep(&writer.db)?;
        let contents = self.evidence.contents();
        let contents = contents.map_err(|source| StoreError::Io {
            path: self.evidence.folder.clone(),
            doing: "read the folder",
            source,
        })?;
        let stored = self.stored(&writer.db)?;
        let expired = excess(stored, &contents, now.minus(age_max), size_max);
        self.expire(&mut writer, expired)
    }

    /// Removes the file of a capture; its record, expired now, or `None` when it had no file.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: the file stays.
    pub fn remove_capture(&self, id: CaptureId) -> Result<Option<Capture>, StoreError> {
        let mut writer = lock(&self.writer);
        let stored = self.stored(&writer.db)?.into_iter().find(|capture| capture.id == id);
        let mut expired = self.expire(&mut writer, stored.into_iter().collect())?;
        Ok(expired.pop())
    }

    /// Removes what a process that is gone left: what it had not finished, and what it had not recorded.
    pub(crate) fn take_up_files(&self) {
        let writer = lock(&self.writer);
        // A leftover keeps nobody from opening the store; `expire_captures` tries again and tells.
        let _ = self.evidence.remove_parts();
        let _ = self.evidence.sweep(&writer.db);
    }

    /// Captures whose files are kept, oldest first.
    fn stored(&self, db: &Connection) -> Result<Vec<Capture>, StoreError> {
        let read = || {
            let mut query = db.prepare_cached("SELECT * FROM capture WHERE state = ?1 ORDER BY began_ms, id")?;
            let rows = query.query_map([CaptureState::Stored.name()], |row| Ok((row.get("id")?, capture_of(row))))?;
            rows.collect::<rusqlite::Result<Vec<(i64, _)>>>()
        };
        let rows = read().map_err(|source| StoreError::reading(&self.path, "read captures", source))?;
        let mut captures = Vec::with_capacity(rows.len());
        for (id, capture) in rows {
            match capture {
                Ok(capture) => captures.push(capture),
                Err(error) => self.note("capture", id, &error),
            }
        }
        Ok(captures)
    }

    fn expire(&self, writer: &mut Writer, mut captures: Vec<Capture>) -> Result<Vec<Capture>, StoreError> {
        if captures.is_empty() {
            return Ok(captures);
        }
        for capture in &mut captures {
            capture.state = CaptureState::Expired;
        }
        // ORDER: the record before the file. A crash in between leaves a file that no record names, and that is swept up.
        self.write(writer, "what expiry leaves", Durability::Disk, |db| {
            captures.iter().try_for_each(|capture| put_capture(db, capture))
        })?;
        for digest in captures.iter().filter_map(|capture| capture.digest.as_ref()) {
            let removed = self.evidence.remove_unnamed(&writer.db, digest);
            removed.map_err(|source| StoreError::reading(&self.path, "find the owners of a file", source))?;
        }
        Ok(captures)
    }
}

/// Which of `stored`, oldest first, are too old or too much. A record whose file somebody took away is of no size.
fn excess(stored: Vec<Capture>, contents: &BTreeMap<String, Bytes>, from: Timestamp, size_max: Bytes) -> Vec<Capture> {
    let mut n_owners: BTreeMap<String, usize> = BTreeMap::new();
    for digest in stored.iter().filter_map(|capture| capture.digest.as_ref()) {
        *n_owners.entry(digest.clone()).or_default() += 1;
    }
    let size_of = |digest: &String| contents.get(digest).map_or(0, |size| size.0);
    let mut size: u64 = n_owners.keys().map(size_of).sum();
    let mut expired = Vec::new();
    for capture in stored {
        if capture.began_at >= from && size <= size_max.0 {
            continue;
        }
        if let Some(digest) = &capture.digest
            && let Some(n) = n_owners.get_mut(digest)
        {
            *n -= 1;
            if *n == 0 {
                size -= size_of(digest);
            }
        }
        expired.push(capture);
    }
    expired
}
