//! Processes of this host that listen: found in `/proc`, named, asked once for pages we know, and read from `/proc` where they have none. What may not be seen is named with its remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use leakscope_ingest::Labels;
use leakscope_model::{Runtime, Timestamp};

use super::probe::{Answered, PROBE_INTERVAL, probe};
use super::procfs::{Identity, Listening, Walk, identify, walk};
use super::target::LocalOrigin;
use super::{Discovered, FetchRequest, FetchResponse};
use crate::config::{LocalDiscovery, ScrapeJob};

/// Most processes that are asked in one round; the others wait for the next.
const PROBES_AT_ONCE: usize = 32;

/// What discovery may not see, and how it could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blind {
    /// The process.
    pub pid: u32,
    /// Its name, as the kernel keeps it.
    pub name: String,
    /// Why it is not seen.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

/// Follows the listening processes of this host.
#[derive(Debug)]
pub(super) struct Local {
    settings: LocalDiscovery,
    job: Arc<ScrapeJob>,
    looked_at: Option<Timestamp>,
    /// By process number and start.
    known: BTreeMap<(u32, u64), Known>,
    blind: Vec<Blind>,
    /// Whether processes came, went or changed since this was last taken.
    changed: bool,
}

#[derive(Debug)]
struct Known {
    listening: Listening,
    identity: Identity,
    probed_at: Option<Timestamp>,
    answered: Option<Answered>,
    /// Whether the answer came since changes were last taken.
    newly_answered: bool,
}

impl Local {
    pub(super) fn new(settings: LocalDiscovery, job: Arc<ScrapeJob>) -> Self {
        Self { settings, job, looked_at: None, known: BTreeMap::new(), blind: Vec::new(), changed: false }
    }

    /// Looks around if it is time to, and asks processes not asked yet. Walks over `/proc` on a blocking thread. Given up, what was not finished is done again.
    pub(super) async fn poll<F, R>(&mut self, now: Timestamp, fetch: &F)
    where
        F: Fn(FetchRequest) -> R,
        R: Future<Output = Result<FetchResponse, String>>,
    {
        if self.looked_at.is_none_or(|last| now.since(last) >= self.settings.interval || now < last) {
            let known: BTreeSet<(u32, u64)> = self.known.keys().copied().collect();
            let looked = tokio::task::spawn_blocking(move || look(&known)).await;
            self.looked_at = Some(now);
            if let Ok((walk, identities)) = looked {
                self.take(walk, identities);
            }
        }
        self.ask(now, fetch).await;
    }

    /// Takes over what a walk saw.
    fn take(&mut self, walk: Walk, mut identities: BTreeMap<(u32, u64), Identity>) {
        let blind = blind(&walk);
        self.changed |= blind != self.blind;
        self.blind = blind;
        let seen: BTreeSet<(u32, u64)> = walk.listening.iter().map(|found| (found.pid, found.start_ticks)).collect();
        let n_before = self.known.len();
        self.known.retain(|key, _| seen.contains(key));
        self.changed |= self.known.len() != n_before;
        for listening in walk.listening {
            let key = (listening.pid, listening.start_ticks);
            if let Some(known) = self.known.get_mut(&key) {
                if known.listening != listening {
                    // New ports: what was answered may have moved.
                    (known.probed_at, known.answered) = (None, None);
                    known.listening = listening;
                    self.changed = true;
                }
            } else if let Some(identity) = identities.remove(&key) {
                self.known
                    .insert(key, Known { listening, identity, probed_at: None, answered: None, newly_answered: false });
                self.changed = true;
            }
        }
    }

    /// Asks the processes whose turn it is.
    async fn ask<F, R>(&mut self, now: Timestamp, fetch: &F)
    where
        F: Fn(FetchRequest) -> R,
        R: Future<Output = Result<FetchResponse, String>>,
    {
        if !self.settings.probe {
            return;
        }
        let (job, settings) = (&self.job, &self.settings);
        let due = self.known.values_mut().filter(|known| known.is_due(now) && admits(settings, known));
        let rounds = due.take(PROBES_AT_ONCE).map(async |known| {
            known.answered = probe(job, &known.addresses(&settings.ports), fetch).await;
            known.probed_at = Some(now);
            known.newly_answered = known.answered.is_some();
        });
        futures_util::future::join_all(rounds).await;
    }

