//! A report for people, 100 columns wide: suspects, types, the dominator tree.

use std::fmt::Write;

use comfy_table::Cell;
use leakscope_heap::Heap;
use leakscope_model::{BytesPerHour, BytesPerRequest};
use leakscope_wire::{Finding, Frame, HeapAnalysis, HeapClass};

use super::outline::{Group, Limits, Row, outline};
use super::words;
use crate::output::{style, table};

/// Columns of a line.
pub(crate) const WIDTH: usize = 100;
/// Characters of a type's name in a table, beside its place and without one.
const NAME_MAX: usize = 36;
const NAME_MAX_ALONE: usize = 54;
const PLACE_MAX: usize = 22;
/// Columns that sizes take before the tree.
const TREE_INDENT: usize = 30;
/// Branches of a tree smaller than one part in so many are summed up.
const TREE_PARTS: u64 = 200;

/// How much of the report is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// Levels of the dominator tree.
    pub(crate) depth: usize,
    /// Its rows.
    pub(crate) rows: usize,
    /// Suspects.
    pub(crate) suspects: usize,
}

/// The first screen is the answer; then types, then the dominator tree.
pub(crate) fn analysis_text(name: &str, heap: &Heap<'_>, analysis: &HeapAnalysis, shown: Shown) -> String {
    let mut text = title(name, analysis);
    if analysis.suspects.is_empty() {
        text.push_str("\nNothing stands out in this capture.\n");
    }
    for (index, finding) in analysis.suspects.iter().take(shown.suspects).enumerate() {
        text.push_str(&suspect(index + 1, finding, &analysis.format));
    }
    if !analysis.suspects.is_empty() && analysis.suspects.iter().all(|finding| finding.growth_bytes.is_none()) {
        let _ = writeln!(
            text,
            "\n{}One capture shows what is large; `leakscope diff` of two or more shows what grows.{}",
            style::DIM,
            style::RESET
        );
    }
    text.push_str(&heading("Types by what they retain"));
    text.push_str(&class_table(&analysis.classes, analysis.total_bytes));
    text.push_str(&heading("Who holds how much alone (dominator tree)"));
    let limits = Limits { rows: shown.rows, rows_below: shown.rows, depth: shown.depth, parts: TREE_PARTS, groups: 2 };
    text.push_str(&tree(heap, &outline(heap, limits)));
    text
}

pub(crate) fn heading(words: &str) -> String {
    format!("\n{}{words}{}\n", style::BOLD, style::RESET)
}

fn title(name: &str, analysis: &HeapAnalysis) -> String {
    let HeapAnalysis { format, file_bytes, nodes, edges, total_bytes, .. } = analysis;
    format!(
        "{}{}{}: {format}, {} in {}, {}, file of {}\n",
        style::BOLD,
        words::short(name, 60),
        style::RESET,
        words::bytes(*total_bytes),
        words::counted(*nodes, "object"),
        words::counted(*edges, "reference"),
        words::bytes(*file_bytes)
    )
}

/// One suspect: what, how much, why, where, and who holds it.
pub(crate) fn suspect(rank: usize, finding: &Finding, format: &str) -> String {
    let Finding { suspect, .. } = finding;
    let (icon, color) = if suspect.confidence >= 0.5 { ('▲', style::RED) } else { ('?', style::YELLOW) };
    let mut text = String::from("\n");
    for (index, line) in wrapped(&words::clean(&suspect.title), WIDTH - 5).iter().enumerate() {
        let lead = if index == 0 { format!("{color}{icon}{} {rank:<2} ", style::RESET) } else { " ".repeat(5) };
        let _ = writeln!(text, "{lead}{}{line}{}", style::BOLD, style::RESET);
    }
    for line in wrapped(&facts(finding), WIDTH - 5) {
        let _ = writeln!(text, "     {line}");
    }
    for line in wrapped(&words::clean(&suspect.reason), WIDTH - 5) {
        let _ = writeln!(text, "     {line}");
    }
    if let Some(location) = &suspect.location {
        let _ = writeln!(text, "     at {}{}{}", style::CYAN, words::place(location, WIDTH - 8), style::RESET);
    }
    if !suspect.path.is_empty() {
        let _ = writeln!(text, "     {}held by{}", style::DIM, style::RESET);
        for line in words::chain(format, &suspect.path, 7, WIDTH) {
            let _ = writeln!(text, "{line}");
        }
    }
    if !suspect.stack.is_empty() {
        let _ = writeln!(text, "     {}made by{}", style::DIM, style::RESET);
        text.push_str(&stack(&suspect.stack));
    }
    text
}

