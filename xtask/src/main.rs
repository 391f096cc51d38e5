//! The commands of this repository: `cargo xtask help`. Nothing here is shipped.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what these commands are for")]

mod args;
mod bench;
mod clock;
mod http;
mod process;
mod record;
mod score;
mod setup;
mod sim_targets;
mod soak;
mod test;
mod tidy;
mod tree;

use std::process::ExitCode;

/// What a command gives back: its exit code, or the sentence that says why it could not run (exit 2).
type Outcome = Result<ExitCode, String>;

struct Command {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        usage: "[--quick]",
        about: "everything that must hold; installs what is missing when it is root (--quick: format, tidy, clippy, unit tests)",
        run: test::run,
    },
    Command {
        name: "tidy",
        usage: "",
        about: "the rules that no compiler checks, one line per problem",
        run: tidy::run,
    },
    Command {
        name: "bench",
        usage: "scrape|store|ingest|demo|heap|profile [--runs 5] [--targets 1000,5000] [--interval 5s] [--for 60s] [--peers prometheus,vmagent] [--pages small,full,json] [--only-peers] [--sizes small,medium,large] [--quick] [--binary FILE] [--write]",
        about: "figures beside those of others, on this machine in the same run (--write: into docs/benchmarks/)",
        run: bench::run,
    },
    Command {
        name: "score",
        usage: "[--group background|injected|look-alikes|intervals|corpus|simulated|demo] [--half development|test] [--series DIR] [--time-scale N] [--quick] [--ours] [--list] [--format text|json] [--write] | --null [--years 100] [--seed 1] [--family NAME] [--list] [--write] | heap [--runtimes node,java] [--only TEXT] [--rate 8192] [--reuse] [--captures-only] [--binary FILE] [--format text|json] [--write] | profile [--only TEXT] [--reuse] [--captures-only] [--binary FILE] [--format text|json] [--write]",
        about: "how often the detector errs: false alarms, leaks found and when, on real, recorded and simulated series (--null: alarms in simulated years without a leak; heap, profile: whether the analysis of heap captures or of profiles names the leak of each example service, --reuse: of the captures that are there; --list: each error with its reasons; --write: into docs)",
        run: score::run,
    },
    Command {
        name: "soak",
        usage: "[--targets 2000] [--for 20m] [--binary FILE]",
        about: "a daemon among targets that come, go, hang and lie: it must stay flat and leave nothing behind",
        run: soak::run,
    },
    Command {
        name: "record",
        usage: "[--out fixtures/series/corpus] [--only NAME,...] [--half development|test] [--parallel 24] [--seed 1] [--for 8m] [--list]",
        about: "the labelled corpus of real processes, about 40 minutes: services that leak or look like it, a second of theirs for a minute",
        run: record::run,
    },
    Command {
        name: "sim-targets",
        usage: "[--targets 100] [--faults]",
        about: "simulated targets on 127.1.0.1 and following; prints `ready PORT CONTROL_PORT`",
        run: sim_targets::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print_help();
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print_help();
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        eprintln!("xtask: command `{name}` not found (known commands: {})", names.join(", "));
        return ExitCode::from(2);
    };
    match (command.run)(rest) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("xtask {name}: {reason}");
            ExitCode::from(2)
        }
    }
}

fn print_help() {
    println!("usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        println!("  {} {}\n      {}", command.name, command.usage, command.about);
    }
}
