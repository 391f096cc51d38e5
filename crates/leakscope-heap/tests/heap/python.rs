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
