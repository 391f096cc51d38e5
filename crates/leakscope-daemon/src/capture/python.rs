//! Python: our agent over HTTP where the service serves it, else a script that `CPython` 3.14 and later executes for us.
//!
//! The agent traces nothing until it is asked for a snapshot, and stops by itself when nobody asks any more.
//! Source: docs/python.md for what it answers; PEP 768 for the script.

mod interpreter;
mod remote;
#[cfg(test)]
mod tests;

use std::time::Duration;

use leakscope_model::{Bytes, CaptureKind, Cost, Lacking, Means, Timestamp};
use serde::Deserialize;

use self::interpreter::Interpreter;
use super::{Answer, CaptureError, Found, HttpAccess, Output, Subject, Taken};

/// Bytes of an answer that are read. Beyond: it is none of the agent's, which keeps 5,000 stacks and 200 types.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// Bytes of the answer to a look.
const LOOK_BYTES_MAX: usize = 4 << 10;
/// How long a service may take to answer a look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that tracemalloc uses for a block, and how long a snapshot stops the program for each: measured in `CPython` 3.8 to 3.14.
const TRACE_BYTES: u64 = 50;
const PAUSE_PER_BLOCK: Duration = Duration::from_micros(1);
/// What makes the agent answer.
const REMEDY: &str = "serve `leakscope_heap.wsgi(app)`, see docs/python.md";
/// What makes an agent answer that refuses us.
const TOKEN_REMEDY: &str =
    "set LEAKSCOPE_TOKEN in the service and the same token as `authorization` of its job, see docs/python.md";

/// What the agent says of itself when it is looked at.
#[derive(Debug, Deserialize)]
struct Look {
    leakscope: String,
    python: String,
    tracing: bool,
    needed_bytes: u64,
    overhead_bytes: u64,
    traced_bytes: u64,
    threads: u64,
}

/// What is needed of a snapshot to know it by; the rest is read by whoever analyses it.
#[derive(Debug, Deserialize)]
struct Snapshot {
    leakscope: String,
    #[serde(default)]
    armed: bool,
    process_started_at: Option<f64>,
}

/// Why the agent refuses.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    reason: String,
}

/// What the agent, or else the interpreter itself, gives. The target is asked for one small answer and is not stopped.
pub(crate) async fn survey(subject: &Subject) -> Found {
    let agent = match &subject.http {
        Some(http) => look(http, &subject.settings.python.path).await.map(|look| (look, http)),
        None => Err(Refused { reason: "it has no HTTP server that is known".to_owned(), remedy: REMEDY.to_owned() }),
    };
    let refused = match (agent, executing(subject)) {
        (Ok((look, http)), _) => return found(&look, http, &subject.settings.python.path),
        (Err(_), Some((pid, Ok(interpreter)))) => return found_within(pid, &interpreter),
        // An agent that refuses says how to be asked, which is nearer than another Python.
        (Err(agent), Some((_, Err(within)))) if agent.remedy == REMEDY => {
            Refused { reason: format!("{}; {}", agent.reason, within.reason), remedy: within.remedy }
        }
        (Err(agent), _) => agent,
    };
    let lacking = Lacking { kind: CaptureKind::PythonHeap, reason: refused.reason, remedy: refused.remedy };
    Found { lacking: vec![lacking], ..Found::default() }
}

/// A snapshot of the agent's, wherever it runs; the first of a process only begins to trace.
///
/// # Errors
/// [`CaptureError::Unavailable`] when the agent refuses, with its reason; those of [`HttpAccess::peek`] and [`Output::write`].
pub(crate) async fn take(subject: &Subject, kind: CaptureKind, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    if kind != CaptureKind::PythonHeap {
        return Err(CaptureError::Unavailable(format!("Python has no `{}`", kind.name())));
    }
    let path = &subject.settings.python.path;
    let refused = match &subject.http {
        Some(http) => match look(http, path).await {
            Ok(_) => return take_over_http(http, path, output).await,
            Err(refused) => refused,
        },
        None => Refused { reason: "it has no HTTP server that is known".to_owned(), remedy: REMEDY.to_owned() },
    };
    match subject.pid.filter(|_| subject.settings.python.remote_exec) {
        Some(pid) => remote::take(pid, output).await,
        None => Err(CaptureError::Unavailable(format!("{}: {}", refused.reason, refused.remedy))),
    }
}

/// Why nothing can be had by one way, and the one change.
struct Refused {
    reason: String,
    remedy: String,
}

/// The interpreter of a process on this host, where it may be asked.
fn executing(subject: &Subject) -> Option<(u32, Result<Interpreter, Refused>)> {
    let pid = subject.pid.filter(|_| subject.settings.python.remote_exec)?;
    Some((pid, Interpreter::of(pid)))
}

