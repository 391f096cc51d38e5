//! The one binary: parse the arguments, run one command, answer with its exit code.

mod args;
mod backtest;
mod cmd;
mod demo;
mod exit;
mod heap;
mod http;
mod job;
mod log;
mod output;
mod page;
mod profile;
mod remote;
mod stop;

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
    let bounded = cli.memory_max.map_or(Ok(()), job::bound);
    match bounded.and_then(|()| run(cli.command)) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell().into(),
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => wait_for(cmd::demo::run(&args)),
        Command::Serve(args) => wait_for(cmd::serve::run(&args)),
        Command::Check(args) => cmd::check::run(&args),
        Command::Targets(args) => wait_for(cmd::targets::run(&args)),
        Command::Incidents(args) => wait_for(cmd::incidents::run(&args)),
        Command::Alert(args) => wait_for(cmd::alert::run(&args)),
        Command::Capture(args) => wait_for(cmd::capture::run(&args)),
        Command::Captures(args) => wait_for(cmd::captures::run(&args)),
        Command::Analyze(args) => cmd::analyze::run(&args),
        Command::Diff(args) => cmd::diff::run(&args),
        Command::Redact(args) => cmd::redact::run(&args),
        Command::Backtest(args) => wait_for(cmd::backtest::run(&args)),
        Command::Doctor(args) => wait_for(cmd::doctor::run(&args)),
        Command::Completions(args) => cmd::completions::run(&args),
        Command::Man => cmd::man::run(),
    }
}

/// Runs a command that waits for others.
fn wait_for(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::inconclusive(format!("no threads can be started: {error}")))?;
    runtime.block_on(command)
}
