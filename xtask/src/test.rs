//! `cargo xtask test`: everything that must hold, in one command, on a clean Debian machine.

mod browser;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::args::Args;
use crate::process::{fresh_folder, on_path, printed_by, spelled, target_folder};
use crate::setup::{self, Scope};
use crate::{Outcome, clock, tree};

/// Lines of a failed step's output that are shown; the rest is in its log.
const LINES_SHOWN: usize = 200;

/// Seconds that one fuzz target runs.
const FUZZ_SECONDS: u32 = 20;

/// One step: its name, the steps without which it cannot run, and what it does.
struct Step {
    name: &'static str,
    after: &'static [&'static str],
    run: fn(&Site) -> Ended,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    Passed,
    /// It did not apply here; the reason is printed and nothing is counted.
    Skipped(String),
    Failed(String),
}

/// The page is built before anything in Rust: the binary embeds it.
const EVERYTHING: &[Step] = &[
    Step { name: "format", after: &[], run: format },
    Step { name: "tidy", after: &[], run: tidy },
    Step { name: "page", after: &[], run: page },
    Step { name: "clippy", after: &[], run: clippy },
    Step { name: "tests", after: &[], run: tests },
    Step { name: "services", after: &[], run: services },
    Step { name: "browser", after: &["page"], run: browser::run },
    Step { name: "fuzz", after: &[], run: fuzz },
    Step { name: "deny", after: &[], run: deny },
];

const QUICK: &[Step] = &[
    Step { name: "format", after: &[], run: format },
    Step { name: "tidy", after: &[], run: tidy },
    Step { name: "clippy", after: &[], run: clippy },
    Step { name: "unit tests", after: &[], run: unit_tests },
];

/// Where a step works.
struct Site {
    root: PathBuf,
    target: PathBuf,
    /// What the running step and its programs print.
    log: PathBuf,
}

impl Site {
    fn cargo(&self, arguments: &[&str]) -> Ended {
        self.run(Command::new("cargo").args(arguments))
    }

    /// Runs a program at the root unless it names another folder; its output goes to the step's log.
    fn run(&self, command: &mut Command) -> Ended {
        match self.try_run(command) {
            Ok(()) => Ended::Passed,
            Err(reason) => Ended::Failed(reason),
        }
    }

