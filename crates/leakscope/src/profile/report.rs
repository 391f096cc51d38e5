//! What a profile says as what is published.

use std::fs;
use std::path::Path;

use leakscope_heap::Format;
use leakscope_heap::profile::{self, Call, Context, Profile, Row};
use leakscope_model::Timestamp;
use leakscope_wire as wire;

use super::opened::Opened;
use super::options::Options;
use crate::heap;

/// How much is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Suspects at most.
    pub(crate) suspects: usize,
    /// Functions at most; 0 where only the table of the text is shown, which ranks for itself.
    pub(crate) functions: usize,
    /// Functions with callers and callees at most, where none are named.
    pub(crate) calls: usize,
}

/// Source files up to here are read for a listing; larger ones are no sources.
const SOURCE_BYTES_MAX: u64 = 16 << 20;

/// What one profile says. `warnings`: of reading its file.
pub(crate) fn analysis(
    opened: &Opened,
    options: &Options,
    extent: Extent,
    mut warnings: Vec<String>,
) -> wire::ProfileAnalysis {
    let Opened { whole, column, .. } = opened;
    let part = opened.part();
    warnings.extend(part.warnings().iter().cloned());
    let is_histogram = matches!(whole.format(), Format::ClassHistogram | Format::PythonTypes);
    let mut rows = Vec::new();
    if extent.functions > 0 || is_histogram {
        rows = profile::top(part, options.by().granularity());
        profile::sort(&mut rows, *column, options.order());
    }
    wire::ProfileAnalysis {
        format: whole.format().name().to_owned(),
        file_bytes: whole.file_bytes(),
        samples: part.n_samples() as u64,
        sample_types: sample_types(whole),
        classes: is_histogram.then(|| classes(&rows)),
        functions: rows.into_iter().take(extent.functions).map(function).collect(),
        suspects: suspects(part, &options.context(&[]), extent.suspects),
        totals: profile::totals(whole),
        period: period(whole),
        taken_at: taken_at(whole),
        warnings,
        answers: answers(opened, options, extent.calls),
    }
}

fn suspects(profile: &Profile, context: &Context, max: usize) -> Vec<wire::Finding> {
    if max == 0 {
        return Vec::new();
    }
    profile::suspects(profile, context, max).iter().map(heap::finding).collect()
}

/// What the values of a profile count.
pub(super) fn sample_types(profile: &Profile) -> Vec<wire::SampleType> {
    let sample_type = |column: &profile::ValueType| wire::SampleType {
        kind: profile.text(column.kind).to_owned(),
        unit: profile.text(column.unit).to_owned(),
    };
    profile.sample_types().iter().map(sample_type).collect()
}

fn period(profile: &Profile) -> Option<wire::Period> {
    let header = profile.header();
    (header.period != 0).then(|| wire::Period {
        kind: profile.text(header.period_type.kind).to_owned(),
        unit: profile.text(header.period_type.unit).to_owned(),
        value: header.period,
    })
}

/// When a profile was taken, where it says so.
pub(super) fn taken_at(profile: &Profile) -> Option<String> {
    let nanos = profile.header().time_nanos;
    (nanos != 0).then(|| wire::rfc3339(Timestamp::from_millis(nanos / 1_000_000)))
}

/// One row as it is published.
pub(super) fn function(row: Row) -> wire::ProfileFunction {
    let Row { name, file, line, address, flat, cum, .. } = row;
    wire::ProfileFunction { name, file, line, address, flat, cum }
}

/// Rows of a histogram by class, whose columns are objects and bytes.
fn classes(rows: &[Row]) -> Vec<wire::HeapClass> {
    let value = |row: &Row, column: usize| row.flat.get(column).map_or(0, |value| value.unsigned_abs());
    let class = |row: &Row| wire::HeapClass {
        name: row.name.clone(),
        count: value(row, 0),
        self_bytes: value(row, 1),
        retained_bytes: None,
        location: None,
    };
    let mut classes: Vec<wire::HeapClass> = rows.iter().map(class).collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.self_bytes));
    classes
}

/// What is asked beside the report: of calls at most `rows` functions where none are named.
pub(super) fn answers(opened: &Opened, options: &Options, rows: usize) -> wire::ProfileAnswers {
    wire::ProfileAnswers {
        calls: options.asks_for_calls().then(|| calls(opened, options, rows)),
        listing: options.list.as_ref().map(|name| {
            let routines = profile::listing(opened.part(), name, opened.column);
            routines.into_iter().map(routine).collect()
        }),
    }
}

fn calls(opened: &Opened, options: &Options, rows: usize) -> Vec<wire::ProfileNode> {
    let graph = profile::call_graph(opened.part(), options.by().granularity(), opened.column);
    let call = |call: &Call, other: usize| wire::ProfileCall {
        name: graph.rows[other].label.clone(),
        value: call.value,
        inlined: call.is_inlined,
    };
    let node = |row: usize| wire::ProfileNode {
        name: graph.rows[row].label.clone(),
        flat: graph.rows[row].flat[opened.column],
        cum: graph.rows[row].cum[opened.column],
        callers: graph.callers(row).map(|found| call(found, found.caller)).collect(),
        callees: graph.callees(row).map(|found| call(found, found.callee)).collect(),
    };
    let ranked = graph.ranked(options.order()).into_iter();
    match &options.peek {
        Some(name) => ranked.filter(|row| name.is_match(&graph.rows[*row].label)).map(node).collect(),
        None => ranked.take(rows).map(node).collect(),
    }
}

fn routine(routine: profile::Routine) -> wire::ProfileRoutine {
    let profile::Routine { function, file, flat, cum, first_line, last_line, lines } = routine;
    let source = file.as_deref().and_then(source);
    let value = |number: i64| lines.iter().find(|line| line.line == number);
    let lines = match source {
        None => lines.iter().map(|line| listed(line.line, Some(line), None)).collect(),
        Some(source) => {
            let texts = source.lines().enumerate().map(|(index, text)| (index as i64 + 1, text));
            let near = texts.skip_while(|(line, _)| *line < first_line).take_while(|(line, _)| *line <= last_line);
            near.map(|(number, text)| listed(number, value(number), Some(text.to_owned()))).collect()
        }
    };
    wire::ProfileRoutine { function, file, flat, cum, lines }
}

fn listed(line: i64, values: Option<&profile::RoutineLine>, text: Option<String>) -> wire::ProfileLine {
    let (flat, cum) = values.map_or((0, 0), |values| (values.flat, values.cum));
    wire::ProfileLine { line, flat, cum, text }
}

/// The text of a source file that is on this machine, where the profile says it was on its own.
fn source(file: &str) -> Option<String> {
    let metadata = fs::metadata(Path::new(file)).ok()?;
    // A name in a profile could be that of a device or a pipe, which would never end.
    let is_source = metadata.is_file() && metadata.len() <= SOURCE_BYTES_MAX;
    is_source.then(|| fs::read_to_string(file).ok()).flatten()
}
