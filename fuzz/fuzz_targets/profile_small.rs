//! Any bytes as the profiles that are texts or JSON: as they are, and behind a beginning that each of their readers knows as its own.
#![no_main]

use leakscope_heap::profile::{Profile, read};
use libfuzzer_sys::fuzz_target;

/// What each reader knows its format by.
const BEGINNINGS: [&str; 9] = [
    "",
    "goroutine 1 [running]:\n",
    "goroutine 1 [chan receive, 4 minutes, locked to thread]:\nmain.main()\n\t",
    "{\"head\":{\"callFrame\":{},\"children\":[",
    "{\"samples\":[{\"size\":8,\"nodeId\":1}],\"head\":{\"callFrame\":{},\"id\":1,\"selfSize\":",
    " num     #instances         #bytes  class name (module)\n",
    "{\"leakscope\":\"python-heap\",\"version\":1,\"frames\":[[\"a.py\",1,null]],\"stacks\":[",
    "{\"total_num_allocations\":9,\"total_bytes_allocated\":9,\"top_allocations_by_size\":[",
    "main;serve 1\n",
];

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let beginning = BEGINNINGS[usize::from(how) % BEGINNINGS.len()];
    if let Ok(profile) = read(&[beginning.as_bytes(), bytes].concat()) {
        whole(&profile);
    }
});

/// Follows every index of a profile: each must be inside the table it points into.
fn whole(profile: &Profile) {
    for sample in 0..profile.n_samples() {
        assert_eq!(profile.values(sample).len(), profile.sample_types().len());
        for location in profile.stack(sample) {
            for line in profile.lines(*location) {
                let function = profile.functions()[line.function.expect("these formats name every frame") as usize];
                let _ = (profile.text(function.name), profile.text(function.file));
            }
        }
        for label in profile.labels(sample) {
            let _ = profile.text(label.key);
        }
    }
}
