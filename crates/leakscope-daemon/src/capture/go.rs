//! Go: pprof over HTTP where it is served, and the runtime's own heap buckets in the process' memory where it is not.
//!
//! No way changes anything in the service. What costs much, a dump of many goroutines, is refused.

mod endpoint;
mod memory;
#[cfg(test)]
pub(super) mod tests;

use leakscope_model::{CaptureKind, Runtime};

use super::{CaptureError, Found, Output, Subject, Taken};

pub(super) use endpoint::is_of_go;

/// What a program of Go gives. Of a program whose runtime is not known, only what answers as Go does.
pub(crate) async fn survey(subject: &Subject) -> Found {
    let mut found = Found::default();
    if !matches!(subject.runtime, Runtime::Go | Runtime::Unknown) {
        return found;
    }
    endpoint::survey(subject, &mut found).await;
    memory::survey(subject, &mut found).await;
    if subject.runtime == Runtime::Unknown && found.means.is_empty() {
        found.lacking.clear();
    }
    found
}

/// Takes evidence of a program of Go.
///
/// # Errors
/// [`CaptureError`].
pub(crate) async fn take(subject: &Subject, kind: CaptureKind, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    let process_started_at = subject.pid.and_then(crate::proc::started_at);
    if kind == CaptureKind::GoHeapMemory {
        memory::take(subject, output).await?;
    } else {
        endpoint::take(subject, kind, output).await.map_err(|error| error.or_died(subject))?;
    }
    Ok(Taken { armed: false, process_started_at })
}
