//! The agent in a real Python: what it writes names the function that keeps the memory.

use std::path::Path;
use std::process::Command;

use leakscope_heap::Format;
use leakscope_heap::profile::{Profile, read};

const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../agents/python");

const SHOP: &str = r"
import os
import sys
import leakscope_heap

HELD = []

class Store:
    def put(self, number):
        HELD.append(
            bytearray(1000))

def serve(store, requests):
    for number in range(requests):
        store.put(number)

def main(captures):
    for capture in captures:
        serve(Store(), 1000)
        leakscope_heap.write(capture, stacks_max=20, requests_total=len(HELD))

main(sys.argv[1:])
";

/// Runs a program in a folder of its own; none where there is no such Python or it lacks a module.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn run(folder: &Path, program: &str, arguments: &[&str], module: &str) -> Option<()> {
    let script = folder.join("shop.py");
    std::fs::write(&script, program).unwrap();
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).current_dir(folder).env("PYTHONPATH", AGENT).env("PYTHONDONTWRITEBYTECODE", "1");
        command.output()
    };
    let probe = python(&["-c", &format!("import {module}")]);
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("SKIPPED: there is no `python3` with the module `{module}`");
        return None;
    }
    let output = python(arguments).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

fn profile(path: &Path) -> Profile {
    let profile = read(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!((profile.format(), profile.warnings()), (Format::Python, &[][..]));
    profile
}

/// The frames of the stack with most bytes, leaf first, and its values. What is not a stack comes last.
fn largest(profile: &Profile) -> (Vec<String>, Vec<i64>) {
    let stacks = 0..profile.n_samples() - 1;
    let sample = stacks.max_by_key(|sample| profile.values(*sample)[1]).unwrap();
    let lines = profile.stack(sample).iter().flat_map(|location| profile.lines(*location));
    let frames = lines.map(|line| {
        let function = profile.functions()[line.function.unwrap() as usize];
        let file = Path::new(profile.text(function.file)).file_name().unwrap_or_default().to_string_lossy();
        format!("{} {file}:{}", profile.text(function.name), line.line)
    });
    (frames.collect(), profile.values(sample).to_vec())
}

#[test]
fn tracemalloc_names_function_and_line_of_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let captures = ["1.json", "2.json"];
    if run(folder.path(), SHOP, &["-X", "tracemalloc=10", "shop.py", captures[0], captures[1]], "tracemalloc").is_none()
    {
        return;
    }
    for (capture, blocks) in captures.into_iter().zip([1_000, 2_000]) {
        let profile = profile(&folder.path().join(capture));
        let (frames, values) = largest(&profile);
        assert_eq!(frames[..2], ["Store.put shop.py:11", "serve shop.py:15"]);
        assert_eq!(values[0] / blocks, 2, "a block for each array and one for its bytes: {values:?}");
        assert!((1_000 * blocks..1_100 * blocks).contains(&values[1]), "{values:?}");
        let comments: Vec<&str> = profile.header().comments.iter().map(|text| profile.text(*text)).collect();
        assert!(comments.contains(&format!("requests_total: {blocks}").as_str()), "{comments:?}");
    }
}

#[cfg(unix)]
#[test]
fn nobody_but_the_owner_reads_what_the_agent_writes() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    if run(folder.path(), SHOP, &["-X", "tracemalloc=1", "shop.py", "1.json"], "tracemalloc").is_none() {
        return;
    }
    let mode = std::fs::metadata(folder.path().join("1.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["1.json", "shop.py"]);
}

#[test]
fn the_agent_refuses_what_it_cannot_do() {
    let program = r#"
import leakscope_heap, tracemalloc

def refused(kind, **options):
    try:
        leakscope_heap.snapshot(**options)
    except kind as error:
        return str(error)

assert refused(RuntimeError).startswith("tracemalloc is not running"), refused(RuntimeError)
tracemalloc.start()
leakscope_heap._headroom_bytes = lambda: 0
assert "pass force=True" in refused(leakscope_heap.LowMemory)
assert refused(leakscope_heap.LowMemory, force=True) is None
leakscope_heap._headroom_bytes = lambda: None
assert refused(leakscope_heap.LowMemory) is None
"#;
    let folder = tempfile::tempdir().unwrap();
    let _ = run(folder.path(), program, &["shop.py"], "tracemalloc");
}

#[test]
fn web_applications_serve_the_endpoint_to_this_host_and_pass_on_all_else() {
    let program = r#"
import asyncio, io, json, leakscope_heap, tracemalloc

def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    return [b"shop"]

async def asgi_app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"shop"})

def by_wsgi(path, query, peer, method, **headers):
    environ = {"PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": peer, "REQUEST_METHOD": method}
    environ.update({"HTTP_" + name.upper(): value for name, value in headers.items()})
    said = []
    body = b"".join(served_by_wsgi(environ, lambda status, fields: said.append(status)))
    return int(said[0].split()[0]), body

def by_asgi(path, query, peer, method, **headers):
    scope = {"type": "http", "path": path, "query_string": query.encode(), "client": (peer, 4711), "method": method}
    scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    said = []
    async def send(message):
        said.append(message)
    asyncio.run(served_by_asgi(scope, None, send))
    return said[0]["status"], said[1]["body"]

