//! Against real processes of Node.js: the installed one, or `LEAKSCOPE_TEST_NODE`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leakscope_model::{Runtime, TargetId};
use rustix::process::{Pid, Signal, kill_process};

use super::inspector::Lease;
use super::*;
use crate::capture::HttpAccess;
use crate::config::{Capture, HttpClient, Scheme};

/// A service that prints its port, serves `up`, and holds objects enough for a snapshot of some 50 MB.
const SERVICE: &str = "
const held = []; for (let i = 0; i < 400000; i++) held.push({ number: i, next: held[i - 1] });
const server = require('http').createServer((_, answer) => answer.end('up ' + held.length));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));";
const SETTLE_TIMEOUT: Duration = Duration::from_mins(3);

struct Service {
    child: Child,
    port: u16,
}

impl Service {
    /// Starts node with flags and a script; `None`, aloud, where node is not installed.
    fn start(arguments: &[&str]) -> Option<Self> {
        let node = std::env::var("LEAKSCOPE_TEST_NODE").unwrap_or_else(|_| "node".to_owned());
        let started = Command::new(node).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = started else {
            eprintln!("skipped: node is not installed");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = port_of(&line).unwrap_or_default();
        Some(Self { child, port })
    }

    fn subject(&self, open_inspector: bool) -> Subject {
        let mut settings = Capture::default();
        settings.node.open_inspector = open_inspector;
        let address = format!("127.0.0.1:{}", self.port);
        Subject {
            target: TargetId(1),
            instance: address.clone(),
            runtime: Runtime::Node,
            pid: Some(self.child.id()),
            http: HttpAccess::new(Scheme::Http, &address, &HttpClient::default(), None).ok(),
            settings: Arc::new(settings),
        }
    }

    fn process(&self) -> Arc<Process> {
        Arc::new(Process::of(self.child.id()).unwrap())
    }

    async fn get(&self, path: &str) -> String {
        let request = self.subject(false).http.unwrap().get(path).unwrap();
        request.send().await.unwrap().text().await.unwrap()
    }

    async fn inspector(&self) -> Option<Endpoint> {
        inspector::find(&self.process(), Some(self.port)).await
    }

    /// Waits until no inspector is open, while the service answers.
    async fn closes(&self) {
        let closed = async {
            // poll: the process holds no inspector any more
            while self.inspector().await.is_some() {
                sleep(END_POLL).await;
            }
        };
        timeout(SETTLE_TIMEOUT, closed).await.expect("the inspector closes");
        assert!(self.get("/").await.len() > 1, "the service answers");
    }

    fn signal(&self, signal: Signal) {
        signal_to(self.child.id(), signal);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port_of(line: &str) -> Option<u16> {
    let line = line.trim();
    let listening = line.split_once("\"listening\":\"http://127.0.0.1:");
    let digits = listening.map_or(line, |(_, rest)| rest.split('"').next().unwrap_or_default());
    digits.parse().ok()
}

fn signal_to(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

async fn capture(subject: &Subject, kind: CaptureKind) -> Result<(Taken, Vec<u8>), CaptureError> {
    let mut bytes = Vec::new();
    let taken = take(subject, kind, &mut Output::new(&mut bytes, Bytes(1 << 30))).await?;
    Ok((taken, bytes))
}

/// Sends a signal to the target when the first byte arrives, and counts bytes.
struct SignalAtFirstByte {
    pid: u32,
    signal: Signal,
    written: Arc<AtomicU64>,
}

impl Write for SignalAtFirstByte {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.written.fetch_add(bytes.len() as u64, Ordering::SeqCst) == 0 {
            signal_to(self.pid, self.signal);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_survey_says_what_is_closed_and_what_would_open_it_and_opens_nothing() {
    let cases: [(&[&str], bool, &str); 3] = [
        (&["--inspect-port=0", "-e", SERVICE], false, "capture.node.open_inspector: true"),
        (&["--inspect-port=0", "-e", SERVICE], true, "opened by SIGUSR1"),
        (&["--inspect=127.0.0.1:0", "-e", SERVICE], false, "the inspector at 127.0.0.1:"),
    ];
    for (arguments, open_inspector, expected) in cases {
        let Some(service) = Service::start(arguments) else { return };
        let was_open = service.inspector().await;
        let found = survey(&service.subject(open_inspector)).await;
        let words: Vec<&str> = found.means.iter().map(|means| means.way.as_str()).collect();
        let lacks: Vec<&str> = found.lacking.iter().map(|lacking| lacking.remedy.as_str()).collect();
        assert!([words, lacks].concat().iter().all(|text| text.contains(expected)), "{found:?}");
        assert_eq!(found.means.len() + found.lacking.len(), 2);
        assert_eq!(found.heap.is_some(), was_open.is_some());
        assert_eq!(service.inspector().await, was_open);
    }
}

#[tokio::test]
async fn sampling_is_armed_once_a_process_and_the_leak_is_in_what_is_read_later() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services/node/server.js");
    for flag in ["--inspect-port=0", "--inspect=127.0.0.1:0"] {
        let Some(service) = Service::start(&[flag, script, "--leak", "unbounded-cache"]) else { return };
        let was_open = service.inspector().await;
        let subject = service.subject(true);
        let (taken, bytes) = capture(&subject, CaptureKind::V8Sampling).await.unwrap();
        assert!(taken.armed && bytes.starts_with(b"{\"head\":"), "{taken:?}");
        for user in 0..100 {
            service.get(&format!("/work?user={user}")).await;
        }
        let (again, bytes) = capture(&subject, CaptureKind::V8Sampling).await.unwrap();
        let expected = proc::started_at(service.child.id());
        assert_eq!(again, Taken { armed: false, process_started_at: expected });
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("rememberRecommendation") && text.contains("server.js"));
        match was_open {
            Some(_) => assert_eq!(service.inspector().await, was_open, "what was open stays open"),
            None => service.closes().await,
        }
    }
}

#[tokio::test]
async fn a_profiler_that_somebody_else_started_is_read_and_goes_on() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services/node/server.js");
    let Some(service) = Service::start(&["--inspect-port=0", script, "--profile"]) else { return };
    let (taken, bytes) = capture(&service.subject(true), CaptureKind::V8Sampling).await.unwrap();
    assert!(!taken.armed && bytes.starts_with(b"{\"head\":"));
    service.closes().await;
    assert!(service.get("/debug/heapprofile").await.contains("\"head\""));
}

#[tokio::test]
async fn a_snapshot_is_whole_and_what_we_opened_is_closed() {
    let Some(service) = Service::start(&["--inspect-port=0", "-e", SERVICE]) else { return };
    let (taken, bytes) = capture(&service.subject(true), CaptureKind::V8Snapshot).await.unwrap();
    assert!(!taken.armed && bytes.len() > 20 << 20, "{} bytes", bytes.len());
    let snapshot: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let count = snapshot["snapshot"]["node_count"].as_u64().unwrap();
    let fields = snapshot["snapshot"]["meta"]["node_fields"].as_array().unwrap().len();
    assert_eq!(snapshot["nodes"].as_array().unwrap().len() as u64, count * fields as u64);
    service.closes().await;
}

#[tokio::test]
async fn evidence_beyond_its_bound_is_refused_and_the_inspector_closes() {
    let Some(service) = Service::start(&["--inspect-port=0", "-e", SERVICE]) else { return };
    let (subject, mut bytes) = (service.subject(true), Vec::new());
    let mut output = Output::new(&mut bytes, Bytes(1 << 20));
    let refused = take(&subject, CaptureKind::V8Snapshot, &mut output).await;
    assert!(matches!(refused, Err(CaptureError::TooLarge(Bytes(1_048_576)))), "{refused:?}");
    service.closes().await;
}

#[tokio::test]
async fn a_target_that_hangs_mid_stream_closes_its_inspector_once_it_goes_on() {
    let Some(service) = Service::start(&["--inspect-port=0", "-e", SERVICE]) else { return };
    let written = Arc::new(AtomicU64::new(0));
    let mut file = SignalAtFirstByte { pid: service.child.id(), signal: Signal::STOP, written: written.clone() };
    let subject = service.subject(true);
    {
        let mut output = Output::new(&mut file, Bytes(1 << 30));
        let mut capture = std::pin::pin!(take(&subject, CaptureKind::V8Snapshot, &mut output));
        let mut before = 0;
        // poll: bytes came, and none comes any more
        while timeout(END_TIMEOUT, &mut capture).await.is_err() {
            let now = written.load(Ordering::SeqCst);
            if now > 0 && now == before {
                break;
            }
            before = now;
        }
    }
    service.signal(Signal::CONT);
    service.closes().await;
}

#[tokio::test]
async fn a_target_that_dies_during_the_snapshot_is_told_from_a_broken_connection() {
    let Some(service) = Service::start(&["--inspect-port=0", "-e", SERVICE]) else { return };
    let written = Arc::new(AtomicU64::new(0));
    let mut file = SignalAtFirstByte { pid: service.child.id(), signal: Signal::KILL, written };
    let subject = service.subject(true);
    let died = take(&subject, CaptureKind::V8Snapshot, &mut Output::new(&mut file, Bytes(1 << 30))).await;
    assert!(matches!(died, Err(CaptureError::Died)), "{died:?}");
}

#[tokio::test]
async fn a_leakscope_that_is_killed_leaves_no_port_and_a_frozen_one_stops_nobody() {
    let Some(service) = Service::start(&["--inspect-port=0", "-e", SERVICE]) else { return };
    let lease = Lease { beat: Duration::from_millis(50), beats: 3 };
    let process = service.process();
    let endpoint = inspector::open(&process, Some(service.port)).await.unwrap();
    let proof = Proof::Process(process);
    let (session, _) = inspector::attach(&endpoint, &proof, true, lease).await.unwrap();
    // A connection that nobody reads: the service answers many times the lease long, and the inspector waits.
    for _ in 0..40 {
        service.get("/").await;
        sleep(END_POLL).await;
    }
    assert_eq!(service.inspector().await, Some(endpoint));
    // What the kernel does when we are killed.
    drop(session);
    service.closes().await;
}

#[tokio::test]
async fn sampling_stops_by_itself_when_nobody_reads() {
    let Some(service) = Service::start(&["--inspect=127.0.0.1:0", "-e", SERVICE]) else { return };
    let endpoint = service.inspector().await.unwrap();
    let proof = Proof::Process(service.process());
    let mut target = Attachment::new(endpoint.clone(), &proof, false, INSPECTOR_LEASE).await.unwrap();
    let mut bytes = Vec::new();
    let lease = Lease { beat: Duration::from_millis(20), beats: 3 };
    assert!(sampling::take(&mut target, 32 << 10, lease, &mut Output::new(&mut bytes, Bytes(1 << 30))).await.unwrap());
    let stopped = async {
        // poll: the process says that it does not sample; the question itself is no read
        while target.session().evaluate::<bool>("Symbol.for('leakscope.sampling') in globalThis").await.unwrap() {
            sleep(END_POLL).await;
        }
    };
    timeout(SETTLE_TIMEOUT, stopped).await.unwrap();
    let mut again = Output::new(&mut bytes, Bytes(1 << 30));
    assert!(sampling::take(&mut target, 32 << 10, lease, &mut again).await.unwrap(), "armed anew");
}

#[tokio::test]
async fn evidence_never_comes_from_another_process_that_holds_the_port() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(other) = Service::start(&[&format!("--inspect=127.0.0.1:{free}"), "-e", SERVICE]) else { return };
    let service = Service::start(&[&format!("--inspect-port={free}"), "-e", SERVICE]).unwrap();
    let subject = service.subject(true);
    let found = survey(&subject).await;
    let reason = format!(
        "port {free}, which the inspector of process {} would take, is held by process {}",
        service.child.id(),
        other.child.id()
    );
    assert_eq!(
        found.lacking.iter().map(|lacking| lacking.reason.clone()).collect::<Vec<_>>(),
        [reason.clone(), reason]
    );
    let refused = capture(&subject, CaptureKind::V8Sampling).await;
    assert!(matches!(refused, Err(CaptureError::Unavailable(_))), "{refused:?}");
    // Even with the other's address in hand, the process that answers is asked who it is.
    let endpoint = other.inspector().await.unwrap();
    for proof in [Proof::Process(service.process()), Proof::Port(service.port)] {
        let refused = Attachment::new(endpoint.clone(), &proof, false, INSPECTOR_LEASE).await;
        assert!(matches!(refused, Err(CaptureError::Unavailable(_))), "{refused:?}");
    }
    Attachment::new(endpoint, &Proof::Port(other.port), false, INSPECTOR_LEASE).await.unwrap();
}

#[tokio::test]
async fn a_process_that_is_no_node_or_refuses_the_signal_never_gets_it() {
    let mut plain = Command::new("sleep").arg("600").spawn().unwrap();
    let mut subject = Service { child: Command::new("sleep").arg("600").spawn().unwrap(), port: 1 }.subject(true);
    subject.pid = Some(plain.id());
    let refused = capture(&subject, CaptureKind::V8Sampling).await;
    assert!(matches!(&refused, Err(CaptureError::Unavailable(why)) if why.contains("not Node.js")), "{refused:?}");
    assert_eq!(plain.try_wait().unwrap(), None, "it lives");
    plain.kill().unwrap();
    plain.wait().unwrap();
    let Some(service) = Service::start(&["--disable-sigusr1", "-e", SERVICE]) else { return };
    if service.port == 0 {
        eprintln!("skipped: this node has no `--disable-sigusr1`");
        return;
    }
    let refused = capture(&service.subject(true), CaptureKind::V8Sampling).await;
    assert!(
        matches!(&refused, Err(CaptureError::Unavailable(why)) if why.contains("--disable-sigusr1")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_process_that_handles_the_signal_itself_gets_it_once() {
    let script = format!("let n = 0; process.on('SIGUSR1', () => {{ n += 1; }});{SERVICE}")
        .replace("'up ' + held.length", "'signals ' + n");
    let Some(service) = Service::start(&["--inspect-port=0", "-e", &script]) else { return };
    let subject = service.subject(true);
    for _ in 0..2 {
        let refused = capture(&subject, CaptureKind::V8Sampling).await;
        assert!(matches!(&refused, Err(CaptureError::Unavailable(why)) if why.contains("itself")), "{refused:?}");
    }
    assert_eq!(service.get("/").await, "signals 1");
    assert_eq!(survey(&subject).await.means, []);
}

#[tokio::test]
async fn modules_of_both_kinds_and_processes_with_workers_are_captured_by_the_port_they_serve() {
    let module = "import { createServer } from 'node:http'; import { Worker } from 'node:worker_threads';
        new Worker('setInterval(() => {}, 1000)', { eval: true });
        const server = createServer((_, answer) => answer.end('up'));
        server.listen(0, '127.0.0.1', () => console.log(server.address().port));";
    for (kind, script) in [("--input-type=commonjs", SERVICE), ("--input-type=module", module)] {
        let Some(service) = Service::start(&["--inspect-port=0", kind, "-e", script]) else { return };
        let mut subject = service.subject(true);
        subject.pid = None;
        let (taken, _) = capture(&subject, CaptureKind::V8Sampling).await.unwrap();
        assert!(taken.armed);
        service.closes().await;
    }
}
