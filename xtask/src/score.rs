//! `cargo xtask score`: how often what leakscope says is right. Of the detector the programs are leakscope-sim's `score` and, with
//! `--null`, its `null`; this builds them and hands them the arguments. Of the analysis of heap captures and of profiles
//! it is `score heap` and `score profile`, of the whole way from the first sample to the named site `score loop`, here.

mod answer;
mod heap;
mod profile;
mod traffic;
mod whole;

use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::args::Args;
use crate::tree;

/// Asks for years in which nothing leaks, in place of series of which something is known.
const NULL: &str = "--null";

pub(crate) fn run(arguments: &[String]) -> Outcome {
    match arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("heap", rest)) => return heap::run(Args::new(rest)),
        Some(("profile", rest)) => return profile::run(Args::new(rest)),
        Some(("loop", rest)) => return whole::run(Args::new(rest)),
        _ => {}
    }
    let program = if arguments.iter().any(|argument| argument == NULL) { "null" } else { "score" };
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--release", "--package", "leakscope-sim", "--bin", program, "--"])
        .args(arguments.iter().filter(|argument| *argument != NULL))
        .current_dir(tree::root())
        .status()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
