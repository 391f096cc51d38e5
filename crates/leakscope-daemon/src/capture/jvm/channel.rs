//! Two ways to give a JVM the commands of `jcmd`: its attach socket, and Jolokia, which serves the same ones as operations of a bean.
//!
//! Source: the bean `com.sun.management:type=DiagnosticCommand` (`sun.management.DiagnosticCommandImpl`: `GC.class_histogram` is
//! `gcClassHistogram`), jolokia.org's protocol, version 7 and 8.

use leakscope_model::Bytes;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::super::{CaptureError, HttpAccess};
use super::attach::{Attached, quoted};
use super::hotspot::Closed;
use super::memory::{Heap, native_committed};
use crate::http;

/// Most bytes of an answer of Jolokia.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A way to give commands.
#[derive(Debug)]
pub(super) enum Channel<'a> {
    Attach(&'a Attached),
    Jolokia(Jolokia<'a>),
}

impl Channel<'_> {
    /// What a command answers.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub(super) async fn run(&self, command: &str) -> Result<String, CaptureError> {
        match self {
            Self::Attach(attached) => attached.run(command).await,
            Self::Jolokia(jolokia) => jolokia.run(command).await,
        }
    }

    /// What a command answers, when `expected` is in it: a JVM says with return code 0 that it failed.
    ///
    /// # Errors
    /// [`CaptureError::Unexpected`] with what it says instead.
    pub(super) async fn run_to(&self, command: &str, expected: &'static str) -> Result<String, CaptureError> {
        let answer = self.run(command).await?;
        if answer.contains(expected) {
            return Ok(answer);
        }
        let from = format!("`{}` of the JVM", command.split(' ').next().unwrap_or_default());
        // What failed stands last: a dump says first that it begins.
        let found = answer.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Err(CaptureError::Unexpected { from, expected, found: quoted(found) })
    }

    /// What the JVM says of its heap: no pause, below a millisecond.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub(super) async fn heap(&self) -> Result<Heap, CaptureError> {
        let info = self.run("GC.heap_info").await?;
        let flags = self.run("VM.flags").await?;
        Ok(Heap::of(&info, &flags))
    }

    /// Native memory that the JVM has committed, where it tracks that.
    pub(super) async fn native(&self) -> Option<Bytes> {
        native_committed(&self.run("VM.native_memory summary").await.ok()?)
    }
}

/// Jolokia in the JVM.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jolokia<'a> {
    pub(super) http: &'a HttpAccess,
    pub(super) path: &'a str,
}

impl Jolokia<'_> {
    /// Whether it is there and may be asked.
    ///
    /// # Errors
    /// [`Closed`] with what would open it.
    pub(super) async fn answers(&self) -> Result<(), Closed> {
        let remedy =
            "serve Jolokia, name its path in `capture.jvm.jolokia_path`, and let the job's user execute operations";
        match self.run("VM.uptime").await {
            Ok(_) => Ok(()),
            Err(error) => Err(Closed::shut(error.to_string(), remedy)),
        }
    }

    async fn run(&self, command: &str) -> Result<String, CaptureError> {
        let from = || format!("Jolokia at `{}{}`", self.http.base(), self.path);
        let unexpected = |expected, found| CaptureError::Unexpected { from: from(), expected, found };
        let broken = |error: reqwest::Error| CaptureError::Broken {
            from: from(),
            source: std::io::Error::other(http::reason(&error)),
        };
        let request =
            self.http.post(self.path)?.header(CONTENT_TYPE, "application/json").body(body(command).to_string());
        let mut response = request.send().await.map_err(broken)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(unexpected("status 200", response.status().to_string()));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(unexpected("an answer of 64 MiB at most", "a longer one".into()));
            }
            bytes.extend_from_slice(&piece);
        }
        value_of(&bytes).map_err(|found| unexpected("a `value` of text", found))
    }
}

/// `JFR.dump name=x filename=y` as Jolokia wants it.
fn body(command: &str) -> Value {
    let mut words = command.split(' ');
    let operation = operation(words.next().unwrap_or_default());
    let arguments: Vec<&str> = words.collect();
    let mut body =
        json!({ "type": "exec", "mbean": "com.sun.management:type=DiagnosticCommand", "operation": operation });
    // The only one of our commands that knows no arguments, and whose operation has none therefore.
    if operation != "gcHeapInfo" {
        body["arguments"] = json!([arguments]);
    }
    body
}

/// `GC.class_histogram` is `gcClassHistogram`, `VM.flags` is `vmFlags`.
fn operation(command: &str) -> String {
    let (domain, name) = command.split_once('.').unwrap_or((command, ""));
    let mut operation = domain.to_ascii_lowercase();
    for word in name.split('_') {
        let mut chars = word.chars();
        operation.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        operation.push_str(chars.as_str());
    }
    operation
}

/// The text of an answer, or what Jolokia says instead.
fn value_of(bytes: &[u8]) -> Result<String, String> {
    let mut answer: Value = serde_json::from_slice(bytes).map_err(|error| format!("no JSON: {error}"))?;
    match answer.get_mut("value").map(Value::take) {
        Some(Value::String(value)) => Ok(value),
        _ => Err(answer.get("error").and_then(Value::as_str).map_or_else(|| "no `value`".into(), quoted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_operations_with_their_arguments() {
        for (command, operation, arguments) in [
            ("GC.class_histogram -all", "gcClassHistogram", json!([["-all"]])),
            ("GC.heap_info", "gcHeapInfo", Value::Null),
            ("VM.flags", "vmFlags", json!([[]])),
            ("JFR.dump name=a filename=/b", "jfrDump", json!([["name=a", "filename=/b"]])),
        ] {
            let body = body(command);
            assert_eq!((body["operation"].as_str(), &body["arguments"]), (Some(operation), &arguments));
        }
    }

    #[test]
    fn an_answer_without_text_says_what_jolokia_said() {
        for (answer, expected) in [
            (&br#"{"status":200,"value":"12 s"}"#[..], Ok("12 s")),
            (br#"{"status":403,"error":"java.lang.Exception : No access"}"#, Err("java.lang.Exception : No access")),
            (br#"{"value":7}"#, Err("no `value`")),
            (b"[]", Err("no `value`")),
            (b"<html>", Err("no JSON: expected value at line 1 column 1")),
        ] {
            assert_eq!(value_of(answer), expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
