//! `leakscope diff`: what grew over two or more captures of one service.

mod profile;

use std::path::PathBuf;

use leakscope_heap::{Diff, DiffError, Format as Captured};

use super::analyze::{read, unreadable};
use crate::exit::{self, Exit, Failure};
use crate::heap::{self, Answer, Bytes, Format, Input, Sink, Steps};
use crate::output;
use crate::profile::Options;

const EXAMPLES: &str = "\
Examples:
  leakscope diff early.heapsnapshot late.heapsnapshot
  leakscope diff 1.hprof.gz 2.hprof.gz 3.hprof.gz --format html -o growth.html
  leakscope diff 1.pb.gz 2.pb.gz 3.pb.gz --requests 1000,5000,9000
  leakscope diff 1.pb.gz 3.pb.gz --export growth.pb.gz --flame growth.svg
  leakscope diff histogram.txt later.hprof
  leakscope diff before.heapsnapshot after.heapsnapshot --fail-on-leak";

const LONG_ABOUT: &str = "\
Says what grew from capture to capture of one service, who holds or made it, and where.

Object graphs of one process compare by the identity of each object where it has one (V8), else by who holds what (JVM). Profiles compare \
by stack: growth counts beyond the error of sampling, over time or requests where these are known, and is told of the function of \
your own that keeps what grows. A histogram and a later dump compare by type. \
Take the first after the warm-up and the others under the same load, some minutes apart: with three, a suspect must have grown twice.";

/// Types in a table where `--top` does not say, and suspects on the first screen and of the other forms.
const TOP: usize = 15;
const TOP_SUSPECTS: usize = 5;
const TOP_SUSPECTS_ALL: usize = 20;

/// Says what grew over several heap captures or profiles, and who holds or made it
#[derive(Debug, clap::Args)]
#[command(long_about = LONG_ABOUT, after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The first capture
    #[arg(value_name = "BASE")]
    base: PathBuf,

    /// Later ones, oldest first
    #[arg(value_name = "LATER", required = true)]
    later: Vec<PathBuf>,

    /// Rows of the table of types or functions: 15 by default, all of JSON; suspects of JSON and HTML: 20 by default
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    #[command(flatten)]
    answer: Answer,

    #[command(flatten)]
    profile: Options,

    /// Requests served until each capture, with commas between: growth is told by request too
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', help_heading = "Profiles alone")]
    requests: Vec<u64>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let files: Vec<PathBuf> = std::iter::once(&args.base).chain(&args.later).cloned().collect();
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    args.answer.check(args.profile.asks())?;
    args.profile.check()?;
    let steps = Steps::new();
    let mut captures: Vec<Input> = Vec::with_capacity(files.len());
    let mut unread = files.iter();
    // What is no capture at all is left to the reader that says so.
    let is_profile = |input: &Input| Captured::of(&input.bytes).is_ok_and(|format| !format.is_graph());
    while !captures.last().is_some_and(is_profile)
        && let Some(file) = unread.next()
    {
        captures.push(read(file, &steps)?);
    }
    if captures.last().is_some_and(is_profile) {
        // Those that are still to come are read one by one, so that the bytes of one at a time are kept.
        let captures = captures.into_iter().map(Ok).chain(unread.map(|file| read(file, &steps)));
        return profile::run(args, &files, captures, &steps);
    }
    let mut warnings = Vec::new();
    let captures: Vec<Bytes> = captures
        .into_iter()
        .map(|input| {
            warnings.extend(input.warning);
            input.bytes
        })
        .collect();
    if let Some(format) = captures.first().and_then(|bytes| Captured::of(bytes).ok()) {
        args.profile.refuse_graph(&names[0], format.name())?;
        if !args.requests.is_empty() {
            return Err(Failure::usage("expected profiles with `--requests`, found object graphs alone"));
        }
    }
    graphs(args, &files, &names, &captures, warnings, &steps)
}

fn graphs(
    args: &Args,
    files: &[PathBuf],
    names: &[String],
    captures: &[Bytes],
    warnings: Vec<String>,
    steps: &Steps,
) -> Result<Exit, Failure> {
    let bytes: Vec<&[u8]> = captures.iter().map(|bytes| &**bytes).collect();
    let n_files = files.len();
    let diff = leakscope_heap::diff(&bytes, &|index, phase| {
        steps.begin(&format!("capture {} of {n_files}: {phase}", index + 1));
    });
    let diff = diff.map_err(|error| incomparable(files, error))?;
    steps.end();
    let n_suspects = args.top.unwrap_or(TOP_SUSPECTS_ALL);
    let mut report = heap::diff_report(&diff, names, n_suspects, warnings);
    output::warnings(&report.warnings);
    let leaks = heap::has_leak(&report.suspects);
    print(args, &diff, &mut report)?;
    Ok(if args.answer.fail_on_leak && leaks { Exit::Leak } else { Exit::Done })
}

fn incomparable(files: &[PathBuf], error: DiffError) -> Failure {
    let file = |index: usize| files.get(index).cloned().unwrap_or_default();
    match error {
        DiffError::Unreadable { index, source } => unreadable(&file(index), &source),
        DiffError::Mixed { index, .. } => Failure::usage(format!("`{}`: {error}", file(index).display())),
        DiffError::TooFew { .. } => Failure::usage(error.to_string()),
    }
}

fn print(args: &Args, diff: &Diff<'_>, report: &mut leakscope_wire::HeapDiff) -> Result<(), Failure> {
    let sink = Sink(args.answer.output.clone());
    match args.answer.format {
        Format::Json => {
            report.classes.truncate(args.top.unwrap_or(usize::MAX));
            sink.write_json(report)
        }
        Format::Html => sink.write(&heap::diff_html(&diff.last, report)),
        Format::Text => {
            report.suspects.truncate(TOP_SUSPECTS);
            sink.write(&heap::diff_text(report, args.top.unwrap_or(TOP)))
        }
    }
}
