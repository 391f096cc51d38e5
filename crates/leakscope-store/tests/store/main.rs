//! The store as its users see it: real files, real processes, real full disks.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod captures;
mod crash;
mod damage;
mod deliveries;
mod disk_full;
mod fixture;
mod incidents;
mod opening;
mod retention;
mod samples;
mod sketch;
mod threads;
