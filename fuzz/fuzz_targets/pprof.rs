//! Any bytes as a profile of pprof: as they are, as samples of one that is whole, as a payload of OpenTelemetry, and as damage to the
//! profile of a real program.
#![no_main]

#[path = "../profile/asked.rs"]
mod asked;

use std::io::Read as _;
use std::sync::OnceLock;

use leakscope_heap::profile;
use libfuzzer_sys::fuzz_target;

/// Columns, a location, a function and texts: what samples refer to.
const TABLES: &[u8] = b"\x0a\x04\x08\x01\x10\x02\x22\x08\x08\x01\x18\x40\x22\x02\x08\x01\x2a\x04\x08\x01\x10\x03\
    \x32\x00\x32\x05space\x32\x05bytes\x32\x04main";

/// A heap profile of Go, unpacked.
static REAL: OnceLock<Vec<u8>> = OnceLock::new();

fn real() -> &'static [u8] {
    REAL.get_or_init(|| {
        let mut bytes = Vec::new();
        let packed = include_bytes!("../../fixtures/profile/go-heap.pb.gz");
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("the fixture is whole");
        bytes
    })
}

/// Each three bytes of the input change one byte of a real profile: two for the place, one for the value.
fn damaged(bytes: &[u8]) -> Vec<u8> {
    let mut damaged = real().to_vec();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % damaged.len();
        damaged[at] = change[2];
    }
    damaged
}

/// A field with its length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![(number << 3) | 2];
    let mut left = content.len();
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    [&bytes, content].concat()
}

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let file = match how % 4 {
        0 => bytes.to_vec(),
        1 => [TABLES, bytes].concat(),
        2 => {
            let payload = [field(9, b"pprof"), field(10, bytes)].concat();
            field(1, &field(2, &field(2, &payload)))
        }
        _ => damaged(bytes),
    };
    if let Ok(profile) = profile::read(&file) {
        asked::everything_of(profile, bytes);
    }
});
