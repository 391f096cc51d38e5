//! Memory files of cgroup v2.

use leakscope_model::Bytes;

use super::number;
use crate::error::{Fault, IngestError};

/// The part of `memory.stat` that matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStat {
    /// `anon`: heaps, stacks, private mappings.
    pub anon: Option<Bytes>,
    /// `file`: page cache.
    pub file: Option<Bytes>,
}

/// The part of `memory.events` that matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryEvents {
    /// `oom_kill`: processes killed so far.
    pub oom_kills: Option<u64>,
}

/// Reads `memory.current`.
///
/// # Errors
/// [`IngestError::Syntax`] for anything but a number.
pub fn memory_current(bytes: &[u8]) -> Result<Bytes, IngestError> {
    number(bytes).map(Bytes).ok_or_else(|| Fault::new(bytes, 0, "a number").on_line(1))
}

/// Reads `memory.max`; `None` is `max`, no limit.
///
/// # Errors
/// [`IngestError::Syntax`] for anything but a number or `max`.
pub fn memory_max(bytes: &[u8]) -> Result<Option<Bytes>, IngestError> {
    match bytes.trim_ascii() {
        b"max" => Ok(None),
        digits => {
            let limit = number(digits).map(|bytes| Some(Bytes(bytes)));
            limit.ok_or_else(|| Fault::new(bytes, 0, "a number or `max`").on_line(1))
        }
    }
}

/// Reads `memory.stat`.
///
/// # Errors
/// [`IngestError::Syntax`] for a field leakscope reads whose value is not a number.
pub fn memory_stat(bytes: &[u8]) -> Result<MemoryStat, IngestError> {
    Ok(MemoryStat { anon: keyed(bytes, b"anon")?.map(Bytes), file: keyed(bytes, b"file")?.map(Bytes) })
}

/// Reads `memory.events`.
///
/// # Errors
/// [`IngestError::Syntax`] for a field leakscope reads whose value is not a number.
pub fn memory_events(bytes: &[u8]) -> Result<MemoryEvents, IngestError> {
    Ok(MemoryEvents { oom_kills: keyed(bytes, b"oom_kill")? })
}

/// The cgroup v2 path of `/proc/PID/cgroup` (`0::/system.slice/x.service`), without what v1 controllers say. `None` on a host without v2.
pub fn cgroup_path(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let path = String::from_utf8_lossy(line).into_owned();
    // A path with `..` would lead out of the hierarchy; the kernel writes one for a cgroup outside the reader's namespace.
    (path.starts_with('/') && !path.split('/').any(|part| part == "..")).then_some(path)
}

/// The number behind `key` in a file of lines `key number`.
fn keyed(bytes: &[u8], key: &[u8]) -> Result<Option<u64>, IngestError> {
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if let Some(value) = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(b" ")) {
            let fault = || Fault::new(line, key.len() + 1, "a number").on_line(index as u64 + 1);
            return number(value).map(Some).ok_or_else(fault);
        }
    }
    Ok(None)
}
