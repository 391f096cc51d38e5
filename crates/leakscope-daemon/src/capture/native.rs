//! Native programs: the profile of a sampling allocator over HTTP, as jemalloc and tcmalloc have it.

use std::time::Duration;

use leakscope_model::{CaptureKind, Cost, Lacking, Means, Runtime};
use reqwest::StatusCode;

use super::go::is_of_go;
use super::{CaptureError, Found, Known, Output, Subject, Taken};

/// How long a look may take: an allocator writes its profile in the meantime, some with symbols.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a profile that are read to know it.
const START_BYTES: usize = 64;

const PROFILE: Known = Known {
    what: "an allocator's profile (pprof, `heap profile:` or `heap_v2/`)",
    begins: |start| format_of(start).is_some(),
};

/// What a native program gives. Of a program whose runtime is not known, only what answers, and not as Go does.
pub(crate) async fn survey(subject: &Subject) -> Found {
    let mut found = Found::default();
    if !matches!(subject.runtime, Runtime::Native | Runtime::Unknown) {
        return found;
    }
    let path = &subject.settings.native.path;
    match look(subject, path).await {
        Ok(format) => {
            let way = format!("`{path}` over HTTP ({format})");
            found.means.push(Means { kind: CaptureKind::NativeHeap, way, hint: Cost::default() });
        }
        Err(reason) if subject.runtime == Runtime::Native => found.lacking.push(Lacking {
            kind: CaptureKind::NativeHeap,
            reason,
            remedy: format!(
                "link jemalloc with profiling, start it with `MALLOC_CONF=prof:true,prof_active:true` and serve its profile at `{path}` (in \
                 Rust: tikv-jemallocator and jemalloc_pprof), or say where it is served in `capture.native.path`"
            ),
        }),
        Err(_) => {}
    }
    found
}

/// The format of what is served, else why it is no profile.
async fn look(subject: &Subject, path: &str) -> Result<&'static str, String> {
    let http = subject.http.as_ref().ok_or("no HTTP server of it is known")?;
    let asked = tokio::time::timeout(LOOK_TIMEOUT, http.peek(path, START_BYTES)).await;
    let late = |_| format!("`{}{path}` does not answer within {} s", http.base(), LOOK_TIMEOUT.as_secs());
    let answer = asked.map_err(late)?.map_err(|error| error.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("`{}{path}` answers {}", http.base(), answer.status));
    }
    if is_of_go(&answer) {
        return Err(format!("`{}{path}` is served by Go", http.base()));
    }
    format_of(&answer.start).ok_or_else(|| format!("`{}{path}` answers something else than a profile", http.base()))
}

/// The format of a profile by its first bytes.
fn format_of(start: &[u8]) -> Option<&'static str> {
    // The first field of pprof is a sample type, a short message.
    let is_pprof = start.starts_with(&[0x1f, 0x8b]) || matches!(start, [0x0a, 0x01..=0x0c, 0x08, ..]);
    match () {
        () if is_pprof => Some("pprof"),
        () if start.starts_with(b"heap_v2/") => Some("jemalloc"),
        () if start.starts_with(b"heap profile:") => Some("tcmalloc"),
        () => None,
    }
}

/// Takes the allocator's profile.
///
/// # Errors
/// [`CaptureError`].
pub(crate) async fn take(
    subject: &Subject,
    _kind: CaptureKind,
    output: &mut Output<'_>,
) -> Result<Taken, CaptureError> {
    let process_started_at = subject.pid.and_then(crate::proc::started_at);
    let http = subject
        .http
        .as_ref()
        .ok_or_else(|| CaptureError::Unavailable("no HTTP server of the target is known".to_owned()))?;
    let taken = http.stream_known(&subject.settings.native.path, &PROFILE, output).await;
    taken.map_err(|error| error.or_died(subject))?;
    Ok(Taken { armed: false, process_started_at })
}

#[cfg(test)]
mod tests {
    use leakscope_model::Bytes;

    use super::*;
    use crate::capture::go::tests::{Service, answering, subject};
    use crate::config::Capture;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let cases: [(&[u8], Option<&str>); 6] = [
            (&[0x1f, 0x8b, 8, 0], Some("pprof")),
            (&[0x0a, 4, 8, 1, 0x10, 2], Some("pprof")),
            (b"heap_v2/524288\n", Some("jemalloc")),
            (b"heap profile:   1: 2 [ 3: 4] @ heap_v2/524288\n", Some("tcmalloc")),
            (b"<html>", None),
            (b"", None),
        ];
        for (start, expected) in cases {
            assert_eq!(format_of(start), expected, "{}", start.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_profile_is_taken_as_it_is_served_and_a_page_is_none() {
        let profile =
            |_: &str| "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\nheap_v2/524288\n".to_owned();
        let page = |_: &str| "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlogin".to_owned();
        let served = subject(&answering(profile).await, None, Runtime::Unknown, Capture::default());
        let found = survey(&served).await;
        assert_eq!(found.means[0].way, "`/debug/pprof/heap` over HTTP (jemalloc)");
        let mut file = Vec::new();
        take(&served, CaptureKind::NativeHeap, &mut Output::new(&mut file, Bytes(100))).await.unwrap();
        assert_eq!(file, b"heap_v2/524288\n");
        let other = subject(&answering(page).await, None, Runtime::Native, Capture::default());
        let found = survey(&other).await;
        assert!(found.means.is_empty() && found.lacking[0].reason.ends_with("answers something else than a profile"));
        let mut file = Vec::new();
        let error = take(&other, CaptureKind::NativeHeap, &mut Output::new(&mut file, Bytes(100))).await.unwrap_err();
        assert!(matches!(error, CaptureError::Unexpected { .. }) && file.is_empty(), "{error}");
    }

    #[tokio::test]
    async fn what_go_serves_at_the_same_path_is_no_native_profile() {
        let Some(service) = Service::go("none") else { return };
        let found = survey(&subject(&service.address, None, Runtime::Unknown, Capture::default())).await;
        assert!(found.means.is_empty(), "{found:?}");
    }
}
