//! Reads one process of this host from `/proc` and its cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use leakscope_ingest::{Page, procfs};
use leakscope_model::Bytes;

use super::error::ScrapeError;
use crate::proc::{TICKS_PER_SECOND, boot_time};

/// Where cgroup v2 is mounted.
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// What `/proc` says of a process. What may not be read is left out; `smaps_rollup` is not asked: it walks all mappings.
pub(crate) fn read(pid: u32) -> Result<Page, ScrapeError> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let status = fs::read(folder.join("status")).map_err(|_| ScrapeError::ProcessGone { pid })?;
    let mut process = procfs::Process {
        status: Some(procfs::status(&status)?),
        descriptors: fs::read_dir(folder.join("fd")).ok().map(|entries| entries.count() as u64),
        ..procfs::Process::default()
    };
    if let Ok(stat) = fs::read(folder.join("stat")) {
        process.start_time =
            boot_time().and_then(|boot| Some(procfs::stat(&stat).ok()?.start_time(boot, TICKS_PER_SECOND)));
    }
    if let Some(cgroup) = fs::read(folder.join("cgroup")).ok().and_then(|bytes| procfs::cgroup_path(&bytes)) {
        read_cgroup(Path::new(CGROUP_ROOT), &cgroup, &mut process);
    }
    Ok(Page { own: process.readings(), ..Page::default() })
}

/// The cgroup's own figures, and the least limit from it up to the root: any of them kills.
fn read_cgroup(root: &Path, cgroup: &str, process: &mut procfs::Process) {
    let folder = root.join(cgroup.trim_start_matches('/'));
    process.cgroup = fs::read(folder.join("memory.stat")).ok().and_then(|bytes| procfs::memory_stat(&bytes).ok());
    process.events = fs::read(folder.join("memory.events")).ok().and_then(|bytes| procfs::memory_events(&bytes).ok());
    for ancestor in folder.ancestors().take_while(|ancestor| ancestor.starts_with(root)) {
        let max =
            fs::read(ancestor.join("memory.max")).ok().and_then(|bytes| procfs::memory_max(&bytes).ok().flatten());
        process.limit = match (process.limit, max) {
            (Some(Bytes(known)), Some(Bytes(max))) => Some(Bytes(known.min(max))),
            (known, max) => known.or(max),
        };
    }
}

#[cfg(test)]
mod tests {
    use leakscope_model::Signal;

    use super::*;

    #[test]
    fn this_very_process_can_be_read() {
        let page = read(std::process::id()).unwrap();
        assert!(page.own.get(Signal::Rss).is_some_and(|rss| rss > 100_000.0), "{page:?}");
        assert!(page.own.get(Signal::Threads).is_some_and(|threads| threads >= 1.0));
        assert!(page.own.get(Signal::FileDescriptors).is_some_and(|descriptors| descriptors >= 3.0));
        let age = crate::clock::now().as_secs_f64() - page.own.get(Signal::StartTime).unwrap();
        assert!((-1.0..3_600.0).contains(&age), "{age}");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(matches!(read(u32::MAX), Err(ScrapeError::ProcessGone { .. })));
    }
}
