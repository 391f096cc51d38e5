//! What is too old or too much goes, oldest first, and the file shrinks.

use std::time::Duration;

use leakscope_model::{Bytes, Incident, IncidentState, TargetId, Transition};
use leakscope_store::{Retained, Retention, Store};

use crate::sketch::{at, everything, incident, noise, rss, target};

const FOREVER: Duration = Duration::from_hours(1_000_000);
const HOUR_MS: i64 = 3_600_000;

/// A hundred hours of eight targets, a point each minute.
fn filled(store: &Store) {
    for minute in 0..6_000_i64 {
        for target in 1..=8 {
            store.append(TargetId(target), at(minute * 60_000), &rss(noise(minute)));
        }
        if minute % 60 == 59 {
            store.checkpoint(at(minute * 60_000)).unwrap();
        }
    }
    store.close(at(100 * HOUR_MS)).unwrap();
}

#[test]
fn old_samples_go_and_new_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    filled(&store);
    let before = store.stats().file_size;
    let retention = Retention { samples_age_max: Duration::from_hours(30), incidents_age_max: FOREVER, size_max: None };
    let retained = store.retain(at(100 * HOUR_MS), retention).unwrap();
    assert!(retained.n_blocks > 0);
    let left = everything(&store, TargetId(1));
    assert!(left.len() >= 30 * 60 && left.len() < 6_000, "{} points are left", left.len());
    assert_eq!(left.last().map(|(at, _)| at.as_millis()), Some(5_999 * 60_000));
    store.close(at(100 * HOUR_MS)).unwrap();
    assert!(store.stats().file_size < before, "{before} became {}", store.stats().file_size);
    assert_eq!(store.retain(at(100 * HOUR_MS), retention).unwrap(), Retained::default());
}

#[test]
fn the_file_shrinks_to_its_limit_and_the_newest_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    filled(&store);
    let size_max = Bytes(store.stats().file_size.0 * 2 / 3);
    let retention = Retention { samples_age_max: FOREVER, incidents_age_max: FOREVER, size_max: Some(size_max) };
    store.retain(at(100 * HOUR_MS), retention).unwrap();
    store.close(at(100 * HOUR_MS)).unwrap();
    assert!(store.stats().file_size <= size_max, "{} is left of {size_max}", store.stats().file_size);
    for target in 1..=8 {
        assert_eq!(everything(&store, TargetId(target)).last().map(|(at, _)| at.as_millis()), Some(5_999 * 60_000));
    }
}

#[test]
fn closed_incidents_go_by_age_and_open_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let closed = |number, hour| {
        let mut incident: Incident = incident(number, 1);
        let cause = "it is over".to_owned();
        incident.transitions.push(Transition { at: at(hour * HOUR_MS), to: IncidentState::Closed, cause });
        incident.state = IncidentState::Closed;
        incident
    };
    let incidents = [incident(1, 1), closed(2, 10), closed(3, 90)];
    for incident in &incidents {
        store.record(incident).unwrap();
    }
    store.remember_targets(&[(&target(1), at(10 * HOUR_MS)), (&target(2), at(90 * HOUR_MS))]).unwrap();
    store
        .save_checkpoint(&[(TargetId(1), at(10 * HOUR_MS), vec![1]), (TargetId(2), at(90 * HOUR_MS), vec![2])])
        .unwrap();
    let retention =
        Retention { samples_age_max: Duration::ZERO, incidents_age_max: Duration::from_hours(50), size_max: None };
    let retained = store.retain(at(100 * HOUR_MS), retention).unwrap();
    assert_eq!(retained, Retained { n_blocks: 0, n_incidents: 1 });
    assert_eq!(store.incidents().unwrap(), [incidents[0].clone(), incidents[2].clone()]);
    let left: Vec<_> = store.targets().unwrap().into_iter().map(|known| known.target).collect();
    assert_eq!(left, [target(2)]);
    assert_eq!(store.checkpoints().unwrap(), [(TargetId(2), at(90 * HOUR_MS), vec![2])]);
}
