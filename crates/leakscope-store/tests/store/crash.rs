//! A process that is killed at any moment loses nothing that it was told is safe.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use leakscope_model::{Signal, TargetId};
use leakscope_store::Store;

use crate::sketch::{Random, at, everything, incident, point, rss};

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
    let mut acknowledged = Acknowledged { flushed: -1, n_incidents: 0 };
    for kill in 0..KILLS {
        let mut child = spawn(folder.path());
        acknowledged.read_then_kill(&mut child, random.below(40));
        let store = Store::open(folder.path()).unwrap();
        let context = format!("LEAKSCOPE_SEED={seed}, kill {kill}");
        check_samples(&store, random.below(N_TARGETS), &acknowledged, &context);
        check_incidents(&store, &acknowledged, &context);
        assert_eq!(store.stats().damaged_rows, 0, "{context}: {:?}", store.problems());
    }
    assert!(acknowledged.flushed > 1_000, "too little was written to say anything: {}", acknowledged.flushed);
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
struct Acknowledged {
    flushed: i64,
    n_incidents: u64,
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
        if let Some(n_incidents) = line.strip_prefix('i').and_then(|number| number.parse().ok()) {
            self.n_incidents = self.n_incidents.max(n_incidents);
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
