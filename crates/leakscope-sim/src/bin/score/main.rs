//! The benchmark of the detector: the same series through it and through its peers, and tables of what came out. `cargo xtask score` runs this.
//!
//! Reading order: `args` what is asked for, `cases` which series, `run` series through detectors, `tally` counts, `report` tables.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers")]

mod args;
mod calibration;
mod cases;
mod forecasts;
mod goals;
mod json;
mod kinds;
mod list;
mod page;
mod report;
mod run;
mod table;
mod tally;

use std::process::ExitCode;

use crate::args::{Args, Format};

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
    let machine = page::machine();
    let cases = cases::all(args)?;
    let outcomes = run::all(&cases, !args.ours);
    let sections = report::sections(&outcomes);
    match args.format {
        Format::Json => println!("{:#}", json::document(&outcomes, &sections)),
        Format::Text => print!("{}", report::plain(&sections)),
        Format::List => print!("{}{}", report::plain(&sections), list::wrong(&outcomes)),
    }
    if args.write { page::write(&outcomes, &sections, &machine) } else { Ok(()) }
}
