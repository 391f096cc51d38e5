//! A full disk: writes are refused and say so, reads go on, memory stays bounded, and it passes by itself.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use leakscope_model::{Bytes, Capture, CaptureId, Signal, TargetId};
use leakscope_store::{Health, NewDelivery, Options, Retention, Store, StoreError};

use crate::sketch::{at, delivery, everything, incident, noise, rss, running, store_capture};

#[test]
fn a_full_file_refuses_and_retention_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { head_values_max: 4_000, file_pages_max: Some(60), journal_size_max: Bytes(50_000) };
    let store = Store::open_with(folder.path(), options).unwrap();
    let mut number = 0;
    let mut refusals = 0;
    while refusals < 3 {
        for _ in 0..500 {
            store.append(TargetId(1), at(number), &rss(noise(number)));
            number += 1;
        }
        let flushed = store.flush(at(number));
        refusals += i32::from(matches!(flushed, Err(StoreError::Refused { .. })));
        assert!(number < 1_000_000, "the file never filled up");
    }
    for _ in 0..5_000 {
        store.append(TargetId(1), at(number), &rss(noise(number)));
        number += 1;
    }
    assert!(matches!(store.health(), Health::Refusing { .. }), "{:?}", store.health());
    assert!(store.stats().n_head_values <= 4_000);
    assert!(store.stats().dropped_samples > 0);
    assert!(everything(&store, TargetId(1)).len() > 5_000, "reads go on");

    let retention = Retention {
        samples_age_max: Duration::from_hours(1_000_000),
        incidents_age_max: Duration::from_hours(1_000_000),
        size_max: Some(Bytes(100_000)),
    };
    store.retain(at(number), retention).unwrap();
    store.flush(at(number)).unwrap();
    assert_eq!(store.health(), Health::Ok);
    let last = store.last(TargetId(1)).unwrap().unwrap();
    assert_eq!((last.0, last.1.get(Signal::Rss)), (at(number - 1), Some(noise(number - 1))));
}

/// A file system of its own, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(folder: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0).status().ok();
    }
}

#[test]
fn a_full_disk_is_survived_and_nothing_that_fits_in_memory_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        eprintln!("SKIPPED a_full_disk_is_survived: mounting a tmpfs needs root");
        return;
    };
    let data = folder.path().join("data");
    let store = Store::open(&data).unwrap();
    let mut number = 0;
    let mut append = |n: i64| {
        for _ in 0..n {
            store.append(TargetId(1), at(number), &rss(noise(number)));
            number += 1;
        }
        number
    };
    let n = append(1_000);
    store.checkpoint(at(n)).unwrap();
    store.record(&incident(1, 1)).unwrap();

    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap_err();
    let n = append(1_000);
    let refused = store.flush(at(n)).unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    assert!(matches!(store.health(), Health::Refusing { since, .. } if since == at(n)), "{:?}", store.health());
    // The write-ahead log may have room left over from before; if not, the incident is refused and said to be.
    let recorded = store.record(&incident(2, 1)).is_ok();
    store.checkpoint(at(n)).ok();
    assert_eq!(everything(&store, TargetId(1)).len() as i64, n);
    assert_eq!(store.incidents().unwrap().len(), 1 + usize::from(recorded));

    std::fs::remove_file(&ballast).unwrap();
    store.flush(at(n)).unwrap();
    assert_eq!(store.health(), Health::Ok);
    store.record(&incident(2, 2)).unwrap();
    let n = append(100);
    store.close(at(n)).unwrap();
    drop(store);
    let store = Store::open(&data).unwrap();
    assert_eq!(everything(&store, TargetId(1)).len() as i64, n);
    assert_eq!(store.incidents().unwrap(), [incident(1, 1), incident(2, 2)]);
    assert_eq!(store.stats().damaged_rows, 0, "{:?}", store.problems());
    drop(store);
    drop(disk);
}

