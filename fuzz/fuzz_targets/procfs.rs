//! Any bytes as every file of `/proc` and of cgroup v2, and as a quantity. Seeds: `fixtures/procfs`.
#![no_main]

use leakscope_ingest::{procfs, quantity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(procfs::status(bytes));
    drop(procfs::smaps_rollup(bytes));
    drop(procfs::stat(bytes).map(|stat| stat.start_time(u64::MAX, 0)));
    drop(procfs::soft_limits(bytes));
    drop(procfs::boot_time(bytes));
    drop(procfs::memory_current(bytes));
    drop(procfs::memory_max(bytes));
    drop(procfs::memory_stat(bytes));
    drop(procfs::memory_events(bytes));
    drop(procfs::cgroup_path(bytes));
    procfs::listeners(bytes).for_each(drop);
    let traces = procfs::Traces { exe: bytes, cmdline: bytes, maps: bytes, go_build_info: false };
    procfs::guess_runtime(&traces);
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(quantity::parse(text));
        quantity::find(text);
    }
});
