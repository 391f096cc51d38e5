//! A report as one page for a browser: the template with the data inside, nothing loaded from elsewhere.

use leakscope_heap::Heap;
use leakscope_wire::{HeapAnalysis, HeapClass, HeapClassGrowth, HeapDiff, HeapTotals};
use serde::Serialize;

use super::outline::{Group, Limits, Row, outline};
use super::{question, words};
use crate::page;

pub(crate) const TEMPLATE: &str = include_str!("report.html");

/// What of the dominator tree is in the page: some 150 kB.
const TREE: Limits = Limits { rows: 2_000, rows_below: 150, depth: 60, parts: 20_000, groups: 12 };
/// Types in the page: those that retain the most. A table of more helps nobody.
const CLASSES_MAX: usize = 2_000;
/// Rows of duplicate strings and of collections.
const CONTENTS_MAX: usize = 50;
/// Characters of a name and of a string.
const NAME_MAX: usize = 120;

/// Row above, id, name, own bytes, retained bytes, bytes of others below it. Small ones of one type are one, without an id.
type Tile = (usize, String, String, u64, u64, u64);

/// All that the page shows; `report.html` reads it.
#[derive(Debug, Serialize)]
struct Page<'a> {
    title: String,
    format: &'a str,
    captures: Vec<HeapTotals>,
    growth_bytes: Option<i64>,
    suspects: &'a [leakscope_wire::Finding],
    classes: &'a [HeapClass],
    class_growth: &'a [HeapClassGrowth],
    tree: Vec<Tile>,
    duplicate_strings: Vec<leakscope_wire::DuplicateString>,
    collections: Vec<leakscope_wire::Collection>,
    warnings: &'a [String],
}

/// The page of one capture.
pub(crate) fn analysis_html(name: &str, heap: &Heap<'_>, analysis: &HeapAnalysis) -> String {
    let HeapAnalysis { format, file_bytes, nodes, edges, total_bytes, classes, suspects, warnings, .. } = analysis;
    let (file_bytes, nodes, edges, total_bytes) = (*file_bytes, *nodes, *edges, *total_bytes);
    let capture = HeapTotals { file: name.to_owned(), file_bytes, nodes, edges, total_bytes };
    page::render(
        TEMPLATE,
        &Page {
            title: words::clean(name),
            format,
            captures: vec![capture],
            growth_bytes: None,
            suspects,
            classes: &classes[..classes.len().min(CLASSES_MAX)],
            class_growth: &[],
            tree: tree(heap),
            duplicate_strings: question::duplicate_strings(heap, CONTENTS_MAX),
            collections: question::about_collections(heap, CONTENTS_MAX),
            warnings,
        },
    )
}

/// The page of what grew, with the dominator tree of the last capture.
pub(crate) fn diff_html(last: &Heap<'_>, report: &HeapDiff) -> String {
    let names: Vec<&str> = report.captures.iter().map(|capture| capture.file.as_str()).collect();
    page::render(
        TEMPLATE,
        &Page {
            title: words::clean(&names.join(" → ")),
            format: &report.format,
            captures: report.captures.clone(),
            growth_bytes: Some(report.growth_bytes),
            suspects: &report.suspects,
            classes: &[],
            class_growth: &report.classes[..report.classes.len().min(CLASSES_MAX)],
            tree: tree(last),
            duplicate_strings: question::duplicate_strings(last, CONTENTS_MAX),
            collections: question::about_collections(last, CONTENTS_MAX),
            warnings: &report.warnings,
        },
    )
}

/// From the root down.
fn tree(heap: &Heap<'_>) -> Vec<Tile> {
    let format = heap.format().name();
    let rows = outline(heap, TREE);
    let tile = |row: &Row| {
        let Row { node, above, rest_bytes, .. } = *row;
        let name = words::short(&heap.name(node), NAME_MAX);
        (above, words::id(format, heap.id(node)), name, heap.self_bytes(node), heap.retained_bytes(node), rest_bytes)
    };
    let mut tiles: Vec<Tile> = rows.iter().map(tile).collect();
    for (above, row) in rows.iter().enumerate() {
        for Group { name, count, bytes } in &row.groups {
            let name = format!("{} × {}", words::number(*count), words::short(name, NAME_MAX));
            tiles.push((above, String::new(), name, 0, *bytes, 0));
        }
    }
    tiles
}
