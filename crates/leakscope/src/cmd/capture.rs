//! `leakscope capture`: evidence taken by hand, of a target of a running daemon or of a process of this host.

use std::fs;
use std::io::{self, BufRead as _, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use leakscope_daemon::LocalProcess;
use leakscope_model::{Bytes, CaptureKind, Cost, Means, Survey, Weight};
use leakscope_wire::{CaptureCost, CaptureRequest};
use tokio::time::sleep;

use crate::exit::{self, Exit, Failure};
use crate::heap::open_private;
use crate::heap::words::clean;
use crate::output;
use crate::remote::{Remote, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  leakscope capture --pid 4711
  leakscope capture --pid 4711 --kind jvm-histogram -o before.txt --yes
  leakscope targets --format json | jq -r '.targets[].id'
  leakscope capture 5f0c2d1e9a7b3c48 --yes";

const LONG_ABOUT: &str = "\
Takes evidence now, after it has shown what that is expected to cost and was told to go on.

Of a target of a running daemon the daemon takes it: the file is kept there, budgets do not hold, and what is heavy and not allowed or has \
no room is refused. Of a process of this host (`--pid`) no daemon is needed: the file is written here, with its contents.";

/// How often to look what became of a capture.
const POLL: Duration = Duration::from_millis(500);
/// How long the capture of a process may take. Beyond: it is stopped.
const TAKE_TIMEOUT: Duration = Duration::from_mins(15);
/// Bytes that a capture may have. Beyond: it is stopped.
const SIZE_MAX: Bytes = Bytes(64 << 30);

/// Takes evidence of a target or a process by hand, and shows before what it is expected to cost
#[derive(Debug, clap::Args)]
#[command(long_about = LONG_ABOUT, after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The id of a target of a running daemon: 16 hexadecimal digits
    #[arg(value_name = "TARGET", required_unless_present = "pid", conflicts_with = "pid")]
    target: Option<String>,

    /// A process of this host; no daemon is asked
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// What to take; without it the lightest that says most. `process-map` is of any process; Go has `go-heap`, `go-heap-memory`,
    /// `goroutines`, `goroutine-leaks` and `goroutine-dump`, Node.js `v8-sampling` and `v8-snapshot`, a JVM `jvm-old-objects`,
    /// `jvm-histogram` and `jvm-heap-dump`, Python `python-heap`, jemalloc and tcmalloc `native-heap`
    #[arg(long, value_name = "KIND", value_parser = kind_of)]
    kind: Option<CaptureKind>,

    /// Writes what was captured into this file, which only you can read; of a process without it into one named by pid and kind
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Goes on without asking
    #[arg(long)]
    yes: bool,

    /// Takes it although it is not allowed or there seems to be no room; with `--pid` it also opens the inspector of Node.js where that
    /// is closed
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    server: ServerArgs,
}

fn kind_of(name: &str) -> Result<CaptureKind, String> {
    CaptureKind::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = CaptureKind::ALL.into_iter().map(CaptureKind::name).collect();
        format!("expected one of {}", known.join(", "))
    })
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    match (&args.target, args.pid) {
        (Some(target), _) => of_target(args, target).await,
        (None, Some(pid)) => of_process(args, pid).await,
        (None, None) => Err(Failure::usage("expected a target or `--pid`")),
    }
}

async fn of_target(args: &Args, target: &str) -> Result<Exit, Failure> {
    let target = target.parse::<leakscope_model::TargetId>().map_err(|_| {
        Failure::usage(format!("expected a target's id of 16 hexadecimal digits, found `{target}`"))
            .hint("`leakscope targets --format json` shows them")
    })?;
    let target = &target.to_string();
    let mut remote = Remote::new(&args.server)?;
    let kind = args.kind.map(|kind| kind.name().to_owned());
    let evidence = remote.evidence(target).await?;
    let is_wanted = |means: &&leakscope_wire::Means| match &kind {
        Some(kind) => means.kind == *kind,
        None => means.weight == "light" && means.kind != CaptureKind::ProcessMap.name(),
    };
    let question = match evidence.means.iter().find(is_wanted) {
        Some(means) => {
            let leakscope_wire::Means { kind, weight, way, predicted } = means;
            let (kind, way) = (clean(kind), clean(way));
            format!("{kind} of target {target}, by {way}, {weight}; expected to take {}", words(*predicted))
        }
        None => format!("a capture of target {target}: the daemon looks at it first, and refuses what has no room"),
    };
    confirm(&question, args.yes)?;
    let request = CaptureRequest { target: target.to_owned(), kind, force: args.force };
    let mut capture = remote.ask_for_capture(&request).await?;
    output::note(&format!("capture {}: {}, expected to take {}", capture.id, capture.kind, words(capture.predicted)));
    // poll: it is over
    while capture.state == "running" {
        sleep(POLL).await;
        capture = remote.capture(capture.id).await?;
    }
    if capture.state != "stored" {
        return Err(Failure::inconclusive(format!("capture {} was {}: {}", capture.id, capture.state, capture.note)));
    }
    let cost = capture.cost.unwrap_or(capture.predicted);
    output::note(&format!("capture {} took {}", capture.id, words(cost)));
    if let Some(path) = &args.output {
        let mut file = open_private(path).map_err(|error| unwritable(path, &error))?;
        remote.download(&format!("/api/v1/captures/{}/file", capture.id), &mut file).await?;
        file.flush().map_err(|error| unwritable(path, &error))?;
    }
    output::data(&format!("{}\n", capture.id))?;
    Ok(Exit::Done)
}

