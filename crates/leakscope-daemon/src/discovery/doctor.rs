//! `leakscope doctor`: what this host lets us see, and how to get the rest; what can be captured of whom is asked of the targets. Pure: [`HostFacts`] in, findings out.

use std::collections::BTreeSet;

use super::facts::{Cgroup, Container, HostFacts};
use super::local::REMEDY;

/// How well something is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As well as can be.
    Ok,
    /// In part.
    Limited,
    /// Not at all.
    Missing,
}

impl Status {
    /// Its published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How well it is seen.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it, when there is anything to do.
    pub remedy: Option<String>,
}

/// The findings on a host, in the order in which they should be read.
pub(crate) fn diagnose(facts: &HostFacts) -> Vec<Finding> {
    if facts.os != "linux" {
        let remedy = "name the services in `scrape_configs`: their own endpoints are read on every system";
        let detail = format!("local processes are read on Linux only, this is `{}`", facts.os);
        return vec![limited("operating system", Status::Missing, detail, remedy)];
    }
    let mut findings = vec![kernel(facts), container(facts), processes(facts), ports(facts), runtimes(facts)];
    findings.extend([smaps(facts), cgroup(facts), limits(facts), ptrace(facts)]);
    findings
}

fn ok(what: &'static str, detail: impl Into<String>) -> Finding {
    Finding { what, status: Status::Ok, detail: detail.into(), remedy: None }
}

fn limited(what: &'static str, status: Status, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { what, status, detail: detail.into(), remedy: Some(remedy.into()) }
}

fn kernel(facts: &HostFacts) -> Finding {
    let Some(kernel) = &facts.kernel else {
        return limited("kernel", Status::Missing, "its release cannot be read", "mount `/proc`");
    };
    let mut numbers = kernel.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let release = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if release >= (4, 14) {
        return ok("kernel", format!("Linux {kernel}"));
    }
    let remedy = "4.14 and later have `smaps_rollup`, which reads a process's memory exactly";
    limited("kernel", Status::Limited, format!("Linux {kernel}"), remedy)
}

fn container(facts: &HostFacts) -> Finding {
    let within = match facts.container {
        Container::None => return ok("place", "runs on the host itself"),
        Container::Kubernetes => "a pod",
        Container::Other => "a container",
    };
    if facts.sees_host_processes {
        return ok("place", format!("runs in {within} that sees the processes of the host"));
    }
    let remedy = match facts.container {
        Container::Kubernetes => "set `hostPID: true`, or name the services in `scrape_configs`",
        Container::None | Container::Other => {
            "start it with `--pid=host --network=host`, or name the services in `scrape_configs`"
        }
    };
    limited("place", Status::Limited, format!("runs in {within}: only its own processes are seen"), remedy)
}

fn processes(facts: &HostFacts) -> Finding {
    let n_unreadable = facts.unreadable.len();
    if n_unreadable == 0 {
        let detail = format!("all {} can be read, {} of them listen", facts.n_processes, facts.n_listening);
        return ok("processes", detail);
    }
    let names: BTreeSet<&str> = facts.unreadable.iter().map(|(name, _)| name.as_str()).collect();
    let shown: Vec<&str> = names.iter().copied().take(5).collect();
    let more = if names.len() > shown.len() { ", ..." } else { "" };
    let detail = format!("{n_unreadable} of {} may not be read: {}{more}", facts.n_processes, shown.join(", "));
    limited("processes", Status::Limited, detail, REMEDY)
}

fn ports(facts: &HostFacts) -> Finding {
    if facts.unowned_ports.is_empty() {
        return ok("listening ports", "each was found to belong to a process that can be read");
    }
    let ports: Vec<String> = facts.unowned_ports.iter().take(8).map(u16::to_string).collect();
    let more = if facts.unowned_ports.len() > ports.len() { ", ..." } else { "" };
    let detail = format!("whose these are cannot be seen: {}{more}", ports.join(", "));
    limited("listening ports", Status::Limited, detail, REMEDY)
}

fn runtimes(facts: &HostFacts) -> Finding {
    if facts.runtimes.is_empty() {
        let remedy = "start a service, or name those of other hosts in `scrape_configs`; `leakscope demo` starts some of its own";
        return limited("runtimes", Status::Missing, "no process that listens was found", remedy);
    }
    let shown: Vec<String> = facts.runtimes.iter().map(|(runtime, n)| format!("{n} {runtime}")).collect();
    ok("runtimes", shown.join(", "))
}

fn smaps(facts: &HostFacts) -> Finding {
    if facts.smaps_rollup {
        return ok("exact memory of processes", "`smaps_rollup` can be read");
    }
    let remedy = "use a kernel from 4.14 on with CONFIG_PROC_PAGE_MONITOR";
    limited(
        "exact memory of processes",
        Status::Limited,
        "`smaps_rollup` cannot be read; `status` is, which lags by some pages",
        remedy,
    )
}

