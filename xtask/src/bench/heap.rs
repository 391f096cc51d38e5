//! `cargo xtask bench heap`: what an analysis of a heap capture costs, leakscope beside its peers, each goal beside its figure. The
//! captures come from real processes and are kept in target/bench-heap, the peers in target/peers.

mod files;
mod peer;
mod row;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use self::files::{Files, Size};
use self::peer::{Peer, Task};
use self::row::{Contender, DiffRow, Format, Input, Row, Says, contender_name, goals};
use super::goal::Goal;
use super::measure;
use super::table::{Table, load_average, machine, write_page};
use crate::args::Args;
use crate::process::{leakscope_binary, printed_by, target_folder};
use crate::{Outcome, tree};

/// Runs of each program on files that are not large; of large ones it is one.
const RUNS: usize = 3;

/// A redacted copy of ours as a program reads it.
struct RedactedCopy {
    of: Input,
    reader: Contender,
    /// Whether nodes, bytes and classes are those of the original.
    same: bool,
}

struct Bench {
    binary: PathBuf,
    peers: Vec<Peer>,
    peers_folder: PathBuf,
    files: Files,
    /// Where output and copies go.
    scratch: PathBuf,
    n_runs: Option<usize>,
    rows: Vec<Row>,
    /// Redacted copies, as they were read again.
    copies: Vec<RedactedCopy>,
    /// What could not be installed or failed, a sentence each.
    left_out: Vec<String>,
}

