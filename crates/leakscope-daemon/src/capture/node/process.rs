//! What `/proc` says of a Node.js process: its flags, whether SIGUSR1 is safe for it, which sockets are its own.
//!
//! A process is held by a descriptor (pidfd), so that no signal ever reaches another one that was given the same number.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use leakscope_ingest::procfs::{self, Listener, Reach, Stat, Traces, guess_runtime};
use leakscope_model::{Runtime, Timestamp};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, test_kill_process};

use super::options::Options;
use crate::capture::CaptureError;
use crate::proc::{self, PROC_BYTES_MAX};

/// A process of this host that was Node.js when it was looked at.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// Its number as it sees itself: another one in a container.
    pub(super) own_pid: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) options: Options,
    handle: OwnedFd,
    start_ticks: u64,
}

/// Why a process cannot be worked with: what is, and the one change that would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) reason: String,
    pub(super) remedy: String,
}

impl Closed {
    pub(super) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }

    /// As the reason why a capture fails.
    pub(super) fn unavailable(self) -> CaptureError {
        CaptureError::Unavailable(format!("{}: {}", self.reason, self.remedy))
    }
}

impl Process {
    /// The process of a number, held.
    ///
    /// # Errors
    /// [`Closed`] when it is gone, is not Node.js, belongs to another user, or lives in another network namespace.
    pub(super) fn of(pid: u32) -> Result<Self, Closed> {
        let gone = || Closed::new(format!("process {pid} is gone"), "wait until the service runs again");
        let folder = PathBuf::from(format!("/proc/{pid}"));
        // The handle first: whatever is read below is of this process, or the handle is dead and no signal arrives.
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let handle = pidfd_open(number, PidfdFlags::empty()).map_err(|_| gone())?;
        let read = |name: &str| proc::read(&folder.join(name), PROC_BYTES_MAX);
        let stat = read("stat").and_then(|bytes| procfs::stat(&bytes).ok()).ok_or_else(gone)?;
        if proc::socket_inodes(&folder).is_none() || test_kill_process(number).is_err() {
            let status = read("status").and_then(|bytes| procfs::status(&bytes).ok());
            let uid = status
                .and_then(|status| status.uid)
                .map_or_else(|| "another user".to_owned(), |uid| format!("user {uid}"));
            return Err(Closed::new(
                format!("process {pid} belongs to {uid}"),
                "run leakscope as root or as that user",
            ));
        }
        let cmdline = read("cmdline").unwrap_or_default();
        let exe = std::fs::read_link(folder.join("exe")).map(|path| path.display().to_string()).unwrap_or_default();
        let maps = read("maps").unwrap_or_default();
        let traces = Traces { exe: exe.as_bytes(), cmdline: &cmdline, maps: &maps, go_build_info: false };
        if guess_runtime(&traces) != Runtime::Node {
            return Err(Closed::new(
                format!("process {pid} runs `{exe}`, which is not Node.js"),
                "watch the Node.js process itself",
            ));
        }
        if proc::net_of(&folder) != proc::net_of(&PathBuf::from("/proc/self")) {
            return Err(Closed::new(
                format!(
                    "process {pid} has a network of its own (a container's), where its inspector cannot be reached"
                ),
                "run leakscope in the same pod or container network",
            ));
        }
        let options = Options::of(&cmdline, &read("environ").unwrap_or_default());
        let own_pid = read("status").and_then(|bytes| own_pid(&bytes)).unwrap_or(pid);
        Ok(Self { pid, own_pid, started_at: proc::started_at(pid), options, handle, start_ticks: stat.start_ticks })
    }

    pub(super) fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid))
    }

    /// Its number and start: with both it is known again.
    pub(super) fn identity(&self) -> (u32, u64) {
        (self.pid, self.start_ticks)
    }

    /// Whether it has ended; a process that nobody has waited for yet has ended too.
    pub(super) fn is_gone(&self) -> bool {
        self.stat().is_none_or(|stat| matches!(stat.state, 'Z' | 'X'))
    }

    /// Its state, unless its number is another process's by now.
    fn stat(&self) -> Option<Stat> {
        let stat = procfs::stat(&proc::read(&self.folder().join("stat"), PROC_BYTES_MAX)?).ok()?;
        (stat.start_ticks == self.start_ticks).then_some(stat)
    }

    /// Whether it has a handler for a signal, so that the signal does not end it.
    pub(super) fn catches(&self, signal: Signal) -> bool {
        let status = proc::read(&self.folder().join("status"), PROC_BYTES_MAX).unwrap_or_default();
        signal_set(&status, "SigCgt:").is_some_and(|caught| caught & bit(signal) != 0)
    }

    /// Sends a signal to this process and no other. The caller has checked that it catches it.
    pub(super) fn signal(&self, signal: Signal) -> std::io::Result<()> {
        Ok(pidfd_send_signal(&self.handle, signal)?)
    }

    /// The sockets on which it listens, as they can be reached from here.
    pub(super) fn listening(&self) -> Vec<(SocketAddr, Reach)> {
        let folder = self.folder();
        let table: BTreeMap<u64, Listener> = proc::sockets(&folder);
        let inodes = proc::socket_inodes(&folder).unwrap_or_default();
        let own = inodes.iter().filter_map(|inode| table.get(inode));
        own.map(|listener| {
            let address = match listener.reach {
                Reach::Loopback(address) | Reach::Address(address) => address,
                Reach::Any => IpAddr::V4(Ipv4Addr::LOCALHOST),
            };
            (SocketAddr::new(address, listener.port), listener.reach)
        })
        .collect()
    }
}

/// The last number of `NSpid`: the process's number in its own namespace.
fn own_pid(status: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(status).ok()?.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

fn signal_set(status: &[u8], name: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(status);
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The bit of a signal in the sets of `/proc/PID/status`: that of signal 1 is the lowest.
fn bit(signal: Signal) -> u64 {
    1_u64.checked_shl(signal.as_raw().unsigned_abs().saturating_sub(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_of_signals_are_read_as_the_kernel_writes_them() {
        // A Node.js process as it starts, and with `--disable-sigusr1`.
        for (set, caught) in [("SigCgt:\t0000000100004602\n", true), ("SigCgt:\t0000000100004402\n", false)] {
            let set = signal_set(set.as_bytes(), "SigCgt:").unwrap();
            assert_eq!(set & bit(Signal::USR1) != 0, caught);
        }
        assert_eq!(signal_set(b"Name:\tnode\n", "SigCgt:"), None);
    }

    #[test]
    fn a_process_in_a_container_is_known_by_its_number_there() {
        assert_eq!(own_pid(b"Pid:\t4711\nNSpid:\t4711\t12\n"), Some(12));
        assert_eq!(own_pid(b"Pid:\t4711\n"), None);
    }
}
