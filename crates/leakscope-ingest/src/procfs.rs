//! Files of `/proc` and of cgroup v2, as bytes that the caller read. Nothing here opens a file.
//!
//! Source: proc(5), Linux `Documentation/filesystems/proc.rst`, `Documentation/admin-guide/cgroup-v2.rst`.

mod cgroup;
mod net;
mod runtime;

use leakscope_model::{Bytes, Readings, Signal};

use crate::error::{Fault, IngestError};

pub use cgroup::{MemoryEvents, MemoryStat, cgroup_path, memory_current, memory_events, memory_max, memory_stat};
pub use net::{Listener, Reach, listeners};
pub use runtime::{Traces, guess_runtime};

/// `/proc/PID/status`. Kernel threads have no memory fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `Name`: the first 15 bytes of the command.
    pub name: String,
    /// `PPid`.
    pub parent: Option<u32>,
    /// `Uid`, the real one.
    pub uid: Option<u32>,
    /// `VmRSS`.
    pub rss: Option<Bytes>,
    /// `RssAnon`.
    pub anon: Option<Bytes>,
    /// `VmSwap`.
    pub swap: Option<Bytes>,
    /// `Threads`.
    pub threads: Option<u64>,
}

/// `/proc/PID/smaps_rollup`: exact, and dearer for the kernel than `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmapsRollup {
    /// `Rss`.
    pub rss: Option<Bytes>,
    /// `Pss`: shared pages counted by share.
    pub pss: Option<Bytes>,
    /// `Anonymous`.
    pub anon: Option<Bytes>,
    /// `Swap`.
    pub swap: Option<Bytes>,
}

/// `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Process number.
    pub pid: u32,
    /// Name of the command, without its parentheses; may hold spaces and parentheses of its own.
    pub comm: String,
    /// `R`, `S`, `Z`, ...
    pub state: char,
    /// The parent's process number.
    pub parent: u32,
    /// Start, in clock ticks since the host started.
    pub start_ticks: u64,
}

impl Stat {
    /// The start in seconds since the Unix epoch; `boot` from [`boot_time`], `ticks_per_second` is `sysconf(_SC_CLK_TCK)`, mostly 100.
    pub fn start_time(&self, boot: u64, ticks_per_second: u64) -> f64 {
        boot as f64 + self.start_ticks as f64 / ticks_per_second.max(1) as f64
    }
}

/// Soft limits of `/proc/PID/limits`; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoftLimits {
    /// `Max address space`.
    pub address_space: Option<Bytes>,
    /// `Max open files`.
    pub open_files: Option<u64>,
}

/// What was read of one process; absent what could not be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Its status.
    pub status: Option<Status>,
    /// Its rollup.
    pub smaps: Option<SmapsRollup>,
    /// Entries of `/proc/PID/fd`.
    pub descriptors: Option<u64>,
    /// Start in seconds since the Unix epoch.
    pub start_time: Option<f64>,
    /// `memory.stat` of its cgroup, if it has one of its own.
    pub cgroup: Option<MemoryStat>,
    /// The least `memory.max` on the way to the root; `None` is unlimited.
    pub limit: Option<Bytes>,
    /// `memory.events` of its cgroup.
    pub events: Option<MemoryEvents>,
}

impl Process {
    /// Its readings. The rollup is preferred to the status, which lags behind by a few pages a thread.
    pub fn readings(&self) -> Readings {
        let mut readings = Readings::default();
        let mut set = |signal, value: Option<f64>| {
            if let (None, Some(value)) = (readings.get(signal), value) {
                readings.set(signal, value);
            }
        };
        let bytes = |bytes: Option<Bytes>| bytes.map(|Bytes(bytes)| bytes as f64);
        if let Some(smaps) = &self.smaps {
            set(Signal::Rss, bytes(smaps.rss));
            set(Signal::AnonRss, bytes(smaps.anon));
        }
        if let Some(status) = &self.status {
            set(Signal::Rss, bytes(status.rss));
            set(Signal::AnonRss, bytes(status.anon));
            set(Signal::Threads, status.threads.map(|threads| threads as f64));
        }
        set(Signal::FileDescriptors, self.descriptors.map(|descriptors| descriptors as f64));
        set(Signal::StartTime, self.start_time);
        set(Signal::PageCache, self.cgroup.and_then(|cgroup| bytes(cgroup.file)));
        set(Signal::Limit, bytes(self.limit));
        set(Signal::OomKills, self.events.and_then(|events| events.oom_kills).map(|kills| kills as f64));
        readings
    }
}

/// Reads `/proc/PID/status`.
///
/// # Errors
/// [`IngestError::Syntax`] for a field leakscope reads whose value is not a number, and without `Name`.
pub fn status(bytes: &[u8]) -> Result<Status, IngestError> {
    let mut status = Status::default();
    let mut named = false;
    for line in fields(bytes) {
        match line.key {
            b"Name" => {
                named = true;
                status.name = String::from_utf8_lossy(line.value).into_owned();
            }
            b"PPid" => status.parent = Some(line.number()?),
            b"Uid" => status.uid = Some(line.number()?),
            b"VmRSS" => status.rss = Some(line.kib()?),
            b"RssAnon" => status.anon = Some(line.kib()?),
            b"VmSwap" => status.swap = Some(line.kib()?),
            b"Threads" => status.threads = Some(line.number()?),
            _ => {}
        }
    }
    if named { Ok(status) } else { Err(Fault::new(bytes, 0, "a line `Name:`").on_line(1)) }
}

