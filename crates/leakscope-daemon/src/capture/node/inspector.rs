//! The inspector of one process: found where it is open, opened by SIGUSR1 where that is allowed, and closed again if we opened it.
//!
//! A port is used only when the process itself holds it, and once connected the process says its own number: evidence never comes
//! from another process. What we opened closes by itself when nobody is connected any more (`attach.js`), even if we are killed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leakscope_ingest::procfs::Reach;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::options::DEFAULT_PORT;
use super::process::{Closed, Process};
use super::session::Session;
use crate::capture::{CaptureError, HttpAccess};
use crate::config::{HttpClient, Scheme};
use crate::proc;

const ATTACH: &str = include_str!("attach.js");
const LEAVE: &str = include_str!("leave.js");

/// How long a socket may take to say whether it is an inspector. Beyond: it is none.
const LIST_TIMEOUT: Duration = Duration::from_secs(2);
/// Most bytes of the list of isolates. Beyond: it is no inspector.
const LIST_BYTES_MAX: usize = 64 << 10;
/// How long an inspector may take to listen after the signal; an idle process takes 40 ms. Beyond: the process does not open it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the target may take to hear that it can close. Beyond: its own timer closes it.
const LEAVE_TIMEOUT: Duration = Duration::from_mins(5);
/// How often a condition is looked at that nothing announces.
const POLL: Duration = Duration::from_millis(20);
/// The same for one that is late.
const LATE_POLL: Duration = Duration::from_secs(1);

/// How long the target keeps what we opened or started when nobody comes back for it, in turns of its own event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) beat: Duration,
    pub(super) beats: u32,
}

/// An inspector that we opened and whose connection is lost.
pub(super) const INSPECTOR_LEASE: Lease = Lease { beat: Duration::from_secs(2), beats: 15 };

/// Processes that got our signal and have not been attached to since. They get it once: one that opens late is ours to close, one that
/// never opens handles the signal itself.
static SIGNALLED: Mutex<BTreeSet<(u32, u64)>> = Mutex::new(BTreeSet::new());

/// Where an isolate can be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    id: String,
}

/// What an inspector lists.
#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

/// What a target says of itself when we come.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Attached {
    pid: u32,
    /// Whether it samples for us already.
    pub(super) sampling: bool,
    /// Whether we opened the inspector, now or in an earlier life.
    ours: bool,
    /// Whether it listens on the port that it was asked for.
    serves: bool,
}

/// How a target proves that it is the one that is meant.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// By its own number.
    Process(Arc<Process>),
    /// By the port on which it serves, where its number is not known.
    Port(u16),
}

/// Asks an address whether it is an inspector of Node.js.
pub(super) async fn ask(address: SocketAddr) -> Option<Endpoint> {
    let http = HttpAccess::new(Scheme::Http, &address.to_string(), &HttpClient::default(), None).ok()?;
    let asked = async {
        let mut response = http.get("/json/list").ok()?.send().await.ok()?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.ok()? {
            body.extend_from_slice(&piece);
            if body.len() > LIST_BYTES_MAX {
                return None;
            }
        }
        let listed: Vec<Listed> = serde_json::from_slice(&body).ok()?;
        let isolate = listed.into_iter().find(|isolate| isolate.kind == "node")?;
        let plain = isolate.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain.then_some(Endpoint { address, id: isolate.id })
    };
    timeout(LIST_TIMEOUT, asked).await.ok().flatten()
}

/// The inspector that a process has open. `service_port` serves its clients and is not asked.
pub(super) async fn find(process: &Process, service_port: Option<u16>) -> Option<Endpoint> {
    let expected = process.options.port.unwrap_or(DEFAULT_PORT);
    let mut candidates = process.listening();
    // Other ports than that of the flags are asked on loopback only: there an inspector is opened by the program itself.
    candidates.retain(|(address, reach)| {
        Some(address.port()) != service_port && (address.port() == expected || matches!(reach, Reach::Loopback(_)))
    });
    candidates.sort_by_key(|(address, _)| (address.port() != expected, address.port() != DEFAULT_PORT, *address));
    for (address, _) in candidates {
        if let Some(endpoint) = ask(address).await {
            return Some(endpoint);
        }
    }
    None
}

