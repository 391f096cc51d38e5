//! `leakscope analyze`: what one capture says: suspects, and types with who holds what, or functions with what they made.

mod profile;

use std::path::{Path, PathBuf};

use leakscope_heap::{Heap, HeapError};
use leakscope_wire::{HeapAnalysis, HeapHistogram};

use crate::exit::{self, Exit, Failure};
use crate::heap::{self, Answer, Bytes, Extent, Format, Input, Questions, Shown, Sink, Steps};
use crate::output;
use crate::profile::Options;

pub(in crate::cmd) use profile::no_profile;

const EXAMPLES: &str = "\
Examples:
  leakscope analyze heap.heapsnapshot
  leakscope analyze heap.hprof.gz --format html -o heap.html
  leakscope analyze heap.heapsnapshot --class SessionStore
  leakscope analyze heap.heapsnapshot --node @4711 --paths @4711
  leakscope analyze heap.pb.gz --focus checkout --peek 'Cache.*Put'
  leakscope analyze heap.pb.gz --sample-type alloc_space --flame heap.svg
  leakscope analyze heap.hprof --format json | jq '.suspects[0]'
  curl -s localhost:6060/debug/pprof/heap | leakscope analyze -
  kubectl exec shop-0 -- cat /tmp/heap.hprof | leakscope analyze - --fail-on-leak";

const LONG_ABOUT: &str = "\
Says what one capture shows: what looks wrong, and where. Of an object graph also who holds it, which types take the memory, and the \
dominator tree; of a profile which functions made it, flat and cumulative as `go tool pprof -top` has them.

Reads object graphs: V8 heap snapshots (`.heapsnapshot` of Node.js, Chrome, Deno) and HPROF dumps of a JVM (`.hprof`). Reads profiles: \
pprof (Go, jemalloc_pprof, tcmalloc, Pyroscope), its older texts, Go's `goroutine?debug=2`, V8 sampling heap profiles (`.heapprofile`), \
`GC.class_histogram` and recordings of the Flight Recorder of a JVM, jemalloc's `heap_v2`, Python's tracemalloc and memray, collapsed stacks. \
The format is known by the bytes, plain or packed with gzip or zstd. \
One capture shows what is large, not what grows: `leakscope diff` of two or more is surer.";

/// Over the flags that only object graphs have.
const GRAPHS: &str = "Object graphs alone";

/// Rows where `--top` does not say: of people's tables, and of the objects in JSON.
const TOP: usize = 15;
const TOP_OBJECTS: usize = 100;
/// Suspects on the first screen, and of the other forms.
const TOP_SUSPECTS: usize = 3;
const TOP_SUSPECTS_ALL: usize = 10;

/// Says what one heap capture or profile shows, and who holds or made it
#[derive(Debug, clap::Args)]
#[command(long_about = LONG_ABOUT, after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The capture: an object graph or a profile, also `.gz` and `.zst`; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Rows of each table: 15 by default; of JSON all types, all functions and 100 objects
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// Levels of the dominator tree
    #[arg(long, value_name = "N", default_value_t = 12, help_heading = GRAPHS)]
    depth: usize,

    /// Tells of the types with this name and their biggest objects
    #[arg(long, value_name = "NAME", help_heading = GRAPHS)]
    class: Option<String>,

    /// Tells of one object: `@123` (V8), `0x7b` (JVM)
    #[arg(long, value_name = "ID", value_parser = heap::parse_id, help_heading = GRAPHS)]
    node: Option<u64>,

    /// Tells who refers to an object
    #[arg(long, value_name = "ID", value_parser = heap::parse_id, help_heading = GRAPHS)]
    retainers: Option<u64>,

    /// Tells how an object is reached from a root, shortest ways first
    #[arg(long, value_name = "ID", value_parser = heap::parse_id, help_heading = GRAPHS)]
    paths: Option<u64>,

    /// Tells which texts several strings have
    #[arg(long, help_heading = GRAPHS)]
    strings: bool,

    /// Tells which collections have the most entries, and how full they are
    #[arg(long, help_heading = GRAPHS)]
    collections: bool,

    /// Tells types with their counts and own bytes alone; of a JVM's dump, that is faster
    #[arg(long, conflicts_with_all = ["class", "node", "retainers", "paths", "strings", "collections", "dump", "fail_on_leak"], help_heading = GRAPHS)]
    histogram: bool,

    /// Writes `node_id,self_bytes,retained_bytes,dominator_id` of every object into this file
    #[arg(long, value_name = "CSV", help_heading = GRAPHS)]
    dump: Option<PathBuf>,

    #[command(flatten)]
    answer: Answer,

    #[command(flatten)]
    profile: Options,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let asks = args.questions().any() || args.histogram || args.profile.asks();
    args.answer.check(asks)?;
    args.profile.check()?;
    let steps = Steps::new();
    let input = read(&args.file, &steps)?;
    let format = leakscope_heap::Format::of(&input.bytes).map_err(|error| unreadable(&args.file, &error))?;
    if format.is_graph() {
        args.profile.refuse_graph(&args.file.display().to_string(), format.name())?;
        return graph(args, input, &steps);
    }
    args.refuse_profile(format.name())?;
    profile::run(args, input, &steps)
}

