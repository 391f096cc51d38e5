//! `leakscope diff` of three profiles of a living service that leaks, as its users do: V8's sampling profile and Go's pprof.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::heap::json;
use crate::run::{Running, Stream};

/// Work requests before each profile. The first of them fill the cache that every service has.
const N_REQUESTS: [u32; 3] = [300, 200, 200];

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The body of an answer.
fn get(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.0 200"), "{path}");
    answer.split_off(end + 4)
}

/// The first suspect of three profiles under work, and the names of all.
fn first_suspect(service: &mut Command, leak: &str, profile: &str, ending: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    service.args(["--leak", leak]).stdin(Stdio::null());
    let running = Running::start(service, Stream::Out);
    let rest = running.said("http://");
    let address = rest.split('"').next().unwrap();
    let mut names = Vec::new();
    for (nth, n_requests) in N_REQUESTS.into_iter().enumerate() {
        for user in 0..n_requests {
            get(address, &format!("/work?user=user-{}", user % 40));
        }
        names.push(format!("{nth}.{ending}"));
        fs::write(folder.path().join(&names[nth]), get(address, profile)).unwrap();
    }
    let mut arguments = vec!["diff"];
    arguments.extend(names.iter().map(String::as_str));
    arguments.extend(["--format", "json"]);
    json(folder.path(), &arguments)["suspects"][0].clone()
}

/// Asserts that a suspect names a function and a line within the lines of the source that it spans, and grew in every step.
fn assert_names(suspect: &Value, function: &str, source: &str, head: &str) {
    let title = suspect["title"].as_str().unwrap();
    assert!(title.contains(function), "{suspect:#}");
    assert_eq!(suspect["grew_in_every_step"], true, "{suspect:#}");
    let text = fs::read_to_string(root().join(source)).unwrap();
    let first = text.lines().position(|line| line.trim_start().starts_with(head)).unwrap() + 1;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let body = text
        .lines()
        .skip(first)
        .take_while(|line| line.trim().is_empty() || depth(line) > depth(text.lines().nth(first - 1).unwrap()));
    let location = &suspect["location"];
    assert!(location["file"].as_str().unwrap().ends_with(source.rsplit('/').next().unwrap()), "{suspect:#}");
    let lines = first..=first + body.count();
    assert!(lines.contains(&(location["line"].as_u64().unwrap() as usize)), "{lines:?} {suspect:#}");
}

/// Whether a program is installed; says so where it is not.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn installed(program: &str, argument: &str) -> bool {
    let is_there = Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("SKIPPED: `{program}` is not installed");
    }
    is_there
}

#[test]
fn the_leak_of_a_node_service_is_named_by_its_sampled_profile() {
    if !installed("node", "--version") {
        return;
    }
    let mut service = Command::new("node");
    service.arg(root().join("services/node/server.js")).arg("--profile");
    let suspect = first_suspect(&mut service, "timer-closure", "/debug/heapprofile", "heapprofile");
    assert_names(&suspect, "pollOrderForever", "services/node/server.js", "function pollOrderForever(");
}

#[test]
fn the_leak_of_a_go_service_is_named_by_its_heap_profile() {
    if !installed("go", "version") {
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-service");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(".").current_dir(root().join("services/go"));
    let built = build.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let suspect = first_suspect(&mut Command::new(program), "unbounded-cache", "/debug/pprof/heap?gc=1", "pb.gz");
    assert_names(&suspect, "rememberRecommendation", "services/go/leaks.go", "func rememberRecommendation(");
}
