//! Node.js: V8's sampling heap profile and its heap snapshot, through the inspector.
//!
//! An inspector that is open is used and stays open. A closed one is opened by SIGUSR1 where `capture.node.open_inspector` allows that for
//! processes of this host, and closed again. Node.js writes `Debugger attached.` to the service's standard error each time. What is
//! captured is the main thread's heap: worker threads have heaps of their own, which are not seen.

mod inspector;
mod options;
mod process;
mod sampling;
mod session;
mod snapshot;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use leakscope_model::{Bytes, CaptureKind, Cost, Lacking, Means};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::probe::{CaptureError, Found, Output, Subject, Taken};
use crate::proc;
use inspector::{Attachment, Endpoint, INSPECTOR_LEASE, Proof};
use options::DEFAULT_PORT;
use process::{Closed, Process};
use sampling::SAMPLING_LEASE;

const KINDS: [CaptureKind; 2] = [CaptureKind::V8Sampling, CaptureKind::V8Snapshot];
/// How long an open inspector may take to tell how large the heap is. Beyond: it is not told.
const HEAP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a process may take to end after its connection broke, for the end to be the reason.
const END_TIMEOUT: Duration = Duration::from_secs(1);
const END_POLL: Duration = Duration::from_millis(20);

/// How a target can be reached today.
#[derive(Debug)]
enum Way {
    /// Its inspector is open.
    Open(Endpoint),
    /// Its inspector may be opened.
    Signal(Arc<Process>),
}

/// A target with the way to it.
#[derive(Debug)]
struct Reached {
    way: Way,
    proof: Proof,
    /// Where it serves its clients: never asked for an inspector.
    service_port: Option<u16>,
}

/// `Runtime.getHeapUsage`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeapUsage {
    used_size: f64,
}

