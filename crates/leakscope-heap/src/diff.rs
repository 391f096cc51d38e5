//! What grew over two or more captures.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use crate::accumulate::{Accumulation, accumulations};
use crate::error::HeapError;
use crate::findings::{ClassGrowth, Finding, Totals};
use crate::format::Format;
use crate::heap::{Heap, Node, Phase, analyse_like};
use crate::hprof::normalised;
use crate::shapes::{Shapes, Tally};
use crate::suspects::{Evidence, counted, finding, owned};
use crate::v8::Interface;

/// What grew.
#[derive(Debug)]
pub struct Diff<'a> {
    /// Of all captures.
    pub format: Format,
    /// Of each capture, in order.
    pub captures: Vec<Totals>,
    /// Bytes of the last less those of the first.
    pub growth_bytes: i64,
    /// What grew, most suspicious first.
    pub findings: Vec<Finding>,
    /// By type, most growth in bytes first.
    pub classes: Vec<ClassGrowth>,
    /// The last capture, in which the paths of the findings are.
    pub last: Heap<'a>,
    /// What could not be read of any capture, as sentences.
    pub warnings: Vec<String>,
}

/// Why captures cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// One of them cannot be read.
    #[error("{source}")]
    Unreadable {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: HeapError,
    },
    /// They are of several formats.
    #[error("expected captures of one format, found {found} after {expected}")]
    Mixed {
        /// Which differs from the first.
        index: usize,
        /// Format of the first.
        expected: &'static str,
        /// Its format.
        found: &'static str,
    },
    /// A comparison takes two.
    #[error("expected two captures or more, found {found}")]
    TooFew {
        /// How many there are.
        found: usize,
    },
}

/// Least part of all growth that makes a place a suspect.
const SHARE_MIN: f64 = 0.01;
/// Bytes below which growth is no suspect's.
const GROWTH_MIN: i64 = 16 << 10;
/// Least part of the last capture's heap that growth must be, for a suspect to be named at all.
const HEAP_SHARE_MIN: f64 = 0.01;
/// Suspects that are told.
const FINDINGS_MAX: usize = 50;

/// Compares captures of one service, oldest first.
///
/// Growth is told by place of accumulation (see `accumulate`), each with the retaining path in the last capture. Types are compared by
/// object id where ids last (V8), as Chrome DevTools does, else by count. `progress` hears which capture is worked on, from 0.
///
/// # Errors
/// [`DiffError`].
pub fn diff<'a>(captures: &[&'a [u8]], progress: &(dyn Fn(usize, Phase) + Sync)) -> Result<Diff<'a>, DiffError> {
    let n = captures.len();
    if n < 2 {
        return Err(DiffError::TooFew { found: n });
    }
    let format = format_of(captures)?;
    let read = |index: usize, interfaces: Option<&[Interface]>| {
        let heap = analyse_like(captures[index], interfaces, &|phase| progress(index, phase));
        heap.map_err(|source| DiffError::Unreadable { index, source })
    };
    let mut shapes = Shapes::default();
    let mut tallies = vec![Tally::default(); n];
    let mut totals = vec![Totals::default(); n];
    // The last first: plain objects of all captures are called as in the last.
    let last = read(n - 1, None)?;
    let scopes = shapes.scopes(&last);
    tallies[n - 1] = shapes.tally(&last, &scopes);
    totals[n - 1] = Totals::of(&last);
    let (mut classes, mut warnings) = (Vec::new(), Vec::new());
    for index in 0..n - 1 {
        let heap = read(index, Some(&last.interfaces))?;
        warnings.extend(heap.warnings.iter().map(|warning| format!("capture {}: {warning}", index + 1)));
        tallies[index] = shapes.tally(&heap, &scopes);
        totals[index] = Totals::of(&heap);
        if index == 0 {
            classes = class_growth(&heap, &last);
        }
    }
    warnings.extend(last.warnings.iter().map(|warning| format!("capture {n}: {warning}")));
    progress(n - 1, Phase::Suspects);
    for tally in &mut tallies {
        shapes.add_up(tally);
    }
    let growth_bytes = totals[n - 1].total_bytes as i64 - totals[0].total_bytes as i64;
    let findings = findings(&last, &shapes, &tallies);
    Ok(Diff { format, captures: totals, growth_bytes, findings, classes, last, warnings })
}

