//! `leakscope analyze` of a profile: suspects, and which functions made how much.

use std::path::Path;

use leakscope_heap::profile::call_tree;
use leakscope_wire::ProfileAnalysis;

use super::{Args, TOP, TOP_SUSPECTS, TOP_SUSPECTS_ALL, unreadable};
use crate::exit::{Exit, Failure};
use crate::heap::{self, Format, Input, Sink, Steps};
use crate::output;
use crate::profile::{self, Export, Extent, OpenError, Opened, Shown};

/// Functions with callers and callees in JSON where `--top` does not say.
const TOP_CALLS: usize = usize::MAX;

pub(super) fn run(args: &Args, input: Input, steps: &Steps) -> Result<Exit, Failure> {
    let options = &args.profile;
    let name = args.file.display().to_string();
    steps.begin("reading samples");
    let Input { bytes, warning } = input;
    // What is cut off may well be why it cannot be read.
    let say_first = |_: &OpenError| warning.iter().for_each(|warning| output::warning(warning));
    let whole = profile::open(&bytes, options).inspect_err(say_first);
    let whole = whole.map_err(|error| no_profile(&args.file, &error))?;
    // The profile has all of it, and is as large.
    drop(bytes);
    let opened = Opened::new(whole, options, &name)?;
    steps.begin("ranking functions");
    let analysis = profile::analysis(&opened, options, args.profile_extent(), warning.into_iter().collect());
    steps.begin("writing");
    write_files(args, &opened, &name)?;
    steps.end();
    output::warnings(&analysis.warnings);
    print(args, &opened, &analysis, &name)?;
    Ok(if args.answer.fail_on_leak && heap::has_leak(&analysis.suspects) { Exit::Leak } else { Exit::Done })
}

/// A profile that no reader takes, or that flags do not fit.
pub(in crate::cmd) fn no_profile(file: &Path, error: &OpenError) -> Failure {
    match error {
        OpenError::Profile(error) => unreadable(file, error),
        OpenError::Maps { .. } => Failure::usage(error.to_string()),
        OpenError::NoPlaceForMaps { .. } | OpenError::HasMaps => {
            Failure::usage(format!("`{}`: {error}", file.display()))
        }
    }
}

impl Args {
    fn profile_extent(&self) -> Extent {
        let is_text = self.answer.format == Format::Text;
        let suspects = match (is_text, self.answer.fail_on_leak) {
            (true, false) if self.profile.asks() => 0,
            (true, false) => TOP_SUSPECTS,
            (true, true) => TOP_SUSPECTS_ALL,
            (false, _) => self.top.unwrap_or(TOP_SUSPECTS_ALL),
        };
        let functions = if is_text { 0 } else { self.top.unwrap_or(usize::MAX) };
        Extent { suspects, functions, calls: self.top.unwrap_or(if is_text { TOP } else { TOP_CALLS }) }
    }
}

fn write_files(args: &Args, opened: &Opened, name: &str) -> Result<(), Failure> {
    let title = format!("{name}: {}", opened.kind());
    let export = Export { profile: opened.part(), column: opened.column, title: &title };
    for path in args.profile.export.iter().chain(&args.profile.flame) {
        profile::export(path, &export, || call_tree(&[(opened.part(), opened.column)]))?;
    }
    Ok(())
}

fn print(args: &Args, opened: &Opened, analysis: &ProfileAnalysis, name: &str) -> Result<(), Failure> {
    let options = &args.profile;
    let sink = Sink(args.answer.output.clone());
    match args.answer.format {
        Format::Json => sink.write_json(analysis),
        Format::Html => sink.write(&profile::analysis_html(name, opened, options, analysis)),
        Format::Text if options.asks() => {
            sink.write(&profile::answers_text(&analysis.answers, analysis.totals[opened.column], opened.unit()))
        }
        Format::Text => {
            let shown = Shown { suspects: TOP_SUSPECTS, rows: args.top.unwrap_or(TOP) };
            sink.write(&profile::analysis_text(name, opened, options, analysis, shown))
        }
    }
}
