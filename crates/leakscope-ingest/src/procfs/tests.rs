//! Files of `/proc` as kernels write them.

use std::net::{IpAddr, Ipv4Addr};

use leakscope_model::Runtime;

use super::*;

const STATUS: &[u8] = include_bytes!("../../../../fixtures/procfs/status");
const SMAPS_ROLLUP: &[u8] = include_bytes!("../../../../fixtures/procfs/smaps_rollup");
const STAT: &[u8] = include_bytes!("../../../../fixtures/procfs/stat");
const LIMITS: &[u8] = include_bytes!("../../../../fixtures/procfs/limits");
const TCP: &[u8] = include_bytes!("../../../../fixtures/procfs/tcp");
const TCP6: &[u8] = include_bytes!("../../../../fixtures/procfs/tcp6");
const MEMORY_STAT: &[u8] = include_bytes!("../../../../fixtures/procfs/memory.stat");
const MEMORY_EVENTS: &[u8] = include_bytes!("../../../../fixtures/procfs/memory.events");

const KIB: u64 = 1_024;

#[test]
fn a_process_is_read_from_its_files() {
    let process = Process {
        status: Some(status(STATUS).unwrap()),
        smaps: Some(smaps_rollup(SMAPS_ROLLUP).unwrap()),
        descriptors: Some(6),
        start_time: Some(stat(STAT).unwrap().start_time(1_700_000_000, 100)),
        cgroup: Some(memory_stat(MEMORY_STAT).unwrap()),
        limit: memory_max(b"536870912\n").unwrap(),
        events: Some(memory_events(MEMORY_EVENTS).unwrap()),
    };
    let want = Readings::from_iter([
        (Signal::Rss, (33_588 * KIB) as f64),
        (Signal::AnonRss, (26_684 * KIB) as f64),
        (Signal::Threads, 1.0),
        (Signal::FileDescriptors, 6.0),
        (Signal::StartTime, 1_700_002_346.26),
        (Signal::PageCache, 81_920_000.0),
        (Signal::Limit, 536_870_912.0),
        (Signal::OomKills, 1.0),
    ]);
    assert_eq!(process.readings().iter().collect::<Vec<_>>(), want.iter().collect::<Vec<_>>());
}

#[test]
fn status_of_a_kernel_thread_has_no_memory() {
    let read = status(b"Name:\tkthreadd\nPPid:\t0\nUid:\t0\t0\t0\t0\nThreads:\t1\n").unwrap();
    let want =
        Status { name: "kthreadd".to_owned(), parent: Some(0), uid: Some(0), threads: Some(1), ..Status::default() };
    assert_eq!(read, want);
}

#[test]
fn a_command_may_hold_spaces_and_parentheses() {
    let line = b"7 (a) b (c)) R 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
    let want = Stat { pid: 7, comm: "a) b (c)".to_owned(), state: 'R', parent: 1, start_ticks: 4_242 };
    assert_eq!(stat(line), Ok(want));
}

