//! Stores that released versions wrote open for ever.
//!
//! To write the fixture of a new version: `LEAKSCOPE_WRITE_FIXTURE=1 cargo test -p leakscope-store fixture`.

use std::path::{Path, PathBuf};

use leakscope_model::{
    Capture, CaptureId, CaptureKind, CaptureState, Cost, Finding, Incident, Phase, Readings, Signal, TargetId,
};
use leakscope_store::{Access, KnownTarget, Options, Store, StoreError};

use crate::sketch::{Point, at, delivery, everything, incident, point, running, store_capture, target};

const FILES: [&str; 2] = ["leakscope.db", "leakscope.journal"];
const CONTENT: &[u8] = b"heap profile: a small one";
const N_POINTS: i64 = 3_300;

fn fixture(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/store").join(format!("v{version}"))
}

/// Copies a store that is at rest.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("captures")).unwrap();
    for file in FILES {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    for content in std::fs::read_dir(from.join("captures")).into_iter().flatten() {
        let content = content.unwrap();
        std::fs::copy(content.path(), to.join("captures").join(content.file_name())).unwrap();
    }
}

fn copied(version: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(version), folder.path());
    folder
}

/// Blocks, bundles and the journal each have some of these; every encoding of values is in them.
fn readings(number: i64) -> Readings {
    let mut readings = Readings::from_iter([
        (Signal::Rss, (number * number % 1_000 * 4_096) as f64),
        (Signal::HeapUsed, (number * 7_919 % 100_000 + (1 << 40)) as f64),
        (Signal::Limit, 1_073_741_824.0),
        (Signal::StartTime, 1_767_225_600.25),
        (Signal::Requests, number as f64 + 0.5),
    ]);
    if number % 10 == 3 {
        readings.clear(Signal::HeapUsed);
    }
    readings
}

fn expected() -> Vec<Point> {
    (0..N_POINTS).map(|number| point(at(number * 15_000 + number % 3), &readings(number))).collect()
}

fn write() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.remember_target(&target(1), at(5)).unwrap();
    store.record(&incident(1, 3)).unwrap();
    store.save_checkpoint(&[(TargetId(1), at(7), vec![1, 2, 3])]).unwrap();
    let stored = store_capture(&store, 9, CONTENT);
    store.record_capture(&running(10)).unwrap();
    store.open_capture(&stored, "ann", "to look", at(8)).unwrap();
    let ids = store.enqueue(&[delivery("chat", "cart", 1), delivery("chat", "cart", 2)]).unwrap();
    store.delivery_done(ids[0], at(3)).unwrap();
    for number in 0..N_POINTS {
        let now = at(number * 15_000 + number % 3);
        store.append(TargetId(1), now, &readings(number));
        match number {
            3_100 => store.close(now).unwrap(),
            3_200 => store.checkpoint(now).unwrap(),
            _ => {}
        }
    }
    store.flush(at(N_POINTS * 15_000)).unwrap();
    drop(store);
    copy(folder.path(), &fixture(2));
}

/// What every version keeps.
fn check_basics(store: &Store) {
    assert_eq!(everything(store, TargetId(1)), expected());
    assert_eq!(store.targets().unwrap(), [KnownTarget { target: target(1), last_seen: at(5) }]);
    assert_eq!(store.checkpoints().unwrap(), [(TargetId(1), at(7), vec![1, 2, 3])]);
    assert_eq!(store.stats().damaged_rows, 0, "{:?}", store.problems());
}

/// What version 1 knew of an incident.
fn of_version_1(incident: Incident) -> Incident {
    let without = |finding: Finding| Finding {
        suspect: finding.suspect,
        identity: None,
        growth_bytes: None,
        growth_count: None,
        grew_in_every_step: None,
        captures: Vec::new(),
        confirmations: 0,
    };
    let suspects = incident.suspects.into_iter().map(without).collect();
    Incident { captures: vec![CaptureId(9)], suspects, ..incident }
}

#[test]
fn the_store_of_version_1_opens_with_everything_in_it() {
    let folder = copied(1);
    let capture = Capture {
        id: CaptureId(9),
        target: TargetId(u64::MAX - 1),
        instance: "fffffffffffffffe".to_owned(),
        kind: CaptureKind::V8Snapshot,
        phase: Phase::Asked,
        state: CaptureState::Expired,
        began_at: at(5),
        ended_at: Some(at(5)),
        process_started_at: None,
        predicted: Cost::default(),
        note: "recorded by an earlier version of leakscope, which kept no file of it".to_owned(),
        ..running(9)
    };
    // The first opening brings it to this version, the second finds it there.
    for _ in 0..2 {
        let store = Store::open(folder.path()).unwrap();
        check_basics(&store);
        assert_eq!(store.incidents().unwrap(), [of_version_1(incident(1, 3))]);
        assert_eq!(store.captures().unwrap(), std::slice::from_ref(&capture));
        assert_eq!(store.capture_path(&capture), None);
        assert_eq!((store.accesses(9).unwrap(), store.deliveries(9).unwrap()), (Vec::new(), Vec::new()));
    }
}

#[test]
fn the_store_of_version_1_takes_what_version_2_keeps() {
    let folder = copied(1);
    let store = Store::open(folder.path()).unwrap();
    store.record(&incident(1, 4)).unwrap();
    let stored = store_capture(&store, 10, CONTENT);
    store.enqueue(&[delivery("chat", "cart", 1)]).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.incidents().unwrap(), [incident(1, 4)]);
    assert_eq!(store.captures().unwrap().pop(), Some(stored));
    assert_eq!(store.due_deliveries(at(1), 9).unwrap().len(), 1);
    check_basics(&store);
}

#[test]
fn a_store_of_version_1_that_cannot_be_brought_up_stays_as_it_was() {
    let folder = copied(1);
    let version = || {
        let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).unwrap();
        db.query_row("SELECT value FROM meta WHERE key = 'version'", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let options = Options { file_pages_max: Some(1), ..Options::default() };
    let refused = Store::open_with(folder.path(), options).unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    assert_eq!(version(), 1);
    check_basics(&Store::open(folder.path()).unwrap());
    assert_eq!(version(), 2);
}

#[test]
fn the_store_of_version_2_opens_with_everything_in_it() {
    if std::env::var_os("LEAKSCOPE_WRITE_FIXTURE").is_some() {
        write();
    }
    let folder = copied(2);
    let store = Store::open(folder.path()).unwrap();
    check_basics(&store);
    assert_eq!(store.incidents().unwrap(), [incident(1, 3)]);
    let captures = store.captures().unwrap();
    assert_eq!(captures[1], running(10));
    assert_eq!((captures[0].state, captures[0].id), (CaptureState::Stored, CaptureId(9)));
    assert_eq!(std::fs::read(store.capture_path(&captures[0]).unwrap()).unwrap(), CONTENT);
    let access = Access { capture: CaptureId(9), at: at(8), by: "ann".to_owned(), why: "to look".to_owned() };
    assert_eq!(store.accesses(9).unwrap(), [access]);
    let deliveries = store.deliveries(9).unwrap();
    assert_eq!(deliveries.iter().map(|delivery| delivery.delivered_at).collect::<Vec<_>>(), [None, Some(at(3))]);
    assert_eq!(store.due_deliveries(at(2), 9).unwrap(), deliveries[..1]);
}
