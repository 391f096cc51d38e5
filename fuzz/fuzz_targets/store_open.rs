//! Any bytes as what a store of either version left behind: its journal, the body of a bundle, the body of a block, a
//! column that is read as text, or the database itself.
//! Whatever it is, the store opens or says why not, and reads back without a panic. Seeds: `fixtures/store`.
#![no_main]

use std::path::Path;
use std::time::Duration;

use leakscope_model::{Bytes, Signal, TargetId, Timestamp};
use leakscope_store::Store;
use libfuzzer_sys::fuzz_target;

const FIXTURES: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/store/v1"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/store/v2"),
];

fuzz_target!(|input: (u8, &[u8])| {
    let (place, bytes) = input;
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let fixture = Path::new(FIXTURES[usize::from(place % 2)]);
    std::fs::copy(fixture.join("leakscope.db"), folder.path().join("leakscope.db")).expect("the fixture");
    let replace = |sql: &str| {
        let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).expect("the fixture opens");
        db.execute(sql, [bytes]).expect("a body is replaced");
    };
    let text = String::from_utf8_lossy(bytes);
    let replace_text = |sql: &str| {
        let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).expect("the fixture opens");
        db.execute(sql, [&text]).expect("a text is replaced");
    };
    match place / 2 % 6 {
        0 => std::fs::write(folder.path().join("leakscope.journal"), bytes).expect("the journal is written"),
        1 => replace("UPDATE bundle SET body = ?1"),
        2 => replace("UPDATE block SET body = ?1"),
        3 => replace_text("UPDATE capture SET kind = ?1"),
        4 => replace_text("UPDATE suspect SET path = ?1"),
        _ => std::fs::write(folder.path().join("leakscope.db"), bytes).expect("the database is written"),
    }
    let Ok(store) = Store::open(folder.path()) else { return };
    let end = Timestamp::from_millis(i64::MAX);
    drop(store.range(TargetId(1), &Signal::ALL, Timestamp::from_millis(i64::MIN), end));
    drop(store.last(TargetId(1)));
    drop((store.incidents(), store.targets(), store.checkpoints()));
    drop((store.captures(), store.accesses(9), store.deliveries(9), store.due_deliveries(end, 9)));
    drop(store.expire_captures(end, Duration::ZERO, Bytes(0)));
    drop(store.close(Timestamp::EPOCH));
});
