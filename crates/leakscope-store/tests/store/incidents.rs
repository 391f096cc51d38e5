//! Incidents, targets and detector checkpoints come back as they were given.

use leakscope_model::{Incident, IncidentState, TargetId};
use leakscope_store::{KnownTarget, Store};

use crate::sketch::{at, incident, target};

#[test]
fn an_incident_comes_back_as_it_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = [incident(1, 1), incident(2, 3)];
    {
        let store = Store::open(folder.path()).unwrap();
        for incident in &recorded {
            store.record(incident).unwrap();
        }
    }
    assert_eq!(Store::open(folder.path()).unwrap().incidents().unwrap(), recorded);
}

#[test]
fn recording_again_appends_transitions_and_replaces_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.record(&incident(1, 2)).unwrap();
    let later = Incident { score: 2.5, captures: Vec::new(), suspects: Vec::new(), ..incident(1, 5) };
    store.record(&later).unwrap();
    assert_eq!(store.incidents().unwrap(), [later]);
}

#[test]
fn a_recorded_transition_never_changes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.record(&incident(1, 2)).unwrap();
    let mut forged = incident(1, 3);
    forged.transitions[0].cause = "another".to_owned();
    store.record(&forged).unwrap();
    assert_eq!(store.incidents().unwrap(), [incident(1, 3)]);
}

#[test]
fn an_incident_of_an_unknown_state_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.record(&incident(1, 1)).unwrap();
    store.record(&incident(2, 1)).unwrap();
    let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).unwrap();
    db.execute("UPDATE incident SET state = 'odd' WHERE id = 1", []).unwrap();
    assert_eq!(store.incidents().unwrap(), [incident(2, 1)]);
    let problem = store.problems().remove(0);
    assert_eq!((problem.table, problem.id), ("incident", 1));
    assert!(problem.reason.contains("`odd`"), "{problem}");
    assert_eq!(store.incidents().unwrap()[0].state, IncidentState::Open);
    assert_eq!(store.stats().damaged_rows, 1);
}

#[test]
fn targets_come_back_with_their_last_sight() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = Store::open(folder.path()).unwrap();
        store.remember_target(&target(1), at(1)).unwrap();
        store.remember_targets(&[(&target(1), at(5)), (&target(2), at(2))]).unwrap();
    }
    let mut expected =
        vec![KnownTarget { target: target(1), last_seen: at(5) }, KnownTarget { target: target(2), last_seen: at(2) }];
    expected.sort_by_key(|known| known.target.id.0 as i64);
    assert_eq!(Store::open(folder.path()).unwrap().targets().unwrap(), expected);
}

#[test]
fn the_last_state_of_a_detector_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.save_checkpoint(&[(TargetId(1), at(1), vec![1]), (TargetId(2), at(1), vec![2])]).unwrap();
    store.save_checkpoint(&[(TargetId(1), at(2), vec![0xff; 4096])]).unwrap();
    let expected = [(TargetId(1), at(2), vec![0xff; 4096]), (TargetId(2), at(1), vec![2])];
    assert_eq!(store.checkpoints().unwrap(), expected);
}
