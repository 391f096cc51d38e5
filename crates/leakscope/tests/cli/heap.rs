//! Captures for the tests of `analyze`, `diff` and `redact`, and what bytes that are none are answered with.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Ran, run};

/// A capture of `fixtures/heap`.
pub(crate) fn fixture(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/heap").join(name).display().to_string()
}

/// Its bytes, not compressed.
pub(crate) fn unpacked(name: &str) -> Vec<u8> {
    zstd::decode_all(&fs::read(fixture(name)).unwrap()[..]).unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a run prints, which must be JSON without a word beside it.
pub(crate) fn json(folder: &Path, arguments: &[&str]) -> Value {
    let Ran { exit, stdout, stderr } = run(folder, arguments);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    serde_json::from_str(&stdout).unwrap()
}

/// The keys of an object, in order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Files that are no captures, and a part of the sentence that says so.
pub(crate) fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let snapshot = unpacked("tiny-1.heapsnapshot.zst");
    let cut = snapshot[..snapshot.len() / 2].to_vec();
    let huge = br#"{"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count"],"node_types":[["hidden"]],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context"]]},"node_count":1000000000,"edge_count":1000000000},"nodes":[0,0,1,0,9],"edges":[],"strings":["a"]}"#;
    let nested = [br#"{"snapshot":"#.as_slice(), &b"[".repeat(100_000)].concat();
    vec![
        ("empty", Vec::new(), "found nothing"),
        ("text", b"hello\x1b[31m world".to_vec(), "found `hello\\x1b[31m world`"),
        ("csv.gz", gzip(b"t_s,rss_bytes\n0,1\n"), "expected a heap snapshot, a heap dump or a profile"),
        ("cut.heapsnapshot", cut.clone(), "the end of the snapshot"),
        ("cut.heapsnapshot.gz", gzip(&cut), "the end of the snapshot"),
        ("huge.heapsnapshot", huge.to_vec(), "expected the 9 edges that the nodes count"),
        ("nested.heapsnapshot", nested, "the end of the snapshot"),
        ("noise.gz", [vec![0x1f, 0x8b], vec![7; 100]].concat(), "cannot be unpacked as gzip"),
        ("noise.zst", [vec![0x28, 0xb5, 0x2f, 0xfd], vec![0xff; 100]].concat(), "cannot be unpacked as zstd"),
        ("bomb.zst", zstd::encode_all(std::io::repeat(0).take(80 << 20), 1).unwrap(), "unpacks to more than"),
    ]
}

/// Runs a command on each bad file, a missing one and a folder: exit 2, nothing on standard output, one `error:` that names the file.
pub(crate) fn refuses_what_is_no_capture(arguments: impl Fn(&str) -> Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let mut files = bad_files();
    for (name, bytes, _) in &files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    files.push(("missing", Vec::new(), "cannot be read: No such file"));
    files.push(("folder", Vec::new(), "is a folder, expected a heap capture"));
    for (name, _, words) in files {
        let arguments = arguments(name);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = run(folder.path(), &arguments);
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""), "{name}: {}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("error: `{name}`")) && ran.stderr.contains(words), "{}", ran.stderr);
        assert!(!ran.stderr.contains('\x1b'), "a capture gives no orders to a terminal");
    }
}
