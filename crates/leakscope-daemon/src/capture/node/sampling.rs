//! V8's sampling heap profiler: started once in the target, where it goes on without us, and read without stopping it.
//!
//! A read collects garbage first (0.16 s of CPU for a heap of 480 MB), so that the profile holds what is still alive. One profiler serves
//! the whole isolate: where somebody else has started it, it is read and never stopped.

use std::time::Duration;

use serde_json::json;

use super::inspector::{Attachment, Lease, call};
use super::session::Reply;
use crate::capture::{CaptureError, Output};

const SAMPLE: &str = include_str!("sample.js");
const READ: &str = "HeapProfiler.getSamplingProfile";
/// How long sampling goes on when nobody reads.
pub(super) const SAMPLING_LEASE: Lease = Lease { beat: Duration::from_mins(1), beats: 30 };

/// Writes the profile, as DevTools saves it; starts sampling first where nobody does, which it says.
///
/// # Errors
/// Those of the session and of [`Output::write`].
pub(super) async fn take(
    target: &mut Attachment,
    interval: u64,
    lease: Lease,
    output: &mut Output<'_>,
) -> Result<bool, CaptureError> {
    let session = target.session();
    let first = session.call(READ, json!({}), &mut |_| Ok(())).await?;
    let (reply, armed) = match first {
        Reply::Done { .. } => (first, false),
        // Nobody samples: V8 answers at once and without a collection.
        Reply::Refused(_) => {
            let options = json!({"interval": interval, "beats": lease.beats, "beat_ms": lease.beat.as_millis() as u64});
            let refused: Option<String> = session.evaluate(&call(SAMPLE, &options)).await?;
            if let Some(reason) = refused {
                return Err(session.unexpected("sampling to start", reason));
            }
            (session.call(READ, json!({}), &mut |_| Ok(())).await?, true)
        }
    };
    let (id, text) = session.done(READ, reply)?;
    // The answer is `{"id":7,"result":{"profile":{...}}}`; it may be large, and its middle is the file.
    let profile = text.strip_prefix(&format!(r#"{{"id":{id},"result":{{"profile":"#));
    let profile = profile.and_then(|rest| rest.strip_suffix("}}"));
    let profile = profile.ok_or_else(|| session.unexpected("a profile", "another answer"))?;
    output.write(profile.as_bytes())?;
    Ok(armed)
}
