//! `cargo xtask score`: the benchmark of the detector. The program is leakscope-sim's `score`; this builds it and hands it the arguments.

use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::tree;

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--release", "--package", "leakscope-sim", "--bin", "score", "--"])
        .args(arguments)
        .current_dir(tree::root())
        .status()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
