//! What this host is and lets us see, gathered once for `doctor`. Only reads.

use std::collections::BTreeMap;
use std::path::Path;

use leakscope_ingest::procfs;
use leakscope_model::{Bytes, Runtime};

use super::procfs::{Walk, identify, walk};
use crate::proc::read;

/// Most bytes read of one of these files.
const FACT_BYTES_MAX: u64 = 64 << 10;
/// `CAP_SYS_PTRACE` in the bit set of capabilities.
const CAP_SYS_PTRACE: u32 = 19;

/// What leakscope itself runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Container {
    /// The host.
    #[default]
    None,
    /// A pod.
    Kubernetes,
    /// A container of Docker, Podman or a like.
    Other,
}

/// Which control groups a host has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cgroup {
    /// None that can be read.
    #[default]
    None,
    /// Version 1, which leakscope does not read.
    V1,
    /// Version 2.
    V2,
}

/// The facts that a diagnosis is made of; `None` and empty where they could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// `linux`, or another system that shows no processes.
    pub os: String,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// Which control groups are mounted where they should be.
    pub cgroup: Cgroup,
    /// What leakscope runs in.
    pub container: Container,
    /// Whether process 1 is that of the host, as far as can be told.
    pub sees_host_processes: bool,
    /// Whether we hold `CAP_SYS_PTRACE`.
    pub cap_sys_ptrace: bool,
    /// `kernel.yama.ptrace_scope`; none when that module is not loaded.
    pub ptrace_scope: Option<u8>,
    /// Whether our own `smaps_rollup` can be read.
    pub smaps_rollup: bool,
    /// All processes.
    pub n_processes: usize,
    /// Processes that listen and can be read.
    pub n_listening: usize,
    /// Processes that may not be read: name and user.
    pub unreadable: Vec<(String, Option<u32>)>,
    /// Ports whose process may not be seen.
    pub unowned_ports: Vec<u16>,
    /// Runtimes of the listening processes, and how many of each.
    pub runtimes: BTreeMap<Runtime, usize>,
    /// Memory of the host.
    pub memory_total: Option<Bytes>,
    /// The least memory limit above us.
    pub memory_limit: Option<Bytes>,
}

/// Gathers the facts of this host. Reads `/proc` and `/sys`.
pub(crate) fn gather() -> HostFacts {
    let os = std::env::consts::OS.to_owned();
    if os != "linux" {
        return HostFacts { os, ..HostFacts::default() };
    }
    let walk = walk(Path::new("/proc"));
    let status = text("/proc/self/status").unwrap_or_default();
    HostFacts {
        os,
        kernel: text("/proc/sys/kernel/osrelease"),
        cgroup: cgroup(),
        container: container(),
        sees_host_processes: sees_host_processes(),
        cap_sys_ptrace: has_capability(&status, CAP_SYS_PTRACE),
        ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
        smaps_rollup: read(Path::new("/proc/self/smaps_rollup"), FACT_BYTES_MAX).is_some(),
        n_processes: walk.n_processes,
        n_listening: walk.listening.len(),
        unreadable: walk.unreadable.iter().map(|process| (process.name.clone(), process.uid)).collect(),
        unowned_ports: walk.unowned_ports.clone(),
        runtimes: runtimes(&walk),
        memory_total: text("/proc/meminfo").and_then(|info| kibibytes(field(&info, "MemTotal:")?)),
        memory_limit: memory_limit(Path::new("/sys/fs/cgroup")),
    }
}

fn text(path: &str) -> Option<String> {
    let bytes = read(Path::new(path), FACT_BYTES_MAX)?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn number<T: std::str::FromStr>(path: &str) -> Option<T> {
    text(path)?.parse().ok()
}

/// What stands behind `name` at the start of a line.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn kibibytes(text: &str) -> Option<Bytes> {
    text.strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024).map(Bytes)
}

fn has_capability(status: &str, bit: u32) -> bool {
    let effective = field(status, "CapEff:").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    effective.is_some_and(|set| set >> bit & 1 == 1)
}

fn cgroup() -> Cgroup {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        Cgroup::V2
    } else if Path::new("/sys/fs/cgroup/memory").exists() {
        Cgroup::V1
    } else {
        Cgroup::None
    }
}

fn container() -> Container {
    if Path::new("/var/run/secrets/kubernetes.io").exists() {
        return Container::Kubernetes;
    }
    let marked = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
    let mounts = text("/proc/self/mountinfo").unwrap_or_default();
    let overlay_root = mounts.lines().any(|line| line.split(' ').nth(4) == Some("/") && line.contains(" - overlay "));
    if marked || overlay_root { Container::Other } else { Container::None }
}

/// The kernel's thread daemon is visible in the host's process namespace only.
fn sees_host_processes() -> bool {
    text("/proc/2/comm").is_some_and(|name| name == "kthreadd")
}

fn runtimes(walk: &Walk) -> BTreeMap<Runtime, usize> {
    let mut runtimes = BTreeMap::new();
    for process in &walk.listening {
        *runtimes.entry(identify(Path::new("/proc"), process.pid).runtime).or_default() += 1;
    }
    runtimes
}

/// The least `memory.max` from our cgroup up to the root.
fn memory_limit(root: &Path) -> Option<Bytes> {
    let own = procfs::cgroup_path(&read(Path::new("/proc/self/cgroup"), FACT_BYTES_MAX)?)?;
    let folder = root.join(own.trim_start_matches('/'));
    let limit_of =
        |folder: &Path| procfs::memory_max(&read(&folder.join("memory.max"), FACT_BYTES_MAX)?).ok().flatten();
    folder.ancestors().take_while(|above| above.starts_with(root)).filter_map(limit_of).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_bits_of_a_hexadecimal_number() {
        assert!(has_capability("Name:\tx\nCapEff:\t000001ffffffffff\n", CAP_SYS_PTRACE));
        assert!(!has_capability("CapEff:\t0000000000000000\n", CAP_SYS_PTRACE));
        assert!(!has_capability("", CAP_SYS_PTRACE));
    }

    #[test]
    fn this_host_has_at_least_this_process() {
        let facts = gather();
        assert!(facts.n_processes >= 1 && facts.kernel.is_some() && facts.memory_total.is_some(), "{facts:?}");
    }
}