/// Reads `/proc/PID/smaps_rollup`.
///
/// # Errors
/// [`IngestError::Syntax`] for a field leakscope reads whose value is not a number.
pub fn smaps_rollup(bytes: &[u8]) -> Result<SmapsRollup, IngestError> {
    let mut rollup = SmapsRollup::default();
    for line in fields(bytes) {
        match line.key {
            b"Rss" => rollup.rss = Some(line.kib()?),
            b"Pss" => rollup.pss = Some(line.kib()?),
            b"Anonymous" => rollup.anon = Some(line.kib()?),
            b"Swap" => rollup.swap = Some(line.kib()?),
            _ => {}
        }
    }
    Ok(rollup)
}

/// Reads `/proc/PID/stat`: one line. The command ends at the last `)`, for it may hold any byte.
///
/// # Errors
/// [`IngestError::Syntax`] for a line that is cut short or whose fields are not numbers.
pub fn stat(bytes: &[u8]) -> Result<Stat, IngestError> {
    let fault = |at, expected| Fault::new(bytes, at, expected).on_line(1);
    let open = memchr::memchr(b'(', bytes).ok_or_else(|| fault(bytes.len(), "`(` before the command"))?;
    let close = memchr::memrchr(b')', bytes).filter(|close| *close > open);
    let close = close.ok_or_else(|| fault(bytes.len(), "`)` behind the command"))?;
    let pid = number(bytes.get(..open).unwrap_or_default()).ok_or_else(|| fault(0, "a process number"))?;
    let comm = String::from_utf8_lossy(bytes.get(open + 1..close).unwrap_or_default()).into_owned();
    let rest = bytes.get(close + 1..).unwrap_or_default();
    let mut words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let state = words.next().and_then(|word| word.first().copied()).ok_or_else(|| fault(close + 1, "a state"))?;
    let parent = words.next().and_then(number).ok_or_else(|| fault(close + 1, "the parent's process number"))?;
    // Field 22 of the line is the start; the state is field 3, the parent 4.
    let start_ticks = words.nth(17).and_then(number).ok_or_else(|| fault(close + 1, "a start time as field 22"))?;
    Ok(Stat { pid, comm, state: char::from(state), parent, start_ticks })
}

/// Reads `btime` of `/proc/stat`: when the host started, in seconds since the Unix epoch.
///
/// # Errors
/// [`IngestError::Syntax`] without such a line.
pub fn boot_time(bytes: &[u8]) -> Result<u64, IngestError> {
    let line = bytes.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"btime "));
    line.and_then(number).ok_or_else(|| Fault::new(bytes, 0, "a line `btime SECONDS`").on_line(1))
}

/// Reads the soft limits of `/proc/PID/limits`.
///
/// # Errors
/// [`IngestError::Syntax`] for a limit that is neither a number nor `unlimited`.
pub fn soft_limits(bytes: &[u8]) -> Result<SoftLimits, IngestError> {
    let mut limits = SoftLimits::default();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let soft = |name: &[u8]| -> Result<Option<Option<u64>>, IngestError> {
            let Some(rest) = line.strip_prefix(name) else { return Ok(None) };
            match rest.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()) {
                Some(b"unlimited") => Ok(Some(None)),
                Some(word) if number::<u64>(word).is_some() => Ok(Some(number(word))),
                _ => Err(Fault::new(line, name.len(), "a number or `unlimited`").on_line(index as u64 + 1)),
            }
        };
        if let Some(bytes) = soft(b"Max address space")? {
            limits.address_space = bytes.map(Bytes);
        }
        if let Some(files) = soft(b"Max open files")? {
            limits.open_files = files;
        }
    }
    Ok(limits)
}

/// A line `key: value`.
struct Field<'a> {
    key: &'a [u8],
    value: &'a [u8],
    whole: &'a [u8],
    line: u64,
}

fn fields(bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    bytes.split(|&byte| byte == b'\n').enumerate().filter_map(|(index, whole)| {
        let colon = memchr::memchr(b':', whole)?;
        let (key, value) = whole.split_at_checked(colon)?;
        Some(Field { key, value: value.get(1..)?.trim_ascii(), whole, line: index as u64 + 1 })
    })
}

impl Field<'_> {
    /// The first word as a number.
    fn number<N: std::str::FromStr>(&self) -> Result<N, IngestError> {
        let word = self.value.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        number(word).ok_or_else(|| self.fault("a number"))
    }

    /// A number of `kB`, which are KiB here.
    fn kib(&self) -> Result<Bytes, IngestError> {
        let number = self.value.strip_suffix(b"kB").and_then(number::<u64>);
        let bytes = number.and_then(|kib| kib.checked_mul(1_024)).ok_or_else(|| self.fault("a size in `kB`"))?;
        Ok(Bytes(bytes))
    }

    fn fault(&self, expected: &'static str) -> IngestError {
        Fault::new(self.whole, self.key.len() + 1, expected).on_line(self.line)
    }
}

/// Decimal digits, blanks around them allowed.
fn number<N: std::str::FromStr>(bytes: &[u8]) -> Option<N> {
    std::str::from_utf8(bytes.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
