//! Reads what local discovery wants of `/proc`: listening sockets, who holds them, and what these processes are. Every read is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use leakscope_ingest::procfs::{self, Listener, Reach, Traces, guess_runtime};
use leakscope_model::Runtime;

use crate::proc::{PROC_BYTES_MAX, net_of, pids, read, socket_inodes, sockets};

use super::names::{NAMING_VARIABLES, NameTraces, service_name};

/// Folders above a script in which `package.json` is looked for.
const PACKAGE_LEVELS: usize = 4;

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) pid: u32,
    /// Clock ticks from the host's start to the process's: with `pid`, its identity.
    pub(crate) start_ticks: u64,
    /// Where it can be asked from this host's loopback, ascending by port.
    pub(crate) loopback: Vec<(IpAddr, u16)>,
    /// Ports that loopback does not reach, ascending.
    pub(crate) elsewhere: Vec<u16>,
    /// Whether other processes hold the same sockets: what answers may be any of them.
    pub(crate) shared: bool,
    /// The network namespace, when it is not ours (a container's).
    pub(crate) foreign_net: Option<u64>,
}

/// A process whose descriptors may not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) uid: Option<u32>,
}

/// What one walk over `/proc` saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    pub(crate) listening: Vec<Listening>,
    pub(crate) unreadable: Vec<Unreadable>,
    /// Ports of this host that listen and whose process was not found.
    pub(crate) unowned_ports: Vec<u16>,
    pub(crate) n_processes: usize,
}

/// Walks over all processes under `proc` (`/proc`).
pub(crate) fn walk(proc: &Path) -> Walk {
    let own_net = net_of(&proc.join("self"));
    let mut tables: BTreeMap<Option<u64>, BTreeMap<u64, Listener>> = BTreeMap::new();
    tables.insert(own_net, sockets(proc));
    let mut walk = Walk::default();
    let mut holders: BTreeMap<u64, usize> = BTreeMap::new();
    let mut held: Vec<(u32, Option<u64>, Vec<Listener>)> = Vec::new();
    for pid in pids(proc) {
        walk.n_processes += 1;
        let folder = proc.join(pid.to_string());
        let Some(inodes) = socket_inodes(&folder) else {
            walk.unreadable.extend(unreadable(&folder, pid));
            continue;
        };
        if inodes.is_empty() {
            continue;
        }
        let net = net_of(&folder);
        let table = tables.entry(net).or_insert_with(|| sockets(&folder));
        let listeners: Vec<Listener> = inodes.iter().filter_map(|inode| table.get(inode).copied()).collect();
        for listener in &listeners {
            *holders.entry(listener.inode).or_default() += 1;
        }
        if !listeners.is_empty() {
            held.push((pid, net, listeners));
        }
    }
    for (pid, net, listeners) in held {
        let foreign_net = net.filter(|_| net != own_net);
        walk.listening.extend(listening(proc, pid, foreign_net, &listeners, &holders));
    }
    let own = tables.get(&own_net);
    let unowned = own.into_iter().flatten().filter(|(inode, _)| !holders.contains_key(inode));
    walk.unowned_ports = unowned.map(|(_, listener)| listener.port).collect::<BTreeSet<_>>().into_iter().collect();
    walk
}

