//! Evidence of JVMs: classes, old objects with what holds them, and dumps, by HotSpot's attach protocol, Jolokia or Spring Boot Actuator.
//!
//! On this host the JVM is spoken with directly (`attach`). Jolokia gives the same commands over HTTP; what they write into a file is
//! had where the process is on this host. Actuator gives dumps alone.

mod actuator;
mod attach;
mod channel;
mod folder;
mod hotspot;
mod memory;
mod recording;
mod take;
#[cfg(test)]
mod tests;

use std::time::Duration;

use leakscope_model::{Bytes, CaptureKind, Lacking, Means};

use self::attach::Attached;
use self::channel::{Channel, Jolokia};
use self::hotspot::{Closed, Hotspot};
use self::memory::Heap;
use super::{CaptureError, Found, Output, Subject, Taken};
use crate::proc;

/// How long a survey waits for what a JVM says of its heap; it takes less than a millisecond unless the JVM is stopped.
const SAID_WITHIN: Duration = Duration::from_secs(1);
/// How long a survey waits for each HTTP server.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// Room for a recording in the JVM's file system.
const RECORDING_ROOM: Bytes = Bytes(64 << 20);
/// Room for a dump beyond its predicted size.
const DUMP_ROOM: f64 = 1.3;

/// What a JVM gives, without stopping it: it is asked what it says of its heap only where its attach socket is open already.
pub(crate) async fn survey(subject: &Subject) -> Found {
    let mut found = Found::default();
    let closed = match attached(subject) {
        Ok(attached) => {
            folder::remove_left_over(&attached.jvm, crate::clock::now());
            match survey_attached(&attached, &mut found).await {
                Ok(()) => return found,
                Err(closed) => closed,
            }
        }
        Err(closed) => closed,
    };
    let (attach_reason, attach_remedy) = words(closed);
    let jolokia = survey_jolokia(subject, &mut found).await;
    let actuator = match &subject.http {
        Some(http) => served(actuator::survey(http, &subject.settings.jvm.actuator_path)).await,
        None => Err(no_server()),
    };
    match actuator {
        Ok(()) if found.means.iter().all(|means| means.kind != CaptureKind::JvmHeapDump) => {
            let way = format!("`{}/heapdump` of Spring Boot Actuator", subject.settings.jvm.actuator_path);
            let hint = Heap { used: found.heap, max: None }.dump(false);
            found.means.push(Means { kind: CaptureKind::JvmHeapDump, way, hint });
        }
        Ok(()) => {}
        Err(closed) => lack(&mut found, CaptureKind::JvmHeapDump, closed),
    }
    for kind in [CaptureKind::JvmOldObjects, CaptureKind::JvmHistogram] {
        let reason = match &jolokia {
            Ok(()) if kind == CaptureKind::JvmOldObjects => attach_reason.clone(),
            Ok(()) => continue,
            Err(closed) => format!("{attach_reason}; {}", words(closed.clone()).0),
        };
        lack(&mut found, kind, Closed::shut(reason, attach_remedy.clone()));
    }
    found
}