/// What a target gives today. Opens nothing: an inspector that is open already tells how large the heap is.
pub(crate) async fn survey(subject: &Subject) -> Found {
    let reached = match reach(subject).await {
        Ok(reached) => reached,
        Err(closed) => return Found { lacking: KINDS.map(|kind| closed.lacking(kind)).into(), ..Found::default() },
    };
    let mut found = Found::default();
    let mut way = "the inspector, opened by SIGUSR1 and closed again; main thread only".to_owned();
    let mut samples = false;
    if let Way::Open(endpoint) = &reached.way {
        way = format!("the inspector at {}; main thread only", endpoint.address);
        match timeout(HEAP_TIMEOUT, look(endpoint, &reached.proof)).await {
            Ok(Ok((heap, sampling))) => (found.heap, samples) = (Some(heap), sampling),
            Ok(Err(CaptureError::Unavailable(reason))) => {
                let closed = Closed::new(reason, "start node with `--inspect=127.0.0.1:0`");
                return Found { lacking: KINDS.map(|kind| closed.lacking(kind)).into(), ..Found::default() };
            }
            // It hangs or broke off: it is there, and tells nothing.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    found.means = KINDS.map(|kind| means(kind, &way, samples)).into();
    found
}

fn means(kind: CaptureKind, way: &str, samples: bool) -> Means {
    let state = if samples && kind == CaptureKind::V8Sampling { "; it samples already" } else { "" };
    Means { kind, way: format!("{way}{state}"), hint: Cost::default() }
}

/// The bytes in use and whether it samples for us, of an open inspector.
async fn look(endpoint: &Endpoint, proof: &Proof) -> Result<(Bytes, bool), CaptureError> {
    let opened = signalled(proof);
    let mut target = Attachment::new(endpoint.clone(), proof, opened, INSPECTOR_LEASE).await?;
    let usage: HeapUsage = target.session().ask("Runtime.getHeapUsage", json!({})).await?;
    let sampling = target.attached().sampling;
    target.leave().await?;
    Ok((Bytes(usage.used_size as u64), sampling))
}

/// Takes a capture. The first of [`CaptureKind::V8Sampling`] starts the profiler, which it says in `armed`.
///
/// # Errors
/// [`CaptureError::Unavailable`] when there is no way to the target, [`CaptureError::Died`] when it ends meanwhile, and those of the
/// session and of the output.
pub(crate) async fn take(subject: &Subject, kind: CaptureKind, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    let reached = reach(subject).await.map_err(Closed::unavailable)?;
    let process = match &reached.proof {
        Proof::Process(process) => Some(process.clone()),
        Proof::Port(_) => None,
    };
    let taken = take_of(&reached, subject, kind, output).await;
    match (taken, process) {
        (Err(error @ CaptureError::Broken { .. }), Some(process)) => Err(ended(&process).await.unwrap_or(error)),
        (Err(error), _) => Err(error),
        (Ok(armed), process) => Ok(Taken { armed, process_started_at: process.and_then(|process| process.started_at) }),
    }
}

async fn take_of(
    reached: &Reached,
    subject: &Subject,
    kind: CaptureKind,
    output: &mut Output<'_>,
) -> Result<bool, CaptureError> {
    let (endpoint, opened) = match &reached.way {
        Way::Open(endpoint) => (endpoint.clone(), signalled(&reached.proof)),
        Way::Signal(process) => (inspector::open(process, reached.service_port).await?, true),
    };
    let mut target = Attachment::new(endpoint, &reached.proof, opened, INSPECTOR_LEASE).await?;
    let armed = match kind {
        CaptureKind::V8Sampling => {
            let interval = subject.settings.node.sampling_interval.0;
            sampling::take(&mut target, interval, SAMPLING_LEASE, output).await?
        }
        CaptureKind::V8Snapshot => {
            snapshot::take(&mut target, output).await?;
            false
        }
        other => return Err(CaptureError::Unavailable(format!("Node.js has no `{}`", other.name()))),
    };
    // The evidence is whole; where the goodbye fails, the target closes by itself.
    if let Err(error) = target.leave().await {
        tracing::debug!(%error, instance = subject.instance, "the inspector was left without goodbye");
    }
    Ok(armed)
}

/// The reason of a broken connection when the process has ended.
async fn ended(process: &Process) -> Option<CaptureError> {
    let gone = async {
        while !process.is_gone() {
            sleep(END_POLL).await;
        }
    };
    timeout(END_TIMEOUT, gone).await.ok().map(|()| CaptureError::Died)
}

/// Closes, in the background, the inspector that an earlier run may have opened when it was cut off: between the signal and the first word
/// nothing in the process knows of us. An inspector that the process opens by itself is left alone.
pub(crate) fn close_leftover(subject: &Subject) {
    let process = subject.pid.filter(|_| subject.settings.node.open_inspector).and_then(|pid| Process::of(pid).ok());
    if let Some(process) = process.filter(|process| !process.options.inspects) {
        inspector::close_later(Arc::new(process), address_of(subject).1);
    }
}

fn signalled(proof: &Proof) -> bool {
    match proof {
        Proof::Process(process) => inspector::was_signalled(process),
        Proof::Port(_) => false,
    }
}

/// Finds the way to a target.
async fn reach(subject: &Subject) -> Result<Reached, Closed> {
    let (host, service_port) = address_of(subject);
    let is_local = host.as_deref().is_some_and(is_loopback);
    // Who listens where the service is asked is the service.
    let pid = subject.pid.or_else(|| service_port.filter(|_| is_local).and_then(proc::listener_on));
    if let Some(pid) = pid {
        let process = Arc::new(Process::of(pid)?);
        let proof = Proof::Process(process.clone());
        if let Some(endpoint) = inspector::find(&process, service_port).await {
            return Ok(Reached { way: Way::Open(endpoint), proof, service_port });
        }
        if !subject.settings.node.open_inspector {
            return Err(Closed::new(
                format!("the inspector of process {pid} is closed"),
                "set `capture.node.open_inspector: true`, or start node with `--inspect=127.0.0.1:0`",
            ));
        }
        inspector::can_open(&process)?;
        return Ok(Reached { way: Way::Signal(process), proof, service_port });
    }
    let remedy =
        "run leakscope on its host, or start node with `--inspect=HOST:9229` in a network that only leakscope reaches";
    let nowhere = || {
        Closed::new(
            "the target is not a process of this host that may be seen, and has no inspector at port 9229",
            remedy,
        )
    };
    let (Some(host), Some(service_port)) = (host, service_port) else { return Err(nowhere()) };
    let addresses = tokio::net::lookup_host((host.as_str(), DEFAULT_PORT)).await.map_err(|_| nowhere())?;
    for address in addresses {
        if let Some(endpoint) = inspector::ask(address).await {
            let proof = Proof::Port(service_port);
            return Ok(Reached { way: Way::Open(endpoint), proof, service_port: Some(service_port) });
        }
    }
    Err(nowhere())
}

/// Host and port where the service is asked.
fn address_of(subject: &Subject) -> (Option<String>, Option<u16>) {
    let base =
        subject.http.as_ref().map_or_else(|| format!("http://{}", subject.instance), |http| http.base().to_owned());
    let Ok(url) = reqwest::Url::parse(&base) else { return (None, None) };
    let host = url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned());
    (host, url.port_or_known_default())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Closed {
    fn lacking(&self, kind: CaptureKind) -> Lacking {
        Lacking { kind, reason: self.reason.clone(), remedy: self.remedy.clone() }
    }
}
