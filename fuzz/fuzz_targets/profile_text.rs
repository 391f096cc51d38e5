//! Any bytes as a heap profile in text: as they are, behind the headings of gperftools, Go and jemalloc, and as a map of memory.
#![no_main]

#[path = "../profile/asked.rs"]
mod asked;

use leakscope_heap::profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let heading: &[u8] = match how % 6 {
        0 => b"",
        1 => b"heap profile: 1: 8 [3: 24] @ heap_v2/524288\n",
        2 => b"heap profile: 1: 8 [1: 8] @ heap/8192\n1: 8 [1: 8] @ 0x11 0x21\n#\t0x10\t",
        3 => b"goroutine profile: total 2\n1 @ 0x11 0x21\n# labels: {",
        4 => b"heap_v2/524288\n  t*: 1: 8 [3: 24]\n@ 0x11\n  t*: 1: 8 [3: 24]\n",
        _ => b"heap_v2/1\n  t*: 1: 8 [0: 0]\n@ 0x11 0x401010\n  t*: 1: 8 [0: 0]\nMAPPED_LIBRARIES:\n",
    };
    if let Ok(profile) = profile::read(&[heading, bytes].concat()) {
        asked::everything_of(profile, bytes);
    }
});
