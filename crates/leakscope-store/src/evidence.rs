//! Files of captures, in a folder beside the database: written under their capture's number, kept under the digest of
//! their content, for their owner's eyes only. What is in them is the caller's affair: no byte of it is read here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use leakscope_model::{Bytes, Capture, CaptureId, CaptureState, Timestamp};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::captures::Access;
use crate::error::StoreError;
use crate::store::{Store, lock};

/// Name of the folder of captures in the data folder.
const FOLDER: &str = "captures";
/// What the name of a file that is being written ends in.
const PART_SUFFIX: &str = ".part";
/// What a name ends in before that, of a file whose contents are still to be removed.
const RAW_SUFFIX: &str = ".raw";
/// Bytes gathered before they are written; memory of one capture under way.
const BUFFER_BYTES: usize = 256 << 10;

/// The folder of captures, and which files in it no record names yet.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) folder: PathBuf,
    // ORDER: after the store's writer.
    /// Digests of finished files, by the capture whose record is still to name them.
    unrecorded: Mutex<BTreeMap<CaptureId, String>>,
}

/// A file of a capture that is being written, hashed on the way. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct CaptureFile {
    capture: CaptureId,
    evidence: Arc<Evidence>,
    part: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    size: Bytes,
    /// Why a write failed: what is in the file is then not what was hashed.
    failed: Option<String>,
    renamed: bool,
}

/// A whole capture whose contents are still to be removed; it goes when this value does.
#[derive(Debug)]
pub struct RawFile {
    path: PathBuf,
}

impl RawFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        // What cannot be removed is a leftover that the next start removes.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What became of a finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// SHA-256 of the content in hexadecimal, for [`Capture::digest`].
    pub digest: String,
    /// Its size.
    pub size: Bytes,
}

impl Evidence {
    pub(crate) fn beside(database: &Path) -> Self {
        Self { folder: database.with_file_name(FOLDER), unrecorded: Mutex::default() }
    }

    /// Where the content of a digest is; `None` of anything that is no digest, so that no name leads elsewhere.
    pub(crate) fn path_of(&self, digest: &str) -> Option<PathBuf> {
        is_digest(digest).then(|| self.folder.join(digest))
    }

