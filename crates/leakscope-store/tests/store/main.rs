//! The store as its users see it: real files, real processes, real full disks.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod incidents;
mod samples;
mod sketch;
