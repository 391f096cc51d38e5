//! A process that is killed at any moment loses nothing that it was told is safe.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use leakscope_model::{Capture, CaptureId, CaptureState, Signal, TargetId};
use leakscope_store::Store;

use crate::sketch::{Random, at, delivery, everything, incident, point, rss, store_capture};

const KILLS: usize = 200;
const N_TARGETS: u64 = 12;
const FOLDER: &str = "LEAKSCOPE_CRASH_FOLDER";

/// Not a test by itself: the process that is killed. Appends, flushes, records and makes checkpoints as fast as it can,
/// and says on stdout what the store acknowledged.
#[test]
fn crash_writer() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::open(Path::new(&folder)).unwrap();
    let mut out = std::io::stdout().lock();
    let mut say = |kind: char, number: i64| writeln!(out, "{kind}{number}").and_then(|()| out.flush()).unwrap();
    let last = store.last(TargetId(0)).unwrap();
    let mut number = last.map_or(0, |(at, _)| at.as_millis() + 1);
    let mut n_incidents = store.incidents().unwrap().len() as u64;
    let whole = |number: u64| incident(number, 1 + number as usize % 4);
    if n_incidents > 0 {
        // The last process may have been killed between the two.
        store.record(&whole(n_incidents)).unwrap();
    }
    let mut n_captures = store.captures().unwrap().len() as u64;
    settle(&store);
    loop {
        for target in 0..N_TARGETS {
            store.append(TargetId(target), at(number), &rss((number * 4_096) as f64));
        }
        if number % 3 == 0 {
            store.flush(at(number)).unwrap();
            say('f', number);
        }
        if number % 31 == 0 {
            n_incidents += 1;
            store.record(&incident(n_incidents, 1)).unwrap();
            store.record(&whole(n_incidents)).unwrap();
            say('i', n_incidents as i64);
        }
        if number % 41 == 0 {
            n_captures += 1;
            store_capture(&store, n_captures, &content(n_captures));
            say('c', n_captures as i64);
            if n_captures.is_multiple_of(5) {
                store.remove_capture(CaptureId(n_captures - 2)).unwrap();
                say('x', n_captures as i64 - 2);
            }
        }
        if number % 23 == 0 {
            let ids = store.enqueue(&[delivery("chat", "cart", number)]).unwrap();
            say('d', ids[0] as i64);
            for due in store.due_deliveries(at(number), 1).unwrap() {
                store.delivery_done(due.id, at(number)).unwrap();
                say('t', due.id as i64);
            }
        }
        if number % 47 == 0 {
            store.checkpoint(at(number)).unwrap();
            say('f', number);
        }
        number += 1;
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed_200_times() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::seeded();
    let seed = random.0;
    let mut acknowledged = Acknowledged { flushed: -1, ..Acknowledged::default() };
    for kill in 0..KILLS {
        let mut child = spawn(folder.path());
        acknowledged.read_then_kill(&mut child, random.below(40));
        let store = Store::open(folder.path()).unwrap();
        let context = format!("LEAKSCOPE_SEED={seed}, kill {kill}");
        check_samples(&store, random.below(N_TARGETS), &acknowledged, &context);
        check_incidents(&store, &acknowledged, &context);
        check_captures(&store, folder.path(), &acknowledged, &context);
        check_deliveries(&store, &acknowledged, &context);
        assert_eq!(store.stats().damaged_rows, 0, "{context}: {:?}", store.problems());
    }
    assert!(acknowledged.flushed > 1_000, "too little was written to say anything: {}", acknowledged.flushed);
    let (n_captures, told) = (acknowledged.captures.len(), acknowledged.told);
    assert!(n_captures > 50 && told > 50, "too little was written: {n_captures} captures, {told} deliveries");
}

/// What a new process does with captures that its predecessor left.
fn settle(store: &Store) {
    for capture in store.captures().unwrap() {
        if capture.state == CaptureState::Running {
            store.record_capture(&Capture { state: CaptureState::Failed, ..capture }).unwrap();
        }
    }
}

