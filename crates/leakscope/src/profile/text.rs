//! A profile for people, 100 columns wide: suspects, then the table that users of `go tool pprof -top` know.

use std::fmt::Write;

use comfy_table::{Cell, CellAlignment};
use leakscope_heap::profile::{self, Inlined, Row};
use leakscope_wire as wire;

use super::opened::Opened;
use super::options::Options;
use super::words::{amount, percent};
use crate::heap::{self, words};
use crate::output::{style, table};

/// Characters of a name in a table, and of its file.
const NAME_MAX: usize = 36;
const PLACE_MAX: usize = 20;
/// Characters of a type in a table that has no places.
const TYPE_MAX: usize = 64;
/// Columns of the numbers before a name in the list of calls.
const CALLS_INDENT: usize = 42;

/// How much of a report is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) suspects: usize,
    pub(crate) rows: usize,
}

/// What the table is made of.
#[derive(Debug)]
pub(crate) struct Ranked {
    /// Those that have something in the column, the largest first.
    pub(crate) rows: Vec<Row>,
    /// By [`Row::number`].
    pub(crate) inlined: Vec<Inlined>,
    /// What shares are shares of.
    pub(crate) total: i64,
}

impl Ranked {
    fn of(opened: &Opened, options: &Options, total: i64) -> Self {
        let granularity = options.by().granularity();
        let mut rows = profile::top(opened.part(), granularity);
        profile::rank(&mut rows, opened.column, options.order());
        Self { rows, inlined: profile::inlined(opened.part(), granularity, opened.column), total }
    }
}

/// The first screen is the answer; then the table.
pub(crate) fn analysis_text(
    name: &str,
    opened: &Opened,
    options: &Options,
    analysis: &wire::ProfileAnalysis,
    shown: Shown,
) -> String {
    let mut text = title(name, opened, analysis);
    if analysis.suspects.is_empty() {
        text.push_str("\nNothing stands out in this profile.\n");
    }
    for (index, finding) in analysis.suspects.iter().take(shown.suspects).enumerate() {
        text.push_str(&heap::suspect(index + 1, finding, &analysis.format));
    }
    let _ = writeln!(
        text,
        "\n{}One profile shows what is large; `leakscope diff` of two or more shows what grows.{}",
        style::DIM,
        style::RESET
    );
    if let Some(classes) = &analysis.classes {
        text.push_str(&heap::heading("Types by their bytes"));
        let total = classes.iter().map(|class| class.self_bytes).sum();
        text.push_str(&heap::class_table(&classes[..classes.len().min(shown.rows)], total));
    } else {
        let ranked = Ranked::of(opened, options, analysis.totals[opened.column]);
        text.push_str(&top(opened, options, shown.rows, &ranked));
    }
    text
}

fn title(name: &str, opened: &Opened, analysis: &wire::ProfileAnalysis) -> String {
    let mut facts = vec![format!(
        "{} of {} in {}",
        amount(analysis.totals[opened.column], opened.unit()),
        words::clean(opened.kind()),
        words::counted(opened.whole.n_samples() as u64, "sample")
    )];
    facts.extend(analysis.period.as_ref().map(|period| format!("one in {}", amount(period.value, &period.unit))));
    facts.push(format!("file of {}", words::bytes(analysis.file_bytes)));
    facts.extend(analysis.taken_at.as_ref().map(|at| format!("taken {at}")));
    let mut text = format!(
        "{}{}{}: {}, {}\n",
        style::BOLD,
        words::short(name, 60),
        style::RESET,
        analysis.format,
        facts.join(", ")
    );
    if opened.is_filtered() {
        let left = profile::totals(opened.part())[opened.column];
        let total = analysis.totals[opened.column];
        let _ = writeln!(
            text,
            "{} left by the filters, {}",
            words::counted(analysis.samples, "sample"),
            share_of(left, total, opened.unit())
        );
    }
    text
}

fn share_of(part: i64, whole: i64, unit: &str) -> String {
    format!("{} or {}", amount(part, unit), percent(part, whole))
}

