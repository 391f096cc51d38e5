//! Any capture without its contents: refused as the original is, else with the same figures, and the same again when it is redacted
//! again.
#![no_main]

#[path = "../heap/dump.rs"]
mod dump;
#[path = "../heap/snapshot.rs"]
mod snapshot;

use leakscope_heap::{Heap, analyse, redact};
use libfuzzer_sys::fuzz_target;
use snapshot::{Snapshot, Taken};

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let capture = match how % 3 {
        0 => bytes.to_vec(),
        1 => dump::of(&mut Taken(bytes)),
        _ => Snapshot::of(&mut Taken(bytes)).text().into_bytes(),
    };
    let mut copy = Vec::new();
    let redacted = redact(&capture, &mut copy);
    let original = analyse(&capture, &|_| {});
    if redacted.is_err() {
        assert!(copy.is_empty() && how % 3 != 2, "written, or a well-formed snapshot is refused");
        return;
    }
    let Ok(original) = original else { return };
    let heap = analyse(&copy, &|_| {}).expect("the copy can be read as the original can");
    assert_eq!(figures(&heap), figures(&original));
    let mut again = Vec::new();
    redact(&copy, &mut again).expect("a copy can be redacted");
    assert!(again == copy, "a copy of the copy is the same");
});

/// Own and retained bytes, dominator and edges of each node.
fn figures(heap: &Heap<'_>) -> Vec<(u64, u64, Option<u32>, usize)> {
    let figure = |node| {
        let dominator = heap.dominator(node).map(|node| node.0);
        (heap.self_bytes(node), heap.retained_bytes(node), dominator, heap.edges(node).len())
    };
    heap.nodes().map(figure).collect()
}