/// A content of its own for every capture, larger than what is gathered before it is written.
fn content(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(40_000)
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::crash_writer", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the killed processes were told is safe.
#[derive(Default)]
struct Acknowledged {
    flushed: i64,
    n_incidents: u64,
    captures: BTreeSet<u64>,
    removed: BTreeSet<u64>,
    n_deliveries: u64,
    told: u64,
}

impl Acknowledged {
    /// Listens for `n_lines`, kills the process and takes in what it still said before.
    fn read_then_kill(&mut self, child: &mut Child, n_lines: u64) {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref().take(n_lines as usize) {
            self.take(&line.unwrap());
        }
        child.kill().unwrap();
        for line in lines {
            self.take(&line.unwrap());
        }
        child.wait().unwrap();
    }

    fn take(&mut self, line: &str) {
        // The last line may be cut off: a shorter number asks for less.
        if let Some(flushed) = line.strip_prefix('f').and_then(|number| number.parse().ok()) {
            self.flushed = self.flushed.max(flushed);
        }
        for (kind, highest) in [('i', &mut self.n_incidents), ('d', &mut self.n_deliveries), ('t', &mut self.told)] {
            if let Some(number) = line.strip_prefix(kind).and_then(|number| number.parse::<u64>().ok()) {
                *highest = number.max(*highest);
            }
        }
        for (kind, numbers) in [('c', &mut self.captures), ('x', &mut self.removed)] {
            if let Some(number) = line.strip_prefix(kind).and_then(|number| number.parse::<u64>().ok())
                && numbers.last().is_none_or(|last| *last < number)
            {
                numbers.insert(number);
            }
        }
    }
}

/// Every number from 0 to at least the last acknowledged one, each once and in order.
fn check_samples(store: &Store, target: u64, acknowledged: &Acknowledged, context: &str) {
    let found = everything(store, TargetId(target));
    for (number, found) in found.iter().enumerate() {
        let number = number as i64;
        assert_eq!(*found, point(at(number), &rss((number * 4_096) as f64)), "{context}, target {target}");
    }
    assert!(
        found.len() as i64 > acknowledged.flushed,
        "{context}, target {target}: {} of {}",
        found.len(),
        acknowledged.flushed + 1
    );
    let last = store.last(TargetId(target)).unwrap().map(|(at, readings)| (at.as_millis(), readings.get(Signal::Rss)));
    let number = found.len() as i64 - 1;
    assert_eq!(last, (number >= 0).then_some((number, Some((number * 4_096) as f64))), "{context}, target {target}");
}

fn check_incidents(store: &Store, acknowledged: &Acknowledged, context: &str) {
    let found = store.incidents().unwrap();
    assert!(found.len() as u64 >= acknowledged.n_incidents, "{context}: {} incidents", found.len());
    for (found, number) in found.iter().zip(1..) {
        let whole = incident(number, 1 + number as usize % 4);
        let first = incident(number, 1);
        let last_may_be_short = number > acknowledged.n_incidents && *found == first;
        assert!(*found == whole || last_may_be_short, "{context}: incident {number} is {found:?}");
    }
}

/// Every acknowledged capture has its whole content, unless it was removed; nothing else is in the folder.
fn check_captures(store: &Store, folder: &Path, acknowledged: &Acknowledged, context: &str) {
    let found = store.captures().unwrap();
    let last = acknowledged.captures.last().copied().unwrap_or(0);
    assert!(found.len() as u64 >= last, "{context}: {} captures", found.len());
    let mut kept = Vec::new();
    for (capture, number) in found.iter().zip(1..) {
        assert_eq!(capture.id, CaptureId(number), "{context}");
        if acknowledged.captures.contains(&number) {
            let removable = number % 5 == 3 && capture.state == CaptureState::Expired;
            assert!(capture.state == CaptureState::Stored || removable, "{context}: {capture:?}");
        }
        // One that was cut off by a kill had no file to remove and stays failed.
        let removed = acknowledged.removed.contains(&number);
        assert!(!removed || capture.state != CaptureState::Stored, "{context}: {capture:?}");
        if capture.state == CaptureState::Stored {
            let path = store.capture_path(capture).unwrap();
            assert_eq!(
                Some(std::fs::metadata(&path).unwrap().len()),
                capture.cost.map(|cost| cost.size.0),
                "{context}"
            );
            if number + 3 > last {
                assert!(std::fs::read(&path).unwrap() == content(number), "{context}: content of {number}");
            }
            kept.push(path);
        }
    }
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("captures")).into_iter().flatten().collect::<Result<_, _>>().unwrap();
    files.retain(|file| !kept.contains(&file.path()));
    assert!(files.is_empty(), "{context}: {files:?} are left over");
}

/// Every acknowledged delivery is there, and those that were told are not due again.
fn check_deliveries(store: &Store, acknowledged: &Acknowledged, context: &str) {
    let found = store.deliveries(usize::MAX).unwrap();
    assert!(found.len() as u64 >= acknowledged.n_deliveries, "{context}: {} deliveries", found.len());
    for (found, id) in found.iter().rev().zip(1..) {
        assert_eq!((found.id, &found.key), (id, &"cart".to_owned()), "{context}");
        assert!(id > acknowledged.told || found.delivered_at.is_some(), "{context}: {found:?}");
    }
    let due = store.due_deliveries(at(i64::MAX), usize::MAX).unwrap();
    assert!(due.iter().all(|due| due.id > acknowledged.told), "{context}: {due:?}");
}