fn graph(args: &Args, input: Input, steps: &Steps) -> Result<Exit, Failure> {
    let questions = args.questions();
    let mut warnings: Vec<String> = input.warning.into_iter().collect();
    if args.histogram {
        return histogram(args, &input.bytes, warnings, steps);
    }
    let heap = analyse(&args.file, &input.bytes, steps).inspect_err(|_| output::warnings(&warnings))?;
    if let Some(path) = &args.dump {
        steps.begin("writing every object");
        heap::dump(&heap, path)
            .map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", path.display())))?;
    }
    steps.begin("ranking suspects");
    let answers = heap::ask(&heap, &questions, args.top.unwrap_or(TOP))?;
    let is_brief = args.answer.format == Format::Text && questions.any() && !args.answer.fail_on_leak;
    let extent = if is_brief { Extent::NOTHING } else { args.extent() };
    let analysis = HeapAnalysis { answers, ..heap::analysis(&heap, extent, std::mem::take(&mut warnings)) };
    steps.end();
    output::warnings(&analysis.warnings);
    print(args, &heap, &analysis, questions.any())?;
    Ok(if args.answer.fail_on_leak && heap::has_leak(&analysis.suspects) { Exit::Leak } else { Exit::Done })
}

impl Args {
    fn questions(&self) -> Questions {
        Questions {
            class: self.class.clone(),
            node: self.node,
            retainers: self.retainers,
            paths: self.paths,
            strings: self.strings,
            collections: self.collections,
        }
    }

    /// Refuses a profile where a flag was given that only object graphs know.
    fn refuse_profile(&self, format: &str) -> Result<(), Failure> {
        let given = [
            ("--class", self.class.is_some()),
            ("--node", self.node.is_some()),
            ("--retainers", self.retainers.is_some()),
            ("--paths", self.paths.is_some()),
            ("--strings", self.strings),
            ("--collections", self.collections),
            ("--histogram", self.histogram),
            ("--dump", self.dump.is_some()),
        ];
        let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(()) };
        let file = self.file.display();
        Err(Failure::usage(format!("`{file}`: expected an object graph with `{flag}`, found {format}, a profile"))
            .hint("a profile says what was made where; `--peek` and `--list` tell of one function"))
    }

    fn extent(&self) -> Extent {
        match self.answer.format {
            Format::Text => {
                let top = self.top.unwrap_or(TOP);
                let suspects = if self.answer.fail_on_leak { TOP_SUSPECTS_ALL } else { TOP_SUSPECTS };
                Extent { suspects, classes: top, dominators: 0 }
            }
            Format::Json | Format::Html => Extent {
                suspects: self.top.unwrap_or(TOP_SUSPECTS_ALL),
                classes: self.top.unwrap_or(usize::MAX),
                dominators: self.top.unwrap_or(TOP_OBJECTS),
            },
        }
    }
}

/// The bytes of a capture.
pub(super) fn read(file: &Path, steps: &Steps) -> Result<Input, Failure> {
    steps.begin(&format!("opening `{}`", file.display()));
    heap::read(file).map_err(|error| Failure::usage(error.to_string()))
}

fn analyse<'a>(file: &Path, bytes: &'a Bytes, steps: &Steps) -> Result<Heap<'a>, Failure> {
    leakscope_heap::analyse(bytes, &|phase| steps.begin(&phase.to_string())).map_err(|error| unreadable(file, &error))
}

fn histogram(args: &Args, bytes: &Bytes, warnings: Vec<String>, steps: &Steps) -> Result<Exit, Failure> {
    let classes = leakscope_heap::histogram(bytes, &|phase| steps.begin(&phase.to_string()));
    let classes = classes.map_err(|error| unreadable(&args.file, &error))?;
    let format = leakscope_heap::Format::of(bytes).map_err(|error| unreadable(&args.file, &error))?;
    steps.end();
    output::warnings(&warnings);
    let histogram = HeapHistogram {
        format: format.name().to_owned(),
        file_bytes: bytes.len() as u64,
        total_bytes: classes.iter().map(|class| class.self_bytes).sum(),
        classes: heap::histogram(&classes),
        warnings,
    };
    let sink = Sink(args.answer.output.clone());
    match args.answer.format {
        Format::Json => sink.write_json(&histogram)?,
        Format::Text | Format::Html => {
            let n_shown = histogram.classes.len().min(args.top.unwrap_or(TOP));
            sink.write(&heap::class_table(&histogram.classes[..n_shown], histogram.total_bytes))?;
        }
    }
    Ok(Exit::Done)
}

/// A capture that no reader takes.
pub(super) fn unreadable(file: &Path, error: &HeapError) -> Failure {
    let failure = Failure::usage(format!("`{}`: {error}", file.display()));
    match error {
        HeapError::UnknownFormat { .. } => {
            failure.hint("how to take a capture of each runtime is in docs/profiles.md and docs/heap.md")
        }
        _ => failure,
    }
}

fn print(args: &Args, heap: &Heap<'_>, analysis: &HeapAnalysis, asked: bool) -> Result<(), Failure> {
    let sink = Sink(args.answer.output.clone());
    let name = args.file.display().to_string();
    match args.answer.format {
        Format::Json => sink.write_json(analysis),
        Format::Html => sink.write(&heap::analysis_html(&name, heap, analysis)),
        Format::Text if asked => sink.write(&heap::answers_text(&analysis.answers, &analysis.format)),
        Format::Text => {
            let shown = Shown { depth: args.depth, rows: args.top.unwrap_or(TOP) + TOP, suspects: TOP_SUSPECTS };
            sink.write(&heap::analysis_text(&name, heap, analysis, shown))
        }
    }
}
