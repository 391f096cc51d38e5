//! Single questions to one heap: a class, an object, who refers to it, how it is reached, what is inside.

use leakscope_heap::{Edge, EdgeKind, Heap, Node, Retainer};
use leakscope_wire as wire;

use super::outline::biggest;
use super::report;
use crate::exit::Failure;

/// Names that are offered for one that is not there.
const NEAREST: usize = 3;
/// Characters of a string that are shown.
const TEXT_MAX: usize = 400;

/// What is asked beside the report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Questions {
    /// A class by its name.
    pub(crate) class: Option<String>,
    /// An object by its identity.
    pub(crate) node: Option<u64>,
    /// Who refers to an object.
    pub(crate) retainers: Option<u64>,
    /// How an object is reached.
    pub(crate) paths: Option<u64>,
    /// Which texts several strings have.
    pub(crate) strings: bool,
    /// Which collections are the largest.
    pub(crate) collections: bool,
}

impl Questions {
    pub(crate) fn any(&self) -> bool {
        let Self { class, node, retainers, paths, strings, collections } = self;
        class.is_some() || node.is_some() || retainers.is_some() || paths.is_some() || *strings || *collections
    }
}

/// Reads the identity of an object: `@123` and decimal digits as V8 writes them, `0x7f..` as HPROF does.
///
/// # Errors
/// What was expected.
pub(crate) fn parse_id(text: &str) -> Result<u64, String> {
    let text = text.strip_prefix('@').unwrap_or(text);
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "expected the id of an object: `@123`, `123` or `0x7b`".to_owned())
}

/// Answers all questions, each with at most `max` rows.
///
/// # Errors
/// When a class or an object is not there.
pub(crate) fn ask(heap: &Heap<'_>, questions: &Questions, max: usize) -> Result<wire::HeapAnswers, Failure> {
    let Questions { class, node, retainers, paths, strings, collections } = questions;
    Ok(wire::HeapAnswers {
        class: class.as_deref().map(|name| about_class(heap, name, max)).transpose()?,
        node: node.map(|id| Ok(about_node(heap, find(heap, id)?, max))).transpose()?,
        retainers: retainers.map(|id| Ok(about_retainers(heap, find(heap, id)?, max))).transpose()?,
        paths: paths.map(|id| Ok(about_paths(heap, find(heap, id)?, max))).transpose()?,
        duplicate_strings: strings.then(|| duplicate_strings(heap, max)),
        collections: collections.then(|| about_collections(heap, max)),
    })
}

fn find(heap: &Heap<'_>, id: u64) -> Result<Node, Failure> {
    heap.find(id).ok_or_else(|| {
        Failure::usage(format!("no object has the id {id} ({id:#x})"))
            .hint("ids are in the report: `@123` of V8, `0x7b` of a JVM; V8's stay the same from capture to capture of one process")
    })
}

fn about_class(heap: &Heap<'_>, name: &str, max: usize) -> Result<wire::HeapClassDetail, Failure> {
    let wanted: Vec<bool> = heap.classes().iter().map(|class| class.name == name && class.count > 0).collect();
    let types = heap.classes().iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(class, _)| class);
    let types = report::classes(types, usize::MAX);
    if types.is_empty() {
        return Err(unknown_class(heap, name));
    }
    let is_one = |node: &Node| heap.class(*node).name == name;
    let instances = heap.nodes().filter(is_one);
    let biggest = biggest(instances, max, |node| heap.retained_bytes(node));
    Ok(wire::HeapClassDetail { types, biggest: biggest.into_iter().map(|node| report::object(heap, node)).collect() })
}