    /// Removes a content that no record names and no record is about to name. Tried again by [`Evidence::sweep`].
    pub(crate) fn remove_unnamed(&self, db: &Connection, digest: &str) -> rusqlite::Result<()> {
        let unrecorded = lock(&self.unrecorded);
        let mut named = db.prepare_cached("SELECT 1 FROM capture WHERE digest = ?1 AND state = 'stored'")?;
        if named.exists([digest])? || unrecorded.values().any(|other| other == digest) {
            return Ok(());
        }
        if let Some(path) = self.path_of(digest) {
            // What cannot be removed now is swept up later, and there it is told.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    /// Names and sizes of the contents that are kept. Other files in the folder are not ours and left alone.
    pub(crate) fn contents(&self) -> io::Result<BTreeMap<String, Bytes>> {
        let mut contents = BTreeMap::new();
        for entry in self.entries()? {
            let (name, size) = entry?;
            if is_digest(&name) {
                contents.insert(name, size);
            }
        }
        Ok(contents)
    }

    /// Removes what processes that are gone did not finish.
    pub(crate) fn remove_parts(&self) -> io::Result<()> {
        for entry in self.entries()? {
            let (name, _) = entry?;
            let number = name.strip_suffix(PART_SUFFIX).map(|name| name.trim_end_matches(RAW_SUFFIX));
            if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
                std::fs::remove_file(self.folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes contents that no record names and no record is about to name.
    pub(crate) fn sweep(&self, db: &Connection) -> Result<(), StoreError> {
        let failed = |source| StoreError::Io { path: self.folder.clone(), doing: "remove leftovers in", source };
        let contents = self.contents().map_err(failed)?;
        let unrecorded = lock(&self.unrecorded);
        let reading = |source| StoreError::reading(&self.folder, "find the owners of files", source);
        let mut named =
            db.prepare_cached("SELECT 1 FROM capture WHERE digest = ?1 AND state = 'stored'").map_err(reading)?;
        for digest in contents.keys() {
            let wanted = named.exists([digest]).map_err(reading)? || unrecorded.values().any(|other| other == digest);
            if !wanted {
                std::fs::remove_file(self.folder.join(digest)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Names and sizes of all files; none without the folder, which the first capture makes.
    fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<(String, Bytes)>>> {
        let found = match std::fs::read_dir(&self.folder) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(found.into_iter().flatten().filter_map(|entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            // A file that went in between is none.
            let size = entry.metadata().ok()?.len();
            Some(Ok((entry.file_name().into_string().ok()?, Bytes(size))))
        }))
    }
}

/// 64 digits, lower case.
fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn refused(path: &Path, source: &io::Error) -> StoreError {
    StoreError::Refused { path: path.to_owned(), what: "a capture", reason: source.to_string() }
}

impl Store {
    /// A new file for a capture's content, mode 0600. The capture is to be on record as running before, and with the digest
    /// and as stored after [`CaptureFile::finish`]; until then nothing removes the file but the end of this process. That
    /// the disk refuses a capture says little of the samples, so it is no matter of [`Store::health`].
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses, or the capture already has a file that is being written.
    pub fn begin_capture_file(&self, capture: CaptureId) -> Result<CaptureFile, StoreError> {
        let evidence = Arc::clone(&self.evidence);
        let failed = |source| refused(&evidence.folder, &source);
        DirBuilder::new().recursive(true).mode(0o700).create(&evidence.folder).map_err(failed)?;
        let part = evidence.folder.join(format!("{}{PART_SUFFIX}", capture.0));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
        let file = file.map_err(|source| refused(&part, &source))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let (hash, size) = (Sha256::new(), Bytes(0));
        Ok(CaptureFile { capture, evidence, part, out, hash, size, failed: None, renamed: false })
    }

    /// Where a capture's content is, for our own analysis; `None` when it is not there (any more). What hands it to
    /// somebody else uses [`Self::open_capture`], which notes who.
    pub fn capture_path(&self, capture: &Capture) -> Option<PathBuf> {
        let digest = capture.digest.as_ref().filter(|_| capture.state == CaptureState::Stored)?;
        self.evidence.path_of(digest).filter(|path| path.is_file())
    }

    /// A capture's content and its size, for somebody: that `by` opened it, and `why`, is on the disk before it is handed out.
    ///
    /// # Errors
    /// [`StoreError::NoFile`] when it has none (any more); [`StoreError::Refused`] when the access cannot be noted;
    /// [`StoreError::Io`] when the file cannot be opened.
    pub fn open_capture(
        &self,
        capture: &Capture,
        by: &str,
        why: &str,
        now: Timestamp,
    ) -> Result<(File, Bytes), StoreError> {
        self.tell(now);
        let Some(path) = self.capture_path(capture) else {
            return Err(StoreError::NoFile { capture: capture.id, state: capture.state });
        };
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = opened.map_err(|source| StoreError::Io { path, doing: "open", source })?;
        self.log_access(&Access { capture: capture.id, at: now, by: by.to_owned(), why: why.to_owned() })?;
        Ok((file, Bytes(size)))
    }

    /// Bytes that captures take on the disk, those that are being written included. They are not part of
    /// [`crate::Stats::file_size`].
    pub fn captures_size(&self) -> Bytes {
        let entries = self.evidence.entries().into_iter().flatten();
        Bytes(entries.filter_map(Result::ok).map(|(_, size)| size.0).sum())
    }

    /// Bytes that the disk can still take where captures are kept; `None` where the system does not say.
    pub fn disk_free(&self) -> Option<Bytes> {
        let disk = rustix::fs::statvfs(self.path.parent()?).ok()?;
        Some(Bytes(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }

    /// Takes note that the record of a capture is final, and removes its file where the record does not name it.
    pub(crate) fn settle_file(&self, db: &Connection, capture: CaptureId) -> Result<(), StoreError> {
        let Some(digest) = lock(&self.evidence.unrecorded).remove(&capture) else { return Ok(()) };
        let removed = self.evidence.remove_unnamed(db, &digest);
        removed.map_err(|source| StoreError::reading(&self.path, "find the owners of a file", source))
    }
}

impl CaptureFile {
    /// Keeps what was written: on the disk under its digest when it returns. Equal contents share one file.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses, now or at an earlier write: nothing is left.
    pub fn finish(mut self) -> Result<Kept, StoreError> {
        if let Some(reason) = self.failed.take() {
            return Err(StoreError::Refused { path: self.part.clone(), what: "a capture", reason });
        }
        self.keep().map_err(|source| refused(&self.part, &source))
    }

    /// Puts what was written aside, to be read while its contents are removed: the capture may then begin a new file.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses, now or at an earlier write: nothing is left.
    pub fn set_aside(mut self) -> Result<RawFile, StoreError> {
        if let Some(reason) = self.failed.take() {
            return Err(StoreError::Refused { path: self.part.clone(), what: "a capture", reason });
        }
        let path = self.evidence.folder.join(format!("{}{RAW_SUFFIX}{PART_SUFFIX}", self.capture.0));
        let moved = self.out.flush().and_then(|()| std::fs::rename(&self.part, &path));
        moved.map_err(|source| refused(&self.part, &source))?;
        self.renamed = true;
        Ok(RawFile { path })
    }

    fn keep(&mut self) -> io::Result<Kept> {
        self.out.flush()?;
        // ORDER: the content before its name, and the name before a record says so.
        self.out.get_ref().sync_all()?;
        let digest = hexadecimal(&std::mem::take(&mut self.hash).finalize());
        let mut unrecorded = lock(&self.evidence.unrecorded);
        std::fs::rename(&self.part, self.evidence.folder.join(&digest))?;
        self.renamed = true;
        File::open(&self.evidence.folder)?.sync_all()?;
        unrecorded.insert(self.capture, digest.clone());
        Ok(Kept { digest, size: self.size })
    }
}

impl Write for CaptureFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.out.write(bytes) {
            Ok(n) => {
                self.hash.update(bytes.get(..n).unwrap_or(bytes));
                self.size.0 += n as u64;
                Ok(n)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failed = Some(error.to_string());
                }
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().inspect_err(|error| self.failed = Some(error.to_string()))
    }
}

impl Drop for CaptureFile {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed is a leftover that the next start removes.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
