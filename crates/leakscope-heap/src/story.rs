//! How a place of accumulation is told to a person: who holds what by which name, and where that is in the source.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use leakscope_model::{Frame, Location, PathStep};

use crate::heap::{Edge, EdgeKind, EdgeName, Heap, Node};
use crate::v8::SYSTEM_BASE;

/// Nodes that are looked at to fill a gap between a dominator and what it dominates.
const GAP_NODES_MAX: usize = 20_000;
/// Edges of one node that are looked at there.
const GAP_EDGES_MAX: usize = 5_000;
/// Nodes below an object among which a place in the source is looked for.
const PLACE_NODES_MAX: usize = 400;
/// Steps of a path that are shown; the middle of longer ones is left out.
const STEPS_MAX: usize = 24;

/// In place of an edge: there are several ways, and no short one.
const SEVERAL_WAYS: &str = "\u{2026}";

/// One object on the way from the root down, and how it holds the next.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) node: Node,
    /// None for the last.
    pub(crate) holds: Option<Edge>,
}

/// The way from below the root down to `node`: its dominators, and between two of which the upper does not hold the lower itself one
/// shortest way. Every way from a root to `node` passes the dominators, so that they are what a person must know.
pub(crate) fn way_down(heap: &Heap<'_>, node: Node) -> Vec<Step> {
    let dominators = heap.dominator_path(node);
    let mut way: Vec<Step> = Vec::new();
    for pair in dominators.windows(2) {
        way.extend(way_between(heap, pair[0], pair[1]));
    }
    way.push(Step { node, holds: None });
    if dominators.len() == 1 {
        let mut above = way_from_root(heap, node);
        above.append(&mut way);
        return above;
    }
    way
}

/// The steps from `from` to the one that holds `to`; one without an edge where none is found in time.
fn way_between(heap: &Heap<'_>, from: Node, to: Node) -> Vec<Step> {
    if let Some(edge) = edge_between(heap, from, to) {
        return vec![Step { node: from, holds: Some(edge) }];
    }
    shortest(heap, from, to).unwrap_or_else(|| vec![Step { node: from, holds: None }])
}

/// A shortest way from an entry of the program to a node that nothing but the root dominates, without the root itself.
fn way_from_root(heap: &Heap<'_>, node: Node) -> Vec<Step> {
    let Some(mut distance) = heap.distance(node) else { return Vec::new() };
    let mut way = Vec::new();
    let mut at = node;
    // Upwards one pass over the graph a step; a way in through the engine's own roots says nothing.
    while distance > 1 && distance < SYSTEM_BASE && way.len() < STEPS_MAX {
        let above = heap.nodes().find_map(|from| {
            let nearer = heap.distance(from) == Some(distance - 1) && heap.graph.targets(from.0).contains(&at.0);
            nearer.then(|| edge_between(heap, from, at).map(|edge| Step { node: from, holds: Some(edge) })).flatten()
        });
        let Some(step) = above else { break };
        (at, distance) = (step.node, distance - 1);
        way.push(step);
    }
    way.reverse();
    way
}

/// The edge that says most of those by which `from` keeps `to` alive.
pub(crate) fn edge_between(heap: &Heap<'_>, from: Node, to: Node) -> Option<Edge> {
    let rank = |edge: &Edge| match edge.kind {
        EdgeKind::Static | EdgeKind::Field | EdgeKind::Variable => 0,
        EdgeKind::Element | EdgeKind::Root => 1,
        EdgeKind::Internal => 2,
        EdgeKind::Hidden | EdgeKind::Shortcut => 3,
        EdgeKind::Weak => 4,
    };
    if !heap.graph.targets(from.0).contains(&to.0) {
        return None;
    }
    let edges = heap.edges(from).into_iter().filter(|edge| edge.to == to && edge.kind != EdgeKind::Weak);
    edges.min_by_key(rank)
}