    fn try_run(&self, command: &mut Command) -> Result<(), String> {
        if command.get_current_dir().is_none() {
            command.current_dir(&self.root);
        }
        let mut log = self.open_log()?;
        let line = spelled(command);
        writeln!(log, "$ {line}").map_err(|error| format!("log not writable: {error}"))?;
        let errors = log.try_clone().map_err(|error| format!("log not usable: {error}"))?;
        let status = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .status()
            .map_err(|error| format!("`{line}` did not start: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("`{line}` failed: {status}")) }
    }

    fn open_log(&self) -> Result<File, String> {
        File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|error| format!("`{}` not writable: {error}", self.log.display()))
    }
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut args = Args::new(arguments);
    let quick = args.switch("--quick");
    args.finish()?;
    let root = tree::root();
    let (steps, scope) = if quick { (QUICK, Scope::Rust) } else { (EVERYTHING, Scope::Everything) };
    setup::ensure(scope, &root)?;
    let logs = target_folder(&root).join("test-logs");
    fresh_folder(&logs)?;
    Ok(if run_steps(steps, &root, &logs) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every step whose predecessors passed; whether none failed.
fn run_steps(steps: &[Step], root: &Path, logs: &Path) -> bool {
    let mut failed = BTreeSet::new();
    let mut n_passed = 0;
    for step in steps {
        println!("== {}", step.name);
        let log = logs.join(format!("{}.log", step.name.replace(' ', "-")));
        let site = Site { root: root.to_path_buf(), target: target_folder(root), log };
        let started = clock::now();
        let blocked = step.after.iter().find(|earlier| failed.contains(**earlier));
        let ended = match blocked {
            Some(earlier) => Ended::Failed(format!("cannot run without `{earlier}`, which failed")),
            None => (step.run)(&site),
        };
        let seconds = started.elapsed().as_secs_f64();
        match ended {
            Ended::Passed => {
                n_passed += 1;
                println!("   passed in {seconds:.1} s");
            }
            Ended::Skipped(reason) => println!("   skipped: {reason}"),
            Ended::Failed(reason) => {
                failed.insert(step.name);
                print_log(&site.log);
                println!("   FAILED in {seconds:.1} s: {reason}");
            }
        }
    }
    if !failed.is_empty() {
        println!("failed: {}", failed.iter().copied().collect::<Vec<_>>().join(", "));
    }
    println!("{n_passed} passed, {} failed", failed.len());
    failed.is_empty()
}

fn print_log(path: &Path) {
    let Ok(bytes) = std::fs::read(path) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LINES_SHOWN);
    if first > 0 {
        println!("   ... {first} earlier lines are in {}", path.display());
    }
    for line in lines.iter().skip(first) {
        println!("   | {line}");
    }
}

fn format(site: &Site) -> Ended {
    site.cargo(&["fmt", "--all", "--check"])
}

fn tidy(site: &Site) -> Ended {
    match std::env::current_exe() {
        Ok(program) => site.run(Command::new(program).arg("tidy")),
        Err(error) => Ended::Failed(format!("this program's own file not found: {error}")),
    }
}

fn page(site: &Site) -> Ended {
    let folder = site.root.join("ui");
    if !folder.join("package.json").is_file() {
        return Ended::Failed("`ui/package.json` not found; the page is part of the product".to_owned());
    }
    for arguments in [&["ci", "--no-audit", "--no-fund"][..], &["run", "check"], &["test"], &["run", "build"]] {
        if let failed @ Ended::Failed(_) = site.run(Command::new("npm").args(arguments).current_dir(&folder)) {
            return failed;
        }
    }
    Ended::Passed
}

fn clippy(site: &Site) -> Ended {
    site.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn tests(site: &Site) -> Ended {
    site.cargo(&["test", "--workspace", "--no-fail-fast"])
}

fn unit_tests(site: &Site) -> Ended {
    site.cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins"])
}

fn services(site: &Site) -> Ended {
    if !site.root.join("services/check.py").is_file() {
        return Ended::Failed("`services/check.py` not found; the example services are part of the product".to_owned());
    }
    site.run(Command::new("python3").arg("services/check.py"))
}

fn fuzz(site: &Site) -> Ended {
    if !site.root.join("fuzz/Cargo.toml").is_file() {
        return Ended::Skipped("there is no fuzz/ folder".to_owned());
    }
    if on_path("cargo-fuzz").is_none() || printed_by("cargo", &["+nightly", "--version"]).is_none() {
        return Ended::Skipped("cargo-fuzz or the nightly toolchain is not installed".to_owned());
    }
    let listed = Command::new("cargo").args(["+nightly", "fuzz", "list"]).current_dir(&site.root).output();
    let Ok(listed) = listed else {
        return Ended::Failed("`cargo +nightly fuzz list` did not start".to_owned());
    };
    let limit = format!("-max_total_time={FUZZ_SECONDS}");
    for target in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
        let ended = site.cargo(&["+nightly", "fuzz", "run", target, "--", &limit]);
        if ended != Ended::Passed {
            return ended;
        }
    }
    Ended::Passed
}

fn deny(site: &Site) -> Ended {
    if on_path("cargo-deny").is_none() {
        return Ended::Skipped("cargo-deny is not installed (cargo install cargo-deny)".to_owned());
    }
    site.cargo(&["deny", "check"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSES: fn(&Site) -> Ended = |_| Ended::Passed;
    const FAILS: fn(&Site) -> Ended = |_| Ended::Failed("a reason".to_owned());

    #[test]
    fn one_failed_step_fails_the_run_and_a_skipped_one_does_not() {
        let nowhere = Path::new("/nonexistent");
        let step = |name, run| Step { name, after: &[], run };
        assert!(run_steps(&[step("a", PASSES), step("b", |_| Ended::Skipped(String::new()))], nowhere, nowhere));
        assert!(!run_steps(&[step("a", FAILS), step("b", PASSES)], nowhere, nowhere));
    }

    #[test]
    fn a_step_is_not_run_when_what_it_needs_failed() {
        let nowhere = Path::new("/nonexistent");
        let never: fn(&Site) -> Ended = |_| panic!("ran although its predecessor failed");
        let steps = [Step { name: "a", after: &[], run: FAILS }, Step { name: "b", after: &["a"], run: never }];
        assert!(!run_steps(&steps, nowhere, nowhere));
    }
}
