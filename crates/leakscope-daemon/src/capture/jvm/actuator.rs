//! Spring Boot Actuator: a dump over HTTP, where it is exposed and allowed.
//!
//! Source: Spring Boot's reference, "Actuator API, Heap Dump"; since 3.5 access to `heapdump` is `NONE` unless
//! configured.

use reqwest::StatusCode;
use serde_json::Value;

use super::super::{CaptureError, HttpAccess, Known, Output};
use super::hotspot::Closed;

/// Most bytes of the list of endpoints; of a longer one the rest is not read.
const LINKS_BYTES_MAX: usize = 1 << 20;
/// What a dump begins with, and one that was packed on its way.
const STARTS: [&[u8]; 2] = [b"JAVA PROFILE 1.0.", &[0x1f, 0x8b]];
/// What opens the endpoint.
const EXPOSE: &str = "set `management.endpoints.web.exposure.include=health,heapdump`, and with Spring Boot 3.5 and later \
                      `management.endpoint.heapdump.access=unrestricted`";

/// Whether a dump can be had, as Actuator's own list of endpoints says.
///
/// # Errors
/// [`Closed`] with the one change that would open it.
pub(super) async fn survey(http: &HttpAccess, path: &str) -> Result<(), Closed> {
    let unreachable = |error: CaptureError| Closed::shut(error.to_string(), "see that the service can be reached");
    let answer = http.peek(path, LINKS_BYTES_MAX).await.map_err(unreachable)?;
    if answer.status != StatusCode::OK {
        return Err(refused(answer.status, path));
    }
    listed(&answer.start, path)
}

fn listed(links: &[u8], path: &str) -> Result<(), Closed> {
    let links: Value = serde_json::from_slice(links).unwrap_or_default();
    match links.get("_links") {
        Some(links) if links.get("heapdump").is_some() => Ok(()),
        Some(_) => Err(Closed::shut(format!("Actuator at `{path}` does not list `heapdump`"), EXPOSE)),
        None => Err(Closed::shut(format!("`{path}` answers something else than Actuator"), EXPOSE)),
    }
}

fn refused(status: StatusCode, path: &str) -> Closed {
    match status {
        StatusCode::NOT_FOUND => Closed::shut(
            format!("there is no Actuator at `{path}`"),
            "add spring-boot-starter-actuator and expose `heapdump`, or name its path in `capture.jvm.actuator_path`",
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Closed::shut(
            format!("Actuator at `{path}` refuses the job's credentials ({status})"),
            "give the job credentials that may read it",
        ),
        other => Closed::shut(format!("Actuator at `{path}` answers {other}"), EXPOSE),
    }
}

/// Streams the dump.
///
/// # Errors
/// [`CaptureError::Unexpected`] where the endpoint refuses or gives what is no dump.
pub(super) async fn take(http: &HttpAccess, path: &str, output: &mut Output<'_>) -> Result<(), CaptureError> {
    let begins = |start: &[u8]| STARTS.iter().any(|known| start.starts_with(known));
    http.stream_known(&format!("{path}/heapdump"), &Known { what: "a dump in the format HPROF", begins }, output).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_actuator_lists_decides() {
        let reason = |links: &[u8]| match listed(links, "/actuator") {
            Err(Closed::Shut { reason, .. }) => reason,
            other => format!("{other:?}"),
        };
        for (links, expected) in [
            (&br#"{"_links":{"self":{"href":"x"},"heapdump":{"href":"y"}}}"#[..], "Ok(())"),
            (br#"{"_links":{"health":{"href":"x"}}}"#, "Actuator at `/actuator` does not list `heapdump`"),
            (br#"{"status":"UP"}"#, "`/actuator` answers something else than Actuator"),
            (b"\xff<html>", "`/actuator` answers something else than Actuator"),
        ] {
            assert_eq!(reason(links), expected);
        }
    }
}