/// Breadth first within what `from` dominates.
fn shortest(heap: &Heap<'_>, from: Node, to: Node) -> Option<Vec<Step>> {
    let mut parents = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    'search: while let Some(node) = queue.pop_front() {
        if parents.len() > GAP_NODES_MAX {
            return None;
        }
        for &target in heap.graph.targets(node.0).iter().take(GAP_EDGES_MAX) {
            let target = Node(target);
            if !parents.contains_key(&target) && heap.detail.retains(&heap.graph, node.0, target.0) {
                parents.insert(target, node);
                queue.push_back(target);
                if target == to {
                    break 'search;
                }
            }
        }
    }
    let mut way = Vec::new();
    let mut at = to;
    while at != from {
        let above = *parents.get(&at)?;
        way.push(Step { node: above, holds: edge_between(heap, above, at) });
        at = above;
    }
    way.reverse();
    Some(way)
}

/// A path as people read it: without the engine's own nodes, repetition once, the middle of long ones left out.
pub(crate) fn path_of(heap: &Heap<'_>, way: &[Step]) -> Vec<PathStep> {
    let mut path: Vec<PathStep> = Vec::new();
    for (index, step) in way.iter().enumerate() {
        let name = heap.name(step.node);
        let edge = match &step.holds {
            Some(edge) => edge.name.to_string(),
            None if index + 1 == way.len() => String::new(),
            None => SEVERAL_WAYS.to_owned(),
        };
        match path.last_mut() {
            // What holds by an array of the engine's holds by index.
            Some(above) if is_inner(&name) && !edge.is_empty() => {
                "[]".clone_into(&mut above.edge);
            }
            Some(above) if above.name == name && above.edge == edge => {}
            _ => path.push(PathStep { edge, name, id: heap.id(step.node) }),
        }
    }
    if path.len() > STEPS_MAX {
        let left_out = path.len() - STEPS_MAX;
        path.drain(STEPS_MAX / 2..STEPS_MAX / 2 + left_out);
    }
    path
}

/// Whether a node is a part of the engine's or a collection's inside that a person need not see.
pub(crate) fn is_inner(name: &str) -> bool {
    const INNER: [&str; 14] = [
        "java.util.HashMap$Node[]",
        "java.util.HashMap$Node",
        "java.util.HashMap$TreeNode",
        "java.util.LinkedHashMap$Entry",
        "java.util.Hashtable$Entry",
        "java.util.Hashtable$Entry[]",
        "java.util.TreeMap$Entry",
        "java.util.LinkedList$Node",
        "java.util.concurrent.ConcurrentHashMap$Node",
        "java.util.concurrent.ConcurrentHashMap$Node[]",
        "java.util.concurrent.ConcurrentHashMap$TreeBin",
        "java.util.concurrent.ConcurrentHashMap$TreeNode",
        "java.lang.ThreadLocal$ThreadLocalMap$Entry[]",
        "java.lang.Object[]",
    ];
    let without_length = name.find('[').map_or(name, |at| &name[..at]);
    name.starts_with('(') && name.ends_with(')')
        || name.starts_with("system / ") && !name.starts_with("system / Context")
        || INNER.iter().any(|inner| inner.trim_end_matches("[]") == without_length)
}

/// The names on the way from where the program's own begin: `sessionStore.sessions`, `SessionStore.SESSIONS`.
pub(crate) fn owner_of(heap: &Heap<'_>, way: &[Step]) -> String {
    let mut owner = String::new();
    for step in way {
        let Some(edge) = &step.holds else { continue };
        let name = heap.name(step.node);
        match (&edge.kind, &edge.name) {
            (EdgeKind::Static, EdgeName::Text(text)) => {
                owner = format!("{}.{text}", short_class(name.trim_start_matches("class ")));
            }
            (EdgeKind::Variable, EdgeName::Text(text)) => owner.clone_from(text),
            (EdgeKind::Field, EdgeName::Text(text))
                if text != "__proto__" && !is_inner(&name) && !hides(&name, text) =>
            {
                if owner.is_empty() {
                    short_class(&name).clone_into(&mut owner);
                }
                owner.push('.');
                owner.push_str(text);
            }
            _ => {}
        }
    }
    owner
}

