//! Suspects: places of accumulation with all that a person needs to act, in one capture or over several.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use leakscope_model::{Location, Suspect};

use crate::accumulate::Accumulation;
use crate::findings::{Finding, Growth, LeakIdentity};
use crate::heap::{Heap, Node};
use crate::rules::{self, Scene};
use crate::shapes::{Scopes, Shapes, Tally};
use crate::sharing;
use crate::story::{self, Step};

/// Part of the heap that must hang on one place for it to be a suspect of a single capture.
const SHARE_MIN: f64 = 0.05;
/// Objects whose names are compared to find a typical one.
const ALIKE_MAX: usize = 2_000;
/// From this part of a shape's bytes on, one object is the shape.
const BIGGEST_SHARE: f64 = 0.5;
/// Objects that must hang there.
const COUNT_MIN: u64 = 10;
/// Objects for each holder: below, it is no accumulation.
const FAN_OUT_MIN: u64 = 10;

/// Everything known of one place of accumulation.
pub(crate) struct Evidence<'e> {
    pub(crate) shapes: &'e Shapes,
    /// Of the capture in which the path is.
    pub(crate) last: &'e Tally,
    pub(crate) place: &'e Accumulation,
    /// Objects of the growing shape in each capture.
    pub(crate) counts: Vec<u64>,
    /// Part of all growth, or of the heap where there is one capture.
    pub(crate) share: f64,
    /// Where several hold what accumulates: the one that holds most of it, and what it holds.
    pub(crate) shared: Option<(Node, Node)>,
}

impl Heap<'_> {
    /// What looks wrong, most suspicious first, at most `max`. Weaker than what [`crate::diff`] says: much is big and does not grow.
    ///
    /// A suspect of a single capture is a holder with many objects of one kind that retain a large part of the heap.
    pub fn suspects(&self, max: usize) -> Vec<Finding> {
        let mut shapes = Shapes::default();
        let mut tally = shapes.tally(self, &Scopes::default());
        shapes.add_up(&mut tally);
        let total = tally.retained.first().copied().unwrap_or(0).max(1);
        let places = self.crowded(&shapes, &tally, (total as f64 * SHARE_MIN) as u64);
        let places = owned(self, &tally, places);
        let told = |(place, shared): &(Accumulation, Option<(Node, Node)>)| {
            let counts = vec![counted(&shapes, place, &tally)];
            let share = place.bytes[0] as f64 / total as f64;
            finding(self, &Evidence { shapes: &shapes, last: &tally, place, counts, share, shared: *shared })
        };
        places.iter().filter_map(told).take(max).collect()
    }

    /// Holders with many objects of a shape below them that retain `bytes_min` at least.
    fn crowded(&self, shapes: &Shapes, tally: &Tally, bytes_min: u64) -> Vec<Accumulation> {
        let children = shapes.children();
        let (retained, count) = (|shape: u32| tally.retained[shape as usize], |shape: u32| tally.count[shape as usize]);
        // Where one of many retains most, the others do not matter; it is a holder itself.
        let is_one = |shape: u32| {
            let biggest = tally.biggest[shape as usize].map_or(0, |node| self.retained_bytes(node));
            biggest as f64 > BIGGEST_SHARE * retained(shape) as f64 && !repeats(shapes, shape, tally)
        };
        let mut found = Vec::new();
        let mut holders = vec![0_u32];
        while let Some(at) = holders.pop() {
            let many = |child: u32| count(child) >= COUNT_MIN.max(FAN_OUT_MIN * count(at)) && !is_one(child);
            let (crowds, few): (Vec<u32>, Vec<u32>) = children[at as usize].iter().partition(|&&child| many(child));
            let bytes = crowds.iter().fold(0_u64, |sum, &child| sum.saturating_add(retained(child)));
            let elements = crowds.iter().copied().max_by_key(|&child| retained(child));
            if elements.is_some() && bytes >= bytes_min && at != 0 {
                found.push(Accumulation { at, elements, bytes: vec![bytes] });
            }
            holders.extend(few.into_iter().filter(|&child| retained(child) >= bytes_min));
        }
        found
    }
}

/// Objects of the shape that accumulates, with those of its type that they hold in turn, as entries of one bucket do.
pub(crate) fn counted(shapes: &Shapes, place: &Accumulation, tally: &Tally) -> u64 {
    let Some(elements) = place.elements else { return 1 };
    let of = shapes.all[elements as usize].of;
    let mut inside = BTreeSet::from([elements]);
    let mut count = tally.count[elements as usize];
    for (shape, found) in (elements + 1..).zip(&shapes.all[elements as usize + 1..]) {
        if found.of == of && inside.contains(&found.parent) {
            inside.insert(shape);
            count += tally.count[shape as usize];
        }
    }
    count
}

