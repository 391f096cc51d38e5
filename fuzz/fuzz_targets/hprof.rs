//! Any bytes as an HPROF dump: as they are, behind a header, and as records of a dump with classes.
#![no_main]

#[path = "../heap/asked.rs"]
mod asked;
#[path = "../heap/dump.rs"]
mod dump;
#[path = "../heap/snapshot.rs"]
#[expect(dead_code, reason = "dumps are made of the same bytes, snapshots are not made here")]
mod snapshot;

use leakscope_heap::{analyse, histogram};
use libfuzzer_sys::fuzz_target;
use snapshot::Taken;

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let dump = match how % 4 {
        0 => bytes.to_vec(),
        1 => [&b"JAVA PROFILE 1.0.2\0\0\0\0\x04\0\0\0\0\0\0\0\0"[..], bytes].concat(),
        2 => [&b"JAVA PROFILE 1.0.1\0\0\0\0\x08\0\0\0\0\0\0\0\0\x0c\0\0\0\0\0\0\0\0"[..], bytes].concat(),
        _ => dump::of(&mut Taken(bytes)),
    };
    drop(histogram(&dump, &|_| {}));
    if let Ok(heap) = analyse(&dump, &|_| {}) {
        asked::everything_of(&heap);
    }
});
