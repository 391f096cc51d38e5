//! The crate over real captures: figures that Chrome DevTools' own engine and the JVM computed for the same files.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read real files and start real programs; where that fails, they do"
)]

mod bad_v8;
mod hprof;
mod jfr;
mod pprof;
mod python;
mod redact;
mod small_profiles;
mod symbols;
mod tracked;
mod v8;
mod v8_sampling;