/// Takes evidence of a kind, by the first way that is open.
///
/// # Errors
/// [`CaptureError`].
pub(crate) async fn take(subject: &Subject, kind: CaptureKind, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    let mut taken = Taken { armed: false, process_started_at: subject.pid.and_then(proc::started_at) };
    let attached = open_attached(subject).await;
    // Asked only where it is needed, so that what is said is why the JVM could not be attached to and not that there is no Jolokia.
    let jolokia = match jolokia(subject) {
        Some(jolokia) if attached.is_err() && served(jolokia.answers()).await.is_ok() => Some(jolokia),
        _ => None,
    };
    match (kind, attached, jolokia) {
        (CaptureKind::JvmHistogram, Ok(attached), _) => take::histogram(&Channel::Attach(&attached), output).await?,
        (CaptureKind::JvmHistogram, Err(_), Some(jolokia)) => {
            take::histogram(&Channel::Jolokia(jolokia), output).await?;
        }
        (CaptureKind::JvmOldObjects, Ok(attached), _) => {
            taken.armed = take::old_objects(&Channel::Attach(&attached), &attached.jvm, output).await?;
        }
        (CaptureKind::JvmOldObjects, Err(closed), Some(jolokia)) => {
            let jvm = local(subject).map_err(|_| CaptureError::from(closed))?;
            taken.armed = take::old_objects(&Channel::Jolokia(jolokia), &jvm, output).await?;
        }
        (CaptureKind::JvmHeapDump, Ok(attached), _) => {
            take::heap_dump(&Channel::Attach(&attached), &attached.jvm, output).await?;
        }
        (CaptureKind::JvmHeapDump, Err(closed), jolokia) => {
            take_dump_over_http(subject, closed, jolokia, output).await?;
        }
        (CaptureKind::JvmHistogram | CaptureKind::JvmOldObjects, Err(closed), None) => return Err(closed.into()),
        (other, ..) => {
            return Err(CaptureError::Unavailable(format!("a JVM gives no `{}`", other.name())));
        }
    }
    Ok(taken)
}

/// Actuator first, since it needs no file of ours in the JVM's file system; then Jolokia, where the file can be reached.
async fn take_dump_over_http(
    subject: &Subject,
    closed: Closed,
    jolokia: Option<Jolokia<'_>>,
    output: &mut Output<'_>,
) -> Result<(), CaptureError> {
    let Some(http) = &subject.http else { return Err(closed.into()) };
    let path = &subject.settings.jvm.actuator_path;
    let refused = match served(actuator::survey(http, path)).await {
        Ok(()) => return actuator::take(http, path, output).await,
        Err(refused) => refused,
    };
    if let (Some(jolokia), Ok(jvm)) = (jolokia, local(subject)) {
        return take::heap_dump(&Channel::Jolokia(jolokia), &jvm, output).await;
    }
    let ((attach, remedy), (actuator, other)) = (words(closed), words(refused));
    Err(CaptureError::Unavailable(format!("{attach} ({remedy}); {actuator} ({other})")))
}

async fn survey_attached(attached: &Attached, found: &mut Found) -> Result<(), Closed> {
    if !attached.is_open().await? && !attached.jvm.catches_quit {
        return Err(attach::catches_no_quit());
    }
    let mut heap = Heap::default();
    let mut native = None;
    if attached.is_open().await? {
        let channel = Channel::Attach(attached);
        let said = tokio::time::timeout(SAID_WITHIN, async { (channel.heap().await, channel.native().await) }).await;
        let Ok((said_heap, said_native)) = said else {
            let reason = format!("the JVM did not answer within {} s", SAID_WITHIN.as_secs());
            return Err(Closed::shut(reason, "see whether it hangs"));
        };
        heap = said_heap.unwrap_or_default();
        native = said_native;
    }
    found.heap = heap.used;
    offer(&attached.jvm, "attach", heap, native, found);
    Ok(())
}

async fn survey_jolokia(subject: &Subject, found: &mut Found) -> Result<(), Closed> {
    let Some(jolokia) = jolokia(subject) else { return Err(no_server()) };
    served(jolokia.answers()).await?;
    let way = format!("Jolokia at `{}`", subject.settings.jvm.jolokia_path);
    let channel = Channel::Jolokia(jolokia);
    let heap = served(async { channel.heap().await.map_err(|error| Closed::shut(error.to_string(), "")) }).await;
    let heap = heap.unwrap_or_default();
    found.heap = heap.used;
    if let Ok(jvm) = local(subject) {
        offer(&jvm, &way, heap, None, found);
    } else {
        found.means.push(Means { kind: CaptureKind::JvmHistogram, way: counted(&way, heap), hint: heap.histogram() });
    }
    Ok(())
}