    /// Whether anything changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        let mut changed = std::mem::take(&mut self.changed);
        for known in self.known.values_mut() {
            changed |= std::mem::take(&mut known.newly_answered);
        }
        changed
    }

    /// The processes to watch, with the names that tell them apart.
    pub(super) fn targets(&self) -> Vec<Discovered> {
        let admitted: Vec<&Known> = self.known.values().filter(|known| admits(&self.settings, known)).collect();
        let mut n_named: BTreeMap<&str, usize> = BTreeMap::new();
        for known in &admitted {
            *n_named.entry(&known.identity.service).or_default() += 1;
        }
        admitted
            .into_iter()
            .map(|known| {
                let several = n_named.get(known.identity.service.as_str()).is_some_and(|n| *n > 1);
                known.discovered(&self.job, &self.settings.ports, several)
            })
            .collect()
    }

    pub(super) fn blind(&self) -> &[Blind] {
        &self.blind
    }
}

/// Walks, and reads what the processes are that were not known before.
fn look(known: &BTreeSet<(u32, u64)>) -> (Walk, BTreeMap<(u32, u64), Identity>) {
    let proc = Path::new("/proc");
    let mut walk = walk(proc);
    // leakscope watches itself by its own means.
    walk.listening.retain(|found| found.pid != std::process::id());
    let keys = walk.listening.iter().map(|found| (found.pid, found.start_ticks));
    let new = keys.filter(|key| !known.contains(key));
    let identities = new.map(|key| (key, identify(proc, key.0))).collect();
    (walk, identities)
}

/// Whether the settings want this process: by its command line and its ports.
fn admits(settings: &LocalDiscovery, known: &Known) -> bool {
    let ports = || known.listening.loopback.iter().map(|(_, port)| port).chain(&known.listening.elsewhere);
    let by_port = settings.ports.is_empty() || ports().any(|port| settings.ports.contains(port));
    by_port && settings.admits(&known.identity.cmdline)
}

impl Known {
    /// Whether it may be asked now: once at first, then every ten minutes until it answers. Sockets that several processes share are not asked: any of them might answer.
    fn is_due(&self, now: Timestamp) -> bool {
        let long_ago = self.probed_at.is_none_or(|last| now.since(last) >= PROBE_INTERVAL || now < last);
        self.answered.is_none() && long_ago && !self.listening.shared && !self.listening.loopback.is_empty()
    }

    /// The addresses it can be asked at, those of `ports` only unless that is empty.
    fn addresses(&self, ports: &[u16]) -> Vec<(String, u16)> {
        let wanted = self.listening.loopback.iter().filter(|(_, port)| ports.is_empty() || ports.contains(port));
        wanted.map(|(address, port)| (std::net::SocketAddr::from((*address, *port)).to_string(), *port)).collect()
    }

    fn discovered(&self, job: &Arc<ScrapeJob>, ports: &[u16], several: bool) -> Discovered {
        let Listening { pid, shared, foreign_net, ref elsewhere, .. } = self.listening;
        let port = elsewhere.first().copied().unwrap_or_default();
        let address = match (&self.answered, self.addresses(ports).first()) {
            (Some(answered), _) => answered.address.clone(),
            (None, Some((address, _))) => address.clone(),
            (None, None) => format!("localhost:{port}"),
        };
        let instance = match foreign_net {
            Some(net) => Some(format!("net-{net}:{port}")),
            None => shared.then(|| format!("{address} (pid {pid})")),
        };
        let runtime = match self.identity.runtime {
            Runtime::Unknown | Runtime::Native => self.answered.as_ref().and_then(|answered| answered.runtime),
            _ => None,
        };
        let runtime = runtime.unwrap_or(self.identity.runtime);
        let shown_port = address.rsplit(':').next().unwrap_or_default();
        let service = &self.identity.service;
        let service = if several && !shared { format!("{service}:{shown_port}") } else { service.clone() };
        let mut labels = Labels::from([
            ("service".to_owned(), service),
            ("__meta_local_pid".to_owned(), pid.to_string()),
            ("__meta_local_exe".to_owned(), self.identity.exe.clone()),
            ("__meta_local_runtime".to_owned(), runtime.name().to_owned()),
            ("__meta_local_service".to_owned(), self.identity.service.clone()),
        ]);
        labels.extend(instance.map(|instance| ("instance".to_owned(), instance)));
        let paths = self.answered.as_ref().map(|answered| answered.paths.clone()).unwrap_or_default();
        Discovered { job: job.clone(), address, labels, local: Some(LocalOrigin { pid, runtime, paths }) }
    }
}

