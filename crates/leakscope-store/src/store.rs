//! The store itself: how it opens, its connections and locks, and how every write and read goes through them.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leakscope_model::{Bytes, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{StoreError, sync_failed};
use crate::evidence::Evidence;
use crate::head::Heads;
use crate::health::{Condition, Health, Part, Problem, Stats};
use crate::journal::Journal;
use crate::lock::FolderLock;
use crate::merge::Fresh;
use crate::schema;

/// Name of the database in the data folder.
const DATABASE_FILE: &str = "leakscope.db";
/// Name of the journal in the data folder.
const JOURNAL_FILE: &str = "leakscope.journal";
/// Connections kept for readers. More readers at once open their own and close them again.
const READERS_KEPT: usize = 4;

/// Limits of a store; the default fits thousands of targets.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Values held in memory before blocks are made of them, 8 bytes each. At half of it a flush makes a checkpoint by
    /// itself; at all of it, when the disk refuses, the oldest are dropped and counted.
    pub head_values_max: usize,
    /// Pages of 4 KiB that the file may have; beyond, writes are refused as on a full disk. `None`: the disk decides.
    pub file_pages_max: Option<u32>,
    /// Size of the journal at which a flush makes a checkpoint by itself.
    pub journal_size_max: Bytes,
}

impl Default for Options {
    fn default() -> Self {
        Self { head_values_max: 4 << 20, file_pages_max: None, journal_size_max: Bytes(64 << 20) }
    }
}

/// The embedded store: one folder, one process. Every method takes `&self` and may be called from any thread; those that
/// touch the disk block for milliseconds (a merge or a close for longer).
///
/// Crash safety: what [`Self::flush`] acknowledged survives the end of the process, however it ends; what
/// [`Self::record`](Store::record), [`CaptureFile::finish`](crate::CaptureFile::finish) and the deliveries acknowledged
/// survives a power cut too. A power cut may take the samples since the last [`Self::checkpoint`].
#[derive(Debug)]
pub struct Store {
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
    // ORDER: writer, then heads, then condition or evidence; readers with none of the others held.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) heads: Mutex<Heads>,
    readers: Mutex<Vec<Connection>>,
    pub(crate) condition: Mutex<Condition>,
    /// Shared with the files that are being written.
    pub(crate) evidence: Arc<Evidence>,
    /// Released last.
    _lock: FolderLock,
}

/// The one connection that writes, and what only it needs to know.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) journal: Journal,
    pub(crate) fresh: Fresh,
    durability: Durability,
}

/// How far a commit must have got before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// With the operating system: survives the end of the process.
    Process,
    /// On the disk: survives a power cut.
    Disk,
}

/// Takes a lock, also after a panic elsewhere: every change under these locks is made in one step or rolled back.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store in `folder`, which is made when it is not there, and takes up what the last process left.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it; [`StoreError::Newer`], [`StoreError::Foreign`] when the file is
    /// not one this build can use; [`StoreError::Refused`], [`StoreError::Io`] when the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, Options::default())
    }

    /// As [`Self::open`], with limits of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(folder: &Path, options: Options) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let lock = FolderLock::take(folder)?;
        let path = folder.join(DATABASE_FILE);
        let db = schema::open_writer(&path, options.file_pages_max)?;
        let fresh = Fresh::count(&db).map_err(|source| StoreError::reading(&path, "count blocks", source))?;
        let journal_path = folder.join(JOURNAL_FILE);
        let (journal, replayed) = Journal::open(&journal_path).map_err(|source| StoreError::Io {
            path: journal_path,
            doing: "open the journal",
            source,
        })?;
        let store = Self {
            evidence: Arc::new(Evidence::beside(&path)),
            path,
            options,
            writer: Mutex::new(Writer { db, journal, fresh, durability: Durability::Process }),
            heads: Mutex::new(Heads::new(options.head_values_max)),
            readers: Mutex::new(Vec::new()),
            condition: Mutex::new(Condition::default()),
            _lock: lock,
        };
        store.replay(&replayed)?;
        store.take_up_files();
        Ok(store)
    }

    /// Whether the disk takes what it is given.
    pub fn health(&self) -> Health {
        lock(&self.condition).health()
    }

    /// The newest rows that could not be read, oldest first, at most 32.
    pub fn problems(&self) -> Vec<Problem> {
        lock(&self.condition).problems()
    }

    /// Counters and gauges, for metrics.
    pub fn stats(&self) -> Stats {
        let heads = lock(&self.heads);
        let damaged_rows = lock(&self.condition).damaged_rows;
        Stats {
            n_heads: heads.len(),
            n_head_values: heads.n_cells(),
            dropped_samples: heads.dropped,
            not_later_readings: heads.not_later,
            damaged_rows,
            file_size: self.file_size(),
        }
    }

    /// Where the journal is.
    pub(crate) fn journal_path(&self) -> PathBuf {
        self.path.with_file_name(JOURNAL_FILE)
    }

    /// The database with its write-ahead log and the journal, as they are on disk.
    fn file_size(&self) -> Bytes {
        let size_of = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        Bytes(size_of(&self.path) + size_of(Path::new(&log)) + size_of(&self.journal_path()))
    }

    /// Tells the store the time, for what is said about its health.
    pub(crate) fn tell(&self, now: Timestamp) {
        let mut condition = lock(&self.condition);
        condition.now = condition.now.max(now);
    }

    pub(crate) fn note(&self, table: &'static str, id: i64, reason: &impl ToString) {
        lock(&self.condition).note(Problem { table, id, reason: reason.to_string() });
    }

    /// Runs `work` in one transaction: all of it or nothing. The outcome is the store's health.
    pub(crate) fn write<T>(
        &self,
        writer: &mut Writer,
        what: &'static str,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if let Some(reason) = lock(&self.condition).sync_failed.clone() {
            return Err(StoreError::Refused { path: self.path.clone(), what, reason });
        }
        let outcome = writer.transact(durability, work);
        let mut condition = lock(&self.condition);
        match outcome {
            Ok(value) => {
                condition.wrote(Part::Database, None);
                Ok(value)
            }
            Err(error) => {
                condition.wrote(Part::Database, Some(&error));
                if sync_failed(&error) {
                    let reason = format!("{error}; an earlier sync failed, so restart once the disk is well");
                    condition.sync_failed = Some(reason);
                }
                Err(StoreError::writing(&self.path, what, error))
            }
        }
    }

    /// Runs `work` on a connection of its own, beside the writer and other readers.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let kept = lock(&self.readers).pop();
        let db = match kept {
            Some(db) => db,
            None => schema::open_reader(&self.path)?,
        };
        let outcome = work(&db);
        let mut readers = lock(&self.readers);
        if readers.len() < READERS_KEPT {
            readers.push(db);
        }
        outcome.map_err(|source| StoreError::reading(&self.path, doing, source))
    }

    /// Closes the readers, so that the log can be folded into the file.
    pub(crate) fn close_readers(&self) {
        lock(&self.readers).clear();
    }
}

impl Writer {
    fn transact<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if durability != self.durability {
            // ORDER: outside of the transaction, within it the setting is ignored.
            let level = if durability == Durability::Disk { "FULL" } else { "NORMAL" };
            self.db.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }
}

/// Makes the folder, for its owner's eyes only: what is in it may tell secrets of the services.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| StoreError::Io {
        path: folder.to_owned(),
        doing: "make the folder",
        source,
    })
}