served_by_wsgi, served_by_asgi = leakscope_heap.wsgi(wsgi_app), leakscope_heap.asgi(asgi_app)
for ask in (by_wsgi, by_asgi):
    at, here = "/debug/leakscope", "127.0.0.1"
    assert ask("/cart", "", here, "GET", host="shop") == (200, b"shop")
    refused = [
        ask(at, "", "10.1.2.3", "GET", host="localhost"),
        ask(at, "", here, "GET", host="localhost", x_forwarded_for="10.1.2.3"),
        ask(at, "", here, "GET", host="localhost", sec_fetch_site="same-origin"),
        ask(at, "", here, "GET", host="rebound.example"),
        ask(at, "", "", "GET"),
    ]
    assert [status for status, _ in refused] == [403] * 5, refused
    assert not tracemalloc.is_tracing()
    assert ask(at, "frames=0", here, "GET", host="localhost")[0] == 400
    assert ask(at, "", here, "POST", host="localhost")[0] == 405
    status, body = ask(at, "frames=3", here, "GET", host="localhost:8000")
    assert (status, json.loads(body)["armed"], json.loads(body)["frames_max"]) == (200, True, 3)
    assert not json.loads(ask(at + "/", "", here, "GET", host="[::1]:8000")[1])["armed"]
    assert json.loads(ask(at, "look", here, "GET", host="127.0.0.1")[1])["armed"]
    assert json.loads(ask(at, "", here, "DELETE", host="localhost")[1]) == {"stopped": True}
    assert not tracemalloc.is_tracing()
"#;
    let folder = tempfile::tempdir().unwrap();
    let _ = run(folder.path(), program, &["shop.py"], "asyncio");
}

#[test]
fn tracing_stops_by_itself_and_what_the_program_traces_goes_on() {
    let program = r#"
import leakscope_heap, os, time, tracemalloc

def waits(ended):
    deadline = time.monotonic() + 30
    # poll: tracing has stopped
    while tracemalloc.is_tracing():
        assert time.monotonic() < deadline, ended
        time.sleep(0.01)

def child_traces():
    pid = os.fork()
    if pid == 0:
        os._exit(tracemalloc.is_tracing())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if hasattr(os, "waitstatus_to_exitcode") else os.waitpid(pid, 0)[1] >> 8

leakscope_heap.WATCH_S = 0.01
headroom = leakscope_heap._headroom_bytes
assert leakscope_heap.arm() and not leakscope_heap.arm() and child_traces() == 0
leakscope_heap._headroom_bytes = lambda: 0
waits("no memory is left")
leakscope_heap._headroom_bytes = headroom
leakscope_heap.IDLE_S = 0
assert leakscope_heap.arm()
waits("nobody asks")
leakscope_heap.IDLE_S, leakscope_heap.BUSY_SHARE = 1800, -1
leakscope_heap._cpu_share = lambda used_s, since: -2 if used_s == 0 else 0
assert leakscope_heap.arm()
waits("it takes all of a core")
try:
    leakscope_heap.arm()
    assert False, "it rests"
except leakscope_heap.Busy:
    pass
tracemalloc.start(1)
assert not leakscope_heap.disarm() and tracemalloc.is_tracing()
"#;
    let folder = tempfile::tempdir().unwrap();
    let _ = run(folder.path(), program, &["shop.py"], "tracemalloc");
}

#[test]
fn types_of_the_program_are_counted_whether_anything_is_traced_or_not() {
    let program = r#"
import leakscope_heap, sys

class Click:
    def __init__(self):
        self.before = []
    def __sizeof__(self):
        raise RuntimeError("code of the program ran")

held = [Click() for _ in range(40_000)]
leakscope_heap.TYPES_OBJECTS_MAX = 20_000
leakscope_heap.write(sys.argv[1], leakscope_heap.histogram())
"#;
    let folder = tempfile::tempdir().unwrap();
    if run(folder.path(), program, &["shop.py", "types.json"], "gc").is_none() {
        return;
    }
    let profile = read(&std::fs::read(folder.path().join("types.json")).unwrap()).unwrap();
    assert_eq!(profile.format(), Format::PythonTypes);
    let name = |sample: usize| {
        let line = profile.lines(profile.stack(sample)[0])[0];
        profile.text(profile.functions()[line.function.unwrap() as usize].name)
    };
    let clicks = (0..profile.n_samples()).find(|sample| name(*sample) == "__main__.Click").unwrap();
    let count = profile.values(clicks)[0];
    assert!((30_000..50_000).contains(&count), "a sample of them stands for {count}");
}

#[test]
fn no_block_is_lost_however_few_stacks_are_kept() {
    let program = r#"
import leakscope_heap, tracemalloc

tracemalloc.start(5)
held = [bytearray(100) for _ in range(1000)]
held += [str(number) * 50 for number in range(1000)]
for stacks_max in (0, 1, 1000):
    document = leakscope_heap.snapshot(stacks_max=stacks_max)
    rows = document["stacks"] + [document["rest"]]
    kept, traced = sum(row["bytes"] for row in rows), document["traced_bytes"]
    assert abs(kept - traced) < 20_000, (kept, traced)
    assert len(document["stacks"]) <= stacks_max
"#;
    let folder = tempfile::tempdir().unwrap();
    let _ = run(folder.path(), program, &["shop.py"], "tracemalloc");
}

#[test]
fn memray_names_function_and_line_of_what_was_never_freed() {
    let program = SHOP.replace("leakscope_heap.write(capture, stacks_max=20, requests_total=len(HELD))", "pass");
    let folder = tempfile::tempdir().unwrap();
    let record = ["-m", "memray", "run", "-q", "-f", "--trace-python-allocators", "-o", "shop.bin", "shop.py", "x"];
    if run(folder.path(), &program, &record, "memray").is_none() {
        return;
    }
    let agent = format!("{AGENT}/leakscope_heap.py");
    run(folder.path(), &program, &[&agent, "shop.bin", "shop.json"], "memray").unwrap();
    let (frames, values) = largest(&profile(&folder.path().join("shop.json")));
    assert_eq!(frames[..2], ["put shop.py:11", "serve shop.py:15"]);
    assert!(values[1] >= 1_000_000, "{values:?}");
}
