//! The crate over real captures: figures that Chrome DevTools' own engine and the JVM computed for the same files.

mod bad_v8;
mod hprof;
mod redact;
mod tracked;
mod v8;
