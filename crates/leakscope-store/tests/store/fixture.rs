//! Stores that released versions wrote open for ever.
//!
//! To write the fixture of a new version: `LEAKSCOPE_WRITE_FIXTURE=1 cargo test -p leakscope-store fixture`.

use std::path::PathBuf;

use leakscope_model::{Readings, Signal, TargetId};
use leakscope_store::{KnownTarget, Store};

use crate::sketch::{Point, at, everything, incident, point, target};

const FILES: [&str; 2] = ["leakscope.db", "leakscope.journal"];
const N_POINTS: i64 = 3_300;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/store/v1")
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
    std::fs::create_dir_all(fixture()).unwrap();
    for file in FILES {
        std::fs::copy(folder.path().join(file), fixture().join(file)).unwrap();
    }
}

#[test]
fn the_store_of_version_1_opens_with_everything_in_it() {
    if std::env::var_os("LEAKSCOPE_WRITE_FIXTURE").is_some() {
        write();
    }
    let folder = tempfile::tempdir().unwrap();
    for file in FILES {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(everything(&store, TargetId(1)), expected());
    assert_eq!(store.incidents().unwrap(), [incident(1, 3)]);
    assert_eq!(store.targets().unwrap(), [KnownTarget { target: target(1), last_seen: at(5) }]);
    assert_eq!(store.checkpoints().unwrap(), [(TargetId(1), at(7), vec![1, 2, 3])]);
    assert_eq!(store.stats().damaged_rows, 0, "{:?}", store.problems());
}