#[test]
fn files_cut_short_are_errors_with_their_place() {
    for (outcome, message) in [
        (stat(b"7 (a").map(drop), "expected `)` behind the command at line 1, column 5, found the end"),
        (stat(b"7 (a) R 1 7").map(drop), "expected a start time as field 22 at line 1, column 6, found ` R 1 7`"),
        (status(b"").map(drop), "expected a line `Name:` at line 1, column 1, found the end"),
        (
            status(b"Name:\tx\nVmRSS:\t12 MB\n").map(drop),
            "expected a size in `kB` at line 2, column 7, found `\\t12 MB`",
        ),
        (memory_max(b"maximal").map(drop), "expected a number or `max` at line 1, column 1, found `maximal`"),
        (memory_events(b"oom_kill -1").map(drop), "expected a number at line 1, column 10, found `-1`"),
        (boot_time(b"cpu 1 2\n").map(drop), "expected a line `btime SECONDS` at line 1, column 1, found `cpu 1 2\\n`"),
    ] {
        assert_eq!(outcome.unwrap_err().to_string(), message);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    assert!(status(b"Name:\tx\nVmRSS:\t18446744073709551615 kB\n").is_err());
}

#[test]
fn host_and_cgroup_files_are_read() {
    assert_eq!(boot_time(b"cpu  1 2 3\nbtime 1700000000\nprocesses 5\n"), Ok(1_700_000_000));
    assert_eq!(memory_current(b"4096\n"), Ok(Bytes(4_096)));
    assert_eq!(memory_max(b"max\n"), Ok(None));
    assert_eq!(soft_limits(LIMITS), Ok(SoftLimits { address_space: None, open_files: Some(20_000) }));
    assert_eq!(cgroup_path(b"4:memory:/a\n0::/system.slice/x.service\n").as_deref(), Some("/system.slice/x.service"));
    assert_eq!(cgroup_path(b"0::/../../etc\n"), None);
    assert_eq!(cgroup_path(b"4:memory:/a\n"), None);
}

#[test]
fn listening_sockets_tell_port_and_reach() {
    let loopback = Reach::Loopback(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(
        listeners(TCP).collect::<Vec<_>>(),
        [
            Listener { inode: 41_117, port: 18_432, reach: Reach::Any },
            Listener { inode: 41_116, port: 18_431, reach: loopback },
        ]
    );
    assert_eq!(
        listeners(TCP6).collect::<Vec<_>>(),
        [
            Listener { inode: 41_118, port: 18_433, reach: Reach::Loopback("::1".parse().unwrap()) },
            Listener { inode: 41_119, port: 18_434, reach: Reach::Any },
            Listener { inode: 41_121, port: 18_435, reach: loopback },
        ]
    );
}

#[test]
fn runtimes_are_guessed_from_exe_libraries_and_command() {
    let libjvm = b"7f00-7f01 r-xp 00000000 08:01 1 /usr/lib/jvm/lib/server/libjvm.so\n";
    let libpython = b"7f00-7f01 r-xp 00000000 08:01 1 /usr/lib/libpython3.11.so.1.0\n";
    for (exe, cmdline, maps, go_build_info, want) in [
        (&b"/usr/bin/node"[..], &b"node\0server.js\0"[..], &b""[..], false, Runtime::Node),
        (b"/usr/bin/python3.11", b"", b"", false, Runtime::Python),
        (b"/usr/lib/jvm/17/bin/java (deleted)", b"", b"", false, Runtime::Jvm),
        (b"/srv/launcher", b"launcher\0", libjvm, false, Runtime::Jvm),
        (b"/srv/embed", b"", libpython, false, Runtime::Python),
        (b"/usr/share/dotnet/dotnet", b"dotnet\0app.dll\0", b"", false, Runtime::DotNet),
        (b"/srv/api", b"api\0", b"", true, Runtime::Go),
        (b"/srv/api", b"api\0", b"", false, Runtime::Native),
        (b"/usr/bin/ruby3.1", b"", b"", false, Runtime::Unknown),
        (b"", b"python3\0app.py\0", b"", false, Runtime::Python),
        (b"", b"", b"", false, Runtime::Unknown),
        (b"\xff", b"\xff", b"\xff", false, Runtime::Native),
    ] {
        let traces = Traces { exe, cmdline, maps, go_build_info };
        assert_eq!(guess_runtime(&traces), want, "{traces:?}");
    }
}

#[test]
fn any_prefix_of_any_file_gives_a_value_or_an_error() {
    for file in [STATUS, SMAPS_ROLLUP, STAT, LIMITS, TCP, TCP6, MEMORY_STAT, MEMORY_EVENTS] {
        for end in 0..file.len() {
            let cut = &file[..end];
            drop((status(cut), smaps_rollup(cut), stat(cut), soft_limits(cut), boot_time(cut)));
            drop((memory_stat(cut), memory_events(cut), memory_max(cut), memory_current(cut), cgroup_path(cut)));
            drop(listeners(cut).collect::<Vec<_>>());
        }
    }
}
