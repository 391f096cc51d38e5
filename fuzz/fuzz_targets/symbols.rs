//! Any bytes as the binary that a profile's addresses are in: as they are, and as damage to small programs with debug information.
#![no_main]

#[path = "../profile/asked.rs"]
mod asked;

use std::fmt::Write as _;
use std::process::Command;
use std::sync::OnceLock;

use leakscope_heap::profile::{self, Profile};
use libfuzzer_sys::fuzz_target;

/// Inlines, calls and has a line for each of its addresses, in a few hundred bytes.
const PROGRAM: &str = "typedef unsigned long size;
static char arena[64];
static size used;
static inline __attribute__((always_inline)) char *take(size n) { used += n; return arena + used % 64; }
__attribute__((noinline)) char *keep(size n) { return take(n) + (take(n / 2) - arena); }
void _start(void) { for (;;) used += (size)keep(used); }
";
/// How each of the programs is built beside the others.
const OPTIONS: [&[&str]; 4] = [&["-gdwarf-5"], &["-gdwarf-4"], &["-g", "-gz"], &["-g", "-static-pie", "-fPIE"]];
/// Addresses of the code of any of the programs, from its start.
const ADDRESSES: std::ops::Range<u64> = 0x140..0x240;
const START: u64 = 0x40_0000;

static PROGRAMS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();

fn programs() -> &'static [Vec<u8>] {
    PROGRAMS.get_or_init(|| OPTIONS.iter().map(|options| built(options)).collect())
}

fn built(options: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder for the program");
    std::fs::write(folder.path().join("shop.c"), PROGRAM).expect("its source is written");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-nostdlib", "-static", "-fno-asynchronous-unwind-tables"]);
    compiler.args(["-Wl,-z,noseparate-code,--build-id", "-o", "shop"]).args(options).arg("shop.c");
    assert!(
        compiler.current_dir(folder.path()).status().is_ok_and(|status| status.success()),
        "`cc` builds {options:?}"
    );
    std::fs::read(folder.path().join("shop")).expect("the program is there")
}

/// Each three bytes of the input change one byte of a program: two for the place, one for the value.
fn damaged(program: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut damaged = program.to_vec();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % damaged.len();
        damaged[at] = change[2];
    }
    damaged
}

/// A stack of every eighth address of a program's code.
fn with_addresses() -> Profile {
    let mut dump = "heap_v2/1\n  t*: 1: 8 [0: 0]\n@".to_owned();
    for address in ADDRESSES.step_by(8) {
        write!(dump, " {:#x}", START + address).expect("a text takes any text");
    }
    dump.push_str("\n  t*: 1: 8 [0: 0]\n\nMAPPED_LIBRARIES:\n00400000-00402000 r-xp 00000000 00:00 0 /shop\n");
    profile::read(dump.as_bytes()).expect("it is a dump of jemalloc")
}

fuzz_target!(|input: (u8, &[u8])| {
    let (how, bytes) = input;
    let binary = match programs().get(usize::from(how) % (OPTIONS.len() + 1)) {
        Some(program) => damaged(program, bytes),
        None => bytes.to_vec(),
    };
    asked::everything_of(with_addresses(), &binary);
});
