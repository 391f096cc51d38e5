//! The probe against real Pythons.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use leakscope_model::{Bytes, CaptureKind, Runtime, TargetId};
use serde_json::Value;

use crate::capture::python::{survey, take};
use crate::capture::{CaptureError, Found, HttpAccess, Output, Subject, Taken};
use crate::config::{Auth, Capture, HttpClient, Scheme, Secret, Sourced};
use crate::proc;

const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../agents/python");

/// A service that keeps what each line of its input asks for; it says its port, and what it did.
const SHOP: &str = r#"
import sys
import leakscope_heap

HELD = []

def keep(n_blocks):
    for _ in range(n_blocks):
        HELD.append(bytearray(1000))

print(leakscope_heap.serve(), flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"#;

/// A Python that does what it is told.
pub(super) struct Shop {
    child: Child,
    /// Where its source is.
    _folder: tempfile::TempDir,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub(super) first_line: String,
}

impl Shop {
    /// None where there is no such Python.
    pub(super) fn start(python: &str, program: &str, token: Option<&str>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.py"), program).unwrap();
        let mut command = Command::new(python);
        command.arg(folder.path().join("shop.py")).env("PYTHONPATH", AGENT).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env_remove("LEAKSCOPE_TOKEN").envs(token.map(|token| ("LEAKSCOPE_TOKEN", token)));
        let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
            eprintln!("SKIPPED: there is no `{python}`");
            return None;
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first_line = lines.next().unwrap().unwrap();
        Some(Self { child, _folder: folder, lines, first_line })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        assert_eq!(self.lines.next().unwrap().unwrap(), "done");
    }

    fn subject(&self, auth: Auth) -> Subject {
        let client = HttpClient { auth, ..HttpClient::default() };
        let address = format!("127.0.0.1:{}", self.first_line);
        let http = HttpAccess::new(Scheme::Http, &address, &client, None).unwrap();
        Subject { http: Some(http), ..subject(self.pid()) }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that is known by its process alone.
pub(super) fn subject(pid: u32) -> Subject {
    Subject {
        target: TargetId(1),
        instance: format!("pid {pid}"),
        runtime: Runtime::Python,
        pid: Some(pid),
        http: None,
        settings: Arc::new(Capture::default()),
    }
}

pub(super) async fn taken(subject: &Subject) -> Result<(Taken, Value), CaptureError> {
    let mut file = Vec::new();
    let taken = take(subject, CaptureKind::PythonHeap, &mut Output::new(&mut file, Bytes(64 << 20))).await?;
    Ok((taken, serde_json::from_slice(&file).unwrap()))
}

/// Blocks of the stack with most bytes, and its functions.
pub(super) fn largest(document: &Value) -> (u64, Vec<&str>) {
    let stack = &document["stacks"][0];
    let frames = stack["frames"].as_array().unwrap().iter();
    let function = |frame: &Value| document["frames"][frame.as_u64().unwrap() as usize][2].as_str().unwrap_or("?");
    (stack["count"].as_u64().unwrap(), frames.map(function).collect())
}

fn reason(found: &Found) -> (&str, &str) {
    (&found.lacking[0].reason, &found.lacking[0].remedy)
}

#[tokio::test]
async fn the_first_capture_begins_to_trace_and_the_next_names_the_function_that_keeps() {
    let Some(mut shop) = Shop::start("python3", SHOP, None) else { return };
    let subject = shop.subject(Auth::None);
    shop.tell("keep(1000)");
    let found = survey(&subject).await;
    assert_eq!((found.means.len(), found.heap), (1, None), "{found:?}");
    assert!(found.means[0].way.ends_with("begins to trace at the first capture"), "{found:?}");

    let (first, document) = taken(&subject).await.unwrap();
    assert!(first.armed);
    let started_at = proc::started_at(shop.pid()).unwrap();
    assert!((first.process_started_at.unwrap().as_millis() - started_at.as_millis()).abs() < 100, "{first:?}");
    // What lived before is known by type alone.
    let types = document["types"].as_array().unwrap();
    assert!(types.iter().any(|kind| kind["name"] == "function"), "{types:?}");

    shop.tell("keep(2000)");
    let (second, document) = taken(&subject).await.unwrap();
    let (n_blocks, functions) = largest(&document);
    // A block for each array, one for its bytes, and those of the list.
    assert!(!second.armed && (4_000..4_100).contains(&n_blocks), "{n_blocks} blocks of {functions:?}");
    assert_eq!(functions[0], "keep");
    let found = survey(&subject).await;
    assert!(found.means[0].way.ends_with("traces already"), "{found:?}");
    assert!(found.heap.unwrap() > Bytes(2_000_000), "{found:?}");
}

#[tokio::test]
async fn a_look_never_begins_to_trace() {
    let Some(mut shop) = Shop::start("python3", SHOP, None) else { return };
    let subject = shop.subject(Auth::None);
    for _ in 0..3 {
        assert_eq!(survey(&subject).await.means.len(), 1);
    }
    shop.tell("import tracemalloc; assert not tracemalloc.is_tracing()");
}

#[tokio::test]
async fn without_room_to_trace_types_are_taken_and_nothing_is_traced() {
    let Some(mut shop) = Shop::start("python3", SHOP, None) else { return };
    let subject = shop.subject(Auth::None);
    shop.tell("leakscope_heap._headroom_bytes = lambda: 1000");
    let (taken, document) = taken(&subject).await.unwrap();
    assert_eq!((taken.armed, document["leakscope"].as_str()), (false, Some("python-types")));
    shop.tell("import tracemalloc; assert not tracemalloc.is_tracing()");
}

#[tokio::test]
async fn an_agent_with_a_token_answers_who_has_it() {
    let Some(shop) = Shop::start("python3", SHOP, Some("s3same")) else { return };
    let header = |token: &str| Auth::Header {
        scheme: "Bearer".to_owned(),
        credentials: Sourced::Inline(Secret::new(token.to_owned())),
    };
    assert_eq!(survey(&shop.subject(header("s3same"))).await.means.len(), 1);
    for auth in [Auth::None, header("sesame")] {
        let subject = shop.subject(auth);
        let found = survey(&subject).await;
        let (why, remedy) = reason(&found);
        assert!(why.contains("refuses: expected `Authorization: Bearer`"), "{why}");
        assert!(remedy.starts_with("set LEAKSCOPE_TOKEN"), "{remedy}");
        assert!(taken(&subject).await.is_err());
    }
}

#[tokio::test]
async fn what_is_no_agent_is_told_with_the_line_that_makes_it_one() {
    let serve = "import http.server, threading
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'<html>log in</html>'
        self.send_response(200 if LOGIN else 404)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer(('127.0.0.1', 0), H)
print(server.server_address[1], flush=True)
server.serve_forever()";
    for (login, expected) in [("True", "is not our agent"), ("False", "no agent is served at")] {
        let Some(shop) = Shop::start("python3", &format!("LOGIN = {login}\n{serve}"), None) else { return };
        let mut subject = shop.subject(Auth::None);
        subject.pid = None;
        let found = survey(&subject).await;
        let (why, remedy) = reason(&found);
        assert!(why.contains(expected), "{why}");
        assert!(remedy.starts_with("serve `leakscope_heap.wsgi(app)`"), "{remedy}");
        let refused = taken(&subject).await.unwrap_err().to_string();
        assert!(!refused.contains("html"), "{refused}");
    }
}

#[tokio::test]
async fn nobody_who_answers_is_told_and_not_waited_for() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let http = HttpAccess::new(Scheme::Http, &format!("127.0.0.1:{port}"), &HttpClient::default(), None).unwrap();
    let subject = Subject { http: Some(http), pid: None, ..subject(0) };
    let found = survey(&subject).await;
    assert!(reason(&found).0.contains("broke off"), "{found:?}");
}

/// Keeps what each line of its input asks for, and knows nothing of us.
const PLAIN: &str = r#"
import sys

HELD = []

def keep(n_blocks):
    for _ in range(n_blocks):
        HELD.append(bytearray(1000))

print("up", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"#;

/// Executes Python once a moment, as a server's loop does, beside a thread that does what it is told.
const LOOP: &str = "
import threading, time
def obey():
    for line in sys.stdin:
        exec(line, globals())
        print('done', flush=True)
threading.Thread(target=obey, daemon=True).start()
while True: time.sleep(0.01)
";

fn looping() -> String {
    let (before, _) = PLAIN.split_once("for line in sys.stdin").unwrap();
    format!("{before}{LOOP}")
}

/// `CPython` 3.14, by `LEAKSCOPE_TEST_PYTHON` or by its name.
fn python_3_14() -> String {
    std::env::var("LEAKSCOPE_TEST_PYTHON").unwrap_or_else(|_| "python3.14".to_owned())
}

fn left_behind() -> Vec<std::ffi::OsString> {
    let names = std::fs::read_dir("/tmp").unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".leakscope-")).collect()
}

#[tokio::test]
async fn a_python_that_knows_nothing_of_us_names_the_function_that_keeps() {
    let Some(mut shop) = Shop::start(&python_3_14(), &looping(), None) else { return };
    let subject = subject(shop.pid());
    let found = survey(&subject).await;
    assert!(found.means[0].way.starts_with("a script that Python 3.14."), "{found:?}");
    shop.tell("import tracemalloc; assert not tracemalloc.is_tracing()");

    let (first, _) = taken(&subject).await.unwrap();
    assert!(first.armed);
    shop.tell("keep(2000)");
    let (second, document) = taken(&subject).await.unwrap();
    let (n_blocks, functions) = largest(&document);
    assert!(!second.armed && (4_000..4_100).contains(&n_blocks), "{n_blocks} blocks of {functions:?}");
    assert_eq!(functions[0], "keep");
    // One line ran in `__main__`, and left nothing there.
    shop.tell("assert not {name for name in globals() if 'leakscope' in name or name in ('run', 'agent')}");
}

#[tokio::test]
async fn a_script_that_was_not_executed_in_time_is_never_executed() {
    // Its main thread waits for input and executes no Python.
    let Some(mut shop) = Shop::start(&python_3_14(), PLAIN, None) else { return };
    let subject = subject(shop.pid());
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(300), taken(&subject)).await;
    assert!(dropped.is_err(), "{dropped:?}");
    shop.tell("assert '_leakscope_heap' not in sys.modules");
    shop.tell("import tracemalloc; assert not tracemalloc.is_tracing()");
}

#[tokio::test]
async fn a_process_that_ends_before_it_executes_the_script_is_told() {
    let Some(mut shop) = Shop::start(&python_3_14(), PLAIN, None) else { return };
    let subject = subject(shop.pid());
    let kill = async {
        // poll: the script is there
        while left_behind().is_empty() {
            tokio::task::yield_now().await;
        }
        shop.child.kill().unwrap();
        shop.child.wait().unwrap();
    };
    let (outcome, ()) = tokio::join!(taken(&subject), kill);
    assert!(matches!(outcome, Err(CaptureError::Died)), "{outcome:?}");
}

#[tokio::test]
async fn an_older_python_is_told_what_a_newer_would_give() {
    let Some(shop) = Shop::start("python3", PLAIN, None) else { return };
    let found = survey(&subject(shop.pid())).await;
    if found.means.is_empty() {
        let (why, remedy) = reason(&found);
        assert!(why.starts_with("it has no HTTP server that is known; "), "{why}");
        assert!(remedy.ends_with("Python 3.14 would let leakscope look without a change"), "{remedy}");
    }
}