fn listening(
    proc: &Path,
    pid: u32,
    foreign_net: Option<u64>,
    listeners: &[Listener],
    holders: &BTreeMap<u64, usize>,
) -> Option<Listening> {
    let stat = read(&proc.join(format!("{pid}/stat")), PROC_BYTES_MAX)?;
    let start_ticks = procfs::stat(&stat).ok()?.start_ticks;
    let (mut loopback, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
    for listener in listeners {
        match listener.reach {
            Reach::Loopback(address) if foreign_net.is_none() => {
                loopback.insert((listener.port, address));
            }
            Reach::Any if foreign_net.is_none() => {
                loopback.insert((listener.port, IpAddr::from([127, 0, 0, 1])));
            }
            Reach::Loopback(_) | Reach::Any | Reach::Address(_) => {
                elsewhere.insert(listener.port);
            }
        }
    }
    let shared = listeners.iter().any(|listener| holders.get(&listener.inode).is_some_and(|n_holders| *n_holders > 1));
    Some(Listening {
        pid,
        start_ticks,
        loopback: loopback.into_iter().map(|(port, address)| (address, port)).collect(),
        elsewhere: elsewhere.into_iter().collect(),
        shared,
        foreign_net,
    })
}

/// A process that may not be read; kernel threads have no memory and are left out.
fn unreadable(folder: &Path, pid: u32) -> Option<Unreadable> {
    let status = procfs::status(&read(&folder.join("status"), PROC_BYTES_MAX)?).ok()?;
    status.rss?;
    Some(Unreadable { pid, name: status.name, uid: status.uid })
}

/// What a process is, read once in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) runtime: Runtime,
    /// The guessed name of its service.
    pub(crate) service: String,
    /// Path of its executable, empty when it may not be read.
    pub(crate) exe: String,
    /// Its arguments, joined by spaces. May hold secrets: matched against, never shown.
    pub(crate) cmdline: String,
}

/// Reads what a process is.
pub(crate) fn identify(proc: &Path, pid: u32) -> Identity {
    let folder = proc.join(pid.to_string());
    let exe = std::fs::read_link(folder.join("exe")).map(|path| path.display().to_string()).unwrap_or_default();
    let cmdline = read(&folder.join("cmdline"), PROC_BYTES_MAX).unwrap_or_default();
    let maps = read(&folder.join("maps"), PROC_BYTES_MAX).unwrap_or_default();
    let go_build_info = has_go_build_info(&folder.join("exe")).unwrap_or(false);
    let runtime = guess_runtime(&Traces { exe: exe.as_bytes(), cmdline: &cmdline, maps: &maps, go_build_info });
    let texts = |bytes: &[u8]| -> Vec<String> {
        let parts = bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    };
    let args = texts(&cmdline);
    let environment = texts(&read(&folder.join("environ"), PROC_BYTES_MAX).unwrap_or_default());
    let env: Vec<(String, String)> = environment
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| NAMING_VARIABLES.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let package = |script: &str| package_name(&folder, script);
    let service = service_name(&NameTraces { runtime, exe: &exe, args: &args, env: &env }, &package);
    Identity { runtime, service, exe, cmdline: args.join(" ") }
}

/// The `name` of the nearest `package.json` above a script of the process.
fn package_name(folder: &Path, script: &str) -> Option<String> {
    let cwd = std::fs::read_link(folder.join("cwd")).ok()?;
    // Seen through the process's own root, so that a container's files are found too.
    let path: PathBuf = cwd.join(script);
    let root = folder.join("root");
    for above in path.ancestors().skip(1).take(PACKAGE_LEVELS) {
        let file = root.join(above.strip_prefix("/").ok()?).join("package.json");
        if let Some(bytes) = read(&file, PROC_BYTES_MAX) {
            let package: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            return package.get("name")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        }
    }
    None
}

/// Whether an ELF file has the section that Go's linker writes; 64-bit, little-endian files only.
fn has_go_build_info(exe: &Path) -> Option<bool> {
    let mut file = File::open(exe).ok()?;
    let mut header = [0_u8; 64];
    file.read_exact(&mut header).ok()?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let sections = u64::from_le_bytes(header[0x28..0x30].try_into().ok()?);
    let size = u64::from(u16::from_le_bytes(header[0x3a..0x3c].try_into().ok()?));
    let names_index = u64::from(u16::from_le_bytes(header[0x3e..0x40].try_into().ok()?));
    let mut section = [0_u8; 64];
    file.seek(SeekFrom::Start(sections.checked_add(names_index * size)?)).ok()?;
    file.read_exact(&mut section).ok()?;
    let offset = u64::from_le_bytes(section[0x18..0x20].try_into().ok()?);
    let length = u64::from_le_bytes(section[0x20..0x28].try_into().ok()?);
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut names = Vec::new();
    file.take(length.min(PROC_BYTES_MAX)).read_to_end(&mut names).ok()?;
    Some(names.split(|byte| *byte == 0).any(|name| name == b".go.buildinfo"))
}
