//! Readers beside the writer see a history without gaps, wherever its points are on their way to the disk, and captures
//! that share a content do not take it from each other.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use leakscope_model::{Bytes, Signal, TargetId};
use leakscope_store::Store;

use crate::sketch::{at, rss, store_capture};

#[test]
fn a_reader_never_sees_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (appended, done) = (AtomicI64::new(-1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..20_000_i64 {
                store.append(TargetId(1), at(number), &rss(number as f64));
                appended.store(number, Ordering::Release);
                if number % 10 == 0 {
                    store.flush(at(number)).unwrap();
                }
                if number % 50 == 0 {
                    store.checkpoint(at(number)).unwrap();
                }
            }
            store.close(at(20_000)).unwrap();
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let at_least = appended.load(Ordering::Acquire);
                let columns = store.range(TargetId(1), &[Signal::Rss], at(0), at(i64::MAX)).unwrap();
                assert!(columns.at.iter().zip(0..).all(|(time, number)| *time == at(number)));
                assert!(columns.len() as i64 > at_least, "{} of {}", columns.len(), at_least + 1);
            }
        });
    });
    assert_eq!(store.stats().damaged_rows, 0);
}

#[test]
fn nothing_that_is_appended_during_a_checkpoint_is_lost() {
    const TARGETS: u64 = 100;
    const POINTS: i64 = 400;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let done = AtomicBool::new(false);
    let n_checkpoints = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..POINTS {
                for target in 0..TARGETS {
                    store.append(TargetId(target), at(number), &rss(number as f64));
                }
            }
            done.store(true, Ordering::Release);
        });
        let checkpoints = scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Acquire) {
                store.checkpoint(at(0)).unwrap();
                n += 1;
            }
            n
        });
        checkpoints.join().unwrap()
    });
    assert!(n_checkpoints > 0);
    store.close(at(POINTS)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    for target in 0..TARGETS {
        let columns = store.range(TargetId(target), &[Signal::Rss], at(0), at(i64::MAX)).unwrap();
        assert!(columns.at.iter().copied().eq((0..POINTS).map(at)), "target {target}");
        assert!(columns.column(Signal::Rss).iter().copied().eq((0..POINTS).map(|number| number as f64)), "{target}");
    }
}

#[test]
fn a_stored_capture_has_its_content_whoever_removes_an_equal_one_at_the_same_time() {
    const CAPTURES: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=CAPTURES {
                let stored = store_capture(&store, number, b"the same");
                let (_, size) = store.open_capture(&stored, "ann", "to look", at(0)).unwrap();
                assert_eq!(size, Bytes(8));
                store.remove_capture(stored.id).unwrap().unwrap();
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            let mut number = CAPTURES;
            while !done.load(Ordering::Acquire) {
                number += 1;
                let stored = store_capture(&store, number, b"the same");
                assert!(store.capture_path(&stored).is_some());
                store.remove_capture(stored.id).unwrap().unwrap();
                store.expire_captures(at(0), Duration::from_hours(1), Bytes(u64::MAX)).unwrap();
            }
        });
    });
    assert_eq!(store.captures_size(), Bytes(0));
}
