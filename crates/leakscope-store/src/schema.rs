//! The database file: its tables, its version and how connections to it are set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::error::StoreError;

/// The version this build writes and the newest that it reads; older files are brought to it when they are opened.
pub(crate) const VERSION: i64 = STEPS.len() as i64;
/// Marks the file as ours (`PRAGMA application_id`): "leak".
const APPLICATION_ID: i64 = 0x6c65_616b;
/// Bytes in a page. Small pages leave little unused at the end of a block.
const PAGE_BYTES: u32 = 4_096;

/// What makes each version of the one before it, a new file of nothing. A released step never changes.
const STEPS: [&str; 2] = [VERSION_1, VERSION_2];

const VERSION_1: &str = "
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

/// Captures become attempts of their own with kept files, findings say what speaks for them, and there are deliveries.
/// Version 1 never kept a file of a capture.
const VERSION_2: &str = "
ALTER TABLE capture RENAME TO former_capture;
CREATE TABLE capture(id INTEGER PRIMARY KEY, target INTEGER NOT NULL, service TEXT NOT NULL, instance TEXT NOT NULL,
    kind TEXT NOT NULL, phase TEXT NOT NULL, incident INTEGER, state TEXT NOT NULL, began_ms INTEGER NOT NULL,
    ended_ms INTEGER, process_started_ms INTEGER, predicted TEXT NOT NULL, cost TEXT, digest TEXT,
    redacted INTEGER NOT NULL, note TEXT NOT NULL);
CREATE INDEX capture_by_digest ON capture(digest) WHERE state = 'stored';
INSERT OR IGNORE INTO capture
    SELECT former.id, former.target, incident.service,
        coalesce((SELECT instance FROM target WHERE target.id = former.target), printf('%016x', former.target)),
        CASE former.kind WHEN 'v8-heapsnapshot' THEN 'v8-snapshot' ELSE former.kind END, 'asked', former.incident,
        'expired', former.at_ms, former.at_ms, NULL, '{\"duration_ns\":0,\"pause_ns\":0,\"memory\":0,\"size\":0}', NULL,
        NULL, 0, 'recorded by an earlier version of leakscope, which kept no file of it'
    FROM former_capture former JOIN incident ON incident.id = former.incident;
ALTER TABLE incident ADD COLUMN captures TEXT NOT NULL DEFAULT '[]';
UPDATE incident SET captures = (SELECT json_group_array(former.id ORDER BY former.place) FROM former_capture former
    WHERE former.incident = incident.id);
DROP TABLE former_capture;
ALTER TABLE suspect ADD COLUMN identity TEXT;
ALTER TABLE suspect ADD COLUMN growth_bytes INTEGER;
ALTER TABLE suspect ADD COLUMN growth_count INTEGER;
ALTER TABLE suspect ADD COLUMN grew_in_every_step INTEGER;
ALTER TABLE suspect ADD COLUMN captures TEXT NOT NULL DEFAULT '[]';
ALTER TABLE suspect ADD COLUMN confirmations INTEGER NOT NULL DEFAULT 0;
CREATE TABLE access(id INTEGER PRIMARY KEY AUTOINCREMENT, capture INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL);
-- no number is given twice, also after the newest row went
CREATE TABLE delivery(id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, group_key TEXT NOT NULL,
    incident INTEGER, firing INTEGER NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL,
    next_try_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, delivered_ms INTEGER, given_up INTEGER NOT NULL,
    last_error TEXT);
CREATE INDEX delivery_pending ON delivery(receiver, group_key, id) WHERE delivered_ms IS NULL AND given_up = 0;
";

/// Opens the file for writing, and creates its tables when it is new or brings them to this version when it is older.
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
    let found = version_of(&db).map_err(failed)?;
    if found > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, supported: VERSION });
    }
    bring_up_from(&db, found).map_err(failed)?;
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

/// The version of the file; 0 of one without tables.
fn version_of(db: &Connection) -> rusqlite::Result<i64> {
    let exists: i64 = db.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))?;
    if exists == 0 {
        return Ok(0);
    }
    let version = db.query_row("SELECT value FROM meta WHERE key = 'version'", [], |row| row.get(0)).optional()?;
    Ok(version.unwrap_or(0))
}

/// All or nothing: a crash in between leaves the file as it was, and the next start begins anew.
fn bring_up_from(db: &Connection, found: i64) -> rusqlite::Result<()> {
    let steps = usize::try_from(found).ok().and_then(|found| STEPS.get(found..)).unwrap_or_default();
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = db.unchecked_transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.execute("INSERT OR REPLACE INTO meta(key, value) VALUES('version', ?1)", [VERSION])?;
    transaction.commit()
}