/// How much, of what, since when.
fn facts(finding: &Finding) -> String {
    let Finding { suspect, growth_bytes, growth_count, grew_in_every_step, .. } = finding;
    let noun = if suspect.kind == "goroutine" { "goroutine" } else { "object" };
    let is_profile = !suspect.stack.is_empty();
    let error =
        finding.growth_error_bytes.map(|error| format!(" ± {}", words::bytes(error as u64))).unwrap_or_default();
    let (bytes, count, whole) = if let (Some(bytes), Some(count)) = (growth_bytes, growth_count) {
        let count = (*count != 0 || !is_profile).then(|| format!("{} {noun}s", words::growth_count(*count)));
        ((*bytes != 0).then(|| format!("{}{error}", words::growth(*bytes))), count, "growth")
    } else {
        let count = (suspect.count != 0 || !is_profile).then(|| words::counted(suspect.count, noun));
        let bytes = (suspect.bytes != 0).then(|| words::bytes(suspect.bytes));
        (bytes, count, if is_profile { "total" } else { "heap" })
    };
    let mut parts: Vec<String> = [bytes, count].into_iter().flatten().collect();
    if let Some(first) = parts.first_mut() {
        let _ = write!(first, " ({} of the {whole})", words::percent(suspect.share));
    }
    parts.extend(finding.growth_bytes_per_hour.map(|rate| BytesPerHour(rate).to_string()));
    parts.extend(finding.growth_bytes_per_request.map(|rate| BytesPerRequest(rate).to_string()));
    parts.extend(grew_in_every_step.map(|every| if every { "in every step" } else { "not in every step" }.to_owned()));
    parts.push(format!("confidence {:.2}", suspect.confidence));
    parts.join(", ")
}

/// A line a frame, the innermost first; of long stacks the beginning.
fn stack(frames: &[Frame]) -> String {
    /// Frames that are shown.
    const SHOWN: usize = 8;
    let mut text = String::new();
    for frame in frames.iter().take(SHOWN) {
        let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
        let place = frame.file.as_ref().map(|file| words::tail(&format!("{file}{line}"), 44)).unwrap_or_default();
        let name = words::short(&frame.function, WIDTH - 9 - place.chars().count());
        let _ = writeln!(text, "       {name}  {}{place}{}", style::DIM, style::RESET);
    }
    if frames.len() > SHOWN {
        let _ = writeln!(text, "       … {} more", frames.len() - SHOWN);
    }
    text
}

/// Lines of at most `width` characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = words::short(word, width);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Types with their counts and sizes.
pub(crate) fn class_table(classes: &[HeapClass], total_bytes: u64) -> String {
    let has_places = classes.iter().any(|class| class.location.is_some());
    let has_retained = classes.iter().any(|class| class.retained_bytes.is_some());
    let mut header = vec!["TYPE"];
    header.extend(has_places.then_some("DECLARED AT"));
    header.extend(["COUNT", "OWN"]);
    header.extend(has_retained.then_some("RETAINED"));
    header.push("SHARE");
    let mut rows = table::new(&header, 1 + usize::from(has_places));
    let name_max = if has_places { NAME_MAX } else { NAME_MAX_ALONE };
    for class in classes {
        let place = class.location.as_ref().map(|place| words::place(place, PLACE_MAX)).unwrap_or_default();
        let mut row = vec![Cell::new(words::short(&class.name, name_max))];
        row.extend(has_places.then(|| Cell::new(place)));
        row.extend([Cell::new(words::number(class.count)), Cell::new(words::bytes(class.self_bytes))]);
        row.extend(has_retained.then(|| Cell::new(class.retained_bytes.map_or(table::NONE.to_owned(), words::bytes))));
        row.push(Cell::new(words::share(class.retained_bytes.unwrap_or(class.self_bytes), total_bytes)));
        rows.add_row(row);
    }
    table::render(&rows)
}

fn tree(heap: &Heap<'_>, rows: &[Row]) -> String {
    let total = heap.total_bytes();
    let mut text = format!("{}{:>10}  {:>6}  {:>8}  OBJECT{}\n", style::DIM, "RETAINED", "SHARE", "OWN", style::RESET);
    for (index, row) in rows.iter().enumerate() {
        let retained = heap.retained_bytes(row.node);
        let identity = words::id(heap.format().name(), heap.id(row.node));
        let space = "  ".repeat(row.depth.min(20));
        let name_max = (WIDTH - TREE_INDENT).saturating_sub(space.len() + identity.len() + 1).max(16);
        let name = words::short(&heap.name(row.node), name_max);
        let _ = writeln!(
            text,
            "{:>10}  {:>6}  {:>8}  {space}{name} {}{identity}{}",
            words::bytes(retained),
            words::share(retained, total),
            words::bytes(heap.self_bytes(row.node)),
            style::DIM,
            style::RESET
        );
        let ends_below = |rest: &&Row| rest.depth > row.depth;
        let n_below = rows[index + 1..].iter().take_while(ends_below).count();
        if n_below == 0 {
            text.push_str(&rests_above(heap, rows, index));
        }
    }
    text
}

/// What has no row below `last` and below those above it whose last row it is, one line a type.
fn rests_above(heap: &Heap<'_>, rows: &[Row], last: usize) -> String {
    let next_depth = rows.get(last + 1).map_or(0, |next| next.depth);
    let mut text = String::new();
    let mut at = last;
    loop {
        let row = &rows[at];
        if row.depth < next_depth {
            return text;
        }
        let groups = row.groups.iter().map(|Group { name, count, bytes }| {
            (*bytes, format!("… {} × {}", words::number(*count), words::short(name, NAME_MAX)))
        });
        let rest = (row.rest_bytes >= heap.total_bytes() / TREE_PARTS).then_some(row.rest_bytes);
        for (bytes, words) in groups.chain(rest.map(|bytes| (bytes, "… others".to_owned()))) {
            let _ = writeln!(
                text,
                "{:>10}  {:>6}  {:>8}  {}{}{words}{}",
                words::bytes(bytes),
                words::share(bytes, heap.total_bytes()),
                "",
                "  ".repeat((row.depth + 1).min(20)),
                style::DIM,
                style::RESET
            );
        }
        if at == 0 {
            return text;
        }
        at = row.above;
    }
}
