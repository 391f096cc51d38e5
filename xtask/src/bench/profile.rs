//! `cargo xtask bench profile`: what the analysis of a profile costs, leakscope beside `go tool pprof` on the same files in the same
//! run, each goal beside its figure. The profiles are kept in target/bench-profile.

mod files;
mod generate;
mod row;
mod top;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use self::files::Pair;
use self::generate::Shape;
use self::row::{Program, Row, Task, goals};
use super::goal::Goal;
use super::measure;
use super::table::{Table, load_average, machine, write_page};
use crate::args::Args;
use crate::process::{leakscope_binary, printed_by, target_folder};
use crate::{Outcome, tree};

/// Runs of ours, and of pprof on files of a second or less.
const RUNS: usize = 3;
/// Samples from which on pprof runs once.
const PPROF_ONCE_SAMPLES: u64 = 100_000;
/// Samples up to which pprof compares two profiles: at 500,000 it takes minutes and gigabytes.
const PPROF_DIFF_SAMPLES_MAX: u64 = 100_000;
/// Samples up to which it reads one.
const PPROF_TOP_SAMPLES_MAX: u64 = 500_000;
/// What is compared of all sample types: the one that pprof shows where nothing else is asked.
const SAMPLE_TYPE: &str = "inuse_space";

struct Bench {
    leakscope: PathBuf,
    pprof: PathBuf,
    scratch: PathBuf,
    rows: Vec<Row>,
    /// File, task and whether both programs print the same first rows.
    same: Vec<(String, Task, bool)>,
}

