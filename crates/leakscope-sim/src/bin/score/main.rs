//! The benchmark of the detector: the same series through it and through its peers, and tables of what came out. `cargo xtask score` runs this.
//!
//! Reading order: `args` what is asked for, `cases` which series, `run` series through detectors, `tally` counts, `report` tables.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers")]

mod args;
mod cases;
mod list;
mod report;
mod run;
mod table;
mod tally;

use std::process::ExitCode;

use crate::args::Args;

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).and_then(|args| score(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn score(args: &Args) -> Result<(), String> {
    let cases = cases::all(args)?;
    let outcomes = run::all(&cases);
    for table in report::tables(&outcomes) {
        println!("{}", table.plain());
    }
    if args.list {
        print!("{}", list::wrong(&outcomes));
    }
    Ok(())
}
