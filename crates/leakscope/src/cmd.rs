//! One file per command: its flags, its run, its exit.

pub(crate) mod alert;
pub(crate) mod analyze;
pub(crate) mod backtest;
pub(crate) mod capture;
pub(crate) mod captures;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod incidents;
pub(crate) mod man;
pub(crate) mod redact;
pub(crate) mod serve;
pub(crate) mod targets;