pub(super) fn run(mut args: Args) -> Outcome {
    let root = tree::root();
    let (write, quick) = (args.switch("--write"), args.switch("--quick"));
    let binary = args.value("--binary")?;
    args.finish()?;
    let folder = target_folder(&root).join("bench-profile");
    std::fs::create_dir_all(&folder).map_err(|error| format!("`{}` not creatable: {error}", folder.display()))?;
    let mut bench = Bench {
        leakscope: leakscope_binary(binary)?,
        pprof: pprof()?,
        scratch: folder.join("scratch"),
        rows: Vec::new(),
        same: Vec::new(),
    };
    let mut pairs = vec![files::real(&folder)?];
    for shape in [Shape::Shared, Shape::Random] {
        let sizes: &[u64] = match shape {
            _ if quick => &[5_000, 100_000],
            Shape::Shared => &[5_000, 100_000, 500_000, 5_000_000],
            Shape::Random => &[5_000, 100_000, 500_000],
        };
        for n_samples in sizes {
            pairs.push(files::made(&folder, shape, *n_samples)?);
        }
    }
    for pair in &pairs {
        for task in Task::ALL {
            bench.measure(pair, task)?;
        }
    }
    let goals = goals(&bench.rows);
    print!("{}", bench.text(&goals, Table::plain));
    if write {
        let text = format!("`cargo xtask bench profile --write`\n\n{}", bench.text(&goals, Table::markdown));
        write_page(&root, "profile.md", "What the analysis of a profile costs", &text)?;
    }
    let failed = goals.iter().any(Goal::missed) || bench.same.iter().any(|(_, _, same)| !same);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The program behind `go tool pprof`, so that what the go command does before it is not counted. It is built when it is not there.
fn pprof() -> Result<PathBuf, String> {
    let empty = printed_by("go", &["tool", "-n", "pprof"]).ok_or("`go tool -n pprof` failed; is Go installed?")?;
    let path = PathBuf::from(empty.trim());
    if !path.is_file() {
        printed_by("go", &["tool", "pprof", "-help"]);
    }
    if path.is_file() { Ok(path) } else { Err(format!("expected `go tool -n pprof` to name a file, found `{empty}`")) }
}

impl Bench {
    /// Measures both programs, and compares what they say.
    fn measure(&mut self, pair: &Pair, task: Task) -> Result<(), String> {
        let ours = self.leakscope(pair, task, "text");
        self.push(pair, task, Program::Leakscope, &ours, RUNS)?;
        let pprof_max = if task == Task::Top { PPROF_TOP_SAMPLES_MAX } else { PPROF_DIFF_SAMPLES_MAX };
        if pair.n_samples > pprof_max {
            return Ok(());
        }
        let pprof = self.pprof(pair, task, &[]);
        let n_runs = if pair.n_samples >= PPROF_ONCE_SAMPLES { 1 } else { RUNS };
        self.push(pair, task, Program::Pprof, &pprof, n_runs)?;
        // Otherwise it drops functions with less than half a percent of the whole.
        let whole = self.pprof(pair, task, &["-nodefraction=0"]);
        let (_, printed) = measure::median(&whole, &self.scratch, 1)?;
        let (_, answer) = measure::median(&self.leakscope(pair, task, "json"), &self.scratch, 1)?;
        let answer: Value =
            serde_json::from_str(&answer).map_err(|error| format!("leakscope's JSON of {}: {error}", pair.name))?;
        let ours = top::of_leakscope(&answer, SAMPLE_TYPE).unwrap_or_default();
        let theirs = top::of_pprof(&printed);
        let same = top::same(&ours, &theirs);
        if !same {
            let first = |rows: &[top::TopRow]| rows.iter().take(top::N_ROWS).cloned().collect::<Vec<_>>();
            eprintln!("NOT the same: {:?} and {:?}", first(&ours), first(&theirs));
        }
        self.same.push((pair.name.clone(), task, same));
        Ok(())
    }

    /// Measures one program.
    fn push(
        &mut self,
        pair: &Pair,
        task: Task,
        program: Program,
        command: &Command,
        n_runs: usize,
    ) -> Result<(), String> {
        let (cost, _) = measure::median(command, &self.scratch, n_runs)?;
        let file_bytes = pair.later.metadata().map_or(0, |file| file.len());
        let load = load_average().split(' ').next().unwrap_or_default().to_owned();
        self.rows.push(Row { pair: pair.clone(), file_bytes, task, program, cost, load });
        if let Some(row) = self.rows.last() {
            eprintln!("{}", row.cells(&self.rows).join("  "));
        }
        Ok(())
    }

    fn leakscope(&self, pair: &Pair, task: Task, format: &str) -> Command {
        let mut command = Command::new(&self.leakscope);
        match task {
            Task::Top => command.arg("analyze"),
            Task::Diff => command.arg("diff").arg(&pair.base),
        };
        command.arg(&pair.later).args(["--format", format]);
        command
    }

    fn pprof(&self, pair: &Pair, task: Task, more: &[&str]) -> Command {
        let mut command = Command::new(&self.pprof);
        command.args(more);
        command.args(["-top", "-symbolize=none", "-unit=bytes"]);
        command.arg(format!("-sample_index={SAMPLE_TYPE}")).arg(format!("-nodecount={}", top::N_ROWS));
        if task == Task::Diff {
            command.arg(format!("-diff_base={}", pair.base.display()));
        }
        command.arg(&pair.later);
        command
    }

    fn text(&self, goals: &[Goal], set: fn(&Table) -> String) -> String {
        let mut of_goals = Table::with_heads(&Goal::HEADS);
        for goal in goals {
            of_goals.push(goal.row());
        }
        let mut costs = Table::with_heads(&Row::HEADS);
        for row in &self.rows {
            costs.push(row.cells(&self.rows));
        }
        let differing: Vec<String> =
            self.same.iter().filter(|(_, _, same)| !same).map(|(name, task, _)| format!("{name} {task:?}")).collect();
        let same = match differing.as_slice() {
            [] => format!("In all {} comparisons", self.same.len()),
            differing => format!(
                "NOT in {}; in the other {} comparisons",
                differing.join(", "),
                self.same.len() - differing.len()
            ),
        };
        [
            set(&of_goals),
            set(&costs),
            format!(
                "{same} both print the same first {} functions with the same flat and cumulative bytes.\n{}",
                top::N_ROWS,
                self.about()
            ),
        ]
        .join("\n")
    }

    fn about(&self) -> String {
        format!(
            "`r`: walks through a graph of 4,000 functions, 20 to 40 frames; `s`: 1,000 functions by chance, 40 to 80 frames; gzipped profile.proto with two sample types, from a seed. `real`: allocations of `go test encoding/json`, a sample every 512 bytes. Top: `leakscope analyze FILE` and `pprof -top -symbolize=none FILE`; diff: `leakscope diff A B` and `pprof -top -diff_base`, the program that `go tool -n pprof` names. Medians of {RUNS} runs, pprof on {PPROF_ONCE_SAMPLES} samples and more one run; files in the page cache. CPU is user and system time of all threads, memory the peak of the resident set, mapped files and the program included. pprof also makes the graph of calls, for all it prints; leakscope all sample types and its suspects.\n{}, {}. Measured on {}.\n",
            version_of(&self.leakscope),
            printed_by("go", &["version"]).unwrap_or_default().trim(),
            machine()
        )
    }
}

fn version_of(leakscope: &Path) -> String {
    let printed = printed_by(&leakscope.to_string_lossy(), &["--version"]).unwrap_or_default();
    printed.lines().next().unwrap_or("leakscope").to_owned()
}
