//! What grew over several profiles, as it is published, for people and as a page.

use std::fmt::Write;

use leakscope_heap::profile::{self, CallTree, Profile};
use leakscope_wire as wire;

use super::opened::Opened;
use super::options::Options;
use super::report::{self, Extent};
use super::words::{amount, change};
use super::{Ranked, Shown, text};
use crate::heap::{self, words};
use crate::output::style;

/// Several captures of one service, oldest first, and what the last has more than the first.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) names: Vec<String>,
    pub(crate) captures: Vec<Profile>,
    /// The last less the first, whose values are growth; without samples where nobody asks for them.
    pub(crate) difference: Opened,
    /// Its table.
    pub(crate) growth: Ranked,
}

impl Compared {
    /// The column of a capture that counts what a column of the difference counts.
    fn column(&self, capture: &Profile, of: usize) -> Option<usize> {
        let difference = &self.difference.whole;
        let wanted = difference.sample_types()[of];
        let is_it = |column: &profile::ValueType| {
            capture.text(column.kind) == difference.text(wanted.kind)
                && capture.text(column.unit) == difference.text(wanted.unit)
        };
        capture.sample_types().iter().position(is_it)
    }

    /// The joined stacks of the first and the last.
    pub(crate) fn call_tree(&self) -> CallTree {
        let ends = [self.captures.first(), self.captures.last()].into_iter().flatten();
        let of = ends.filter_map(|capture| Some((capture, self.column(capture, self.difference.column)?)));
        profile::call_tree(&of.collect::<Vec<_>>())
    }
}

/// What grew. `warnings`: of reading the files.
pub(crate) fn diff_report(
    compared: &Compared,
    diff: &profile::ProfileDiff,
    options: &Options,
    extent: Extent,
    mut warnings: Vec<String>,
) -> wire::ProfileDiff {
    let difference = &compared.difference;
    warnings.extend(diff.warnings.iter().cloned());
    let has_bytes = diff.captures.iter().all(|capture| capture.bytes.is_some());
    wire::ProfileDiff {
        format: compared.captures.last().map_or_else(String::new, |last| last.format().name().to_owned()),
        captures: compared.names.iter().zip(&compared.captures).map(|(name, it)| capture(compared, name, it)).collect(),
        sample_types: report::sample_types(&difference.whole),
        functions: compared.growth.rows.iter().take(extent.functions).cloned().map(report::function).collect(),
        growth_bytes: has_bytes.then_some(diff.growth_bytes),
        suspects: diff.findings.iter().take(extent.suspects).map(heap::finding).collect(),
        warnings,
        answers: report::answers(difference, options, extent.calls),
    }
}

fn capture(compared: &Compared, name: &str, capture: &Profile) -> wire::ProfileTotals {
    let totals = profile::totals(capture);
    let n_columns = compared.difference.whole.sample_types().len();
    let total = |column: usize| compared.column(capture, column).map_or(0, |column| totals[column]);
    wire::ProfileTotals {
        file: name.to_owned(),
        file_bytes: capture.file_bytes(),
        samples: capture.n_samples() as u64,
        totals: (0..n_columns).map(total).collect(),
        taken_at: report::taken_at(capture),
    }
}

/// The captures, what grew, and the table of functions by growth.
pub(crate) fn diff_text(compared: &Compared, report: &wire::ProfileDiff, options: &Options, shown: Shown) -> String {
    let difference = &compared.difference;
    let mut text = title(difference, report);
    if report.suspects.is_empty() {
        text.push_str("\nNothing grew that stands out.\n");
    }
    for (index, finding) in report.suspects.iter().take(shown.suspects).enumerate() {
        text.push_str(&heap::suspect(index + 1, finding, &report.format));
    }
    let growth = &compared.growth;
    text.push_str(&if difference.whole.format().is_by_type() {
        text::types(difference, shown.rows, growth)
    } else {
        text::top(difference, options, shown.rows, growth)
    });
    text
}

fn title(difference: &Opened, report: &wire::ProfileDiff) -> String {
    let mut text = String::new();
    let mut before: Option<i64> = None;
    for capture in &report.captures {
        let total = capture.totals[difference.column];
        let step = before.map(|before| format!("  {}", change(total.saturating_sub(before), difference.unit())));
        let taken = capture.taken_at.as_ref().map(|at| format!(", taken {at}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}{}{}  {} of {} in {}{}{taken}",
            style::BOLD,
            words::short(&capture.file, 40),
            style::RESET,
            amount(total, difference.unit()),
            words::clean(difference.kind()),
            words::counted(capture.samples, "sample"),
            step.unwrap_or_default(),
        );
        before = Some(total);
    }
    text
}
