//! A profile's report as one page: suspects, a flame graph, a table to sort and to filter.

use leakscope_heap::profile::{self, CallTree, Order};
use leakscope_wire as wire;
use serde::Serialize;

use super::diff::Compared;
use super::flame;
use super::opened::Opened;
use super::options::Options;
use crate::heap::words;
use crate::page;

pub(crate) const TEMPLATE: &str = include_str!("report.html");

/// Rows in the page: the largest. A table of more helps nobody.
const FUNCTIONS_MAX: usize = 5_000;

/// All that the page shows; `report.html` reads it.
#[derive(Debug, Serialize)]
struct Page<'a> {
    title: String,
    format: &'a str,
    captures: &'a [wire::ProfileTotals],
    sample_types: &'a [wire::SampleType],
    /// The sample type that is shown.
    column: usize,
    /// What shares are shares of.
    total: i64,
    /// What a row is.
    what: &'a str,
    /// Whether rows are ranked by their cumulative values.
    cum: bool,
    period: Option<&'a wire::Period>,
    functions: Vec<&'a wire::ProfileFunction>,
    suspects: &'a [wire::Finding],
    flame: Option<Flame>,
    warnings: &'a [String],
}

/// The flame graph, as a page within the page.
#[derive(Debug, Serialize)]
struct Flame {
    page: String,
    width: usize,
    height: usize,
}

/// The page of one profile.
pub(crate) fn analysis_html(
    name: &str,
    opened: &Opened,
    options: &Options,
    analysis: &wire::ProfileAnalysis,
) -> String {
    let capture = wire::ProfileTotals {
        file: name.to_owned(),
        file_bytes: analysis.file_bytes,
        samples: analysis.samples,
        totals: analysis.totals.clone(),
        taken_at: analysis.taken_at.clone(),
    };
    let tree = profile::call_tree(&[(opened.part(), opened.column)]);
    let functions = shown(&analysis.functions, opened.column);
    page::render(
        TEMPLATE,
        &Page {
            title: words::clean(name),
            format: &analysis.format,
            captures: &[capture],
            sample_types: &analysis.sample_types,
            column: opened.column,
            total: analysis.totals[opened.column],
            what: options.by().title(),
            cum: options.order() == Order::Cum,
            period: analysis.period.as_ref(),
            functions,
            suspects: &analysis.suspects,
            flame: flame(tree, opened.kind(), opened.unit()),
            warnings: &analysis.warnings,
        },
    )
}

/// The page of what grew. Its flame graph is drawn to the sizes of the last capture.
pub(crate) fn diff_html(compared: &Compared, options: &Options, report: &wire::ProfileDiff) -> String {
    let difference = &compared.difference;
    let title = format!("growth of {}", difference.kind());
    page::render(
        TEMPLATE,
        &Page {
            title: words::clean(&compared.names.join(" → ")),
            format: &report.format,
            captures: &report.captures,
            sample_types: &report.sample_types,
            column: difference.column,
            total: compared.growth.total,
            what: options.by().title(),
            cum: options.order() == Order::Cum,
            period: None,
            functions: shown(&report.functions, difference.column),
            suspects: &report.suspects,
            flame: flame(compared.call_tree(), &title, difference.unit()),
            warnings: &report.warnings,
        },
    )
}

/// Rows that have something in the column, the largest as far as they go into the page.
fn shown(functions: &[wire::ProfileFunction], column: usize) -> Vec<&wire::ProfileFunction> {
    let has_value = |row: &&wire::ProfileFunction| row.flat[column] != 0 || row.cum[column] != 0;
    functions.iter().filter(has_value).take(FUNCTIONS_MAX).collect()
}

/// None where there is nothing to draw.
fn flame(tree: CallTree, title: &str, unit: &str) -> Option<Flame> {
    let picture = flame::picture(tree, title, unit).ok()?;
    Some(Flame { page: flame::page(&picture), width: picture.width, height: picture.height })
}
