//! Captures: attempts come back as recorded, contents are kept once and whole, and nothing is left that no record names.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use leakscope_model::{Bytes, Capture, CaptureId, CaptureKind, CaptureState, Phase};
use leakscope_store::{Access, Retention, Store, StoreError};

use crate::sketch::{at, incident, running, store_capture};

const FOREVER: Duration = Duration::from_hours(1_000_000);
const ANY_SIZE: Bytes = Bytes(u64::MAX);

/// SHA-256 of "abc", as FIPS 180-2 has it.
const DIGEST_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Names in the folder of captures, in order.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("captures")).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn states(store: &Store) -> Vec<CaptureState> {
    store.captures().unwrap().into_iter().map(|capture| capture.state).collect()
}

#[test]
fn an_attempt_comes_back_as_it_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Capture {
        phase: Phase::Asked,
        state: CaptureState::Refused,
        incident: None,
        process_started_at: None,
        kind: CaptureKind::V8Snapshot,
        note: "it needs 4.2 GiB, and 1.0 GiB is free".to_owned(),
        ..running(2)
    };
    let store = Store::open(folder.path()).unwrap();
    let stored = store_capture(&store, 1, b"abc");
    store.record_capture(&refused).unwrap();
    store.record_capture(&running(1 << 40)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.captures().unwrap(), [stored, refused, running(1 << 40)]);
}

#[test]
fn an_attempt_of_an_unknown_kind_is_left_out_and_named_and_its_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store_capture(&store, 1, b"abc");
    let second = store_capture(&store, 2, b"def");
    let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).unwrap();
    db.execute("UPDATE capture SET kind = 'odd' WHERE id = 1", []).unwrap();
    assert_eq!(store.captures().unwrap(), [second]);
    let problem = store.problems().remove(0);
    assert_eq!((problem.table, problem.id), ("capture", 1));
    assert!(problem.reason.contains("expected a kind of capture, found `odd`"), "{problem}");
    store.expire_captures(at(0), FOREVER, ANY_SIZE).unwrap();
    assert_eq!(files(folder.path()).len(), 2);
}

#[test]
fn a_content_is_kept_under_its_digest_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut file = store.begin_capture_file(CaptureId(7)).unwrap();
    let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("captures"), mode("captures/7.part")), (0o700, 0o600));
    file.write_all(b"a").unwrap();
    file.flush().unwrap();
    file.write_all(b"bc").unwrap();
    assert_eq!(store.captures_size(), Bytes(1));
    let kept = file.finish().unwrap();
    assert_eq!((kept.digest.as_str(), kept.size), (DIGEST_OF_ABC, Bytes(3)));
    assert_eq!(files(folder.path()), [DIGEST_OF_ABC]);
    assert_eq!(mode(&format!("captures/{DIGEST_OF_ABC}")), 0o600);
    assert_eq!(store.captures_size(), Bytes(3));
    assert!(store.stats().file_size > Bytes(0) && store.disk_free() > Some(Bytes(0)));
}

#[test]
fn a_large_content_is_hashed_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut file = store.begin_capture_file(CaptureId(1)).unwrap();
    // A million times "a", as FIPS 180-2 has it, in pieces that divide no buffer.
    let piece = [b'a'; 999];
    for _ in 0..1_001 {
        file.write_all(&piece).unwrap();
    }
    file.write_all(b"a").unwrap();
    let kept = file.finish().unwrap();
    let digest = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    assert_eq!((kept.digest.as_str(), kept.size), (digest, Bytes(1_000_000)));
    let on_disk = std::fs::read(folder.path().join("captures").join(digest)).unwrap();
    assert!(on_disk.len() == 1_000_000 && on_disk.iter().all(|byte| *byte == b'a'));
}

#[test]
fn a_file_that_is_dropped_unfinished_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut file = store.begin_capture_file(CaptureId(1)).unwrap();
    file.write_all(&vec![1; 1 << 20]).unwrap();
    let again = store.begin_capture_file(CaptureId(1)).unwrap_err();
    assert!(matches!(again, StoreError::Refused { .. }), "{again}");
    drop(file);
    assert_eq!(files(folder.path()), [""; 0]);
    assert_eq!(store.captures_size(), Bytes(0));
    store.begin_capture_file(CaptureId(1)).unwrap();
}

#[test]
fn a_finished_file_that_its_record_does_not_name_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.record_capture(&running(1)).unwrap();
    store.begin_capture_file(CaptureId(1)).unwrap().finish().unwrap();
    store.expire_captures(at(0), FOREVER, ANY_SIZE).unwrap();
    assert_eq!(files(folder.path()).len(), 1, "its record may still name it");
    store.record_capture(&Capture { state: CaptureState::Cancelled, ..running(1) }).unwrap();
    assert_eq!(files(folder.path()), [""; 0]);
}

