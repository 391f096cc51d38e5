//! Samples come back as they were appended, whatever happened in between.

use leakscope_model::{Readings, Signal, TargetId};
use leakscope_store::{Appended, Options, Store};
use proptest::prelude::*;

use crate::sketch::{at, everything, point, points, rss};

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
    let n_blocks: i64 = db
        .query_row("SELECT (SELECT count(*) FROM block) + (SELECT count(*) FROM bundle)", [], |row| row.get(0))
        .unwrap();
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

#[test]
fn a_journal_larger_than_memory_is_taken_up_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut expected = Vec::new();
    for number in 0..5_000 {
        store.append(TargetId(1), at(number), &rss(number as f64));
        expected.push(point(at(number), &rss(number as f64)));
        if number % 100 == 99 {
            store.flush(at(number)).unwrap();
        }
    }
    drop(store);
    let store = Store::open_with(folder.path(), Options { head_values_max: 500, ..Options::default() }).unwrap();
    assert_eq!(everything(&store, TargetId(1)), expected);
    assert_eq!(store.stats().dropped_samples, 0);
}

#[test]
fn a_signal_asked_for_twice_comes_once_and_others_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let both = Readings::from_iter([(Signal::Rss, 1.0), (Signal::Threads, 2.0)]);
    store.append(TargetId(1), at(1), &both);
    store.checkpoint(at(1)).unwrap();
    store.append(TargetId(1), at(2), &both);
    let columns = store.range(TargetId(1), &[Signal::Rss, Signal::Rss], at(0), at(9)).unwrap();
    assert_eq!((columns.at, columns.values), (vec![at(1), at(2)], vec![(Signal::Rss, vec![1.0, 1.0])]));
}