pub(super) fn run(mut args: Args) -> Outcome {
    let root = tree::root();
    let (write, quick) = (args.switch("--write"), args.switch("--quick"));
    let sizes = sizes(args.value("--sizes")?.as_deref(), quick)?;
    let peers = peers(args.value("--peers")?.as_deref())?;
    let n_runs = args.counts("--runs", &[])?.first().copied().or(quick.then_some(1));
    let binary = args.value("--binary")?;
    args.finish()?;
    let target = target_folder(&root);
    let scratch = target.join("bench-heap");
    let mut bench = Bench {
        binary: leakscope_binary(binary)?,
        peers: Vec::new(),
        peers_folder: target.join("peers"),
        files: Files::in_folder(scratch.clone()),
        scratch: scratch.join("scratch"),
        n_runs,
        rows: Vec::new(),
        copies: Vec::new(),
        left_out: Vec::new(),
    };
    bench.install(&peers);
    for size in &sizes {
        bench.measure_v8(*size)?;
        bench.measure_hprof(*size)?;
    }
    let mut diff = None;
    if sizes.contains(&Size::Medium) {
        match bench.measure_diff() {
            Ok(row) => diff = Some(row),
            Err(reason) => bench.leave_out(&format!("FAILED: {reason}")),
        }
    }
    let goals = goals(&bench.rows, diff.as_ref());
    let report = Report { bench: &bench, diff: diff.as_ref(), goals: &goals };
    print!("{}", report.text(Table::plain));
    if write {
        let text = format!("`cargo xtask bench heap --write`\n\n{}", report.text(Table::markdown));
        write_page(&root, "heap.md", "What the analysis of a heap capture costs", &text)?;
    }
    let failed =
        goals.iter().any(Goal::missed) || !bench.left_out.is_empty() || bench.copies.iter().any(|copy| !copy.same);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn sizes(given: Option<&str>, quick: bool) -> Result<Vec<Size>, String> {
    match given {
        Some(text) => text.split(',').map(Size::named).collect(),
        None if quick => Ok(vec![Size::Small]),
        None => Ok(Size::ALL.to_vec()),
    }
}

fn peers(given: Option<&str>) -> Result<Vec<Peer>, String> {
    let Some(text) = given else { return Ok(Peer::ALL.to_vec()) };
    text.split(',').filter(|name| !name.is_empty()).map(Peer::named).collect()
}

impl Bench {
    /// Installs the peers that are wanted; those that cannot be are left out, and it is said which and why.
    fn install(&mut self, wanted: &[Peer]) {
        for peer in wanted {
            match peer.install(&self.peers_folder) {
                Ok(()) => self.peers.push(*peer),
                Err(reason) => self.leave_out(&format!("{} NOT INSTALLABLE: {reason}", peer.described())),
            }
        }
    }

    fn leave_out(&mut self, reason: &str) {
        eprintln!("LEFT OUT: {reason}");
        // The page is read elsewhere: folders of this machine mean nothing there.
        let folders = [self.scratch.parent(), Some(&self.peers_folder), self.binary.parent()];
        let mut reason = reason.to_owned();
        for folder in folders.into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty()) {
            reason = reason.replace(&format!("{}/", folder.display()), "");
        }
        let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        self.left_out.push(line.chars().take(400).collect());
    }

    fn measure_v8(&mut self, size: Size) -> Result<(), String> {
        let file = self.files.v8(size)?;
        let peers: Vec<Contender> = self.peers.iter().filter(|peer| peer.reads_v8()).copied().map(Some).collect();
        for contender in std::iter::once(None).chain(peers) {
            self.measure(Format::V8, &file, Task::Analyze, contender, size)?;
        }
        self.measure(Format::V8, &file, Task::Redact, None, size)
    }

    fn measure_hprof(&mut self, size: Size) -> Result<(), String> {
        let Some(file) = self.files.hprof(size)? else { return Ok(()) };
        let peers: Vec<Contender> = self.peers.iter().filter(|peer| !peer.reads_v8()).copied().map(Some).collect();
        for task in [Task::Histogram, Task::Analyze, Task::Redact] {
            // A redaction at 24 MB/s says nothing more of a large file.
            let peers = if size == Size::Large && task == Task::Redact { &[] } else { peers.as_slice() };
            for contender in std::iter::once(None).chain(peers.iter().copied()) {
                self.measure(Format::Hprof, &file, task, contender, size)?;
            }
        }
        Ok(())
    }

    /// Measures one, unless it does not do that. What fails is said and left out.
    fn measure(&mut self, format: Format, file: &Path, task: Task, who: Contender, size: Size) -> Result<(), String> {
        let ending = file.extension().unwrap_or_default().to_string_lossy();
        let out = self.scratch.join(format!("{}-copy.{ending}", contender_name(who)));
        let command = match who {
            None => Some(self.ours(task, file, &out)),
            Some(peer) => peer.command(&self.peers_folder, task, file, &out),
        };
        let Some(command) = command else { return Ok(()) };
        let n_bytes = file.metadata().map_err(|error| format!("`{}` not readable: {error}", file.display()))?.len();
        let n_runs = self.n_runs.unwrap_or(if size == Size::Large { 1 } else { RUNS });
        match measure::cheapest(&command, &self.scratch, n_runs) {
            Err(reason) => self.leave_out(&format!("FAILED: {reason}")),
            Ok((cost, printed)) => {
                let load = load_average().split(' ').next().unwrap_or_default().to_owned();
                let input = Input { format, n_bytes };
                let row = Row { input, task, contender: who, cost, says: Says::read(&printed), load };
                eprintln!("{}", row.cells().join("  "));
                self.rows.push(row);
                if task == Task::Redact && who.is_none() && size != Size::Large {
                    self.read_copy(input, &out);
                }
            }
        }
        // Copies are as large as what they were made of.
        let _ = std::fs::remove_file(&out);
        Ok(())
    }

    /// Has everyone who read the original and told its totals read the redacted copy.
    fn read_copy(&mut self, of: Input, copy: &Path) {
        let told = |row: &&Row| row.input == of && row.task == Task::Analyze && row.says != Says::default();
        let originals: Vec<(Contender, Says)> =
            self.rows.iter().filter(told).map(|row| (row.contender, row.says.clone())).collect();
        for (reader, original) in originals {
            let command = match reader {
                None => Some(self.ours(Task::Analyze, copy, copy)),
                Some(peer) => peer.command(&self.peers_folder, Task::Analyze, copy, copy),
            };
            let Some(command) = command else { continue };
            match measure::cheapest(&command, &self.scratch, 1) {
                Ok((_, printed)) => {
                    self.copies.push(RedactedCopy { of, reader, same: Says::read(&printed) == original });
                }
                Err(reason) => self.leave_out(&format!("FAILED on a redacted copy: {reason}")),
            }
        }
    }

    fn ours(&self, task: Task, file: &Path, out: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        match task {
            Task::Analyze => command.arg("analyze").arg(file).args(["--format", "json"]),
            Task::Histogram => command.arg("analyze").arg(file).args(["--histogram", "--format", "json"]),
            Task::Redact => command.args(["redact", "--force"]).arg(file).arg("-o").arg(out),
        };
        command
    }

    fn measure_diff(&self) -> Result<DiffRow, String> {
        let files = self.files.v8_series()?;
        let n_runs = self.n_runs.unwrap_or(RUNS);
        let mut parses_cpu_s = 0.0;
        for file in &files {
            let command = self.ours(Task::Analyze, file, &self.scratch);
            parses_cpu_s += measure::cheapest(&command, &self.scratch, n_runs)?.0.cpu_s;
        }
        let mut command = Command::new(&self.binary);
        command.arg("diff").args(&files).args(["--format", "json"]);
        let (cost, _) = measure::cheapest(&command, &self.scratch, n_runs)?;
        Ok(DiffRow { cost, parses_cpu_s })
    }
}

