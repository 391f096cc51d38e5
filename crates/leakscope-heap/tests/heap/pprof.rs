//! Profiles of real programs: what `go tool pprof -raw` prints of a file it prints of our copy of it, and what we scale is what it
//! and `jeprof` scale.

use std::io::Read as _;
use std::process::Command;

use leakscope_heap::Format;
use leakscope_heap::profile::{self, Profile};

use crate::fixture;

/// The profile in bytes that may be compressed.
fn read(bytes: &[u8]) -> Profile {
    let mut unpacked = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap();
    } else {
        unpacked.extend_from_slice(bytes);
    }
    profile::read(&unpacked).unwrap()
}

/// All that pprof prints of a profile; none where there is no Go.
fn raw(bytes: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile");
    std::fs::write(&file, bytes).unwrap();
    let mut pprof = Command::new("go");
    pprof.args(["tool", "pprof", "-symbolize=none", "-raw"]).arg(&file).env("PPROF_TMPDIR", folder.path());
    let output = pprof.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).ok()
}

/// The period, the columns, and of each sample its values and labels: what text and protobuf say alike.
fn values(raw: &str) -> Vec<String> {
    let samples = raw.lines().take_while(|line| *line != "Locations");
    let values = samples.map(|line| line.split_once(": ").map_or(line, |(values, _)| values).trim().to_owned());
    // A label with the number 0 is no label in protobuf, and labels of goroutines are in comments.
    values.filter(|line| line != "bytes:[0]" && (line.starts_with("bytes:") || !line.contains(":["))).collect()
}

fn columns(profile: &Profile) -> Vec<&str> {
    profile.sample_types().iter().map(|column| profile.text(column.kind)).collect()
}

fn totals(profile: &Profile) -> Vec<i64> {
    let sum = |column: usize| (0..profile.n_samples()).map(|sample| profile.values(sample)[column]).sum();
    (0..profile.sample_types().len()).map(sum).collect()
}

/// Sums by the function of this name anywhere on the stack.
fn held_by(profile: &Profile, name: &str) -> i64 {
    let is_named = |location: u32| {
        let functions = profile.lines(location).iter().filter_map(|line| line.function);
        functions.map(|at| profile.functions()[at as usize].name).any(|function| profile.text(function) == name)
    };
    let held = (0..profile.n_samples()).filter(|sample| profile.stack(*sample).iter().any(|at| is_named(*at)));
    held.filter_map(|sample| profile.values(sample).last()).sum()
}

#[test]
fn a_heap_of_go_says_the_same_in_protobuf_and_as_text() {
    let (protobuf, text) = (read(&fixture("profile/go-heap.pb.gz")), read(&fixture("profile/go-heap.txt")));
    assert_eq!((protobuf.format(), text.format()), (Format::Pprof, Format::PprofText));
    let expected = ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"];
    assert_eq!((columns(&protobuf), columns(&text)), (expected.to_vec(), expected.to_vec()));
    assert_eq!((protobuf.header().period, text.header().period), (4_096, 4_096));
    let leaked = held_by(&protobuf, "main.leak");
    assert!((10 << 20..14 << 20).contains(&leaked), "{leaked}");
    assert_eq!(held_by(&text, "main.leak"), leaked);
}

#[test]
fn a_dump_of_jemalloc_has_the_bytes_of_jeprof() {
    let dump = read(&fixture("profile/jemalloc.heap"));
    let first = &dump.mappings()[0];
    assert_eq!((dump.format(), columns(&dump)), (Format::Jemalloc, vec!["inuse_objects", "inuse_space"]));
    assert_eq!((dump.text(first.file), dump.header().period), ("/srv/example/leak", 16_384));
    // `jeprof --text --show_bytes` sums before it cuts to whole bytes.
    let found = totals(&dump)[1];
    assert!((JEPROF_BYTES - dump.n_samples() as i64..=JEPROF_BYTES).contains(&found), "{found}");
}

/// `Total: ... B` of `jeprof --text --show_bytes leak jemalloc.heap`.
const JEPROF_BYTES: i64 = 42_395_091;

#[test]
fn a_copy_of_a_profile_prints_as_the_original() {
    let fixtures = ["go-heap.pb.gz", "go-heap.txt", "gperftools.heap"]
        .map(|name| (name.to_owned(), fixture(&format!("profile/{name}"))));
    let mut files = fixtures.to_vec();
    files.extend(of_every_kind());
    for (name, original) in files {
        let profile = read(&original);
        let (Some(expected), Some(found)) = (raw(&original), raw(&profile::write_pprof(&profile))) else {
            eprintln!("SKIPPED: there is no `go` to compare with");
            return;
        };
        assert!(expected.lines().count() > 5, "{name}: {expected}");
        if profile.format() == Format::Pprof {
            assert_eq!(found, expected, "{name}");
        } else {
            // Text has names in comments, which we read and pprof does not.
            assert_eq!(values(&found), values(&expected), "{name}");
        }
    }
}

/// Profiles of a Go program by name; empty where there is no Go.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn of_every_kind() -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("profiles");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/heap/profiles.go");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no `go` of 1.25 or later to build a program with");
        return Vec::new();
    }
    assert!(Command::new(&program).current_dir(folder.path()).status().unwrap().success());
    // Contention as text is not read.
    let names = ["heap.0", "heap.1", "allocs.0", "allocs.1", "goroutine.0", "goroutine.1", "mutex.0", "block.0"];
    let names = names.into_iter().chain(["threadcreate.0", "threadcreate.1"]);
    names.map(|name| (name.to_owned(), std::fs::read(folder.path().join(name)).unwrap())).collect()
}
