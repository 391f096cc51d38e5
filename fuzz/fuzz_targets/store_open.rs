//! Any bytes as what a store left behind: its journal, the body of a bundle, the body of a block, or the database itself.
//! Whatever it is, the store opens or says why not, and reads back without a panic. Seeds: `fixtures/store`.
#![no_main]

use std::path::Path;

use leakscope_model::{Signal, TargetId, Timestamp};
use leakscope_store::Store;
use libfuzzer_sys::fuzz_target;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/store/v1");

fuzz_target!(|input: (u8, &[u8])| {
    let (place, bytes) = input;
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    std::fs::copy(Path::new(FIXTURE).join("leakscope.db"), folder.path().join("leakscope.db")).expect("the fixture");
    let replace = |sql: &str| {
        let db = rusqlite::Connection::open(folder.path().join("leakscope.db")).expect("the fixture opens");
        db.execute(sql, [bytes]).expect("a body is replaced");
    };
    match place % 4 {
        0 => std::fs::write(folder.path().join("leakscope.journal"), bytes).expect("the journal is written"),
        1 => replace("UPDATE bundle SET body = ?1"),
        2 => replace("UPDATE block SET body = ?1"),
        _ => std::fs::write(folder.path().join("leakscope.db"), bytes).expect("the database is written"),
    }
    let Ok(store) = Store::open(folder.path()) else { return };
    let end = Timestamp::from_millis(i64::MAX);
    drop(store.range(TargetId(1), &Signal::ALL, Timestamp::from_millis(i64::MIN), end));
    drop(store.last(TargetId(1)));
    drop((store.incidents(), store.targets(), store.checkpoints()));
    drop(store.close(Timestamp::EPOCH));
});
