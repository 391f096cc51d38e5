//! Small readings of `/proc` that several parts need: who listens, since when a process lives, what it uses. Every read is bounded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use leakscope_ingest::procfs::{self, Listener, Reach};
use leakscope_model::{Bytes, Timestamp};

/// Most bytes read of one file of a process. Beyond: the rest is not looked at.
pub(crate) const PROC_BYTES_MAX: u64 = 1 << 20;
/// Most bytes read of a socket table. Beyond: the rest is not looked at.
const SOCKETS_BYTES_MAX: u64 = 64 << 20;
/// Most descriptors of one process that are looked at.
const DESCRIPTORS_MAX: usize = 65_536;
/// Most processes of a host that are looked at.
const PROCESSES_MAX: usize = 65_536;
/// Linux reports process times in hundredths of a second to every program, whatever its own tick is (`USER_HZ`).
pub(crate) const TICKS_PER_SECOND: u64 = 100;

/// The process that listens on a port of this host's loopback. `None` when there is none, or when its descriptors may not be read.
pub(crate) fn listener_on(port: u16) -> Option<u32> {
    let proc = Path::new("/proc");
    let reaches = |listener: &Listener| listener.port == port && !matches!(listener.reach, Reach::Address(_));
    let wanted: Vec<u64> =
        sockets(proc).into_iter().filter(|(_, listener)| reaches(listener)).map(|(inode, _)| inode).collect();
    if wanted.is_empty() {
        return None;
    }
    let holds = |pid: &u32| {
        let inodes = socket_inodes(&proc.join(pid.to_string())).unwrap_or_default();
        inodes.iter().any(|inode| wanted.contains(inode))
    };
    pids(proc).into_iter().find(holds)
}

/// The folder of a process.
pub(crate) fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// When a process started; with its pid, its identity.
pub(crate) fn started_at(pid: u32) -> Option<Timestamp> {
    let stat = procfs::stat(&read(&folder(pid).join("stat"), PROC_BYTES_MAX)?).ok()?;
    let seconds = stat.start_time(boot_time()?, TICKS_PER_SECOND);
    Some(Timestamp::from_millis((seconds * 1e3).round() as i64))
}

/// What a process has in memory now.
pub(crate) fn resident(pid: u32) -> Option<Bytes> {
    procfs::status(&read(&folder(pid).join("status"), PROC_BYTES_MAX)?).ok()?.rss
}

/// Whether there is such a process, and it has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = read(&folder(pid).join("stat"), PROC_BYTES_MAX);
    stat.and_then(|stat| procfs::stat(&stat).ok()).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Whom a process acts as: its effective user and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Whom a process acts as, in our own user namespace.
pub(crate) fn owner(pid: u32) -> Option<Owner> {
    let status = read(&folder(pid).join("status"), PROC_BYTES_MAX)?;
    // Real, effective, saved and that of file systems.
    let effective = |key| words(&status, key)?.nth(1)?.parse().ok();
    Some(Owner { uid: effective("Uid:")?, gid: effective("Gid:")? })
}

/// Words of a line of `/proc/PID/status`.
fn words<'s>(status: &'s [u8], key: &str) -> Option<impl Iterator<Item = &'s str>> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key.as_bytes()))?;
    Some(std::str::from_utf8(line).ok()?.split_ascii_whitespace())
}

/// Memory that this host can still give without swapping.
pub(crate) fn host_available() -> Option<Bytes> {
    let text = String::from_utf8(read(Path::new("/proc/meminfo"), PROC_BYTES_MAX)?).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(Bytes(kib.saturating_mul(1024)))
}

/// When this host was started, Unix seconds.
pub(crate) fn boot_time() -> Option<u64> {
    static BOOT_TIME: OnceLock<Option<u64>> = OnceLock::new();
    *BOOT_TIME.get_or_init(|| procfs::boot_time(&read(Path::new("/proc/stat"), PROC_BYTES_MAX)?).ok())
}

pub(crate) fn pids(proc: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(PROCESSES_MAX).collect();
    pids.sort_unstable();
    pids
}

/// The listening sockets of a network namespace, by inode.
pub(crate) fn sockets(folder: &Path) -> BTreeMap<u64, Listener> {
    let mut found = BTreeMap::new();
    for table in ["net/tcp", "net/tcp6"] {
        let bytes = read(&folder.join(table), SOCKETS_BYTES_MAX).unwrap_or_default();
        found.extend(procfs::listeners(&bytes).map(|listener| (listener.inode, listener)));
    }
    found
}

/// Inodes of the sockets that a process holds; `None` when its descriptors may not be read.
pub(crate) fn socket_inodes(folder: &Path) -> Option<Vec<u64>> {
    let entries = match std::fs::read_dir(folder.join("fd")) {
        Ok(entries) => entries,
        // Gone in the meantime: nothing held.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let mut inodes = Vec::new();
    for entry in entries.flatten().take(DESCRIPTORS_MAX) {
        let Ok(link) = std::fs::read_link(entry.path()) else { continue };
        let inode: Option<u64> =
            link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inodes.extend(inode);
    }
    Some(inodes)
}

/// The inode of the process's network namespace.
pub(crate) fn net_of(folder: &Path) -> Option<u64> {
    let link = std::fs::read_link(folder.join("ns/net")).ok()?;
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// At most `bytes_max` of a file; `None` when it cannot be read.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(bytes_max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_listener_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_on(port), Some(std::process::id()));
        drop(listener);
        assert_eq!(listener_on(port), None);
    }

    #[test]
    fn our_own_process_started_before_now_and_uses_memory() {
        let pid = std::process::id();
        assert!(started_at(pid).is_some_and(|at| at <= crate::clock::now()));
        assert!(resident(pid).is_some_and(|bytes| bytes > Bytes(1 << 20)));
        assert!(host_available().is_some_and(|bytes| bytes > Bytes(1 << 20)));
    }

    #[test]
    fn our_own_process_acts_as_we_do() {
        let own = Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        assert_eq!(owner(std::process::id()), Some(own));
    }

    #[test]
    fn a_process_that_is_gone_tells_nothing() {
        let pid = u32::MAX;
        assert_eq!((started_at(pid), resident(pid), owner(pid)), (None, None, None));
        assert!(!is_alive(pid));
    }

    #[test]
    fn the_last_number_is_that_of_the_innermost_namespace() {
        let status = b"Name:\tjava\nTgid:\t4711\nNStgid:\t4711\t17\t1\nUid:\t0\t1000\t0\t0\n";
        assert_eq!(words(status, "NStgid:").and_then(Iterator::last), Some("1"));
        assert_eq!(words(status, "Uid:").and_then(|mut words| words.nth(1)), Some("1000"));
        assert!(words(status, "Gid:").is_none());
    }
}