fn format_of(captures: &[&[u8]]) -> Result<Format, DiffError> {
    let mut first: Option<Format> = None;
    for (index, bytes) in captures.iter().enumerate() {
        let format = Format::of(bytes).map_err(|source| DiffError::Unreadable { index, source })?;
        let expected = *first.get_or_insert(format);
        if format != expected {
            return Err(DiffError::Mixed { index, expected: expected.name(), found: format.name() });
        }
    }
    first.ok_or(DiffError::TooFew { found: 0 })
}

/// The suspects: places with a part of the growth that matters, those that grew in every step first, then by bytes.
fn findings(last: &Heap<'_>, shapes: &Shapes, tallies: &[Tally]) -> Vec<Finding> {
    let of_root = |tally: &Tally| tally.retained.first().copied().unwrap_or(0);
    let total = tallies.last().map_or(0, of_root) as f64;
    let growth_bytes = total as i64 - tallies.first().map_or(0, of_root) as i64;
    let bytes_min = ((growth_bytes as f64 * SHARE_MIN) as i64).max(GROWTH_MIN);
    let mut places = with_their_tables(shapes, accumulations(shapes, tallies, bytes_min));
    places.retain(|place| place.growth() as f64 >= total * HEAP_SHARE_MIN * SHARE_MIN);
    let all: i64 = places.iter().map(Accumulation::growth).sum();
    let all = growth_bytes.max(all).max(1) as f64;
    let last_tally = &tallies[tallies.len() - 1];
    let mut findings = Vec::new();
    for (place, shared) in &owned(last, last_tally, places) {
        let counts = tallies.iter().map(|tally| counted(shapes, place, tally)).collect();
        let share = place.growth() as f64 / all;
        let evidence = Evidence { shapes, last: last_tally, place, counts, share, shared: *shared };
        if place.growth() as f64 >= total * HEAP_SHARE_MIN {
            findings.extend(finding(last, &evidence));
        }
        if findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    findings
}

/// The places, with the growth of a collection's own bytes counted where what is in it accumulates.
fn with_their_tables(shapes: &Shapes, mut places: Vec<Accumulation>) -> Vec<Accumulation> {
    for index in 0..places.len() {
        let at = places[index].at;
        let is_inside = |place: &Accumulation| place.elements.is_some() && shapes.all[place.at as usize].parent == at;
        if places[index].elements.is_some() {
            continue;
        }
        let Some(inside) = places.iter().position(is_inside) else { continue };
        let bytes = std::mem::take(&mut places[index].bytes);
        for (sum, bytes) in places[inside].bytes.iter_mut().zip(&bytes) {
            *sum = sum.saturating_add(*bytes);
        }
    }
    places.retain(|place| !place.bytes.is_empty());
    places
}

/// Whether ids of the first capture stand for the same objects in the last: V8 gives them anew when an inspector leaves. Looks at some
/// objects across the first.
fn ids_last(base: &Heap<'_>, of_base: &[u32], last: &Heap<'_>, of_last: &[u32]) -> bool {
    let step = (base.n_nodes() / IDS_LOOKED_AT).max(1);
    let class = |heap: &Heap<'_>, of: &[u32], node: Node| of[heap.class_of.get(node.0) as usize];
    let wanted: FxHashMap<u64, u32> =
        base.nodes().step_by(step).map(|node| (base.id(node), class(base, of_base, node))).collect();
    let same = |node: &Node| wanted.get(&last.id(*node)).is_some_and(|wanted| *wanted == class(last, of_last, *node));
    last.nodes().filter(same).count() as f64 >= wanted.len() as f64 * IDS_LAST_MIN
}

/// What was added and removed by type.
fn class_growth(base: &Heap<'_>, last: &Heap<'_>) -> Vec<ClassGrowth> {
    let mut table = ClassTable::default();
    let (of_base, of_last) = (table.numbers(base), table.numbers(last));
    if last.format == Format::V8HeapSnapshot && ids_last(base, &of_base, last, &of_last) {
        table.by_id(base, &of_base, last, &of_last);
    } else {
        table.by_count(base, &of_base, last, &of_last);
    }
    let mut rows = table.rows;
    rows.retain(|row| row.added_count + row.removed_count > 0);
    let growth = |row: &ClassGrowth| row.added_bytes as i64 - row.removed_bytes as i64;
    rows.sort_by(|a, b| growth(b).cmp(&growth(a)).then_with(|| a.name.cmp(&b.name)));
    rows
}

/// Objects whose ids are looked up in another capture.
const IDS_LOOKED_AT: usize = 2_000;
/// The part of them that has to be of the same type there: more than chance gives, less than what lives on in a busy program.
const IDS_LAST_MIN: f64 = 0.3;

/// Types of two captures by what they have in common: name and place.
#[derive(Default)]
struct ClassTable {
    rows: Vec<ClassGrowth>,
    by_key: BTreeMap<(String, Option<(String, u32, Option<u32>)>), u32>,
}

impl ClassTable {
    /// The row of each class of `heap`.
    fn numbers(&mut self, heap: &Heap<'_>) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(heap.classes.len());
        for class in &heap.classes {
            let place = class.location.as_ref().map(|place| (place.file.clone(), place.line, place.column));
            let name = normalised(&class.name).into_owned();
            let next = self.rows.len() as u32;
            let number = *self.by_key.entry((name.clone(), place)).or_insert(next);
            if number == next {
                let location = class.location.clone();
                self.rows.push(ClassGrowth { name, location, ..ClassGrowth::default() });
            }
            numbers.push(number);
        }
        numbers
    }

    /// Same id, same object, whatever its size became.
    fn by_id(&mut self, base: &Heap<'_>, of_base: &[u32], last: &Heap<'_>, of_last: &[u32]) {
        let mut kept: FxHashMap<u64, u32> = FxHashMap::default();
        let counted = |heap: &Heap<'_>, node: Node| heap.self_bytes(node) > 0;
        for node in last.nodes().filter(|&node| counted(last, node)) {
            kept.insert(last.id(node), of_last[last.class_of.get(node.0) as usize]);
        }
        for node in base.nodes().filter(|&node| counted(base, node)) {
            let class = of_base[base.class_of.get(node.0) as usize];
            match kept.entry(base.id(node)) {
                Entry::Occupied(same) if *same.get() == class => drop(same.remove()),
                _ => {
                    let row = &mut self.rows[class as usize];
                    row.removed_count += 1;
                    row.removed_bytes = row.removed_bytes.saturating_add(base.self_bytes(node));
                }
            }
        }
        for node in last.nodes().filter(|&node| counted(last, node)) {
            if let Some(&class) = kept.get(&last.id(node)) {
                let row = &mut self.rows[class as usize];
                row.added_count += 1;
                row.added_bytes = row.added_bytes.saturating_add(last.self_bytes(node));
            }
        }
    }

    fn by_count(&mut self, base: &Heap<'_>, of_base: &[u32], last: &Heap<'_>, of_last: &[u32]) {
        let mut changes = vec![(0_i64, 0_i64); self.rows.len()];
        for (heap, numbers, sign) in [(base, of_base, -1), (last, of_last, 1)] {
            for (class, &number) in heap.classes.iter().zip(numbers) {
                changes[number as usize].0 += sign * class.count as i64;
                changes[number as usize].1 += sign * class.self_bytes as i64;
            }
        }
        for (row, (count, bytes)) in self.rows.iter_mut().zip(changes) {
            row.added_count = count.max(0) as u64;
            row.removed_count = (-count).max(0) as u64;
            row.added_bytes = bytes.max(0) as u64;
            row.removed_bytes = (-bytes).max(0) as u64;
        }
    }
}
