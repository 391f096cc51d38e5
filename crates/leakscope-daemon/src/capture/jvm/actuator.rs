//! Spring Boot Actuator: a dump over HTTP, where it is exposed and allowed.
//!
//! Source: Spring Boot's reference, "Actuator API, Heap Dump"; since 3.5 access to `heapdump` is `NONE` unless configured.

use std::io;

use reqwest::StatusCode;
use serde_json::Value;

use super::super::{CaptureError, HttpAccess, Output};
use super::hotspot::Closed;
use crate::http;

/// Most bytes of the list of endpoints.
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
    let broken = |error: reqwest::Error| {
        Closed::shut(
            format!("`{}{path}` did not answer: {}", http.base(), http::reason(&error)),
            "see that the service can be reached",
        )
    };
    let mut response = http.get(path).map_err(unreachable)?.send().await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(refused(response.status(), path));
    }
    let mut links = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        links.extend_from_slice(&piece);
        if links.len() > LINKS_BYTES_MAX {
            return Err(Closed::shut(format!("`{path}` answers something else than Actuator"), EXPOSE));
        }
    }
    listed(&links, path)
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
/// [`CaptureError::Unavailable`] where the endpoint refuses, [`CaptureError::Unexpected`] for what is no dump.
pub(super) async fn take(access: &HttpAccess, path: &str, output: &mut Output<'_>) -> Result<(), CaptureError> {
    let path = format!("{path}/heapdump");
    let from = || format!("`{}{path}`", access.base());
    let broken =
        |error: reqwest::Error| CaptureError::Broken { from: from(), source: io::Error::other(http::reason(&error)) };
    let mut response = access.get(&path)?.send().await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(CaptureError::from(refused(response.status(), &path)));
    }
    let mut start = Vec::new();
    while start.len() < STARTS[0].len() {
        let Some(piece) = response.chunk().await.map_err(broken)? else { break };
        start.extend_from_slice(&piece);
    }
    if !STARTS.iter().any(|known| start.starts_with(known)) {
        let found = format!("{} bytes of something else", start.len());
        return Err(CaptureError::Unexpected { from: from(), expected: "a dump in the format HPROF", found });
    }
    output.write(&start)?;
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        output.write(&piece)?;
    }
    Ok(())
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
