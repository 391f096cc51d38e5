//! `leakscope diff` where a profile is among the captures: what grew, and which function made it.

use std::path::{Path, PathBuf};

use leakscope_heap::profile::{self as profiles, DiffError, Profile};
use leakscope_heap::{Format as Captured, analyse};

use super::{Args, TOP, TOP_SUSPECTS, TOP_SUSPECTS_ALL};
use crate::cmd::analyze::{no_profile, unreadable};
use crate::exit::{Exit, Failure};
use crate::heap::{self, Bytes, Format, Sink, Steps};
use crate::output;
use crate::profile::{self, Compared, Export, Extent, Opened, Options, Shown};

/// `warnings`: of reading the files.
pub(super) fn run(
    args: &Args,
    files: &[PathBuf],
    captures: Vec<Bytes>,
    warnings: Vec<String>,
    steps: &Steps,
) -> Result<Exit, Failure> {
    let options = &args.profile;
    check_requests(&args.requests, files.len())?;
    let n_files = files.len();
    let mut read = Vec::with_capacity(n_files);
    for (index, (file, bytes)) in files.iter().zip(captures).enumerate() {
        steps.begin(&format!("capture {} of {n_files}", index + 1));
        read.push(capture(file, &bytes, options)?);
    }
    steps.begin("comparing");
    let compared = compare(files, read, options)?;
    let parts: Vec<&Profile> = compared.captures.iter().collect();
    let diff = profiles::diff(&parts, &options.context(&args.requests)).map_err(|error| incomparable(files, &error))?;
    let report = profile::diff_report(&compared, &diff, options, args.profile_extent(), warnings);
    write_files(options, &compared)?;
    steps.end();
    output::warnings(&report.warnings);
    let sink = Sink(args.answer.output.clone());
    let difference = &compared.difference;
    match args.answer.format {
        Format::Json => sink.write_json(&report),
        Format::Html => sink.write(&profile::diff_html(&compared, options, &report)),
        Format::Text if options.asks() => {
            let total = profiles::totals(&difference.whole)[difference.column];
            sink.write(&profile::answers_text(&report.answers, total, difference.unit()))
        }
        Format::Text => {
            let shown = Shown { suspects: TOP_SUSPECTS, rows: args.top.unwrap_or(TOP) };
            sink.write(&profile::diff_text(&compared, &report, options, shown))
        }
    }?;
    Ok(if args.answer.fail_on_leak && heap::has_leak(&report.suspects) { Exit::Leak } else { Exit::Done })
}

impl Args {
    fn profile_extent(&self) -> Extent {
        let is_text = self.answer.format == Format::Text;
        let functions = self.top.unwrap_or(if is_text { TOP } else { usize::MAX });
        Extent { suspects: if is_text { TOP_SUSPECTS_ALL } else { self.top.unwrap_or(TOP_SUSPECTS_ALL) }, functions }
    }
}

fn check_requests(requests: &[u64], n_captures: usize) -> Result<(), Failure> {
    if requests.is_empty() || requests.len() == n_captures {
        return Ok(());
    }
    let found = requests.len();
    Err(Failure::usage(format!("expected {n_captures} numbers with `--requests`, one a capture, found {found}")))
}

/// One capture as a profile; of an object graph its objects by type.
fn capture(file: &Path, bytes: &Bytes, options: &Options) -> Result<Profile, Failure> {
    let format = Captured::of(bytes).map_err(|error| unreadable(file, &error))?;
    let whole = if format.is_graph() {
        let heap = analyse(bytes, &|_| ()).map_err(|error| unreadable(file, &error))?;
        profiles::histogram_of(&heap)
    } else {
        profile::open(bytes, options).map_err(|error| no_profile(file, &error))?
    };
    let filter = options.filter();
    Ok(if filter.is_empty() { whole } else { filter.apply(&whole) })
}

fn compare(files: &[PathBuf], captures: Vec<Profile>, options: &Options) -> Result<Compared, Failure> {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let (Some(first), Some(last)) = (captures.first(), captures.last()) else {
        return Err(incomparable(files, &DiffError::TooFew { found: captures.len() }));
    };
    let difference = profiles::difference(first, last);
    if difference.sample_types().is_empty() {
        // Which of them does not fit, and why, is for the comparison to say.
        let parts: Vec<&Profile> = captures.iter().collect();
        let why = profiles::diff(&parts, &options.context(&[])).err().map(|error| incomparable(files, &error));
        return Err(why.unwrap_or_else(|| Failure::usage("the first and the last capture count nothing in common")));
    }
    let difference = Opened::difference(difference, options, &names.join(", "))?;
    Ok(Compared { names, captures, difference })
}

fn write_files(options: &Options, compared: &Compared) -> Result<(), Failure> {
    let Compared { difference, names, .. } = compared;
    let ends = [names.first(), names.last()].map(|name| name.map_or("", String::as_str));
    let title = format!("{} → {}: growth of {}", ends[0], ends[1], difference.kind());
    let export = Export { profile: &difference.whole, column: difference.column, title: &title };
    for path in options.export.iter().chain(&options.flame) {
        profile::export(path, &export, || compared.call_tree())?;
    }
    Ok(())
}

fn incomparable(files: &[PathBuf], error: &DiffError) -> Failure {
    match error {
        DiffError::NoColumn { index, .. } | DiffError::Mixed { index, .. } => {
            let file = files.get(*index).cloned().unwrap_or_default();
            Failure::usage(format!("`{}`: {error}", file.display()))
        }
        DiffError::TooFew { .. } => Failure::usage(error.to_string()),
    }
}
