//! HPROF dumps: bytes of a dump to a [`Heap`].
//!
//! `outline` finds the pieces, `survey` what is in them, `classes` and `layout` how big it is, `edges` who refers to whom, `describe`
//! the class and size of each object. `dump` answers questions about single objects from the bytes. Objects are numbered by their
//! ids (`ids`), the synthetic root is node 0 (`roots`).

pub(crate) mod bytes;
mod classes;
mod collections;
mod contents;
mod describe;
mod detail;
mod dump;
mod edges;
mod holds;
mod ids;
mod layout;
pub(crate) mod names;
mod outline;
mod records;
mod redact;
mod roots;
mod strings;
mod survey;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use crate::dominators::{Dominators, dominators};
use crate::error::HeapError;
use crate::format::Format;
use crate::graph::{Bits, Graph, Successors};
use crate::heap::{Class, Heap, Phase};
use crate::hprof::classes::Classes;
use crate::hprof::dump::Dump;
use crate::hprof::outline::Outline;
use crate::hprof::roots::{ROOT, Ways, node_of};
use crate::hprof::strings::Strings;
use crate::hprof::survey::Survey;
use crate::retained::{class_retained, retained};
use crate::tree::DominatorTree;

pub(crate) use names::{normalised, readable};
pub(crate) use outline::is_hprof;
pub(crate) use redact::redact;

/// One of so many references may be to an object that the dump does not have: JDK 17 leaves out what it has archived of classes that
/// were never loaded. More are worth a warning.
const UNKNOWN_SHARE: u64 = 100;

/// Objects and bytes by class, without a graph. Nothing is retained in it.
///
/// # Errors
/// As [`analyse`].
pub(crate) fn histogram(bytes: &[u8], progress: &(dyn Fn(Phase) + Sync)) -> Result<Vec<Class>, HeapError> {
    progress(Phase::Reading);
    let Read { survey, classes, .. } = Read::of(bytes)?;
    Ok(describe::histogram(&survey, &classes))
}

/// Reads and analyses a dump. One that ends too soon, or has records that cannot be read, is analysed as far as it goes, with
/// warnings. About 34 bytes an object are needed at most.
///
/// # Errors
/// [`HeapError`], when the header is of no dump, there is no object in it, or there are too many for 32 bits.
pub(crate) fn analyse<'a>(bytes: &'a [u8], progress: &(dyn Fn(Phase) + Sync)) -> Result<Heap<'a>, HeapError> {
    progress(Phase::Reading);
    let Read { mut outline, strings, survey, classes } = Read::of(bytes)?;
    let ways = Ways::of(&survey, &classes);
    let (graph, n_missing) = edges::graph(&strings, &outline, &survey, &classes, &ways);
    let n_unknown = n_missing + ways.n_unknown;
    if n_unknown > graph.targets.len() as u64 / UNKNOWN_SHARE {
        outline.warn(format!("{n_unknown} references and roots are to objects that the dump does not have"));
    }
    progress(Phase::Dominators);
    let dominators = dominators(&Holding(&graph), ROOT);
    progress(Phase::Sizes);
    // Only now, and one after the other, so that little is in memory at once.
    let (class_of, self_bytes) = describe::describe(bytes, &outline, &survey, &classes);
    let mut all = describe::histogram(&survey, &classes);
    let retained = retained(&dominators, &self_bytes);
    let self_bytes = self_bytes.narrowed();
    let Dominators { of: dominators, order } = dominators;
    let tree = DominatorTree::in_place_of(order, &dominators, ROOT);
    class_retained(&mut all, &class_of, &self_bytes, &retained, &tree, ROOT);
    drop(tree);
    let Outline { frames, traces, class_serials, warnings, .. } = outline;
    let Survey { ids, spans, duplicates, .. } = survey;
    let mut class_nodes = Bits::new(graph.n_nodes());
    let dumped = classes.infos.iter().filter(|info| info.dump.is_some());
    dumped.filter_map(|info| node_of(&ids, info.id)).for_each(|node| class_nodes.set(node));
    Ok(Heap {
        format: Format::Hprof,
        file_bytes: bytes.len() as u64,
        graph,
        root: ROOT,
        self_bytes,
        class_of,
        classes: all,
        dominators,
        retained,
        distances: OnceLock::new(),
        detail: Box::new(Dump {
            strings,
            ids,
            classes,
            ways,
            spans,
            frames,
            traces,
            class_serials,
            class_nodes,
            duplicates,
        }),
        interfaces: Vec::new(),
        warnings,
    })
}

/// What is known before there is a graph.
struct Read<'a> {
    outline: Outline,
    strings: Strings<'a>,
    survey: Survey,
    classes: Classes,
}

impl<'a> Read<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, HeapError> {
        let mut outline = Outline::of(bytes)?;
        let survey = Survey::of(bytes, &mut outline)?;
        let strings = Strings { bytes, width: outline.width, places: std::mem::take(&mut outline.strings) };
        let classes = Classes::of(bytes, &outline, &strings, &survey);
        Ok(Self { outline, strings, survey, classes })
    }
}

/// The graph, whose garbage holds nothing.
struct Holding<'g>(&'g Graph);

impl Successors for Holding<'_> {
    fn n_nodes(&self) -> usize {
        self.0.n_nodes()
    }

    #[inline]
    fn successors(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.0.successors(node)
    }

    fn orphans_hold(&self) -> bool {
        false
    }
}