/// Processes that may own the ports whose owner was not found.
fn blind(walk: &Walk) -> Vec<Blind> {
    if walk.unowned_ports.is_empty() {
        return Vec::new();
    }
    let ports: Vec<String> = walk.unowned_ports.iter().take(8).map(u16::to_string).collect();
    let more = if walk.unowned_ports.len() > ports.len() { ", ..." } else { "" };
    let ports = format!("{}{more}", ports.join(", "));
    let of_process = |process: &super::procfs::Unreadable| Blind {
        pid: process.pid,
        name: process.name.clone(),
        why: format!(
            "its sockets may not be read{}; it may be the one that listens on {ports}",
            process.uid.map(|uid| format!(", it belongs to user {uid}")).unwrap_or_default()
        ),
        remedy: REMEDY.to_owned(),
    };
    walk.unreadable.iter().map(of_process).collect()
}

/// How other users' processes become visible.
pub(super) const REMEDY: &str = "run leakscope as root or as that user, or grant it once: `setcap cap_sys_ptrace,cap_dac_read_search+ep $(command -v leakscope)`; or name the service in `scrape_configs`";

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::config::Global;

    /// A real process that listens on a free port of loopback, and ends with its standard input.
    struct Listener {
        child: Child,
        port: u16,
    }

    impl Listener {
        fn start() -> Self {
            let program = "import socket,sys\ns=socket.create_server(('127.0.0.1',0))\nprint(s.getsockname()[1],flush=True)\nsys.stdin.read()";
            let mut child = Command::new("python3")
                .args(["-c", program])
                .env("OTEL_SERVICE_NAME", "found-by-its-pid")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            Self { child, port: line.trim().parse().unwrap() }
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[tokio::test]
    async fn a_listening_process_is_found_by_its_pid_and_forgotten_when_it_ends() {
        let listener = Listener::start();
        let settings = LocalDiscovery { ports: vec![listener.port], ..LocalDiscovery::default() };
        let mut local = Local::new(settings, ScrapeJob::local(&Global::default()));
        let now = Timestamp::from_millis(1_000_000);
        let silent = |_| std::future::ready(Err::<FetchResponse, _>("no HTTP".to_owned()));
        local.poll(now, &silent).await;
        assert!(local.take_changed());
        let found = local.targets();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].address, format!("127.0.0.1:{}", listener.port));
        assert_eq!(found[0].labels["service"], "found-by-its-pid");
        let origin = LocalOrigin { pid: listener.child.id(), runtime: Runtime::Python, paths: Vec::new() };
        assert_eq!(found[0].local, Some(origin));

        drop(listener);
        local.poll(now.plus(LocalDiscovery::default().interval), &silent).await;
        assert!(local.targets().is_empty());
    }

    #[tokio::test]
    async fn a_process_is_asked_once_in_ten_minutes_until_it_answers() {
        let listener = Listener::start();
        let settings = LocalDiscovery { ports: vec![listener.port], ..LocalDiscovery::default() };
        let mut local = Local::new(settings, ScrapeJob::local(&Global::default()));
        let n_asked = std::sync::Mutex::new(0);
        let silent = |_| {
            *n_asked.lock().unwrap() += 1;
            std::future::ready(Err::<FetchResponse, _>("no HTTP".to_owned()))
        };
        let start = Timestamp::from_millis(1_000_000);
        for minutes in 0..10 {
            local.poll(start.plus(std::time::Duration::from_mins(minutes)), &silent).await;
        }
        assert_eq!(*n_asked.lock().unwrap(), 1);
        let answering = |request: FetchRequest| {
            let body = b"process_resident_memory_bytes 1e6\n".to_vec();
            let status = if request.path == "/metrics" { 200 } else { 404 };
            std::future::ready(Ok(FetchResponse { status, headers: Vec::new(), body }))
        };
        local.poll(start.plus(PROBE_INTERVAL), &answering).await;
        assert_eq!(local.targets()[0].local.as_ref().unwrap().paths, ["/metrics"]);
    }

    #[test]
    fn what_may_own_an_unowned_port_is_named_with_a_remedy() {
        let unreadable = super::super::procfs::Unreadable { pid: 7, name: "postgres".to_owned(), uid: Some(70) };
        let mut walk = Walk { unreadable: vec![unreadable], unowned_ports: vec![5_432], ..Walk::default() };
        let blind_now = blind(&walk);
        assert_eq!(
            blind_now[0].why,
            "its sockets may not be read, it belongs to user 70; it may be the one that listens on 5432"
        );
        walk.unowned_ports.clear();
        assert_eq!(blind(&walk), []);
    }
}
