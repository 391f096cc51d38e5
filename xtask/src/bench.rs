//! `cargo xtask bench`: figures beside those of others, taken on the same machine in the same run.

mod contender;
mod demo;
mod goal;
mod heap;
mod measure;
mod profile;
mod scrape;
mod store;
pub(crate) mod table;
pub(crate) mod usage;

use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::args::Args;
use crate::tree;

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut args = Args::new(arguments);
    match args.word().as_deref() {
        Some("scrape") => scrape::run(args),
        Some("store") => store::run(args),
        Some("ingest") => ingest(args),
        Some("demo") => demo::run(args),
        Some("heap") => heap::run(args),
        Some("profile") => profile::run(args),
        Some(other) => {
            Err(format!("benchmark `{other}` not found (known benchmarks: scrape, store, ingest, demo, heap, profile)"))
        }
        None => Err("expected a benchmark: scrape, store, ingest, demo, heap or profile".to_owned()),
    }
}

/// How fast pages are scanned: the example of leakscope-ingest that measures it.
fn ingest(args: Args) -> Outcome {
    args.finish()?;
    let output = example("leakscope-ingest", "scan_speed", &[])?;
    print!("{output}");
    Ok(ExitCode::SUCCESS)
}

/// The product as it is shipped.
pub(crate) fn build_leakscope() -> Result<(), String> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--package", "leakscope", "--bin", "leakscope"])
        .current_dir(tree::root())
        .status()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("leakscope does not build: {status}")) }
}

/// What an example of a crate prints, built for release.
fn example(package: &str, name: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--release", "--package", package, "--example", name, "--"])
        .args(arguments)
        .current_dir(tree::root())
        .output()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("example `{name}` of `{package}` failed:\n{}", String::from_utf8_lossy(&output.stderr)))
}