/// The suspect of one place; none where only the engine's own things accumulate.
pub(crate) fn finding(heap: &Heap<'_>, evidence: &Evidence<'_>) -> Option<Finding> {
    let (holder, element) = example(heap, evidence)?;
    let (way, element) = match evidence.shared {
        Some((by, element)) => (way_by(heap, by, element), Some(element)),
        None => (story::way_down(heap, element.unwrap_or(holder)), element),
    };
    let element_name = element.map_or_else(|| heap.name(holder), |element| kind_of(heap, element));
    if rules::is_engines_own(&element_name) {
        return None;
    }
    let (first, last) = (*evidence.place.bytes.first()?, *evidence.place.bytes.last()?);
    let (count_first, count_last) = (*evidence.counts.first()?, *evidence.counts.last()?);
    let compared = evidence.place.bytes.len() > 1;
    let growth = compared.then(|| Growth {
        bytes: last as i64 - first as i64,
        count: count_last as i64 - count_first as i64,
        in_every_step: evidence.place.grew_in_every_step(),
        error_bytes: None,
        bytes_per_hour: None,
        bytes_per_request: None,
    });
    let (bytes, count) = match growth {
        Some(growth) => (growth.bytes.max(0) as u64, growth.count.max(0) as u64),
        None => (last, count_last),
    };
    let scene = Scene {
        heap,
        way: &way,
        element,
        element_name: &element_name,
        owner: story::owner_of(heap, &way),
        chained: evidence.place.elements.is_some_and(|elements| repeats(evidence.shapes, elements, evidence.last)),
    };
    let verdict = rules::judge(&scene);
    let stack = heap.detail.allocated_by(element.unwrap_or(holder).0);
    let (location, by_name) = match stack.iter().find_map(story::place_of_frame) {
        Some(place) => (Some(place), None),
        None => place(heap, &way, holder, element),
    };
    let identity = identity(heap, &way, &element_name);
    let suspect = Suspect {
        title: verdict.title,
        kind: verdict.kind.to_owned(),
        name: element_name,
        bytes,
        count,
        share: evidence.share.clamp(0.0, 1.0),
        path: story::path_of(heap, &way),
        stack,
        location,
        confidence: confidence(evidence, growth),
        reason: rules::reason(evidence, growth, by_name.as_deref(), verdict.advice),
    };
    Some(Finding { suspect, identity, growth })
}

/// A holder and one of what accumulates in it.
fn example(heap: &Heap<'_>, evidence: &Evidence<'_>) -> Option<(Node, Option<Node>)> {
    let biggest = |shape: u32| evidence.last.biggest.get(shape as usize).copied().flatten();
    let Some(elements) = evidence.place.elements else {
        return biggest(evidence.place.at).map(|holder| (holder, None));
    };
    let mut element = biggest(elements)?;
    let mut holder = heap.dominator(element)?;
    // The objects of a chain hold each other; their holder is above the first.
    let chained = |node: Node, below: Node| heap.class(node) == heap.class(below) && heap.dominator(node).is_some();
    while chained(holder, element) {
        (element, holder) = (holder, heap.dominator(holder)?);
    }
    Some((holder, Some(entry(heap, typical(heap, holder, element)))))
}

/// One of the objects like `element` that `holder` dominates whose name most of them have, digits apart.
fn typical(heap: &Heap<'_>, holder: Node, element: Node) -> Node {
    if heap.text(element, 1).is_some() {
        return element;
    }
    let like = |node: &u32| {
        heap.dominators[*node as usize] == holder.0 && heap.class_of.get(*node) == heap.class_of.get(element.0)
    };
    let mut by_name: BTreeMap<String, Vec<Node>> = BTreeMap::new();
    for node in (0..heap.n_nodes() as u32).filter(like).take(ALIKE_MAX).map(Node) {
        let name = heap.name(node).chars().filter(|char| !char.is_ascii_digit()).collect();
        by_name.entry(name).or_default().push(node);
    }
    let most = by_name.into_values().max_by_key(Vec::len).unwrap_or_default();
    most.into_iter().max_by_key(|&node| heap.retained_bytes(node)).unwrap_or(element)
}

/// What an entry of a collection is about: its value.
fn entry(heap: &Heap<'_>, mut node: Node) -> Node {
    let mut depth = 0;
    while story::is_inner(&heap.class(node).name) && depth < 4 {
        let below = heap.graph.targets(node.0).iter().map(|&target| Node(target));
        // The next entry of the same bucket is no part of this one.
        let own = below.filter(|&below| heap.dominator(below) == Some(node) && heap.class(below) != heap.class(node));
        let Some(next) = own.max_by_key(|&below| heap.retained_bytes(below)) else { break };
        node = next;
        depth += 1;
    }
    node
}

/// The way down to `by`, and on to what it holds with others.
fn way_by(heap: &Heap<'_>, by: Node, element: Node) -> Vec<Step> {
    let mut way = story::way_down(heap, by);
    if let Some(last) = way.last_mut() {
        last.holds = story::edge_between(heap, by, element);
    }
    way.push(Step { node: element, holds: None });
    way
}

