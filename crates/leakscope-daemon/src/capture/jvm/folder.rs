//! A private folder in a JVM's own files, for what it writes: gone with all that is in it when dropped, and not to be guessed before.
//!
//! A JVM that is stopped in between finds no folder to write to when it goes on, so that nothing is left behind.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use leakscope_model::{Bytes, Timestamp};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::process::geteuid;

use super::super::CaptureError;
use super::hotspot::Hotspot;

/// Where a folder is made, as the JVM sees it: the first that is on a disk and has room; else the first in memory.
const PLACES: [&str; 2] = ["/tmp", "/var/tmp"];
/// `statfs`' kind of a file system in memory, whose files count as the JVM's memory in a container.
const TMPFS: i64 = 0x0102_1994;
/// What our folders begin with; 32 hexadecimal digits follow.
const PREFIX: &str = "leakscope-";
/// The file in it that we ask for.
const EVIDENCE: &str = "evidence";
/// A folder this old is nobody's any more.
const LEFT_OVER_AFTER: Duration = Duration::from_hours(1);
/// How often a folder is emptied that the JVM writes to meanwhile; after that it stays, and goes at a later survey.
const REMOVE_ATTEMPTS: usize = 3;
/// Most entries of a place that are looked at for folders that were left over.
const ENTRIES_MAX: usize = 65_536;

/// A folder of the JVM's user, mode 0700.
#[derive(Debug)]
pub(super) struct Folder {
    place: OwnedFd,
    name: String,
    opened: OwnedFd,
    /// The file in it, as the JVM names it.
    pub(super) path: String,
}

/// Room for a file in a JVM's own file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: &'static str,
    pub(super) free: Bytes,
    /// Whether what is written there takes memory.
    pub(super) in_memory: bool,
}

/// The best place for a file of `wanted` bytes.
///
/// # Errors
/// Why there is none, as a sentence.
pub(super) fn place(jvm: &Hotspot, wanted: Bytes) -> Result<Place, String> {
    let mut places: Vec<Place> = PLACES.into_iter().filter_map(|path| look(jvm, path)).collect();
    places.sort_by_key(|place| place.in_memory);
    let most = places.iter().map(|place| place.free).max().unwrap_or(Bytes(0));
    places.into_iter().find(|place| place.free >= wanted).ok_or_else(|| {
        format!(
            "the JVM's file system has {} MiB free, a dump wants {} MiB: free some in its `/tmp`",
            most.0 >> 20,
            wanted.0.div_ceil(1 << 20)
        )
    })
}

fn look(jvm: &Hotspot, path: &'static str) -> Option<Place> {
    let folder = jvm.folder(path).ok()?;
    let stat = rustix::fs::fstatvfs(&folder).ok()?;
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return None;
    }
    let in_memory = rustix::fs::fstatfs(&folder).is_ok_and(|stat| stat.f_type == TMPFS);
    Some(Place { path, free: Bytes(stat.f_bavail.saturating_mul(stat.f_frsize)), in_memory })
}

impl Folder {
    /// A new folder in `place`.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when it cannot be made.
    pub(super) fn new(jvm: &Hotspot, place: Place) -> Result<Self, CaptureError> {
        let path = place.path;
        let cannot = |error: rustix::io::Errno| {
            CaptureError::Unavailable(format!(
                "a folder for the JVM to write to cannot be made in its `{path}`: {error}"
            ))
        };
        let at = jvm.folder(path).map_err(cannot)?;
        let name = format!("{PREFIX}{}", random().map_err(CaptureError::Disk)?);
        rustix::fs::mkdirat(&at, &name, Mode::RWXU).map_err(cannot)?;
        let opened = open(&at, &name).and_then(|folder| {
            if geteuid() != jvm.user {
                rustix::fs::chownat(&folder, "", Some(jvm.user), Some(jvm.group), AtFlags::EMPTY_PATH)?;
            }
            Ok(folder)
        });
        match opened {
            Ok(opened) => Ok(Self { path: format!("{path}/{name}/{EVIDENCE}"), place: at, name, opened }),
            Err(error) => {
                let _ = rustix::fs::unlinkat(&at, &name, AtFlags::REMOVEDIR);
                Err(cannot(error))
            }
        }
    }

    /// The file that the JVM has written. It has no name any more when this returns, so that it is gone when it is closed.
    ///
    /// # Errors
    /// [`CaptureError::Unexpected`] when there is no file.
    pub(super) fn open(&self) -> Result<File, CaptureError> {
        let unexpected = |found: String| CaptureError::Unexpected { from: "the JVM".into(), expected: "a file", found };
        // A link would lead us, who may read more than the JVM, to somebody else's file; a pipe would keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.opened, EVIDENCE, flags, Mode::empty());
        let file = File::from(file.map_err(|error| unexpected(error.to_string()))?);
        let kind = file.metadata().map_err(|error| unexpected(error.to_string()))?;
        if !kind.is_file() {
            return Err(unexpected("something else".into()));
        }
        let _ = rustix::fs::unlinkat(&self.opened, EVIDENCE, AtFlags::empty());
        Ok(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.place, &self.name, &self.opened);
    }
}

/// Removes folders of ours that were left over when leakscope was killed.
pub(super) fn remove_left_over(jvm: &Hotspot, now: Timestamp) {
    for path in PLACES {
        let Ok(place) = jvm.folder(path) else { continue };
        for name in left_over(&place, now) {
            if let Ok(folder) = open(&place, &name) {
                remove(&place, &name, &folder);
            }
        }
    }
}

fn left_over(place: &OwnedFd, now: Timestamp) -> Vec<String> {
    names(place).into_iter().filter(|name| is_ours(name) && is_old(place, name, now)).collect()
}

/// What lies in a folder, as far as it is text.
fn names(folder: &OwnedFd) -> Vec<String> {
    let readable = rustix::fs::openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let Some(entries) = readable.ok().and_then(|readable| Dir::new(readable).ok()) else { return Vec::new() };
    let names = entries.take(ENTRIES_MAX).flatten();
    names.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned)).collect()
}

pub(super) fn is_ours(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_old(place: &OwnedFd, name: &str, now: Timestamp) -> bool {
    rustix::fs::statat(place, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        let changed = Timestamp::from_secs_f64(stat.st_mtime as f64);
        FileType::from_raw_mode(stat.st_mode) == FileType::Directory && now > changed.plus(LEFT_OVER_AFTER)
    })
}

fn open(place: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(place, name, flags, Mode::empty())
}

/// Empties and removes. A JVM that writes in several threads has a file for each, and may make another in between.
fn remove(place: &OwnedFd, name: &str, folder: &OwnedFd) {
    for _ in 0..REMOVE_ATTEMPTS {
        for file in names(folder) {
            let _ = rustix::fs::unlinkat(folder, &file, AtFlags::empty());
        }
        if rustix::fs::unlinkat(place, name, AtFlags::REMOVEDIR) != Err(rustix::io::Errno::NOTEMPTY) {
            return;
        }
    }
}

/// 128 random bits in hexadecimal.
fn random() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