fn unknown_class(heap: &Heap<'_>, name: &str) -> Failure {
    let wanted = name.to_lowercase();
    let mut near: Vec<(f64, &str)> = Vec::new();
    for class in heap.classes().iter().filter(|class| class.count > 0) {
        let known = class.name.to_lowercase();
        // Who asks for `HashMap` means `java.util.HashMap`.
        let last = known.rsplit(['.', '$', '/']).next().unwrap_or(&known);
        let alike = strsim::jaro_winkler(&wanted, &known).max(strsim::jaro_winkler(&wanted, last));
        near.push((alike, &class.name));
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    let near: Vec<String> =
        near.iter().take(NEAREST).map(|(_, name)| format!("`{}`", super::words::short(name, 80))).collect();
    let failure = Failure::usage(format!("no class is called `{name}`"));
    if near.is_empty() { failure } else { failure.hint(format!("the nearest names are {}", near.join(", "))) }
}

fn about_node(heap: &Heap<'_>, node: Node, max: usize) -> wire::HeapNode {
    let edges = heap.edges(node);
    let dominators = heap.dominator_path(node);
    wire::HeapNode {
        object: report::object(heap, node),
        class: heap.class(node).name.clone(),
        distance: heap.distance(node),
        location: heap.location(node).as_ref().map(Into::into),
        text: heap.text(node, TEXT_MAX),
        dominators: dominators.into_iter().map(|node| report::object(heap, node)).collect(),
        n_edges: edges.len() as u64,
        edges: biggest_edges(heap, edges, max),
    }
}

/// Those to the biggest objects, in the order of the capture where they are equal.
fn biggest_edges(heap: &Heap<'_>, mut edges: Vec<Edge>, max: usize) -> Vec<wire::HeapEdge> {
    edges.sort_by_key(|edge| std::cmp::Reverse(heap.retained_bytes(edge.to)));
    edges.truncate(max);
    let edge = |edge: Edge| wire::HeapEdge {
        kind: kind_name(edge.kind).to_owned(),
        edge: edge.name.to_string(),
        to: report::object(heap, edge.to),
    };
    edges.into_iter().map(edge).collect()
}

fn about_retainers(heap: &Heap<'_>, node: Node, max: usize) -> Vec<wire::HeapRetainer> {
    let retainer = |Retainer { from, edge }: Retainer| wire::HeapRetainer {
        kind: kind_name(edge.kind).to_owned(),
        edge: edge.name.to_string(),
        from: report::object(heap, from),
    };
    heap.retainers(node, max).into_iter().map(retainer).collect()
}

fn about_paths(heap: &Heap<'_>, node: Node, max: usize) -> Vec<Vec<wire::PathStep>> {
    let path = |path: Vec<_>| path.iter().map(Into::into).collect();
    heap.paths(node, max).into_iter().map(path).collect()
}

/// Texts that several strings have.
pub(super) fn duplicate_strings(heap: &Heap<'_>, max: usize) -> Vec<wire::DuplicateString> {
    heap.duplicate_strings(max).into_iter().map(report::duplicate).collect()
}

/// The collections with the most entries.
pub(super) fn about_collections(heap: &Heap<'_>, max: usize) -> Vec<wire::Collection> {
    let collection = |found: leakscope_heap::Collection| wire::Collection {
        object: report::object(heap, found.node),
        kind: found.kind,
        size: found.size,
        capacity: found.capacity,
    };
    heap.collections(max).into_iter().map(collection).collect()
}

fn kind_name(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Field => "field",
        EdgeKind::Element => "element",
        EdgeKind::Variable => "variable",
        EdgeKind::Static => "static",
        EdgeKind::Internal => "internal",
        EdgeKind::Hidden => "hidden",
        EdgeKind::Shortcut => "shortcut",
        EdgeKind::Weak => "weak",
        EdgeKind::Root => "root",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        assert_eq!(["@123", "123", "0x7b", "0x7B"].map(parse_id), [const { Ok(123) }; 4]);
        for text in ["", "@", "0x", "-1", "node", "0xfffffffffffffffff"] {
            assert!(parse_id(text).is_err(), "{text}");
        }
    }
}
