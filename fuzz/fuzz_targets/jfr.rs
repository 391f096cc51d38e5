//! Any bytes as a flight recording: as they are, behind a header, and as damage to the recording of a real JVM.
#![no_main]

#[path = "../profile/asked.rs"]
mod asked;

use std::sync::OnceLock;

use leakscope_heap::profile;
use libfuzzer_sys::fuzz_target;

/// Two chunks of JDK 25, unpacked.
static REAL: OnceLock<Vec<u8>> = OnceLock::new();

/// `bytes` behind the header of a chunk that ends with them.
fn behind_header(bytes: &[u8], is_compressed: u8) -> Vec<u8> {
    let mut chunk = b"FLR\0\0\x02\0\x01".to_vec();
    for number in [68 + bytes.len() as u64, 0, 0, 1_000_000, 5_000, 1_000, 1_000_000_000] {
        chunk.extend(number.to_be_bytes());
    }
    chunk.extend([0, 0, 0, is_compressed]);
    chunk.extend(bytes);
    chunk
}

/// Each four bytes of the input change one byte of a real recording: three for the place, one for the value.
fn damaged(bytes: &[u8]) -> Vec<u8> {
    let real = REAL.get_or_init(|| {
        zstd::decode_all(&include_bytes!("../../fixtures/profile/shop-25.jfr.zst")[..]).expect("the fixture is whole")
    });
    let mut damaged = real.clone();
    for change in bytes.chunks_exact(4) {
        let at = u32::from_be_bytes([0, change[0], change[1], change[2]]) as usize % damaged.len();
        damaged[at] = change[3];
    }
    damaged
}

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let recording = match how % 4 {
        0 => bytes.to_vec(),
        1 => behind_header(bytes, 1),
        2 => behind_header(bytes, 0),
        _ => damaged(bytes),
    };
    if let Ok(profile) = profile::read(&recording) {
        asked::everything_of(profile, bytes);
    }
});
