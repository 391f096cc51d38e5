//! Simulated services, their faults and their clock, and how detectors are scored on them. Development only: nothing that ships depends on it.
//!
//! Reading order: `service` is one process as a memory model, `scenario` names the models that matter, `demo` those of compressed time,
//! `fleet` makes targets of them, `run` is the daemon's twin in simulated time, `score` runs one series through the detector.
//! `recorded` reads real series and `labelled` what is known of them, `inject` adds leaks and look-alikes to copies, `peers` are the
//! detectors of others, `metrics` says how sure a figure is. The program `score` (`cargo xtask score`) runs it all. `null` makes healthy
//! processes for thousands of years, the program `null` (`cargo xtask score --null`) judges them.

pub mod demo;
pub mod evidence;
pub mod fleet;
pub mod inject;
pub mod labelled;
pub mod metrics;
pub mod null;
pub mod peers;
pub mod recorded;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod score;
pub mod service;
