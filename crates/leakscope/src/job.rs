//! This process as a job of a daemon: bounded, last in the queue, and gone with who started it.

use std::fs;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, nice, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
};

use crate::exit::Failure;

/// Added to the priority of the processor: the least that there is.
const NICENESS: i32 = 19;
/// The first to go when the host runs out of memory, so that no service goes in its place.
const OOM_SCORE_ADJ: &str = "1000";

/// Bounds what this process may allocate; files that it maps to read do not count. What would need more ends it, and without an image
/// of its memory on the disk, since that holds what services hold.
///
/// # Errors
/// When the system refuses the bound.
pub(crate) fn bound(memory_bytes_max: u64) -> Result<(), Failure> {
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    // Private memory that can be written, and nothing else: `Resource::As` would count the files, and addresses that are only reserved.
    setrlimit(Resource::Data, limit(memory_bytes_max)).map_err(|error| {
        Failure::inconclusive(format!("memory cannot be bounded to {memory_bytes_max} bytes: {error}"))
    })?;
    // Whatever of this a system refuses, the job is bounded all the same.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = nice(NICENESS);
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
    let _ = setrlimit(Resource::Core, limit(0));
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    Ok(())
}
