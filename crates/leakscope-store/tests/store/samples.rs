//! Samples come back as they were appended, whatever happened in between.

use leakscope_model::{Readings, Signal, TargetId, Timestamp};
use leakscope_store::{Appended, Columns, Store};
use proptest::prelude::*;

use crate::sketch::{at, rss};

/// A time and what was read at it; readings themselves cannot be compared, NaN is in them.
type Point = (Timestamp, Vec<(Signal, f64)>);

const EVER: (Timestamp, Timestamp) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));

fn everything(store: &Store, target: TargetId) -> Vec<Point> {
    points(&store.range(target, &Signal::ALL, EVER.0, EVER.1).unwrap())
}

fn points(columns: &Columns) -> Vec<Point> {
    columns.at.iter().enumerate().map(|(index, at)| point(*at, &columns.readings(index))).collect()
}

fn point(at: Timestamp, readings: &Readings) -> Point {
    (at, readings.iter().collect())
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64, i64, Readings),
    Flush,
    Checkpoint,
    Close,
    Reopen,
}

fn readings() -> impl Strategy<Value = Readings> {
    let value = prop_oneof![(0_u64..1 << 20).prop_map(|pages| (pages << 12) as f64), 0.0..1e15_f64, Just(0.0)];
    prop::collection::vec((0..Signal::COUNT, value), 1..6)
        .prop_map(|cells| cells.into_iter().map(|(index, value)| (Signal::ALL[index], value)).collect())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => (0..3_u64, 1..20_000_i64, readings()).prop_map(|(target, step, readings)| Step::Append(target, step, readings)),
        6 => Just(Step::Flush),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Close),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn append_then_range_is_identity(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let mut expected = vec![Vec::new(); 3];
        let mut now = 0;
        for step in steps {
            match step {
                Step::Append(target, step, readings) => {
                    now += step;
                    prop_assert_eq!(store.append(TargetId(target), at(now), &readings), Appended::Kept);
                    expected[target as usize].push(point(at(now), &readings));
                }
                Step::Flush => store.flush(at(now)).unwrap(),
                Step::Checkpoint => store.checkpoint(at(now)).unwrap(),
                Step::Close => store.close(at(now)).unwrap(),
                Step::Reopen => {
                    store.flush(at(now)).unwrap();
                    drop(store);
                    store = Store::open(folder.path()).unwrap();
                }
            }
        }
        for (target, expected) in expected.iter().enumerate() {
            let target = TargetId(target as u64);
            prop_assert_eq!(&everything(&store, target), expected);
            prop_assert_eq!(store.last(target).unwrap().map(|(at, readings)| point(at, &readings)), expected.last().cloned());
        }
    }
}

#[test]
fn months_of_samples_are_merged_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut expected = Vec::new();
    for minute in 0..6_000_i64 {
        let time = at(minute * 60_000 + minute % 7);
        let readings = rss((minute * 4_096) as f64);
        store.append(TargetId(7), time, &readings);
        expected.push(point(time, &readings));
        if minute % 40 == 0 {
            store.checkpoint(time).unwrap();
        }
    }
    assert_eq!(everything(&store, TargetId(7)), expected);
    store.close(at(0)).unwrap();
    assert_eq!(everything(&store, TargetId(7)), expected);
    let (from, to) = (expected[3_000].0, expected[3_100].0);
    assert_eq!(points(&store.range(TargetId(7), &[Signal::Rss], from, to).unwrap()), expected[3_000..=3_100]);
    let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).unwrap();
    let n_blocks: i64 = db.query_row("SELECT count(*) FROM block", [], |row| row.get(0)).unwrap();
    assert!(n_blocks <= 6, "{n_blocks} blocks are left after merging");
}

#[test]
fn readings_that_are_not_later_are_refused_and_counted_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let target = TargetId(1);
    let refused = Appended::NotLater { last: at(100) };
    assert_eq!(store.append(target, at(100), &rss(1.0)), Appended::Kept);
    assert_eq!(store.append(target, at(100), &rss(2.0)), refused);
    assert_eq!(store.append(target, at(101), &Readings::default()), Appended::Nothing);
    store.checkpoint(at(100)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.append(target, at(99), &rss(2.0)), refused);
    assert_eq!(store.stats().not_later_readings, 1);
    assert_eq!(everything(&store, target), [point(at(100), &rss(1.0))]);
}

#[test]
fn what_was_never_flushed_is_gone_and_what_was_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.append(TargetId(1), at(1), &rss(1.0));
    store.flush(at(1)).unwrap();
    store.append(TargetId(1), at(2), &rss(2.0));
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(everything(&store, TargetId(1)), [point(at(1), &rss(1.0))]);
}
