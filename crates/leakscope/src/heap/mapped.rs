//! A file seen as memory: the one place that maps one.

use std::fs::File;
use std::io;

use memmap2::{Advice, Mmap};

/// The bytes of `file`, which are read when they are looked at.
///
/// # Errors
/// When the system refuses, as it does for what is no regular file.
#[expect(unsafe_code, reason = "a map cannot promise what another process does to the file")]
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is read only and private to us. What it cannot hold is that nobody else writes the file meanwhile: bytes that
    // change give another graph or an error, since readers check every number where they use it; a file that is cut below what was
    // mapped ends the process with SIGBUS, in which nothing is lost but the answer.
    let map = unsafe { Mmap::map(file) }?;
    // A hint; a system that does not take it reads all the same.
    let _ = map.advise(Advice::Sequential);
    Ok(map)
}
