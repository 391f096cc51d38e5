//! `leakscope diff` where a profile is among the captures: what grew, and which function made it.

use std::path::{Path, PathBuf};

use leakscope_heap::profile::{self as profiles, DiffError, Joined, Profile};
use leakscope_heap::{Format as Captured, analyse};

use super::{Args, TOP, TOP_SUSPECTS, TOP_SUSPECTS_ALL};
use crate::cmd::analyze::{no_profile, unreadable};
use crate::exit::{Exit, Failure};
use crate::heap::{self, Bytes, Format, Input, Sink, Steps};
use crate::output;
use crate::profile::{self, Compared, Export, Extent, Opened, Options, Ranked, Shown};

/// `captures`: the bytes of each of `files`, read as they are asked for.
pub(super) fn run(
    args: &Args,
    files: &[PathBuf],
    captures: impl Iterator<Item = Result<Input, Failure>>,
    steps: &Steps,
) -> Result<Exit, Failure> {
    let options = &args.profile;
    check_requests(&args.requests, files.len())?;
    let n_files = files.len();
    let mut read = Vec::with_capacity(n_files);
    let mut warnings = Vec::new();
    for (index, (file, input)) in files.iter().zip(captures).enumerate() {
        let Input { bytes, warning } = input?;
        steps.begin(&format!("capture {} of {n_files}", index + 1));
        warnings.extend(warning);
        read.push(capture(file, &bytes, options)?);
    }
    steps.begin("comparing");
    let compared = args.compare(files, read)?;
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
            sink.write(&profile::answers_text(&report.answers, compared.growth.total, difference.unit()))
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
        Extent {
            suspects: if is_text { TOP_SUSPECTS_ALL } else { self.top.unwrap_or(TOP_SUSPECTS_ALL) },
            functions: if is_text { 0 } else { self.top.unwrap_or(usize::MAX) },
            calls: self.top.unwrap_or(if is_text { TOP } else { usize::MAX }),
        }
    }

    fn compare(&self, files: &[PathBuf], captures: Vec<Profile>) -> Result<Compared, Failure> {
        let options = &self.profile;
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let (Some(first), Some(last)) = (captures.first(), captures.last()) else {
            return Err(incomparable(files, &DiffError::TooFew { found: captures.len() }));
        };
        let needs_samples = options.asks() || options.export.is_some() || options.flame.is_some();
        let joined = if needs_samples { Joined::merged(first, last) } else { Joined::new(first, last) };
        if joined.outline().sample_types().is_empty() {
            // Which of them does not fit, and why, is for the comparison to say.
            let parts: Vec<&Profile> = captures.iter().collect();
            let why = profiles::diff(&parts, &options.context(&[])).err().map(|error| incomparable(files, &error));
            return Err(why.unwrap_or_else(|| Failure::usage("the first and the last capture count nothing in common")));
        }
        let column = profile::column(joined.outline(), options, &names.join(", "))?;
        let growth = self.growth(&joined, column);
        let difference = Opened::difference(joined.into_profile(), column);
        Ok(Compared { names, captures, difference, growth })
    }

    fn growth(&self, joined: &Joined<'_>, column: usize) -> Ranked {
        let (granularity, order) = (self.profile.by().granularity(), self.profile.order());
        let mut rows = joined.top(granularity);
        let mut inlined = Vec::new();
        if self.answer.format == Format::Text {
            profiles::rank(&mut rows, column, order);
            inlined = joined.inlined(granularity, column);
        } else {
            profiles::sort(&mut rows, column, order);
        }
        Ranked { rows, inlined, total: joined.totals()[column] }
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
