//! The one binary: parse the arguments, run one command, answer with its exit code.

mod args;
mod backtest;
mod cmd;
mod exit;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::of_usage(&error),
    };
    cli.color.write_global();
    match run(cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell().into(),
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Backtest(args) => cmd::backtest::run(&args),
        Command::Completions(args) => cmd::completions::run(&args),
        Command::Man => cmd::man::run(),
    }
}
