//! V8's heap snapshot: the whole object graph, streamed as it comes. A piece is all that is ever held of it.
//!
//! It stops the target for about 48 s a GB of heap and multiplies its memory; V8 gives the memory back when we leave. Object ids last
//! within one connection only: two snapshots cannot be joined by them.

use serde::Deserialize;
use serde_json::json;

use super::inspector::Attachment;
use crate::capture::{CaptureError, Output};

const TAKE: &str = "HeapProfiler.takeHeapSnapshot";

/// An event during the snapshot: a piece of it, or how far V8 is.
#[derive(Deserialize)]
struct Event {
    params: Parameters,
}

#[derive(Deserialize)]
struct Parameters {
    /// JSON, cut anywhere, in ASCII.
    chunk: Option<String>,
    /// Whether V8 has seen all objects; pieces come from then on.
    finished: Option<bool>,
}

/// Writes a snapshot.
///
/// # Errors
/// Those of the session and of [`Output::write`]; [`CaptureError::Unexpected`] when it is not whole.
pub(super) async fn take(target: &mut Attachment, output: &mut Output<'_>) -> Result<(), CaptureError> {
    let session = target.session();
    let mut last_byte = None;
    let mut finished = false;
    let parameters = json!({"reportProgress": true, "exposeInternals": false, "captureNumericValue": false});
    let mut on_event = |text: &str| {
        // Events of others do not have these fields, and are passed over.
        let Ok(Event { params }) = serde_json::from_str::<Event>(text) else { return Ok(()) };
        finished |= params.finished == Some(true);
        let Some(chunk) = params.chunk else { return Ok(()) };
        last_byte = chunk.trim_end().bytes().next_back().or(last_byte);
        output.write(chunk.as_bytes())
    };
    let reply = session.call(TAKE, parameters, &mut on_event).await?;
    session.done(TAKE, reply)?;
    match (finished, last_byte) {
        (true, Some(b'}')) => Ok(()),
        _ => Err(session.unexpected("a whole snapshot", "one that is cut off")),
    }
}
