//! A HotSpot JVM on this host, as `/proc` shows it: whether it can be spoken with, and why not. Nothing here disturbs it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::process::{Gid, Pid, PidfdFlags, Uid};

use super::super::CaptureError;
use crate::proc;

/// Most bytes read of one file of `/proc`, of which mappings are the longest; the rest is not looked at.
const MAPS_BYTES_MAX: u64 = 16 << 20;
/// SIGQUIT's bit in the masks of `/proc/PID/status`.
const SIGQUIT_BIT: u64 = 1 << 2;
/// The variables by which a JVM takes options.
const OPTION_VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS=", "JDK_JAVA_OPTIONS=", "_JAVA_OPTIONS="];

/// A HotSpot JVM that may be spoken with.
#[derive(Debug)]
pub(super) struct Hotspot {
    /// Its number here.
    pub(super) pid: u32,
    /// Its number in its own namespace, which names its files.
    pub(super) inner_pid: u32,
    /// Its effective user, who must own what it is given.
    pub(super) user: Uid,
    /// Its effective group.
    pub(super) group: Gid,
    /// Whether it catches SIGQUIT, as a HotSpot does that was not told otherwise.
    pub(super) catches_quit: bool,
    /// Whether its options forbid to attach.
    pub(super) attach_disabled: bool,
    /// The process itself, whatever becomes of its number.
    pub(super) handle: OwnedFd,
    /// The root of its files.
    root: OwnedFd,
    /// Where its `libjvm.so` lies.
    library: PathBuf,
}

/// Why a process cannot be spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// There is no such process.
    Gone,
    /// It is there, and the way to it is closed.
    Shut {
        /// Why.
        reason: String,
        /// The one change that would open it.
        remedy: String,
    },
}

impl Closed {
    pub(super) fn shut(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Shut { reason: reason.into(), remedy: remedy.into() }
    }
}

impl From<Closed> for CaptureError {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Gone => Self::Died,
            Closed::Shut { reason, remedy } => Self::Unavailable(format!("{reason}; {remedy}")),
        }
    }
}

impl Hotspot {
    /// The JVM under a number of this host.
    ///
    /// # Errors
    /// [`Closed`] when it is gone, is no HotSpot, or may not be spoken with.
    pub(super) fn find(pid: u32) -> Result<Self, Closed> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Closed::Gone)?;
        // ORDER: the handle comes first, so that all that is read afterwards is of this process or fails.
        let handle = rustix::process::pidfd_open(number, PidfdFlags::empty()).map_err(|_| Closed::Gone)?;
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let status = read(&folder.join("status")).ok_or(Closed::Gone).map(|bytes| Status::of(&bytes))?;
        if status.ended {
            return Err(Closed::Gone);
        }
        let ours = rustix::process::geteuid();
        if !ours.is_root() && ours.as_raw() != status.user {
            return Err(Closed::shut(
                format!("the process belongs to user {}, leakscope runs as {}", status.user, ours.as_raw()),
                "run leakscope as that user or as root",
            ));
        }
        if status.stopped {
            return Err(Closed::shut("the process is stopped", "let it continue (SIGCONT)"));
        }
        let library = library(&folder)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(folder.join("root"), flags, Mode::empty()).map_err(|error| {
            Closed::shut(
                format!("the files of the process may not be entered: {error}"),
                "run leakscope as root, with CAP_SYS_PTRACE in a container",
            )
        })?;
        Ok(Self {
            pid,
            inner_pid: status.inner_pid.unwrap_or(pid),
            user: Uid::from_raw(status.user),
            group: Gid::from_raw(status.group),
            catches_quit: status.caught & SIGQUIT_BIT != 0,
            attach_disabled: attach_disabled(&folder),
            handle,
            root,
            library,
        })
    }

    /// Opens a folder as the process sees it; links in its files lead no further than its root.
    pub(super) fn folder(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        self.open(Path::new(path), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
    }

    /// Whether it still runs.
    pub(super) fn alive(&self) -> bool {
        read(Path::new(&format!("/proc/{}/status", self.pid))).is_some_and(|bytes| !Status::of(&bytes).ended)
    }

    /// Whether it has the module `jdk.jfr`, judged by that module's own files.
    pub(super) fn has_jfr(&self) -> bool {
        // `lib/server/libjvm.so`, in JDK 8 `jre/lib/amd64/server/libjvm.so`.
        let mut libs = self.library.ancestors().skip(2).take(2);
        libs.any(|lib| self.open(&lib.join("jfr/default.jfc"), OFlags::PATH | OFlags::CLOEXEC).is_ok())
    }

    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = path.strip_prefix("/").unwrap_or(path);
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            // Linux before 5.6, or a filter of system calls that does not know it: then a link at the end is not followed.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
                rustix::fs::openat(&self.root, path, flags | OFlags::NOFOLLOW, Mode::empty())
            }
            opened => opened,
        }
    }
}