/// All that the commands of a JVM give whose files can be reached.
fn offer(jvm: &Hotspot, way: &str, heap: Heap, native: Option<Bytes>, found: &mut Found) {
    let mut counted = counted(way, heap);
    if let Some(native) = native {
        counted = format!("{counted}; native memory tracking: {} MiB committed", native.0 >> 20);
    }
    let mut means = vec![Means { kind: CaptureKind::JvmHistogram, way: counted, hint: heap.histogram() }];
    match (jvm.has_jfr(), folder::place(jvm, RECORDING_ROOM)) {
        (true, Ok(_)) => {
            let without = if heap.used.is_some() && !heap.finds_paths() {
                ", without what holds them: the heap is too large to look"
            } else {
                ""
            };
            let way = format!("a flight recording of old objects by {way}{without}");
            means.push(Means { kind: CaptureKind::JvmOldObjects, way, hint: heap.old_objects() });
        }
        (false, _) => {
            let reason = "the JVM has no module `jdk.jfr`";
            lack(
                found,
                CaptureKind::JvmOldObjects,
                Closed::shut(reason, "add `jdk.jfr` to its modules (`jlink --add-modules`)"),
            );
        }
        (true, Err(reason)) => lack(found, CaptureKind::JvmOldObjects, no_room(reason)),
    }
    match folder::place(jvm, dump_room(heap)) {
        Ok(place) => {
            let way = format!("a dump of what is alive by {way}");
            means.push(Means { kind: CaptureKind::JvmHeapDump, way, hint: heap.dump(place.in_memory) });
        }
        Err(reason) => lack(found, CaptureKind::JvmHeapDump, no_room(reason)),
    }
    means.sort_by_key(|means| (means.kind.weight(), means.hint.pause));
    found.means.extend(means);
}

/// What a dump may take in the JVM's file system.
fn dump_room(heap: Heap) -> Bytes {
    let size = memory::dump_size(heap.used.unwrap_or_default());
    Bytes((size.0 as f64 * DUMP_ROOM) as u64)
}

fn counted(way: &str, heap: Heap) -> String {
    let what = if heap.counts_live() { "alive" } else { "there, garbage included" };
    format!("classes of what is {what} by {way}")
}

/// The JVM on this host with the place of its socket.
fn attached(subject: &Subject) -> Result<Attached, Closed> {
    if !subject.settings.jvm.attach {
        return Err(Closed::shut("attaching to JVMs is off", "set `capture.jvm.attach: true`"));
    }
    Attached::new(local(subject)?)
}

async fn open_attached(subject: &Subject) -> Result<Attached, Closed> {
    let attached = attached(subject)?;
    attached.open().await?;
    Ok(attached)
}

/// The JVM on this host.
fn local(subject: &Subject) -> Result<Hotspot, Closed> {
    let pid = subject.pid.ok_or_else(|| {
        Closed::shut("its process is not known to be on this host", "run leakscope on the host of the service")
    })?;
    Hotspot::find(pid)
}

fn jolokia(subject: &Subject) -> Option<Jolokia<'_>> {
    subject.http.as_ref().map(|http| Jolokia { http, path: &subject.settings.jvm.jolokia_path })
}

async fn served<T>(asked: impl Future<Output = Result<T, Closed>>) -> Result<T, Closed> {
    tokio::time::timeout(SERVED_WITHIN, asked).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", SERVED_WITHIN.as_secs());
        Err(Closed::shut(reason, "see whether the service hangs"))
    })
}

fn no_server() -> Closed {
    Closed::shut("it has no HTTP server that is known", "name its address in the configuration")
}

fn no_room(reason: String) -> Closed {
    Closed::shut(reason, "give the JVM room in its `/tmp`")
}

fn lack(found: &mut Found, kind: CaptureKind, closed: Closed) {
    if found.means.iter().any(|means| means.kind == kind) || found.lacking.iter().any(|lacking| lacking.kind == kind) {
        return;
    }
    let (reason, remedy) = words(closed);
    found.lacking.push(Lacking { kind, reason, remedy });
}

fn words(closed: Closed) -> (String, String) {
    match closed {
        Closed::Gone => ("the process has ended".into(), "wait until it is started again".into()),
        Closed::Shut { reason, remedy } => (reason, remedy),
    }
}
