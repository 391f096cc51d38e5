//! The graph: one pass counts the references of each object, one writes them, both parallel over the pieces. References that do not
//! hold (soft, weak, phantom, final) are not in it, nor are those to what is not in the dump.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;

use crate::graph::{Graph, Offsets};
use crate::hprof::bytes::{Width, wide_at};
use crate::hprof::classes::Classes;
use crate::hprof::ids::Ids;
use crate::hprof::outline::Outline;
use crate::hprof::records::{self, Type, Visitor};
use crate::hprof::roots::{Ways, class_links, node_of};
use crate::hprof::strings::Strings;
use crate::hprof::survey::Survey;

/// Runs a visitor of its own over every one of `pieces`: at once, or one after the other where the last record of an id counts.
pub(crate) fn over_pieces<V: Visitor>(
    bytes: &[u8],
    width: Width,
    pieces: &[Range<usize>],
    at_once: bool,
    visitor: impl Fn() -> V + Sync,
) {
    let one = |piece: &Range<usize>| {
        // Pieces that cannot be read to their end were shortened by the first pass.
        let _whole = match width {
            Width::Four => records::walk::<4>(bytes, piece.clone(), &mut visitor()),
            Width::Eight => records::walk::<8>(bytes, piece.clone(), &mut visitor()),
        };
    };
    if at_once {
        pieces.par_iter().for_each(one);
    } else {
        pieces.iter().for_each(one);
    }
}

/// The graph, and how many references were to what is not in the dump.
pub(crate) fn graph(
    strings: &Strings<'_>,
    outline: &Outline,
    survey: &Survey,
    classes: &Classes,
    ways: &Ways,
) -> (Graph, u64) {
    let unknown = AtomicU64::new(0);
    let extra = extra_edges(strings, survey, classes, ways, &unknown);
    let source = Source { strings, outline, survey, classes };
    let first = match outline.width {
        Width::Four => source.count::<4>(&extra),
        Width::Eight => source.count::<8>(&extra),
    };
    let targets = match outline.width {
        Width::Four => source.write::<4>(&first, &extra),
        Width::Eight => source.write::<8>(&first, &extra),
    };
    let (graph, n_missing) = without_missing(Graph { first, targets });
    (graph, n_missing + unknown.into_inner())
}

/// Edges that are not in the record of the object they leave, ascending in that: of classes, and the ways in.
fn extra_edges(
    strings: &Strings<'_>,
    survey: &Survey,
    classes: &Classes,
    ways: &Ways,
    unknown: &AtomicU64,
) -> Vec<(u32, u32)> {
    let mut edges: Vec<(u32, u32)> = Vec::new();
    for class in 1..classes.infos.len() as u32 {
        let Some(from) = node_of(&survey.ids, classes.infos[class as usize].id) else { continue };
        class_links(strings, classes, class, &mut |_, id, holds| match node_of(&survey.ids, id) {
            Some(to) if holds => edges.push((from, to)),
            Some(_) => {}
            None => _ = unknown.fetch_add(1, Relaxed),
        });
    }
    edges.extend(ways.all.iter().map(|way| (way.from, way.to)));
    edges.sort_by_key(|edge| edge.0);
    edges
}

struct Source<'s> {
    strings: &'s Strings<'s>,
    outline: &'s Outline,
    survey: &'s Survey,
    classes: &'s Classes,
}

impl Source<'_> {
    /// Where the edges of each node begin.
    fn count<const W: usize>(&self, extra: &[(u32, u32)]) -> Offsets {
        let n_nodes = self.survey.ids.len() as usize + 1;
        // One more, where the last one's edges end.
        let mut counts = atomics(n_nodes + 1);
        over_pieces(self.strings.bytes, self.outline.width, &self.outline.pieces, !self.survey.duplicates, || Count::<
            W,
        > {
            ids: &self.survey.ids,
            classes: self.classes,
            class: (0, 0),
            counts: &counts,
            duplicates: self.survey.duplicates,
        });
        for (from, _) in extra {
            *counts[*from as usize].get_mut() += 1;
        }
        Offsets::starts(counts.into_iter().map(AtomicU32::into_inner).collect())
    }

    /// The targets of all edges; 0, which is none's, for those that are not in the dump.
    fn write<const W: usize>(&self, first: &Offsets, extra: &[(u32, u32)]) -> Vec<u32> {
        let n_edges = first.get(first.len() - 1);
        let mut targets = atomics(n_edges);
        over_pieces(self.strings.bytes, self.outline.width, &self.outline.pieces, !self.survey.duplicates, || Write::<
            W,
        > {
            ids: &self.survey.ids,
            classes: self.classes,
            class: (0, 0),
            first,
            targets: &targets,
        });
        for edges in extra.chunk_by(|a, b| a.0 == b.0) {
            let end = first.get(edges[0].0 as usize + 1);
            for (slot, edge) in targets[end - edges.len()..end].iter_mut().zip(edges) {
                *slot.get_mut() = edge.1;
            }
        }
        targets.into_iter().map(AtomicU32::into_inner).collect()
    }
}