/// What `/proc/PID/status` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    /// A zombie or less.
    ended: bool,
    /// By SIGSTOP or a debugger.
    stopped: bool,
    inner_pid: Option<u32>,
    user: u32,
    group: u32,
    /// Signals that it catches.
    caught: u64,
}

impl Status {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let mut words = value.split_ascii_whitespace();
            // Real, effective, saved, of the file system.
            let effective =
                |words: &mut std::str::SplitAsciiWhitespace<'_>| words.nth(1).and_then(|id| id.parse().ok());
            match key {
                "State" => {
                    let state = words.next().unwrap_or_default();
                    status.ended = matches!(state, "Z" | "X");
                    status.stopped = matches!(state, "T" | "t");
                }
                "NStgid" => status.inner_pid = words.last().and_then(|pid| pid.parse().ok()),
                "Uid" => status.user = effective(&mut words).unwrap_or(u32::MAX),
                "Gid" => status.group = effective(&mut words).unwrap_or(u32::MAX),
                "SigCgt" => {
                    status.caught = words.next().and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
                }
                _ => {}
            }
        }
        status
    }
}

/// Where the process has mapped its `libjvm.so` from.
fn library(folder: &Path) -> Result<PathBuf, Closed> {
    let Some(maps) = read(&folder.join("maps")) else {
        return Err(Closed::shut(
            "the mappings of the process may not be read",
            "run leakscope as root, with CAP_SYS_PTRACE in a container",
        ));
    };
    let maps = String::from_utf8_lossy(&maps);
    let mapped = |name: &str| {
        let mut paths = maps.lines().filter_map(|line| line.split_once('/').map(|(_, path)| format!("/{path}")));
        paths.find(|path| path.trim_end_matches(" (deleted)").ends_with(name))
    };
    if maps.contains("/libj9vm") {
        return Err(Closed::shut(
            "the JVM is an OpenJ9, which does not speak HotSpot's attach protocol",
            "serve Spring Boot Actuator or Jolokia",
        ));
    }
    mapped("/libjvm.so").map(|path| PathBuf::from(path.trim_end_matches(" (deleted)"))).ok_or_else(|| {
        Closed::shut(
            "the process has no `libjvm.so` mapped: it is no HotSpot JVM",
            "name the process of the JVM itself",
        )
    })
}

/// Whether its command line or the variables that a JVM reads say so; the last word counts.
fn attach_disabled(folder: &Path) -> bool {
    let command = read(&folder.join("cmdline")).unwrap_or_default();
    let environment = read(&folder.join("environ")).unwrap_or_default();
    let options = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut said = String::new();
    for variable in options.filter(|variable| OPTION_VARIABLES.iter().any(|name| variable.starts_with(name))) {
        said.extend([variable.split_once('=').map_or("", |(_, options)| options), " "]);
    }
    said.push_str(&String::from_utf8_lossy(&command).replace('\0', " "));
    said.split_ascii_whitespace()
        .filter_map(|option| match option {
            "-XX:+DisableAttachMechanism" => Some(true),
            "-XX:-DisableAttachMechanism" => Some(false),
            _ => None,
        })
        .next_back()
        .unwrap_or(false)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    proc::read(path, MAPS_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_the_inner_number_the_effective_user_and_the_caught_signals() {
        let text = b"Name:\tjava\nState:\tT (stopped)\nNStgid:\t4242\t7\nUid:\t0\t65534\t0\t0\nGid:\t0\t65533\t0\t0\nSigCgt:\t2000000101005ccd\n";
        let expected = Status {
            ended: false,
            stopped: true,
            inner_pid: Some(7),
            user: 65534,
            group: 65533,
            caught: 0x2000_0001_0100_5ccd,
        };
        assert_eq!(Status::of(text), expected);
        assert!(Status::of(b"State:\tZ (zombie)\n\xff:\n:").ended);
    }

    #[test]
    fn what_is_no_jvm_is_told_as_such() {
        let Err(Closed::Shut { reason, .. }) = Hotspot::find(std::process::id()) else { panic!("found a JVM") };
        assert_eq!(reason, "the process has no `libjvm.so` mapped: it is no HotSpot JVM");
        assert_eq!(Hotspot::find(u32::MAX).unwrap_err(), Closed::Gone);
    }
}