struct Report<'a> {
    bench: &'a Bench,
    diff: Option<&'a DiffRow>,
    goals: &'a [Goal],
}

impl Report<'_> {
    fn text(&self, set: fn(&Table) -> String) -> String {
        let mut goals = Table::with_heads(&Goal::HEADS);
        for goal in self.goals {
            goals.push(goal.row());
        }
        let mut costs = Table::with_heads(&Row::HEADS);
        for row in &self.bench.rows {
            costs.push(row.cells());
        }
        let mut parts = vec![set(&goals), set(&costs)];
        parts.extend(self.diff.map(diff_line));
        parts.push(set(&self.says()));
        parts.push(set(&self.copies()));
        parts.push(self.about());
        parts.join("\n")
    }

    /// What each said of the same file, so that nobody is fast at the wrong answer.
    fn says(&self) -> Table {
        let heads = ["file", "program", "nodes", "bytes of all nodes", "classes", "classes as DevTools has them"];
        let mut table = Table::with_heads(&heads);
        let rows = || self.bench.rows.iter().filter(|row| row.task == Task::Analyze && row.says != Says::default());
        let shown = |figure: Option<u64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
        for row in rows() {
            let devtools = rows().find(|other| other.input == row.input && other.contender == Some(Peer::DevTools));
            let compared = devtools.filter(|_| !row.says.classes.is_empty());
            table.push(vec![
                row.input.shown(),
                contender_name(row.contender).to_owned(),
                shown(row.says.n_nodes),
                shown(row.says.total_bytes),
                shown(row.says.n_classes),
                shown(compared.map(|devtools| row.says.n_classes_equal(&devtools.says) as u64)),
            ]);
        }
        table
    }

    fn copies(&self) -> Table {
        let mut table = Table::with_heads(&["redacted copy of", "read by", "nodes, bytes and classes"]);
        for copy in &self.bench.copies {
            let same = if copy.same { "the same" } else { "NOT the same" };
            table.push(vec![copy.of.shown(), contender_name(copy.reader).to_owned(), same.to_owned()]);
        }
        table
    }

    fn about(&self) -> String {
        let peers: Vec<String> = self.bench.peers.iter().map(|peer| peer.described()).collect();
        let runs = match self.bench.n_runs {
            Some(n_runs) => format!("Least of {n_runs} runs"),
            None => format!("Least of {RUNS} runs, of files over 1 GB one run"),
        };
        let left_out: Vec<String> = self.bench.left_out.iter().map(|line| format!("LEFT OUT: {line}\n")).collect();
        format!(
            "Beside: {}.\n{}{runs}; files in the page cache. CPU is user and system time of all threads. Anonymous memory is the peak of what is no page of a file, looked at every 4 ms. Peers are asked for the same: graph, dominators, retained sizes, classes (v8-heap-parser and memlab look for no suspects; DevTools runs with its second worker; hprof-analyzer writes its JSON report). `scan` adds up the numbers of the file on one thread and is the floor. hprof-analyzer leaves out what nothing reaches and counts of a class object what MAT counts; ours counts it as `jcmd GC.class_histogram` does. Captures: xtask/src/bench/heap/programs/shop.js by Node.js {} and Shop.java by Java {}.\nMeasured on {}.\n",
            peers.join(", "),
            left_out.concat(),
            version_of("node"),
            version_of("java"),
            machine()
        )
    }
}

/// The first line of `--version`.
fn version_of(program: &str) -> String {
    let printed = printed_by(program, &["--version"]).unwrap_or_default();
    printed.lines().next().unwrap_or("unknown").trim_start_matches("openjdk ").to_owned()
}

fn diff_line(diff: &DiffRow) -> String {
    format!(
        "`leakscope diff` of three snapshots of one process ({} sessions): {:.2} s CPU, {:.2} s wall, {:.0} MB anonymous; the three analyses alone {:.2} s CPU.\n",
        files::V8_SERIES.map(|n_sessions| n_sessions.to_string()).join(", "),
        diff.cost.cpu_s,
        diff.cost.wall_s,
        diff.cost.anonymous_bytes as f64 / 1e6,
        diff.parses_cpu_s
    )
}
