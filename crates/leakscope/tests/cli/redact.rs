//! `leakscope redact`: a copy that says the same and shows nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::heap::{fixture, json, refuses_what_is_no_capture, unpacked};
use crate::run::{command, run};

#[test]
fn the_copy_is_private_and_its_analysis_gives_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let name = fixture("tiny-3.heapsnapshot.zst");
    let ran = run(folder.path(), &["redact", &name, "-o", "copy.heapsnapshot"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.starts_with("11115477 bytes: the contents of 16784 strings and "), "{}", ran.stderr);
    let copy = folder.path().join("copy.heapsnapshot");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    let report = |file: &str| {
        let mut report = json(folder.path(), &["analyze", file, "--format", "json"]);
        // Names of strings are their contents, and fillers are written shorter than some characters were.
        report["dominators"].as_array_mut().unwrap().iter_mut().for_each(|object| object["name"] = Value::Null);
        report["file_bytes"] = Value::Null;
        report
    };
    assert_eq!(report("copy.heapsnapshot"), report(&name));
    let (original, copy) = (unpacked("tiny-3.heapsnapshot.zst"), fs::read(copy).unwrap());
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    for secret in ["cust-664", "SKU-804"] {
        assert_eq!((holds(&original, secret), holds(&copy, secret)), (true, false), "{secret}");
    }
    assert!(holds(&copy, "SessionStore"));
}

#[test]
fn what_is_there_is_replaced_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let name = fixture("tiny-1.heapsnapshot.zst");
    fs::write(folder.path().join("copy"), "mine").unwrap();
    let ran = run(folder.path(), &["redact", &name, "-o", "copy"]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (2, "error: `copy` is there already\nhint: `--force` replaces it\n"));
    assert_eq!(fs::read_to_string(folder.path().join("copy")).unwrap(), "mine");
    assert_eq!(run(folder.path(), &["redact", &name, "-o", "copy", "--force"]).exit, 0);
    let copy = fs::read(folder.path().join("copy")).unwrap();
    let piped = command(folder.path(), &["redact", "copy", "-o", "-"]).output().unwrap();
    assert!(piped.status.success() && piped.stdout == copy, "a copy of the copy is the same");
}

#[test]
fn what_is_no_capture_is_refused_and_leaves_no_file() {
    refuses_what_is_no_capture(|file| vec!["redact".into(), file.into(), "-o".into(), "copy".into()]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "hello").unwrap();
    assert_eq!(run(folder.path(), &["redact", "text", "-o", "copy"]).exit, 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let name = fixture("tiny-1.heapsnapshot.zst");
    let ran = run(folder.path(), &["redact", &name, "-o", "no/such/copy"]);
    assert!(ran.exit == 2 && ran.stderr.starts_with("error: `no/such/copy` cannot be written: "), "{}", ran.stderr);
}