/// Whether SIGUSR1 would open the inspector of a process, and harm nobody.
///
/// # Errors
/// [`Closed`] with what stands in the way.
pub(super) fn can_open(process: &Process) -> Result<(), Closed> {
    let pid = process.pid;
    let start = "start node with `--inspect=127.0.0.1:0`";
    if process.options.ignores_signal {
        return Err(Closed::new(format!("process {pid} was started with `--disable-sigusr1`"), start));
    }
    if !process.catches(Signal::USR1) {
        return Err(Closed::new(format!("process {pid} does not catch SIGUSR1, which would end it"), start));
    }
    if signalled(|known| known.contains(&process.identity())) {
        let reason =
            format!("process {pid} got SIGUSR1 and opened no inspector: it handles that signal itself, or is stopped");
        return Err(Closed::new(reason, start));
    }
    let port = process.options.port.unwrap_or(DEFAULT_PORT);
    match taken_by(process, port) {
        None => Ok(()),
        Some(owner) => Err(Closed::new(
            format!("port {port}, which the inspector of process {pid} would take, is held by {owner}"),
            format!("start node with another `--inspect-port` than {port}"),
        )),
    }
}

/// Who holds a port in the process's network; `None` when it is free.
fn taken_by(process: &Process, port: u16) -> Option<String> {
    let listens = proc::sockets(&process.folder()).values().any(|listener| listener.port == port);
    if port == 0 || !listens {
        return None;
    }
    Some(proc::listener_on(port).map_or_else(|| "another user's process".to_owned(), |pid| format!("process {pid}")))
}

/// Opens the inspector of a process. Dropped before it has listened, it is closed in the background.
///
/// # Errors
/// [`CaptureError::Unavailable`] when it must not or does not open, [`CaptureError::Died`] when the process is gone.
pub(super) async fn open(process: &Arc<Process>, service_port: Option<u16>) -> Result<Endpoint, CaptureError> {
    can_open(process).map_err(Closed::unavailable)?;
    signalled(|known| known.insert(process.identity()));
    let mut guard = Opening { process: process.clone(), service_port, waiting: true };
    process.signal(Signal::USR1).map_err(|_| CaptureError::Died)?;
    let opened = timeout(OPEN_TIMEOUT, listens(process, service_port, POLL)).await;
    let late = || {
        let seconds = OPEN_TIMEOUT.as_secs();
        CaptureError::Unavailable(format!(
            "process {} did not open its inspector within {seconds} s of SIGUSR1: it handles that signal itself, or is stopped",
            process.pid
        ))
    };
    let endpoint = opened.map_err(|_| late())?.ok_or(CaptureError::Died)?;
    guard.waiting = false;
    Ok(endpoint)
}

/// Closes, in the background, the inspector that an earlier run opened, also if it opens late.
pub(super) fn close_later(process: Arc<Process>, service_port: Option<u16>) {
    drop(Opening { process, service_port, waiting: true });
}

/// Waits until a process has an inspector; `None` when it ends before.
async fn listens(process: &Process, service_port: Option<u16>, poll: Duration) -> Option<Endpoint> {
    loop {
        if let Some(endpoint) = find(process, service_port).await {
            return Some(endpoint);
        }
        if process.is_gone() {
            return None;
        }
        sleep(poll).await;
    }
}

/// Whether we sent a process the signal and have not been connected since: what it opens is ours to close.
pub(super) fn was_signalled(process: &Process) -> bool {
    signalled(|known| known.contains(&process.identity()))
}

