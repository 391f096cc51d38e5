//! What grew over several captures, as it is published and for people.

use std::fmt::Write;

use comfy_table::Cell;
use leakscope_heap::{ClassGrowth, Diff, Totals};
use leakscope_wire as wire;

use super::text::{heading, suspect};
use super::{report, words};
use crate::output::{style, table};

/// Characters of a type's name and of its place.
const NAME_MAX: usize = 34;
const PLACE_MAX: usize = 22;

/// What grew, with at most `n_suspects` suspects. `files`: of each capture, as it was given. `warnings`: of reading them.
pub(crate) fn diff_report(
    diff: &Diff<'_>,
    files: &[String],
    n_suspects: usize,
    mut warnings: Vec<String>,
) -> wire::HeapDiff {
    warnings.extend(diff.warnings.iter().cloned());
    wire::HeapDiff {
        format: diff.format.name().to_owned(),
        captures: files.iter().zip(&diff.captures).map(|(file, totals)| capture(file, *totals)).collect(),
        growth_bytes: diff.growth_bytes,
        suspects: diff.findings.iter().take(n_suspects).map(report::finding).collect(),
        classes: diff.classes.iter().map(class).collect(),
        warnings,
    }
}

fn capture(file: &str, totals: Totals) -> wire::HeapTotals {
    let Totals { file_bytes, nodes, edges, total_bytes } = totals;
    wire::HeapTotals { file: file.to_owned(), file_bytes, nodes, edges, total_bytes }
}

fn class(class: &ClassGrowth) -> wire::HeapClassGrowth {
    let less = |added: u64, removed: u64| i64::try_from(i128::from(added) - i128::from(removed)).unwrap_or(i64::MAX);
    wire::HeapClassGrowth {
        name: class.name.clone(),
        added_count: class.added_count,
        removed_count: class.removed_count,
        added_bytes: class.added_bytes,
        removed_bytes: class.removed_bytes,
        growth_count: less(class.added_count, class.removed_count),
        growth_bytes: less(class.added_bytes, class.removed_bytes),
        location: class.location.as_ref().map(Into::into),
    }
}

/// The first screen is what grew; then types, at most `n_classes`.
pub(crate) fn diff_text(report: &wire::HeapDiff, n_classes: usize) -> String {
    let mut text = title(report);
    if report.suspects.is_empty() {
        text.push_str("\nNothing grew that stands out.\n");
    }
    for (index, finding) in report.suspects.iter().enumerate() {
        text.push_str(&suspect(index + 1, finding, &report.format));
    }
    text.push_str(&heading("Types by growth of their own bytes"));
    text.push_str(&class_table(&report.classes[..report.classes.len().min(n_classes)]));
    text
}

fn title(report: &wire::HeapDiff) -> String {
    let mut text = String::new();
    let mut before: Option<&wire::HeapTotals> = None;
    for capture in &report.captures {
        let step = before.map(|before| capture.total_bytes as i64 - before.total_bytes as i64);
        let step = step.map(|step| format!("  {}", words::growth(step))).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}{}{}  {} in {}{step}",
            style::BOLD,
            words::short(&capture.file, 50),
            style::RESET,
            words::bytes(capture.total_bytes),
            words::counted(capture.nodes, "object")
        );
        before = Some(capture);
    }
    text
}

fn class_table(classes: &[wire::HeapClassGrowth]) -> String {
    let has_places = classes.iter().any(|class| class.location.is_some());
    let mut header = vec!["TYPE"];
    header.extend(has_places.then_some("DECLARED AT"));
    header.extend(["ADDED", "REMOVED", "COUNT", "OWN BYTES"]);
    let mut rows = table::new(&header, 1 + usize::from(has_places));
    for class in classes {
        let place = class.location.as_ref().map(|place| words::place(place, PLACE_MAX)).unwrap_or_default();
        let name_max = if has_places { NAME_MAX } else { NAME_MAX + PLACE_MAX };
        let mut row = vec![Cell::new(words::short(&class.name, name_max))];
        row.extend(has_places.then(|| Cell::new(place)));
        row.extend([
            Cell::new(words::number(class.added_count)),
            Cell::new(words::number(class.removed_count)),
            Cell::new(words::growth_count(class.growth_count)),
            Cell::new(words::growth(class.growth_bytes)),
        ]);
        rows.add_row(row);
    }
    table::render(&rows)
}
