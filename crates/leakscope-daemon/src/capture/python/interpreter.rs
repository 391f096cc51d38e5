//! The running interpreter of a process, as `CPython` describes itself to debuggers: `_Py_DebugOffsets` in the section `.PyRuntime`.
//!
//! Only what is known is touched: another cookie, version or build is refused before anything is written.
//! Source: PEP 768; `Include/internal/pycore_debug_offsets.h` and `Python/remote_debugging.c` of `CPython` 3.14.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use object::read::{Object, ObjectSection, ObjectSegment, ReadCache};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::{REMEDY, Refused};
use crate::proc;

/// How `.PyRuntime` begins.
const COOKIE: &[u8] = b"xdebugpy";
/// Bytes of `_Py_DebugOffsets` in 3.14.
const OFFSETS_BYTES: usize = 760;
/// `_PY_EVAL_PLEASE_STOP_BIT`, in the lowest byte of the eval breaker.
const PLEASE_STOP: u8 = 1 << 5;
/// Offsets in structures of the interpreter are below this. Beyond: it is not what we take it for.
const OFFSET_MAX: u64 = 16 << 20;
/// What would let us look without a change of the service.
const NEWER: &str = "; Python 3.14 would let leakscope look without a change";

/// The main thread's interpreter of a process that would execute a script of ours.
#[derive(Debug)]
pub(super) struct Interpreter {
    /// `/proc/PID/mem`.
    memory: File,
    /// `3.14.10`.
    pub(super) version: String,
    breaker_at: u64,
    pending_at: u64,
    path_at: u64,
    path_bytes_max: u64,
}

impl Interpreter {
    /// Finds it. Reads a few hundred bytes of the process and does not stop it.
    ///
    /// # Errors
    /// Why it would not execute a script, and what would change that.
    pub(super) fn of(pid: u32) -> Result<Self, Refused> {
        let runtime_at = runtime_of(pid).ok_or_else(|| {
            refused("no interpreter of CPython 3.13 or later is found in it", &format!("{REMEDY}{NEWER}"))
        })?;
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"));
        let memory = memory.map_err(|error| {
            refused(
                &format!("its memory may not be written: {error}"),
                "run leakscope as the user of the service with CAP_SYS_PTRACE, or as root",
            )
        })?;
        let unreadable = |error: io::Error| refused(&format!("its memory cannot be read: {error}"), REMEDY);
        let mut offsets = [0; OFFSETS_BYTES];
        memory.read_exact_at(&mut offsets, runtime_at).map_err(unreadable)?;
        let offsets = Offsets::of(&offsets)?;
        let pointer = |at: u64| {
            let mut bytes = [0; 8];
            memory.read_exact_at(&mut bytes, at).map_err(unreadable).map(|()| u64::from_le_bytes(bytes))
        };
        let interpreter = pointer(runtime_at.wrapping_add(offsets.interpreters_head))?;
        let mut enabled = [0; 4];
        memory
            .read_exact_at(&mut enabled, interpreter.wrapping_add(offsets.remote_debugging_enabled))
            .map_err(unreadable)?;
        if i32::from_le_bytes(enabled) != 1 {
            let remedy = format!("start it without PYTHON_DISABLE_REMOTE_DEBUG, or {REMEDY}");
            return Err(refused("it was started with remote debugging disabled", &remedy));
        }
        let thread = pointer(interpreter.wrapping_add(offsets.threads_main))?;
        if thread == 0 {
            return Err(refused("it has no main thread yet, or none any more", REMEDY));
        }
        let support = thread.wrapping_add(offsets.support);
        Ok(Self {
            memory,
            version: offsets.version,
            breaker_at: thread.wrapping_add(offsets.eval_breaker),
            pending_at: support.wrapping_add(offsets.pending_call),
            path_at: support.wrapping_add(offsets.script_path),
            path_bytes_max: offsets.script_path_bytes,
        })
    }

    /// Has the main thread execute the script at a path of the process' own as soon as it executes Python again.
    ///
    /// # Errors
    /// Those of writing its memory; a path that is too long.
    pub(super) fn ask(&self, path: &str) -> io::Result<Asked<'_>> {
        if path.len() as u64 >= self.path_bytes_max {
            return Err(io::Error::other("the path of the script is too long"));
        }
        // ORDER: path, then the flag that says it is there, then the bit that makes the thread look.
        self.memory.write_all_at(&[path.as_bytes(), b"\0"].concat(), self.path_at)?;
        self.memory.write_all_at(&1_i32.to_le_bytes(), self.pending_at)?;
        let asked = Asked(self);
        let mut breaker = [0];
        self.memory.read_exact_at(&mut breaker, self.breaker_at)?;
        // One byte alone, so that the version beside the bits cannot be set back. CPython itself writes the whole word.
        self.memory.write_all_at(&[breaker[0] | PLEASE_STOP], self.breaker_at)?;
        Ok(asked)
    }
}

/// A script that waits to be executed; dropped, it is not any more.
pub(super) struct Asked<'i>(&'i Interpreter);

impl Asked<'_> {
    /// Whether the script has not begun; false too where the process is gone.
    pub(super) fn waits(&self) -> bool {
        let mut pending = [0; 4];
        self.0.memory.read_exact_at(&mut pending, self.0.pending_at).is_ok() && i32::from_le_bytes(pending) == 1
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.waits() {
            let _ = self.0.memory.write_all_at(&0_i32.to_le_bytes(), self.0.pending_at);
        }
    }
}