fn signalled<T>(look: impl FnOnce(&mut BTreeSet<(u32, u64)>) -> T) -> T {
    look(&mut SIGNALLED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A process that was told to open its inspector. Dropped while it has not, what it opens later is closed.
struct Opening {
    process: Arc<Process>,
    service_port: Option<u16>,
    waiting: bool,
}

impl Drop for Opening {
    fn drop(&mut self) {
        let (true, Ok(runtime)) = (self.waiting, tokio::runtime::Handle::try_current()) else { return };
        let (process, service_port) = (self.process.clone(), self.service_port);
        runtime.spawn(timeout(LEAVE_TIMEOUT, async move {
            if let Some(endpoint) = listens(&process, service_port, LATE_POLL).await {
                let opened = Attachment::new(endpoint, &Proof::Process(process), true, INSPECTOR_LEASE).await?;
                opened.leave().await?;
            }
            Ok::<(), CaptureError>(())
        }));
    }
}

/// A connection to a target that has proved who it is. Dropped without [`Self::leave`], the inspector is closed in the background.
#[derive(Debug)]
pub(super) struct Attachment {
    /// `None` only on the way out.
    session: Option<Session>,
    attached: Attached,
    endpoint: Endpoint,
    lease: Lease,
}

impl Attachment {
    /// Connects. `opened` tells whether we opened the inspector a moment ago.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when another process answers, and those of [`Session::evaluate`].
    pub(super) async fn new(
        endpoint: Endpoint,
        proof: &Proof,
        opened: bool,
        lease: Lease,
    ) -> Result<Self, CaptureError> {
        let (session, attached) = attach(&endpoint, proof, opened, lease).await?;
        Ok(Self { session: Some(session), attached, endpoint, lease })
    }

    pub(super) fn attached(&self) -> Attached {
        self.attached
    }

    pub(super) fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a connection is taken out only when the attachment ends")
    }

    /// Ends the connection, and closes what we opened.
    ///
    /// # Errors
    /// Those of [`Session::evaluate`]; the target's timer closes it then.
    pub(super) async fn leave(mut self) -> Result<(), CaptureError> {
        if self.attached.ours {
            let _: bool = self.session().evaluate(&call(LEAVE, &json!({}))).await?;
            self.attached.ours = false;
        }
        if let Some(session) = self.session.take() {
            session.close().await;
        }
        Ok(())
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let session = self.session.take();
        if self.attached.ours || session.as_ref().is_some_and(Session::is_waiting) {
            drop(Leaving {
                session,
                endpoint: Some(self.endpoint.clone()),
                opened: self.attached.ours,
                lease: self.lease,
            });
        }
    }
}

/// Ends, in the background, what was cut off: hears the answer that is still on its way, and has the target close what we opened. Where
/// that fails, the target's own timer does.
struct Leaving {
    /// The connection, where there is one.
    session: Option<Session>,
    /// `None` when there is nothing to do.
    endpoint: Option<Endpoint>,
    opened: bool,
    lease: Lease,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let (Some(endpoint), Ok(runtime)) = (self.endpoint.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (session, opened, lease) = (self.session.take(), self.opened, self.lease);
        runtime.spawn(timeout(LEAVE_TIMEOUT, async move {
            if let Some(session) = session {
                session.drain().await;
            }
            if opened {
                let mut session = Session::connect(endpoint.address, &endpoint.id).await?;
                let _: Attached = session.evaluate(&attach_expression(None, true, lease)).await?;
                let _: bool = session.evaluate(&call(LEAVE, &json!({}))).await?;
                session.close().await;
            }
            Ok::<(), CaptureError>(())
        }));
    }
}

/// Connects and has the target prove itself. Dropped before it has, what we opened is closed in the background.
pub(super) async fn attach(
    endpoint: &Endpoint,
    proof: &Proof,
    opened: bool,
    lease: Lease,
) -> Result<(Session, Attached), CaptureError> {
    // Cut off here, what we opened is closed all the same, and an answer that is on its way is heard.
    let mut guard = Leaving { session: None, endpoint: Some(endpoint.clone()), opened, lease };
    let session = guard.session.insert(Session::connect(endpoint.address, &endpoint.id).await?);
    let port = match proof {
        Proof::Process(_) => None,
        Proof::Port(port) => Some(*port),
    };
    let attached: Attached = session.evaluate(&attach_expression(port, opened, lease)).await?;
    let proved = match proof {
        Proof::Process(process) => attached.pid == process.own_pid,
        Proof::Port(_) => attached.serves,
    };
    if !proved {
        let (address, pid) = (endpoint.address, attached.pid);
        return Err(CaptureError::Unavailable(format!(
            "the inspector at {address} is that of another process ({pid})"
        )));
    }
    if let Proof::Process(process) = proof {
        signalled(|known| known.remove(&process.identity()));
    }
    guard.endpoint = None;
    guard.session.take().map(|session| (session, attached)).ok_or(CaptureError::Died)
}

fn attach_expression(port: Option<u16>, opened: bool, lease: Lease) -> String {
    let options = json!({
        "opened": opened, "port": port, "beats": lease.beats, "beat_ms": lease.beat.as_millis() as u64,
    });
    call(ATTACH, &options)
}

/// An expression that calls a script, which is a function below a comment, with its options.
pub(super) fn call(script: &str, options: &Value) -> String {
    // The comment ends with its line, so that the bracket stands before it.
    format!("(\n{})({options})", script.trim_end())
}