#[test]
fn a_store_on_a_full_disk_opens_with_everything_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        eprintln!("SKIPPED a_store_on_a_full_disk_opens: mounting a tmpfs needs root");
        return;
    };
    let data = folder.path().join("data");
    let store = Store::open(&data).unwrap();
    for number in 0..1_000 {
        store.append(TargetId(1), at(number), &rss(noise(number)));
    }
    store.flush(at(1_000)).unwrap();
    drop(store);
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap_err();
    // Opening may be refused for want of room for the log; what was flushed must survive either way.
    if let Ok(store) = Store::open(&data) {
        assert_eq!(everything(&store, TargetId(1)).len(), 1_000);
    }
    std::fs::remove_file(&ballast).unwrap();
    let store = Store::open(&data).unwrap();
    assert_eq!(everything(&store, TargetId(1)).len(), 1_000);
    drop(store);
    drop(disk);
}

#[test]
fn a_full_file_hands_out_no_capture_and_takes_no_delivery_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let stored = {
        let store = Store::open(folder.path()).unwrap();
        store.enqueue(&[delivery("chat", "cart", 1)]).unwrap();
        store_capture(&store, 1, b"abc")
    };
    let options = Options { file_pages_max: Some(1), ..Options::default() };
    let store = Store::open_with(folder.path(), options).unwrap();
    let refused = |error: StoreError| assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    let long = "because ".repeat(2_000);
    refused(store.open_capture(&stored, "ann", &long, at(5)).unwrap_err());
    refused(store.record_capture(&Capture { note: long.clone(), ..running(2) }).unwrap_err());
    refused(store.enqueue(&[NewDelivery { body: long.clone(), ..delivery("chat", "cart", 2) }]).unwrap_err());
    assert!(matches!(store.health(), Health::Refusing { .. }));
    assert_eq!((store.accesses(9).unwrap(), store.captures().unwrap()), (Vec::new(), vec![stored]));
    assert_eq!(store.deliveries(9).unwrap().len(), 1);
    // What takes no more room is taken: a delivery that was told is not told again.
    store.delivery_done(1, at(6)).unwrap();
    assert_eq!(store.due_deliveries(at(9), 9).unwrap(), []);
    assert_eq!(store.health(), Health::Ok);
}

#[test]
fn a_capture_that_does_not_fit_is_refused_and_leaves_the_room_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        eprintln!("SKIPPED a_capture_that_does_not_fit: mounting a tmpfs needs root");
        return;
    };
    let store = Store::open(&folder.path().join("data")).unwrap();
    let first = store_capture(&store, 1, b"abc");
    store.record_capture(&running(2)).unwrap();
    let free = store.disk_free().unwrap();
    assert!(free < Bytes(3 << 20), "{free}");

    let mut file = store.begin_capture_file(CaptureId(2)).unwrap();
    let piece = vec![1; 100_000];
    let error = (0..100).find_map(|_| file.write_all(&piece).err()).unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    let refused = file.finish().unwrap_err();
    assert!(matches!(&refused, StoreError::Refused { what: "a capture", .. }), "{refused}");
    assert_eq!(store.captures_size(), Bytes(3));
    assert_eq!(store.health(), Health::Ok, "samples are not refused");

    // The last bytes are found not to fit when they are written out at the end.
    let mut file = store.begin_capture_file(CaptureId(2)).unwrap();
    file.write_all(&piece).unwrap();
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap_err();
    assert_eq!(store.disk_free(), Some(Bytes(0)));
    let refused = file.finish().unwrap_err();
    assert!(matches!(&refused, StoreError::Refused { what: "a capture", .. }), "{refused}");
    assert_eq!(store.captures_size(), Bytes(3));

    std::fs::remove_file(&ballast).unwrap();
    let second = store_capture(&store, 2, &piece);
    assert_eq!(store.captures().unwrap(), [first, second]);
    drop(store);
    drop(disk);
}