pub(crate) fn atomics(n: usize) -> Vec<AtomicU32> {
    // Zeroed by the system, page by page as they are written; collected in place.
    vec![0_u32; n].into_iter().map(AtomicU32::new).collect()
}

/// The number of a class, where `last` is the class asked for before and its number.
#[inline]
pub(crate) fn class_number(classes: &Classes, last: &mut (u64, u32), class: u64) -> u32 {
    if last.0 != class {
        *last = (class, classes.find(class).unwrap_or(0));
    }
    last.1
}

struct Count<'s, const W: usize> {
    ids: &'s Ids,
    classes: &'s Classes,
    class: (u64, u32),
    counts: &'s [AtomicU32],
    duplicates: bool,
}

impl<const W: usize> Count<'_, W> {
    #[inline]
    fn set(&self, id: u64, count: u32) {
        if let Some(slot) = node_of(self.ids, id).and_then(|node| self.counts.get(node as usize)) {
            slot.store(count, Relaxed);
        }
    }
}

impl<const W: usize> Visitor for Count<'_, W> {
    #[inline]
    fn instance(&mut self, _at: usize, id: u64, class: u64, data: &[u8]) {
        let class = class_number(self.classes, &mut self.class, class);
        let mut count = 0;
        self.classes.references::<W>(class, data, |_| count += 1);
        self.set(id, count);
    }

    #[inline]
    fn objects(&mut self, _at: usize, id: u64, _class: u64, elements: &[u8]) {
        self.set(id, elements.chunks_exact(W).filter(|element| wide_at::<W>(element, 0) != Some(0)).count() as u32);
    }

    #[inline]
    fn primitives(&mut self, _at: usize, id: u64, _of: Type, _n: u32, _elements: &[u8]) {
        // Of several with the same id the last counts; else it is 0 already.
        if self.duplicates {
            self.set(id, 0);
        }
    }
}

struct Write<'s, const W: usize> {
    ids: &'s Ids,
    classes: &'s Classes,
    class: (u64, u32),
    first: &'s Offsets,
    targets: &'s [AtomicU32],
}

impl<const W: usize> Write<'_, W> {
    #[inline]
    fn slots(&self, id: u64) -> std::slice::Iter<'_, AtomicU32> {
        let range = node_of(self.ids, id).map_or(0..0, |node| self.first.range(node as usize));
        self.targets[range].iter()
    }
}

impl<const W: usize> Visitor for Write<'_, W> {
    #[inline]
    fn instance(&mut self, _at: usize, id: u64, class: u64, data: &[u8]) {
        let class = class_number(self.classes, &mut self.class, class);
        let mut slots = self.slots(id);
        self.classes.references::<W>(class, data, |to| {
            if let Some(slot) = slots.next() {
                slot.store(node_of(self.ids, to).unwrap_or(0), Relaxed);
            }
        });
    }

    #[inline]
    fn objects(&mut self, _at: usize, id: u64, _class: u64, elements: &[u8]) {
        let held = elements.chunks_exact(W).filter_map(|element| wide_at::<W>(element, 0).filter(|&to| to != 0));
        for (slot, to) in self.slots(id).zip(held) {
            slot.store(node_of(self.ids, to).unwrap_or(0), Relaxed);
        }
    }
}

/// The graph without edges to 0, and how many those were.
fn without_missing(graph: Graph) -> (Graph, u64) {
    let n_missing = graph.targets.par_iter().filter(|&&to| to == 0).count();
    if n_missing == 0 {
        return (graph, 0);
    }
    let Graph { first, mut targets } = graph;
    let mut packed = Offsets::with_capacity(first.len());
    let mut to = 0;
    for node in 0..first.len() - 1 {
        packed.push(to);
        for from in first.range(node) {
            if targets[from] != 0 {
                targets[to] = targets[from];
                to += 1;
            }
        }
    }
    packed.push(to);
    targets.truncate(to);
    (Graph { first: packed, targets }, n_missing as u64)
}
