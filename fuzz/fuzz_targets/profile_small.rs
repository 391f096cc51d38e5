//! Any bytes as the profiles that are texts or JSON: as they are, and behind a beginning that each of their readers knows as its own.
#![no_main]

#[path = "../profile/asked.rs"]
mod asked;

use leakscope_heap::profile;
use libfuzzer_sys::fuzz_target;

/// What each reader knows its format by.
const BEGINNINGS: [&str; 11] = [
    "",
    "goroutine 1 [running]:\n",
    "goroutine 1 [chan receive, 4 minutes, locked to thread]:\nmain.main()\n\t",
    "{\"head\":{\"callFrame\":{},\"children\":[",
    "{\"samples\":[{\"size\":8,\"nodeId\":1}],\"head\":{\"callFrame\":{},\"id\":1,\"selfSize\":",
    " num     #instances         #bytes  class name (module)\n",
    "{\"leakscope\":\"python-heap\",\"version\":1,\"frames\":[[\"a.py\",1,null]],\"stacks\":[",
    "{\"total_num_allocations\":9,\"total_bytes_allocated\":9,\"top_allocations_by_size\":[",
    "leakscope-process/1\n",
    "leakscope-process/1\ntime 1\n# smaps\n00400000-00600000 r-xp 00000000 fe:01 47 /srv/shop\n",
    "main;serve 1\n",
];

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let beginning = BEGINNINGS[usize::from(how) % BEGINNINGS.len()];
    if let Ok(profile) = profile::read(&[beginning.as_bytes(), bytes].concat()) {
        asked::everything_of(profile, bytes);
    }
});
