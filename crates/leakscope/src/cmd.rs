//! One file per command: its flags, its run, its exit.

pub(crate) mod backtest;
pub(crate) mod completions;
pub(crate) mod man;