/// The places with what accumulates in one of them counted there: objects that several hold hang on what holds all those, and belong to
/// the one that holds most of them. Most suspicious first.
pub(crate) fn owned(
    heap: &Heap<'_>,
    tally: &Tally,
    places: Vec<Accumulation>,
) -> Vec<(Accumulation, Option<(Node, Node)>)> {
    let biggest = |shape: u32| tally.biggest.get(shape as usize).copied().flatten();
    let holders: Vec<Option<Node>> = places.iter().map(|place| biggest(place.at)).collect();
    let shared: Vec<Option<(Node, Node)>> =
        places.iter().map(|place| sharing::main_holder(heap, biggest(place.elements?)?)).collect();
    let mut owned: Vec<(Accumulation, Option<(Node, Node)>)> = places.into_iter().zip(shared).collect();
    for index in 0..owned.len() {
        let Some((by, _)) = owned[index].1 else { continue };
        let above = heap.dominator_path(by);
        let inside = |other: &usize| {
            *other != index
                && holders[*other].is_some_and(|holder| above.contains(&holder))
                && owned[*other].1.is_none()
        };
        let Some(other) = (0..owned.len())
            .filter(inside)
            .max_by_key(|&other| above.iter().position(|node| Some(*node) == holders[other]))
        else {
            continue;
        };
        let bytes = std::mem::take(&mut owned[index].0.bytes);
        if holders[other] == Some(by) || owned[other].0.elements.is_none() {
            // What it holds itself is what accumulates, not the keys beside.
            owned[other].0.elements = owned[index].0.elements;
            owned[other].1 = owned[index].1;
        }
        for (sum, bytes) in owned[other].0.bytes.iter_mut().zip(&bytes) {
            *sum = sum.saturating_add(*bytes);
        }
    }
    owned.retain(|(place, _)| !place.bytes.is_empty());
    owned.sort_by_key(|(place, _)| {
        let weight = if place.bytes.len() > 1 { place.growth() } else { place.bytes[0] as i64 };
        (place.bytes.len() > 1 && !place.grew_in_every_step(), std::cmp::Reverse(weight))
    });
    owned
}

/// What people call what accumulates: a function by its name, everything else by its class.
fn kind_of(heap: &Heap<'_>, node: Node) -> String {
    let name = heap.name(node);
    if name.ends_with("()") || name.starts_with("class ") { name } else { heap.class(node).name.clone() }
}

/// Whether the objects of a shape hold each other in a chain.
fn repeats(shapes: &Shapes, shape: u32, tally: &Tally) -> bool {
    let of = shapes.all[shape as usize];
    let parent = shapes.all[of.parent as usize];
    parent.of == of.of && tally.count[of.parent as usize] <= 2
}

/// Where what accumulates is made, else where the nearest of its holders is declared; else the function beside the variable that holds
/// it whose name fits best, and that function's name, since it is a guess.
fn place(heap: &Heap<'_>, way: &[Step], holder: Node, element: Option<Node>) -> (Option<Location>, Option<String>) {
    let known = element
        .and_then(|element| story::place_of(heap, element))
        .or_else(|| {
            way.iter().rev().find_map(|step| story::declared_at(heap, step.node).filter(story::is_programs_own))
        })
        .or_else(|| story::place_of(heap, holder));
    if known.is_some() {
        return (known, None);
    }
    story::place_by_name(heap, way).map_or((None, None), |(place, name)| (Some(place), Some(name)))
}

/// A hash of the names on the way down, which are the same in every process; see [`LeakIdentity`].
fn identity(heap: &Heap<'_>, way: &[Step], element: &str) -> LeakIdentity {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(heap.format.name().as_bytes());
    for step in story::path_of(heap, way) {
        let name = crate::hprof::normalised(&step.name);
        // Strings on the way are contents, not names.
        if !name.starts_with('"') {
            hasher.write(name.as_bytes());
        }
        let edge = step.edge;
        hasher.write(if edge.starts_with('[') { b"[]" } else { edge.as_bytes() });
        hasher.write_u8(0);
    }
    hasher.write(crate::hprof::normalised(element).as_bytes());
    LeakIdentity(hasher.finish())
}

/// How sure: growth in every step and its share, over three captures or more; one capture alone says little.
fn confidence(evidence: &Evidence<'_>, growth: Option<Growth>) -> f64 {
    let share = evidence.share.clamp(0.0, 1.0);
    match (growth, evidence.place.bytes.len()) {
        (None, _) => 0.2 + 0.4 * share,
        (Some(growth), n) if growth.in_every_step && n > 2 => 0.5 + 0.49 * share,
        (Some(growth), _) if growth.in_every_step => 0.4 + 0.4 * share,
        (Some(_), _) => 0.1 + 0.2 * share,
    }
}