#[test]
fn equal_contents_share_one_file_which_goes_with_the_last_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let first = store_capture(&store, 1, b"abc");
    let second = store_capture(&store, 2, b"abc");
    assert_eq!(files(folder.path()), [DIGEST_OF_ABC]);
    let expired = Capture { state: CaptureState::Expired, ..first.clone() };
    assert_eq!(store.remove_capture(first.id).unwrap(), Some(expired));
    assert_eq!(store.remove_capture(first.id).unwrap(), None);
    assert_eq!(store.capture_path(&second), Some(folder.path().join("captures").join(DIGEST_OF_ABC)));
    // A third that is finished but not yet on record holds it too.
    let mut third = store.begin_capture_file(CaptureId(3)).unwrap();
    third.write_all(b"abc").unwrap();
    third.finish().unwrap();
    store.remove_capture(second.id).unwrap().unwrap();
    assert_eq!(files(folder.path()), [DIGEST_OF_ABC]);
    store.record_capture(&Capture { state: CaptureState::Failed, ..running(3) }).unwrap();
    assert_eq!(files(folder.path()), [""; 0]);
}

#[test]
fn an_access_is_noted_before_the_file_is_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let stored = store_capture(&store, 1, b"abc");
    let (mut file, size) = store.open_capture(&stored, "ann", "download over the API", at(5)).unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert_eq!((content.as_slice(), size), (b"abc".as_slice(), Bytes(3)));
    store.open_capture(&stored, "bob", "to compare", at(6)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let access = |at_ms, by: &str, why: &str| Access {
        capture: CaptureId(1),
        at: at(at_ms),
        by: by.to_owned(),
        why: why.to_owned(),
    };
    let expected = [access(6, "bob", "to compare"), access(5, "ann", "download over the API")];
    assert_eq!(store.accesses(9).unwrap(), expected);
    assert_eq!(store.accesses(1).unwrap(), expected[..1]);
}

#[test]
fn what_has_no_file_is_not_opened_and_not_noted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let stored = store_capture(&store, 1, b"abc");
    let elsewhere = Capture { digest: Some("../leakscope.db".to_owned()), ..stored.clone() };
    let expired = store.remove_capture(stored.id).unwrap().unwrap();
    for (capture, text) in [
        (expired, "expected capture 1 to have a file, found it expired"),
        (running(2), "expected capture 2 to have a file, found it running"),
        (elsewhere, "expected capture 1 to have a file, found it stored"),
    ] {
        let error = store.open_capture(&capture, "ann", "to look", at(1)).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(store.capture_path(&capture), None);
    }
    assert_eq!(store.accesses(9).unwrap(), []);
}

#[test]
fn files_go_by_age_then_by_size_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    // They began at 1 s to 6 s. The second and the last are one content.
    for (number, content) in (1..).zip([b'a', b'b', b'c', b'd', b'e', b'b']) {
        store_capture(&store, number, &[content; 100]);
    }
    let ids = |expired: Vec<Capture>| expired.into_iter().map(|capture| capture.id.0).collect::<Vec<_>>();
    let expire = |age, size| ids(store.expire_captures(at(10_000), Duration::from_secs(age), Bytes(size)).unwrap());
    assert_eq!(expire(9, 500), [0; 0]);
    assert_eq!(expire(8, 500), [1]);
    assert_eq!(expire(8, 399), [2, 3], "the second shares its content, so that the third has to go");
    assert_eq!(files(folder.path()).len(), 3);
    assert_eq!(expire(8, 0), [4, 5, 6]);
    assert_eq!(files(folder.path()), [""; 0]);
    assert_eq!(states(&store), [CaptureState::Expired; 6]);
}

#[test]
fn leftovers_of_a_process_that_is_gone_are_removed_and_other_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let stored = store_capture(&store, 1, b"abc");
    store.record_capture(&running(2)).unwrap();
    drop(store);
    let captures = folder.path().join("captures");
    let unnamed = "0".repeat(64);
    for name in ["2.part", "notes.txt", "x.part", &unnamed] {
        std::fs::write(captures.join(name), "left").unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(files(folder.path()), [DIGEST_OF_ABC, "notes.txt", "x.part"]);
    assert_eq!(store.captures().unwrap(), [stored, running(2)], "what was running is for the engine to settle");
}

#[test]
fn records_outlive_their_files_and_go_with_age_once_their_incident_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.record(&incident(1, 1)).unwrap();
    let of_incident = |number| Capture { state: CaptureState::Failed, ..running(number) };
    let of_none = |number, state| Capture { incident: None, state, ..running(number) };
    let stored = store_capture(&store, 1, b"abc");
    let kept = [of_incident(2), of_none(3, CaptureState::Running), of_none(5, CaptureState::Refused)];
    for capture in &kept {
        store.record_capture(capture).unwrap();
    }
    store.record_capture(&of_none(4, CaptureState::Refused)).unwrap();
    store.open_capture(&stored, "ann", "to look", at(5_000)).unwrap();
    let retention = Retention { samples_age_max: FOREVER, incidents_age_max: Duration::ZERO, size_max: Some(Bytes(0)) };
    store.retain(at(100_000), retention).unwrap();
    let [failed, running, newest] = kept;
    assert_eq!(store.captures().unwrap(), [stored.clone(), failed, running, newest], "the newest number stays");
    assert_eq!(store.accesses(9).unwrap(), []);
    assert!(store.capture_path(&stored).is_some());
}
