//! The heap profile of a program of Go without any endpoint: its runtime's own buckets, read in its memory, as pprof.
//!
//! The process is not stopped and nothing in it is touched that it has not touched itself. Reading order: `program` (where things are),
//! `buckets` (what is counted), `lines` (where in the source), `pprof` (as text for others).

mod buckets;
mod lines;
mod pprof;
mod program;
#[cfg(test)]
mod tests;

use std::os::unix::fs::FileExt;

use leakscope_model::{CaptureKind, Cost, Lacking, Means};

use super::super::{CaptureError, Found, Output, Subject};
use crate::proc;
use buckets::Record;
use lines::Lines;
use program::Program;

/// The memory of a process, as the kernel shows it to those who may trace it.
#[derive(Debug)]
struct Memory(std::fs::File);

impl Memory {
    fn open(pid: u32) -> Result<Self, Refusal> {
        let opened = std::fs::File::open(proc::folder(pid).join("mem"));
        opened.map(Self).map_err(|error| Refusal {
            reason: format!("`/proc/{pid}/mem` cannot be read: {error}"),
            remedy: "run leakscope as the process' user or as root, in a container with `CAP_SYS_PTRACE`".to_owned(),
        })
    }

    fn read(&self, address: u64, into: &mut [u8]) -> Option<()> {
        self.0.read_exact_at(into, address).ok()
    }

    fn word(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        self.read(address, &mut word)?;
        Some(u64::from_le_bytes(word))
    }
}

/// Why buckets cannot be had, and the one change that would give them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    reason: String,
    remedy: String,
}

pub(super) async fn survey(subject: &Subject, found: &mut Found) {
    let looked = match subject.pid {
        None => Err(Refusal {
            reason: "it is no process that this leakscope sees".to_owned(),
            remedy: "run a leakscope on its host, with the host's process namespace (`--pid=host`)".to_owned(),
        }),
        Some(_) if !subject.settings.go.read_memory => Err(Refusal {
            reason: "reading its memory is not allowed".to_owned(),
            remedy: "set `capture.go.read_memory: true`".to_owned(),
        }),
        Some(pid) => match tokio::task::spawn_blocking(move || look(pid)).await {
            Ok(looked) => looked,
            Err(_) => return,
        },
    };
    let kind = CaptureKind::GoHeapMemory;
    match looked {
        Ok(version) => {
            let way = format!("the runtime's heap buckets in its memory ({version})");
            found.means.push(Means { kind, way, hint: Cost::default() });
        }
        Err(Refusal { reason, remedy }) => found.lacking.push(Lacking { kind, reason, remedy }),
    }
}

/// The version of Go of a process whose buckets can be read.
fn look(pid: u32) -> Result<String, Refusal> {
    let program = Program::of(pid)?;
    records(pid, &program, 1)?;
    Ok(program.version)
}

/// Takes the profile.
///
/// # Errors
/// [`CaptureError::Unavailable`] with the reason, [`CaptureError::Died`], and those of [`Output::write`].
pub(super) async fn take(subject: &Subject, output: &mut Output<'_>) -> Result<(), CaptureError> {
    let closed = |reason: &str| CaptureError::Unavailable(reason.to_owned());
    let pid = subject.pid.ok_or_else(|| closed("it is no process that this leakscope sees"))?;
    if !subject.settings.go.read_memory {
        return Err(closed("`capture.go.read_memory` is off"));
    }
    let read = tokio::task::spawn_blocking(move || profile(pid)).await.map_err(|error| closed(&error.to_string()))?;
    match read {
        Ok(profile) => output.write(&profile),
        Err(_) if !proc::is_alive(pid) => Err(CaptureError::Died),
        Err(Refusal { reason, remedy }) => Err(CaptureError::Unavailable(format!("{reason}: {remedy}"))),
    }
}

/// The profile of a process, gzip'ed.
fn profile(pid: u32) -> Result<Vec<u8>, Refusal> {
    let program = Program::of(pid)?;
    let (rate, records) = records(pid, &program, buckets::BUCKETS_MAX)?;
    let lines = Lines::new(&program);
    Ok(pprof::write(&program, rate, &records, &lines))
}

/// Bytes between two samples on average, and at most `max` buckets.
fn records(pid: u32, program: &Program, max: usize) -> Result<(u64, Vec<Record>), Refusal> {
    let memory = Memory::open(pid)?;
    let unreadable = || Refusal {
        reason: "its memory is not laid out as its program says".to_owned(),
        remedy: "start it anew: its program was replaced, or it has ended".to_owned(),
    };
    let rate = memory.word(program.rate).ok_or_else(unreadable)?;
    let first = memory.word(program.buckets).ok_or_else(unreadable)?;
    if rate == 0 || first == 0 {
        let reason = if rate == 0 {
            "it records no allocations: `runtime.MemProfileRate` is 0"
        } else {
            "it has not recorded any allocation yet"
        };
        return Err(Refusal {
            reason: reason.to_owned(),
            remedy: "leave `runtime.MemProfileRate` at its default, and import `runtime/pprof` or `net/http/pprof`: without both, the \
                     linker turns the recording off"
                .to_owned(),
        });
    }
    let records = buckets::read(&memory, program, max).ok_or_else(unreadable)?;
    Ok((rate, records))
}
