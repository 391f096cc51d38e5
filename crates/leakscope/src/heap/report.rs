//! A heap's findings as what is published.

use leakscope_heap::{Class, DuplicateString, Heap, Node};
use leakscope_wire as wire;

use super::outline::biggest;

/// How much is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Suspects at most.
    pub(crate) suspects: usize,
    /// Types at most.
    pub(crate) classes: usize,
    /// Objects that hold the most, at most.
    pub(crate) dominators: usize,
}

impl Extent {
    /// Totals alone.
    pub(crate) const NOTHING: Self = Self { suspects: 0, classes: 0, dominators: 0 };
}

/// Confidence from which a suspect is called a leak.
const LEAK_CONFIDENCE: f64 = 0.5;

/// What one capture says. `warnings`: of reading it.
pub(crate) fn analysis(heap: &Heap<'_>, extent: Extent, mut warnings: Vec<String>) -> wire::HeapAnalysis {
    warnings.extend(heap.warnings().iter().cloned());
    let dominators =
        biggest(heap.nodes().filter(|node| *node != heap.root()), extent.dominators, |node| heap.retained_bytes(node));
    wire::HeapAnalysis {
        format: heap.format().name().to_owned(),
        file_bytes: heap.file_bytes(),
        nodes: heap.n_nodes() as u64,
        edges: heap.n_edges() as u64,
        total_bytes: heap.total_bytes(),
        classes: classes(heap.classes().iter(), extent.classes),
        dominators: dominators.into_iter().map(|node| object(heap, node)).collect(),
        suspects: heap.suspects(extent.suspects).iter().map(finding).collect(),
        warnings,
        answers: wire::HeapAnswers::default(),
    }
}

/// Types, most retained bytes first; of equals by name.
pub(super) fn classes<'a>(classes: impl Iterator<Item = &'a Class>, max: usize) -> Vec<wire::HeapClass> {
    let mut classes: Vec<&Class> = classes.filter(|class| class.count > 0).collect();
    let rank = |class: &Class| (class.retained_bytes, class.self_bytes, class.count);
    classes.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.name.cmp(&b.name)));
    classes.truncate(max);
    classes.into_iter().map(class).collect()
}

/// Types with their counts and own bytes alone, most bytes first.
pub(crate) fn histogram(found: &[Class]) -> Vec<wire::HeapClass> {
    let mut all = classes(found.iter(), usize::MAX);
    for class in &mut all {
        class.retained_bytes = None;
    }
    all.sort_by_key(|class| std::cmp::Reverse(class.self_bytes));
    all
}

fn class(class: &Class) -> wire::HeapClass {
    wire::HeapClass {
        name: class.name.clone(),
        count: class.count,
        self_bytes: class.self_bytes,
        retained_bytes: Some(class.retained_bytes),
        location: class.location.as_ref().map(Into::into),
    }
}

/// One object as it is published.
pub(super) fn object(heap: &Heap<'_>, node: Node) -> wire::HeapObject {
    wire::HeapObject {
        id: heap.id(node),
        name: heap.name(node),
        self_bytes: heap.self_bytes(node),
        retained_bytes: heap.retained_bytes(node),
        dominator_id: heap.dominator(node).map(|dominator| heap.id(dominator)),
    }
}

/// One suspect as it is published.
pub(crate) fn finding(finding: &leakscope_heap::Finding) -> wire::Finding {
    wire::Finding {
        suspect: (&finding.suspect).into(),
        identity: finding.identity.to_string(),
        growth_bytes: finding.growth.map(|growth| growth.bytes),
        growth_count: finding.growth.map(|growth| growth.count),
        grew_in_every_step: finding.growth.map(|growth| growth.in_every_step),
        growth_error_bytes: finding.growth.and_then(|growth| growth.error_bytes),
        growth_bytes_per_hour: finding.growth.and_then(|growth| growth.bytes_per_hour),
        growth_bytes_per_request: finding.growth.and_then(|growth| growth.bytes_per_request),
    }
}

/// The same text in several strings, as it is published.
pub(super) fn duplicate(string: DuplicateString) -> wire::DuplicateString {
    let DuplicateString { text, count, bytes } = string;
    wire::DuplicateString { text, count, bytes }
}

/// Whether one of them is called a leak.
pub(crate) fn has_leak(suspects: &[wire::Finding]) -> bool {
    suspects.iter().any(|finding| finding.suspect.confidence >= LEAK_CONFIDENCE)
}
