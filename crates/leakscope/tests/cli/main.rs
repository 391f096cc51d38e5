//! The built binary as its users call it: whole outputs and exit codes.

mod backtest;
mod run;
