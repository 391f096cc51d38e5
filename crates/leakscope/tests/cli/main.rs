//! The built binary as its users call it: whole outputs and exit codes.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as a test does")]

mod alert;
mod analyze;
mod backtest;
mod capture;
mod capturing;
mod check;
mod demo;
mod diff;
mod heap;
mod help;
mod living;
mod plots;
mod profile;
mod redact;
mod run;
mod serve;
mod stored;