/// What is needed of `_Py_DebugOffsets`.
#[derive(Debug)]
struct Offsets {
    version: String,
    interpreters_head: u64,
    threads_main: u64,
    eval_breaker: u64,
    support: u64,
    remote_debugging_enabled: u64,
    pending_call: u64,
    script_path: u64,
    script_path_bytes: u64,
}

impl Offsets {
    fn of(bytes: &[u8; OFFSETS_BYTES]) -> Result<Self, Refused> {
        if !bytes.starts_with(COOKIE) {
            let remedy = format!("{REMEDY}{NEWER}");
            return Err(refused("its interpreter does not describe itself as CPython 3.13 and later do", &remedy));
        }
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes: &[u8; 8]| u64::from_le_bytes(*bytes));
        // PY_VERSION_HEX: major, minor, micro, and `f0` for a release.
        let hex = number(8);
        let version = format!("{}.{}.{}", hex >> 24 & 0xff, hex >> 16 & 0xff, hex >> 8 & 0xff);
        if hex >> 16 != 0x030e || hex >> 4 & 0xf != 0xf {
            let newer = if hex >> 16 < 0x030e { NEWER } else { "" };
            return Err(refused(
                &format!("it runs CPython {version}, and only 3.14 is known from outside"),
                &format!("{REMEDY}{newer}"),
            ));
        }
        if number(16) != 0 {
            return Err(refused("it runs the free-threaded build of CPython", REMEDY));
        }
        let offsets = Self {
            version,
            interpreters_head: number(40),
            threads_main: number(80),
            eval_breaker: number(712),
            support: number(720),
            remote_debugging_enabled: number(728),
            pending_call: number(736),
            script_path: number(744),
            script_path_bytes: number(752),
        };
        let known = [40, 80, 712, 720, 728, 736, 744, 752].iter().all(|at| number(*at) < OFFSET_MAX);
        if known { Ok(offsets) } else { Err(refused("its interpreter describes itself as none can be", REMEDY)) }
    }
}

fn refused(reason: &str, remedy: &str) -> Refused {
    Refused { reason: reason.to_owned(), remedy: remedy.to_owned() }
}

/// Where `.PyRuntime` of a process lies: in its program, or in libpython.
fn runtime_of(pid: u32) -> Option<u64> {
    let maps = proc::read(std::path::Path::new(&format!("/proc/{pid}/maps")), proc::PROC_BYTES_MAX)?;
    let root = File::open(format!("/proc/{pid}/root")).ok()?;
    let maps = String::from_utf8_lossy(&maps);
    let is_python = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with("python") || name.starts_with("libpython")
    };
    maps.lines().filter_map(beginning).filter(|(_, path)| is_python(path)).find_map(|(start, path)| {
        // Of a named pipe in its place opening would wait.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?);
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let cache = ReadCache::new(file);
        let program = object::File::parse(&cache).ok()?;
        let section = program.section_by_name(".PyRuntime")?;
        if section.size() < OFFSETS_BYTES as u64 {
            return None;
        }
        let first = program.segments().map(|segment| segment.address()).min()?;
        Some(start.wrapping_sub(first & !0xfff).wrapping_add(section.address()))
    })
}

/// Address and path of a mapping that begins at the beginning of its file.
fn beginning(line: &str) -> Option<(u64, &str)> {
    let mut words = line.splitn(6, ' ');
    let range = words.next()?;
    let offset = words.nth(1)?;
    let path = words.nth(2)?.trim_start();
    let is_first = u64::from_str_radix(offset, 16) == Ok(0) && path.starts_with('/');
    let start = range.split_once('-')?.0;
    is_first.then_some((u64::from_str_radix(start, 16).ok()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `CPython` 3.14, as far as they are read.
    fn offsets(version: u64, changes: &[(usize, u64)]) -> [u8; OFFSETS_BYTES] {
        let mut bytes = [0; OFFSETS_BYTES];
        bytes[..8].copy_from_slice(COOKIE);
        for (at, number) in [(8, version)].iter().chain(changes) {
            bytes[*at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn only_what_is_known_is_touched() {
        let cases = [
            (offsets(0x030e_0af0, &[]), "3.14.10"),
            (offsets(0x030d_00f0, &[]), "it runs CPython 3.13.0, and only 3.14 is known from outside"),
            (offsets(0x030e_00b2, &[]), "it runs CPython 3.14.0, and only 3.14 is known from outside"),
            (offsets(0x030f_00f0, &[]), "it runs CPython 3.15.0, and only 3.14 is known from outside"),
            (offsets(0x030e_00f0, &[(16, 1)]), "it runs the free-threaded build of CPython"),
            (offsets(0x030e_00f0, &[(744, u64::MAX)]), "its interpreter describes itself as none can be"),
            ([0; OFFSETS_BYTES], "its interpreter does not describe itself as CPython 3.13 and later do"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Offsets::of(&bytes).map_or_else(|refused| refused.reason, |known| known.version), expected);
        }
    }

    #[test]
    fn a_program_begins_where_its_file_is_mapped_from_the_start() {
        let cases = [
            ("55d0-55f0 r--p 00000000 fe:00 17 /usr/bin/python3.14", Some((0x55d0, "/usr/bin/python3.14"))),
            ("55f0-5600 r-xp 00020000 fe:00 17 /usr/bin/python3.14", None),
            ("7f00-7f10 rw-p 00000000 00:00 0 ", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(beginning(line), expected, "{line}");
        }
    }
}
