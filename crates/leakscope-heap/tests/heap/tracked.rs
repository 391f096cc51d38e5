//! A snapshot of a real Node.js that tracks allocations: a suspect has the stack by which it was made.

use std::process::Command;

use leakscope_heap::analyse;

#[test]
fn what_accumulates_has_the_stack_that_allocated_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tracked.heapsnapshot");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/heap/tracked.js");
    let Ok(status) = Command::new("node").arg(script).arg(&file).status() else {
        eprintln!("SKIPPED: there is no `node` to take a snapshot of");
        return;
    };
    assert!(status.success());
    let bytes = std::fs::read(&file).unwrap();
    let heap = analyse(&bytes, &|_| {}).unwrap();
    let suspect = &heap.suspects(1)[0].suspect;
    assert_eq!(suspect.title, "`Ticket` accumulates in `tickets` (Map)");
    let function = suspect.stack.first().map(|frame| frame.function.as_str());
    assert_eq!(function, Some("sellTicket"), "{:?}", suspect.stack);
    let place = suspect.location.as_ref().unwrap();
    assert!(place.file.ends_with("tracked.js"), "{place:?}");
}