fn cgroup(facts: &HostFacts) -> Finding {
    let detail = match facts.cgroup {
        Cgroup::V2 => return ok("cgroup v2", "limits, page cache and out-of-memory kills can be read"),
        Cgroup::V1 => "only cgroup v1 is mounted",
        Cgroup::None => "no cgroup is mounted",
    };
    let remedy =
        "start the host with `systemd.unified_cgroup_hierarchy=1`, or mount `/sys/fs/cgroup` into the container";
    limited("cgroup v2", Status::Missing, format!("{detail}: limits and out-of-memory kills are not seen"), remedy)
}

fn limits(facts: &HostFacts) -> Finding {
    match (facts.memory_total, facts.memory_limit) {
        (_, Some(limit)) => ok("memory", format!("leakscope itself is limited to {limit}")),
        (Some(total), None) => ok("memory", format!("{total} on this host, leakscope itself is not limited")),
        (None, None) => limited("memory", Status::Limited, "its size cannot be read", "mount `/proc`"),
    }
}

fn ptrace(facts: &HostFacts) -> Finding {
    let what = "attaching to processes";
    match facts.ptrace_scope {
        _ if facts.cap_sys_ptrace && facts.ptrace_scope != Some(3) => ok(what, "allowed by CAP_SYS_PTRACE"),
        None | Some(0) => ok(what, "allowed for processes of the same user"),
        Some(1 | 2) => {
            let remedy =
                "grant CAP_SYS_PTRACE, or `sysctl kernel.yama.ptrace_scope=0`; endpoints of the services need neither";
            limited(what, Status::Limited, "`kernel.yama.ptrace_scope` restricts it", remedy)
        }
        Some(_) => {
            let remedy = "it stays so until the host restarts with another `kernel.yama.ptrace_scope`; endpoints of the services do not need it";
            limited(what, Status::Missing, "`kernel.yama.ptrace_scope` is 3", remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use leakscope_model::{Bytes, Runtime};

    use super::*;

    fn best() -> HostFacts {
        HostFacts {
            os: "linux".to_owned(),
            kernel: Some("6.8.0-31-generic".to_owned()),
            cgroup: Cgroup::V2,
            sees_host_processes: true,
            cap_sys_ptrace: true,
            ptrace_scope: Some(1),
            smaps_rollup: true,
            n_processes: 100,
            n_listening: 3,
            runtimes: BTreeMap::from([(Runtime::Go, 2), (Runtime::Jvm, 1)]),
            memory_total: Some(Bytes(16 << 30)),
            ..HostFacts::default()
        }
    }

    /// What is not ok, as `what: status`.
    fn shortcomings(facts: &HostFacts) -> Vec<String> {
        let findings = diagnose(facts);
        assert!(
            findings.iter().all(|finding| (finding.status == Status::Ok) == finding.remedy.is_none()),
            "{findings:?}"
        );
        let bad = findings.iter().filter(|finding| finding.status != Status::Ok);
        bad.map(|finding| format!("{}: {}", finding.what, finding.status.name())).collect()
    }

    #[test]
    fn root_on_a_current_host_lacks_nothing() {
        assert_eq!(shortcomings(&best()), [""; 0]);
    }

    #[test]
    fn each_shortcoming_is_found_and_has_a_remedy() {
        type Spoil = fn(&mut HostFacts);
        let table: [(Spoil, &str); 10] = [
            (|facts| facts.kernel = Some("3.10.0".to_owned()), "kernel: limited"),
            (|facts| facts.kernel = None, "kernel: missing"),
            (|facts| (facts.container, facts.sees_host_processes) = (Container::Kubernetes, false), "place: limited"),
            (|facts| facts.unreadable.push(("postgres".to_owned(), Some(70))), "processes: limited"),
            (|facts| facts.unowned_ports.push(5432), "listening ports: limited"),
            (|facts| facts.runtimes.clear(), "runtimes: missing"),
            (|facts| facts.smaps_rollup = false, "exact memory of processes: limited"),
            (|facts| facts.cgroup = Cgroup::V1, "cgroup v2: missing"),
            (|facts| facts.memory_total = None, "memory: limited"),
            (|facts| facts.cap_sys_ptrace = false, "attaching to processes: limited"),
        ];
        for (spoil, expected) in table {
            let mut facts = best();
            spoil(&mut facts);
            assert_eq!(shortcomings(&facts), [expected]);
        }
    }

    #[test]
    fn another_system_is_told_what_still_works() {
        let facts = HostFacts { os: "macos".to_owned(), ..HostFacts::default() };
        assert_eq!(shortcomings(&facts), ["operating system: missing"]);
    }
}
