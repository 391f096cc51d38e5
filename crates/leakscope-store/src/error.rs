//! What can go wrong with the store, by what its caller would do about it.

use std::path::{Path, PathBuf};

use leakscope_model::{CaptureId, CaptureState};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder: stop it or choose another folder.
    #[error("the data folder `{folder}` is in use by {}; stop it or choose another folder", holder(*pid))]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// Who holds it, where its lock file says so.
        pid: Option<u32>,
    },
    /// A newer leakscope wrote the file: use that one.
    #[error("`{path}` has format version {found}, this leakscope reads up to {supported}; use a newer leakscope")]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version this build reads.
        supported: i64,
    },
    /// The file is something else, or its first page is damaged: move it away.
    #[error("`{path}` is not a store of leakscope, found {found}; move it away or choose another folder")]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The disk is full or fails; nothing was written. Worth trying again, [`crate::Store::flush`] does so by itself.
    #[error("writing {what} to `{path}` was refused: {reason}")]
    Refused {
        /// The database file.
        path: PathBuf,
        /// What was to be written.
        what: &'static str,
        /// What the disk or `SQLite` said.
        reason: String,
    },
    /// Reading or writing failed in a way that trying again does not cure.
    #[error("expected to {doing} in `{path}`")]
    Database {
        /// The database file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What `SQLite` said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The capture has no file: it never had one, or it expired.
    #[error("expected capture {} to have a file, found it {}", capture.0, state.name())]
    NoFile {
        /// The capture.
        capture: CaptureId,
        /// What became of it.
        state: CaptureState,
    },
    /// The file system refused.
    #[error("expected to {doing} `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StoreError {
    /// An error of reading.
    pub(crate) fn reading(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        Self::Database { path: path.to_owned(), doing, source: Box::new(source) }
    }

    /// An error of writing: a refusal when the disk is the cause.
    pub(crate) fn writing(path: &Path, what: &'static str, source: rusqlite::Error) -> Self {
        if disk_is_the_cause(&source) {
            return Self::Refused { path: path.to_owned(), what, reason: source.to_string() };
        }
        Self::Database { path: path.to_owned(), doing: what, source: Box::new(source) }
    }
}

/// Whether the disk (full, failing, read-only) made `SQLite` give up.
fn disk_is_the_cause(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    error.sqlite_error_code().is_some_and(|code| {
        matches!(code, ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen)
    })
}

/// Whether a sync to disk failed: what was written before may be lost, and the kernel will not say so twice.
pub(crate) fn sync_failed(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    error.sqlite_error().is_some_and(|e| [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&e.extended_code))
}

/// What was wrong with bytes that should have been a block or a journal row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at} of {len}")]
pub(crate) struct Damage {
    /// Where.
    pub(crate) at: usize,
    /// How many bytes there were.
    pub(crate) len: usize,
    /// What should have been there.
    pub(crate) expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_told_from_a_full_disk() {
        let failure = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        assert!(sync_failed(&failure(rusqlite::ffi::SQLITE_IOERR_FSYNC)));
        assert!(!sync_failed(&failure(rusqlite::ffi::SQLITE_FULL)));
        assert!(disk_is_the_cause(&failure(rusqlite::ffi::SQLITE_FULL)));
        assert!(!disk_is_the_cause(&failure(rusqlite::ffi::SQLITE_CORRUPT)));
    }
}