/// Whether a field is how a library's collection is made inside.
fn hides(class: &str, field: &str) -> bool {
    let library = class.starts_with("java.") || class.starts_with("jdk.") || class.starts_with("sun.");
    library && !(class.starts_with("java.lang.Thread") && field.starts_with("threadLocals"))
}

/// A class without its packages.
pub(crate) fn short_class(class: &str) -> &str {
    class.rsplit_once('.').map_or(class, |(_, short)| short)
}

/// Where an object comes from: the declaration of its class, or of the nearest function that it alone leads to, else of one that it
/// refers to; in the program's own code.
pub(crate) fn place_of(heap: &Heap<'_>, node: Node) -> Option<Location> {
    let mut seen = BTreeSet::from([node]);
    let mut queue = VecDeque::from([node]);
    let mut referred = None;
    while let Some(node) = queue.pop_front() {
        if let Some(place) = declared_at(heap, node).filter(is_programs_own) {
            return Some(place);
        }
        for &target in heap.graph.targets(node.0).iter().take(GAP_EDGES_MAX) {
            let target = Node(target);
            if !heap.detail.retains(&heap.graph, node.0, target.0) {
                continue;
            }
            let inside = heap.dominator(target).is_some_and(|dominator| seen.contains(&dominator));
            if inside && seen.len() < PLACE_NODES_MAX && seen.insert(target) {
                queue.push_back(target);
            }
            referred = referred.or_else(|| heap.location(target).filter(is_programs_own));
        }
    }
    referred
}

/// The place and the name of the function, among those of the scope whose variable is on the way, that shares most of the words of its
/// name with the variable's; none where two fit alike.
pub(crate) fn place_by_name(heap: &Heap<'_>, way: &[Step]) -> Option<(Location, String)> {
    let is_variable = |step: &&Step| step.holds.as_ref().is_some_and(|edge| edge.kind == EdgeKind::Variable);
    let scope = way.iter().rev().find(is_variable)?;
    let variable = words(&scope.holds.as_ref()?.name.to_string());
    let mut best: Vec<(usize, Location, String)> = Vec::new();
    for function in heap.nodes().filter(|function| heap.graph.targets(function.0).contains(&scope.node.0)) {
        let Some(place) = heap.location(function).filter(is_programs_own) else { continue };
        let name = heap.name(function);
        let shared: usize = words(&name).intersection(&variable).map(String::len).sum();
        let known = best.iter().any(|(_, found, _)| *found == place);
        if shared > 0 && !known && name.ends_with("()") && best.first().is_none_or(|(most, ..)| shared >= *most) {
            best.retain(|(most, ..)| *most == shared);
            best.push((shared, place, name));
        }
    }
    match best.pop() {
        Some((_, place, name)) if best.is_empty() => Some((place, name)),
        _ => None,
    }
}

/// The words of a name in camel or snake case, in lower case, without the `s` of a plural; those that say something.
fn words(name: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    for char in name.chars().chain(['_']) {
        if char.is_uppercase() || !char.is_alphanumeric() {
            let found = std::mem::take(&mut word);
            let stem = found.strip_suffix('s').unwrap_or(&found);
            if stem.len() > 3 {
                words.insert(stem.to_owned());
            }
        }
        word.extend(char.to_lowercase().filter(|char| char.is_alphanumeric()));
    }
    words
}

/// The place of a frame of the program's own code.
pub(crate) fn place_of_frame(frame: &Frame) -> Option<Location> {
    let place = Location { file: frame.file.clone()?, line: frame.line?, column: None };
    Some(place).filter(is_programs_own)
}

/// Where a function or the class of an object is declared.
pub(crate) fn declared_at(heap: &Heap<'_>, node: Node) -> Option<Location> {
    heap.location(node).or_else(|| heap.class(node).location.clone())
}

/// Whether a place is neither the engine's nor a library's.
pub(crate) fn is_programs_own(place: &Location) -> bool {
    !place.file.starts_with("node:") && !place.file.contains("/node_modules/") && place.file.contains(['/', '\\', '.'])
}