fn found_within(pid: u32, interpreter: &Interpreter) -> Found {
    let way = format!("a script that Python {} of process {pid} executes", interpreter.version);
    Found { means: vec![Means { kind: CaptureKind::PythonHeap, way, hint: Cost::default() }], ..Found::default() }
}

async fn look(http: &HttpAccess, path: &str) -> Result<Look, Refused> {
    let refused = |reason: String, remedy: &str| Refused { reason, remedy: remedy.to_owned() };
    let at = format!("`{}{path}`", http.base());
    let asked = format!("{path}?look");
    let answer = match tokio::time::timeout(LOOK_TIMEOUT, http.peek(&asked, LOOK_BYTES_MAX)).await {
        Err(_) => return Err(refused(format!("{at} did not answer within {} s", LOOK_TIMEOUT.as_secs()), REMEDY)),
        Ok(Err(error)) => return Err(refused(error.to_string(), REMEDY)),
        Ok(Ok(answer)) => answer,
    };
    match answer.status.as_u16() {
        200 => {
            let look = serde_json::from_slice(&answer.start).ok().filter(|look: &Look| look.leakscope == "python-look");
            look.ok_or_else(|| refused(format!("{at} is not our agent"), REMEDY))
        }
        401 | 403 => {
            let reason = refusal(&answer).map_or_else(|| answer.status.to_string(), |refusal| refusal.error);
            Err(refused(format!("{at} refuses: {reason}"), TOKEN_REMEDY))
        }
        _ => Err(refused(format!("no agent is served at {at}: status {}", answer.status), REMEDY)),
    }
}

fn found(look: &Look, http: &HttpAccess, path: &str) -> Found {
    let begun = if look.tracing { "traces already" } else { "begins to trace at the first capture" };
    let n_traced = look.overhead_bytes / TRACE_BYTES;
    let pause = if look.tracing {
        PAUSE_PER_BLOCK.saturating_mul(u32::try_from(n_traced).unwrap_or(u32::MAX))
    } else {
        Duration::ZERO
    };
    let hint = Cost { pause, memory: Bytes(look.needed_bytes), ..Cost::default() };
    let way = format!("`{}{path}` over HTTP, Python {}, {begun}", http.base(), shown(&look.python));
    Found {
        means: vec![Means { kind: CaptureKind::PythonHeap, way, hint }],
        heap: look.tracing.then_some(Bytes(look.traced_bytes)),
        tasks: Some(look.threads),
        ..Found::default()
    }
}

async fn take_over_http(http: &HttpAccess, path: &str, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    let mut answer = http.peek(path, ANSWER_BYTES_MAX).await?;
    if refusal(&answer).is_some_and(|refusal| refusal.reason == "low-memory" || refusal.reason == "busy") {
        // No room to trace: types cost no memory to speak of, and tell what lived before as well.
        answer = http.peek(&format!("{path}?types"), ANSWER_BYTES_MAX).await?;
    }
    let from = format!("`{}{path}`", http.base());
    if answer.status != reqwest::StatusCode::OK {
        let reason = refusal(&answer).map_or_else(|| answer.status.to_string(), |refusal| refusal.error);
        return Err(CaptureError::Unavailable(format!("{from} refuses: {reason}")));
    }
    keep(&answer.start, from, output)
}

/// Writes what the agent wrote, once it is known to be whole.
fn keep(bytes: &[u8], from: String, output: &mut Output<'_>) -> Result<Taken, CaptureError> {
    if bytes.len() >= ANSWER_BYTES_MAX {
        return Err(CaptureError::TooLarge(Bytes(ANSWER_BYTES_MAX as u64)));
    }
    let unexpected = |found| CaptureError::Unexpected { from, expected: "the JSON of our agent", found };
    // Where it is no JSON is said by line and column, never by content.
    let snapshot: Snapshot = match serde_json::from_slice(bytes) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return Err(unexpected(format!("something else at line {line}, column {column}")));
        }
    };
    if !matches!(snapshot.leakscope.as_str(), "python-heap" | "python-types") {
        return Err(unexpected("another document".to_owned()));
    }
    output.write(bytes)?;
    // A conversion of a float to an integer stays within the latter.
    let started = snapshot.process_started_at.map(|seconds| Timestamp::from_millis((seconds * 1e3).round() as i64));
    Ok(Taken { armed: snapshot.armed, process_started_at: started })
}

/// The agent's own words, where an answer is none of evidence.
fn refusal(answer: &Answer) -> Option<Refusal> {
    if answer.status == reqwest::StatusCode::OK {
        return None;
    }
    let refusal: Refusal = serde_json::from_slice(&answer.start).ok()?;
    Some(Refusal { error: shown(&refusal.error), ..refusal })
}

/// What a target says of itself, fit for a line of text.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
