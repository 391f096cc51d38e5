//! The database file: its tables, its version and how connections to it are set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::error::StoreError;

/// The version this build writes and the newest that it reads.
pub(crate) const VERSION: i64 = 1;
/// Marks the file as ours (`PRAGMA application_id`): "leak".
const APPLICATION_ID: i64 = 0x6c65_616b;
/// Bytes in a page. Small pages leave little unused at the end of a block.
const PAGE_BYTES: u32 = 4_096;

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE block(id INTEGER PRIMARY KEY, target INTEGER NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX block_by_target ON block(target, end_ms, start_ms);
CREATE INDEX block_by_end ON block(end_ms);
-- a negative node: partly damaged, what could be read is in blocks
CREATE TABLE bundle(id INTEGER PRIMARY KEY, node INTEGER NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
    n INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX bundle_by_node ON bundle(node, end_ms, start_ms, n);
CREATE TABLE target(id INTEGER PRIMARY KEY, job TEXT NOT NULL, instance TEXT NOT NULL, service TEXT NOT NULL,
    version TEXT, labels TEXT NOT NULL, runtime TEXT NOT NULL, interval_ms INTEGER NOT NULL, timeout_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL);
CREATE TABLE incident(id INTEGER PRIMARY KEY, service TEXT NOT NULL, targets TEXT NOT NULL, state TEXT NOT NULL,
    kind TEXT NOT NULL, score REAL NOT NULL, opened_ms INTEGER NOT NULL);
CREATE TABLE transition(incident INTEGER NOT NULL, place INTEGER NOT NULL, at_ms INTEGER NOT NULL, state TEXT NOT NULL,
    cause TEXT NOT NULL, PRIMARY KEY(incident, place)) WITHOUT ROWID;
CREATE TABLE capture(incident INTEGER NOT NULL, place INTEGER NOT NULL, id INTEGER NOT NULL, target INTEGER NOT NULL,
    kind TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY(incident, place)) WITHOUT ROWID;
CREATE TABLE suspect(incident INTEGER NOT NULL, place INTEGER NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, bytes INTEGER NOT NULL, count INTEGER NOT NULL, share REAL NOT NULL, path TEXT NOT NULL,
    stack TEXT NOT NULL, location TEXT, confidence REAL NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY(incident, place)) WITHOUT ROWID;
CREATE TABLE detector(target INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, state BLOB NOT NULL);
";

/// Opens the file for writing, creates its tables when it is new.
pub(crate) fn open_writer(path: &Path, pages_max: Option<u32>) -> Result<Connection, StoreError> {
    let failed = |source| not_ours(path, source);
    let db = Connection::open(path).map_err(failed)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    db.pragma_update(None, "page_size", PAGE_BYTES).map_err(failed)?;
    // ORDER: before the first table, else it takes a whole rewrite of the file.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    check_owner(&db, path)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    db.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    db.pragma_update(None, "journal_size_limit", 16 << 20).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(64);
    if let Some(pages_max) = pages_max {
        db.pragma_update(None, "max_page_count", pages_max).map_err(failed)?;
    }
    match version_of(&db).map_err(failed)? {
        None => create(&db).map_err(failed)?,
        Some(found) if found > VERSION => {
            return Err(StoreError::Newer { path: path.to_owned(), found, supported: VERSION });
        }
        Some(_) => {}
    }
    Ok(db)
}

/// Opens the file for reading beside the writer.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)
        .map_err(|source| StoreError::reading(path, "open for reading", source))?;
    db.busy_timeout(Duration::from_secs(5)).map_err(|source| StoreError::reading(path, "open for reading", source))?;
    Ok(db)
}

fn not_ours(path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            StoreError::Foreign { path: path.to_owned(), found: "no SQLite database".to_owned() }
        }
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            StoreError::Foreign { path: path.to_owned(), found: "a damaged SQLite database".to_owned() }
        }
        _ => StoreError::writing(path, "the first page", source),
    }
}

/// Refuses a database that someone else made.
fn check_owner(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| not_ours(path, source);
    let owner: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let n_tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if owner == APPLICATION_ID || n_tables == 0 {
        return Ok(());
    }
    Err(StoreError::Foreign { path: path.to_owned(), found: "another program's SQLite database".to_owned() })
}

fn version_of(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let exists: i64 = db.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))?;
    if exists == 0 {
        return Ok(None);
    }
    db.query_row("SELECT value FROM meta WHERE key = 'version'", [], |row| row.get(0)).optional()
}

/// All or nothing: a crash in between leaves an empty file, which the next start fills.
fn create(db: &Connection) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("INSERT INTO meta(key, value) VALUES('version', ?1)", [VERSION])?;
    transaction.commit()
}
