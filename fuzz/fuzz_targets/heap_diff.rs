//! Two or three captures of any bytes, compared: what grew is the last less the first, and each finding has a growth.
#![no_main]

#[path = "../heap/asked.rs"]
mod asked;
#[path = "../heap/dump.rs"]
mod dump;
#[path = "../heap/snapshot.rs"]
mod snapshot;

use leakscope_heap::diff;
use libfuzzer_sys::fuzz_target;
use snapshot::{Snapshot, Taken};

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let n = 2 + usize::from(how / 4 % 2);
    let of = |bytes: &[u8]| match how % 4 {
        0 => bytes.to_vec(),
        1 => dump::of(&mut Taken(bytes)),
        _ => Snapshot::of(&mut Taken(bytes)).text().into_bytes(),
    };
    let captures: Vec<Vec<u8>> = bytes.chunks(bytes.len().div_ceil(n).max(1)).map(of).collect();
    let captures: Vec<&[u8]> = captures.iter().map(Vec::as_slice).collect();
    let Ok(diff) = diff(&captures, &|_, _| {}) else { return };
    assert_eq!(diff.captures.len(), captures.len());
    let (first, last) = (&diff.captures[0], &diff.captures[captures.len() - 1]);
    assert_eq!(diff.growth_bytes, last.total_bytes as i64 - first.total_bytes as i64);
    assert!(diff.findings.iter().all(|finding| finding.growth.is_some()));
    asked::everything_of(&diff.last);
});