async fn of_process(args: &Args, pid: u32) -> Result<Exit, Failure> {
    let process = LocalProcess::new(pid, args.force).map_err(Failure::usage)?;
    let survey = process.survey().await;
    let means = chosen(&survey, args.kind)?;
    let kind = means.kind;
    if let Some(available) = survey.room.host_available.filter(|available| means.hint.memory > *available)
        && !args.force
    {
        let message = format!("{} would take {} of memory, found {available} free", kind.name(), means.hint.memory);
        return Err(Failure::inconclusive(message).hint("`--force` takes it all the same"));
    }
    confirm(&format!("{} of process {pid}, by {}, {}", kind.name(), means.way, expected(means)), args.yes)?;
    let path = args.output.clone().unwrap_or_else(|| format!("{pid}-{}.{}", kind.name(), kind.extension()).into());
    let mut file = BufWriter::new(open_private(&path).map_err(|error| unwritable(&path, &error))?);
    let taken = tokio::select! {
        taken = process.take(kind, &mut file, SIZE_MAX, TAKE_TIMEOUT) => taken,
        // What was opened in the process is closed when the capture is dropped.
        _ = tokio::signal::ctrl_c() => Err("stopped".to_owned()),
    };
    let taken = taken.and_then(|taken| file.flush().map(|()| taken).map_err(|error| error.to_string()));
    let taken = taken.map_err(|reason| {
        // Half a capture would be taken for one.
        let _ = fs::remove_file(&path);
        Failure::inconclusive(format!("{} of process {pid} was not taken: {reason}", kind.name()))
    })?;
    output::note(&format!("it took {}", words(wire_cost(taken.cost))));
    if taken.armed {
        output::note("it only began to record: take two more, some minutes apart, and compare those");
    }
    output::data(&format!("{}\n", path.display()))?;
    Ok(Exit::Done)
}

/// The way to the kind that is wanted, or to the lightest that says most.
fn chosen(survey: &Survey, wanted: Option<CaptureKind>) -> Result<&Means, Failure> {
    let light = |means: &&Means| means.kind.weight() == Weight::Light;
    let says_more = |means: &&Means| means.kind != CaptureKind::ProcessMap;
    let found = if let Some(kind) = wanted {
        survey.means.iter().find(|means| means.kind == kind)
    } else {
        survey.means.iter().filter(light).find(says_more).or_else(|| survey.means.iter().find(light))
    };
    found.ok_or_else(|| {
        let lacking = survey.lacking.iter().find(|lacking| wanted.is_none_or(|kind| lacking.kind == kind));
        let given: Vec<&str> = survey.means.iter().map(|means| means.kind.name()).collect();
        let given = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
        let failure = |reason: String| Failure::inconclusive(format!("{reason}; the process gives {given}"));
        if let Some(lacking) = lacking {
            return failure(format!("{}: {}", lacking.kind.name(), lacking.reason)).hint(&lacking.remedy);
        }
        failure("what is wanted is not to be had of this process".to_owned())
    })
}

fn expected(means: &Means) -> String {
    let weight = match means.kind.weight() {
        Weight::Light => "light",
        Weight::Heavy => "heavy: it stops the process or multiplies its memory",
    };
    if means.hint == Cost::default() {
        return format!("{weight}; its cost is not known before");
    }
    format!("{weight}; expected to take {}", words(wire_cost(means.hint)))
}

fn wire_cost(cost: Cost) -> CaptureCost {
    CaptureCost::from(cost)
}

fn words(cost: CaptureCost) -> String {
    let CaptureCost { duration_s, pause_s, memory_bytes, size_bytes } = cost;
    format!(
        "{duration_s:.1} s, with a pause of {pause_s:.3} s, {} of memory and {} on the disk",
        Bytes(memory_bytes),
        Bytes(size_bytes)
    )
}

/// Asks on a terminal; elsewhere only `--yes` goes on.
fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    output::note(question);
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(
            Failure::usage("nobody can be asked: standard input is no terminal").hint("`--yes` goes on without asking")
        );
    }
    output::note("take it? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    let agreed = read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
    if agreed { Ok(()) } else { Err(Failure::inconclusive("not taken, as nobody agreed")) }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("`{}` cannot be written: {error}", path.display()))
}
