//! The crate over real captures: figures that Chrome DevTools' own engine and the JVM computed for the same files.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read real files and start real programs; where that fails, they do"
)]

mod bad_v8;
mod hprof;
mod jfr;
mod jvm;
mod pprof;
mod python;
mod redact;
mod small_profiles;
mod symbols;
mod tracked;
mod v8;
mod v8_sampling;

/// A file of `fixtures/`, unpacked if its name ends in `.zst`.
fn fixture(path: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_some_and(|ending| ending == "zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }
}