/// Flat and cumulative values, with sums and shares.
pub(super) fn top(opened: &Opened, options: &Options, n_rows: usize, ranked: &Ranked) -> String {
    let Ranked { rows, inlined, total } = ranked;
    let (column, total) = (opened.column, *total);
    let mut lines = table::new(&["FLAT", "FLAT%", "SUM%", "CUM", "CUM%", "FUNCTION", "FILE"], 0);
    for words in [5, 6] {
        if let Some(column) = lines.column_mut(words) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
    let mut sum = 0_i64;
    for row in rows.iter().take(n_rows) {
        let (flat, cum) = (row.flat[column], row.cum[column]);
        sum = sum.wrapping_add(flat);
        let mark = match inlined[row.number] {
            Inlined::Never => "",
            Inlined::Partly => " (partial-inline)",
            Inlined::Always => " (inline)",
        };
        let line = row.line.map(|line| format!(":{line}")).unwrap_or_default();
        let place = row.file.as_ref().map(|file| format!("{file}{line}")).unwrap_or_default();
        let address = row.address.map(|address| format!("{address:#x} ")).unwrap_or_default();
        let name = if Some(&row.name) == row.file.as_ref() { "" } else { &row.name };
        lines.add_row([
            Cell::new(opened.shown(flat)),
            Cell::new(percent(flat, total)),
            Cell::new(percent(sum, total)),
            Cell::new(opened.shown(cum)),
            Cell::new(percent(cum, total)),
            Cell::new(words::short(&format!("{address}{name}{mark}"), NAME_MAX)),
            Cell::new(words::tail(&place, PLACE_MAX)),
        ]);
    }
    let mut text =
        heap::heading(&format!("{} by {}{}", options.by().title(), opened.growth_of(), words::clean(opened.kind())));
    text.push_str(&table::render(&lines));
    if rows.len() > n_rows {
        let _ = writeln!(text, "{}… {} more; `--top N` shows them{}", style::DIM, rows.len() - n_rows, style::RESET);
    }
    text
}

/// Growth by type, of captures whose stacks are the type alone.
pub(super) fn types(opened: &Opened, n_rows: usize, ranked: &Ranked) -> String {
    let whole = &opened.whole;
    let column = |unit: &str| whole.sample_types().iter().position(|column| whole.text(column.unit) == unit);
    let (count, bytes) = (column("count"), column("bytes"));
    let value = |values: &[i64], column: Option<usize>, shown: fn(i64) -> String| {
        Cell::new(column.map_or(table::NONE.to_owned(), |column| shown(values[column])))
    };
    let mut lines = table::new(&["TYPE", "COUNT", "BYTES"], 1);
    for row in ranked.rows.iter().take(n_rows) {
        let name = Cell::new(words::short(&row.name, TYPE_MAX));
        let counted = value(&row.flat, count, words::growth_count);
        lines.add_row([name, counted, value(&row.flat, bytes, words::growth)]);
    }
    format!("{}{}", heap::heading("Types by growth"), table::render(&lines))
}

/// Answers alone: who calls whom, lines of functions.
pub(crate) fn answers_text(answers: &wire::ProfileAnswers, total: i64, unit: &str) -> String {
    let mut parts = Vec::new();
    match answers.calls.as_deref() {
        Some([]) => parts.push("No function with a value has such a name.\n".to_owned()),
        Some(nodes) => parts.push(calls(nodes, total, unit)),
        None => {}
    }
    match answers.listing.as_deref() {
        Some([]) => parts.push("No function with a value has such a name.\n".to_owned()),
        Some(routines) => parts.extend(routines.iter().map(|found| routine(found, total, unit))),
        None => {}
    }
    parts.join("\n")
}

/// As `go tool pprof -tree` lays it out: callers above a function, callees below it.
fn calls(nodes: &[wire::ProfileNode], total: i64, unit: &str) -> String {
    let header = format!("{:>10} {:>7}  {:>10} {:>7}  ", "FLAT", "FLAT%", "CUM", "CUM%");
    let mut text =
        format!("{}{header}  FUNCTION, below its callers and above its callees{}\n", style::DIM, style::RESET);
    for node in nodes {
        let call = |call: &wire::ProfileCall| {
            let mark = if call.inlined { " (inline)" } else { "" };
            let name = words::short(&call.name, heap::WIDTH - CALLS_INDENT - mark.len());
            let value = format!("{:>28} {:>7}", amount(call.value, unit), percent(call.value, node.cum));
            format!("{value}  │   {name}{mark}\n")
        };
        text.extend(node.callers.iter().map(call));
        let _ = writeln!(
            text,
            "{:>10} {:>7}  {:>10} {:>7}{} │ {}{}",
            amount(node.flat, unit),
            percent(node.flat, total),
            amount(node.cum, unit),
            percent(node.cum, total),
            style::BOLD,
            words::short(&node.name, heap::WIDTH - CALLS_INDENT),
            style::RESET
        );
        text.extend(node.callees.iter().map(call));
        text.push('\n');
    }
    text
}

fn routine(routine: &wire::ProfileRoutine, total: i64, unit: &str) -> String {
    let file = routine.file.as_deref().unwrap_or("no file that the profile names");
    let mut text =
        format!("{}{}{} in {}\n", style::BOLD, words::clean(&routine.function), style::RESET, words::clean(file));
    let (flat, cum) = (amount(routine.flat, unit), amount(routine.cum, unit));
    let _ = writeln!(text, "{flat:>10} {cum:>10} (flat, cum) {} of the total", percent(routine.cum, total));
    let or_dot = |value: i64| if value == 0 { ".".to_owned() } else { amount(value, unit) };
    for line in &routine.lines {
        let source = line.text.as_deref().map(|text| words::clean(&text.replace('\t', "    "))).unwrap_or_default();
        let shown = format!("{:>10} {:>10} {:>6}: {source}", or_dot(line.flat), or_dot(line.cum), line.line);
        let _ = writeln!(text, "{}", shown.trim_end());
    }
    text
}
