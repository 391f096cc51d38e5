//! What is damaged is left out and named; nothing else is lost.

use std::path::Path;

use leakscope_model::TargetId;
use leakscope_store::Store;

use crate::sketch::{Random, at, everything, point, rss};

/// Three spans of ten points each, in three rows of `table`.
fn filled(folder: &Path) -> Store {
    let store = Store::open(folder).unwrap();
    for span in 0..3 {
        append_span(&store, span);
        store.checkpoint(at(span * 10)).unwrap();
    }
    store
}

fn append_span(store: &Store, span: i64) {
    for number in span * 10..span * 10 + 10 {
        store.append(TargetId(1), at(number), &rss(number as f64));
    }
}

fn damage(folder: &Path, sql: &str) {
    let db = rusqlite::Connection::open(folder.join("leakscope.db")).unwrap();
    assert_eq!(db.execute(sql, []).unwrap(), 1);
}

fn numbers(store: &Store) -> Vec<i64> {
    everything(store, TargetId(1)).iter().map(|(at, _)| at.as_millis()).collect()
}

#[test]
fn a_damaged_bundle_costs_its_own_span_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    damage(folder.path(), "UPDATE bundle SET body = zeroblob(length(body)) WHERE id = 2");
    let expected: Vec<i64> = (0..10).chain(20..30).collect();
    assert_eq!(numbers(&store), expected);
    assert_eq!(numbers(&store), expected);
    assert_eq!(store.stats().damaged_rows, 1);
    assert_eq!((store.problems()[0].table, store.problems()[0].id), ("bundle", 2));
    store.close(at(30)).unwrap();
    assert_eq!(numbers(&store), expected);
}

#[test]
fn a_damaged_block_costs_its_own_span_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for number in 0..10_000 {
        store.append(TargetId(1), at(number), &rss(number as f64));
        if number % 100 == 99 {
            store.checkpoint(at(number)).unwrap();
        }
    }
    store.close(at(10_000)).unwrap();
    damage(folder.path(), "UPDATE block SET body = substr(body, 1, 40) WHERE id = 1");
    let found = numbers(&store);
    assert!(found.len() > 5_000 && found.is_sorted_by(|a, b| a + 1 == *b) && found.last() == Some(&9_999));
    assert_eq!((store.problems()[0].table, store.problems()[0].id), ("block", 1));
}

#[test]
fn a_damaged_record_of_the_journal_costs_its_own_span_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leakscope.journal");
    let store = Store::open(folder.path()).unwrap();
    let mut ends = vec![0];
    for span in 0..3 {
        append_span(&store, span);
        store.flush(at(span * 10)).unwrap();
        ends.push(std::fs::metadata(&path).unwrap().len() as usize);
    }
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[ends[1] + 40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(numbers(&store), (0..10).chain(20..30).collect::<Vec<_>>());
    assert_eq!(store.problems()[0].table, "journal");
    assert_eq!(store.problems()[0].id as usize, ends[1]);
}

#[test]
fn any_damage_to_rows_and_journal_is_survived() {
    let mut random = Random::seeded();
    let seed = random.0;
    for round in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path());
        append_span(&store, 3);
        store.flush(at(40)).unwrap();
        drop(store);
        let path = folder.path().join("leakscope.journal");
        let mut journal = std::fs::read(&path).unwrap();
        let place = random.below(journal.len() as u64) as usize;
        journal[place] ^= 1 << random.below(8);
        std::fs::write(&path, journal).unwrap();
        let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).unwrap();
        let mut body: Vec<u8> = db.query_row("SELECT body FROM bundle WHERE id = 2", [], |row| row.get(0)).unwrap();
        let place = random.below(body.len() as u64) as usize;
        body[place] ^= 1 << random.below(8);
        db.execute("UPDATE bundle SET body = ?1 WHERE id = 2", [body]).unwrap();
        drop(db);
        let store = Store::open(folder.path()).unwrap();
        let found = everything(&store, TargetId(1));
        for whole in (0..10).chain(20..30) {
            assert!(found.contains(&point(at(whole), &rss(whole as f64))), "LEAKSCOPE_SEED={seed}, round {round}");
        }
        store.close(at(50)).unwrap();
    }
}
