//! One analysed capture, and the questions that can be asked of it.

use std::fmt;
use std::sync::OnceLock;

use leakscope_model::{Frame, Location};

use crate::contents::DuplicateString;
use crate::distances::distances;
use crate::error::HeapError;
use crate::format::Format;
use crate::graph::{ClassOf, Graph, Sizes};
use crate::{hprof, v8};

/// A node of one capture: its place in the graph, not its identity. See [`Heap::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u32);

/// What an analysis is at, for progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading the bytes into a graph.
    Reading,
    /// Finding who dominates whom.
    Dominators,
    /// Adding up retained sizes, classes and distances.
    Sizes,
    /// Ranking what looks wrong.
    Suspects,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading",
            Self::Dominators => "finding dominators",
            Self::Sizes => "adding up retained sizes",
            Self::Suspects => "ranking suspects",
        })
    }
}

/// How one object refers to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeKind {
    /// A named property of a JavaScript object, or a field of a Java one.
    Field,
    /// An element of an array or collection.
    Element,
    /// A variable of a function's context.
    Variable,
    /// A static field of a class.
    Static,
    /// A link of the runtime's own.
    Internal,
    /// A link of the runtime's own without a name that says something.
    Hidden,
    /// A way in that is a shortcut for people, not a reference.
    Shortcut,
    /// A reference that does not keep its target alive.
    Weak,
    /// From the synthetic root to what is alive by itself.
    Root,
}

/// The name of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeName {
    /// The index in an array.
    Index(u64),
    /// A property, field, variable or kind of root.
    Text(String),
}

impl fmt::Display for EdgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// How it refers.
    pub kind: EdgeKind,
    /// By which name.
    pub name: EdgeName,
    /// To what.
    pub to: Node,
}

/// One reference, seen from its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retainer {
    /// Who refers.
    pub from: Node,
    /// How.
    pub edge: Edge,
}

/// All objects of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// As people call it: `SessionStore`, `java.util.HashMap$Node`, `(string)`.
    pub name: String,
    /// Where it is declared, where the capture says so.
    pub location: Option<Location>,
    /// Objects with a size of their own; V8's hidden ones that were added to their owner do not count.
    pub count: u64,
    /// Their own bytes.
    pub self_bytes: u64,
    /// What would be free without them. Nested ones count once.
    pub retained_bytes: u64,
}

/// What only the reader of a format can tell about its nodes. Answers come from the capture's bytes, when they are asked for.
pub(crate) trait Detail: Send + Sync {
    /// The identity that the runtime gave it.
    fn id(&self, node: u32) -> u64;
    /// The node with that identity.
    fn find(&self, id: u64) -> Option<u32>;
    /// What people call it: a function's name, for strings their beginning in quotes; empty where its class says it.
    fn name(&self, node: u32) -> String;
    /// The contents of a string, cut at `max` characters; none for what is no string.
    fn text(&self, node: u32, max: usize) -> Option<String>;
    /// All edges in the order of the graph's, with their names.
    fn edges(&self, graph: &Graph, node: u32) -> Vec<Edge>;
    /// Where a function, or the class of an object, is declared.
    fn location(&self, node: u32) -> Option<Location>;
    /// Whether one of the edges from `from` to `to`, of which there is one at least, keeps `to` alive.
    fn retains(&self, graph: &Graph, from: u32, to: u32) -> bool;
    /// The stack by which a node was allocated, innermost frame first; empty where the capture does not say.
    fn allocated_by(&self, node: u32) -> Vec<Frame>;
    /// Texts that several strings have, most bytes first, at most `max`.
    fn duplicates(&self, self_bytes: &Sizes, max: usize) -> Vec<DuplicateString>;
    /// Whether nodes of a class of this name may be collections.
    fn may_be_collection(&self, class: &str) -> bool;
    /// Entries of a collection, and places for entries where the capture shows them.
    fn entries(&self, graph: &Graph, node: u32) -> Option<(u64, Option<u64>)>;
    /// Bytes outside of the heap that live as long as the node, which its own bytes do not count.
    fn outside_bytes(&self, node: u32) -> u64;
    /// A number for the type of a node where its class says too little: one function of many, one class of all `Class` objects. The
    /// same number means the same [`Detail::name`].
    fn finer_type(&self, node: u32) -> Option<u32>;
    /// A number for the name by which its dominator holds each node, `u32::MAX` where it does so by index, key or several ways; may
    /// be empty where no name is known. See [`Detail::hold_text`].
    fn holds(&self, graph: &Graph, dominators: &[u32]) -> Vec<u32>;
    /// The name that a number of [`Detail::holds`] stands for.
    fn hold_text(&self, hold: u32) -> String;
}

/// One analysed capture.
pub struct Heap<'a> {
    pub(crate) format: Format,
    pub(crate) file_bytes: u64,
    pub(crate) graph: Graph,
    pub(crate) root: u32,
    /// Of each node, after what is owned by another was added to its owner.
    pub(crate) self_bytes: Sizes,
    /// Index into `classes` of each node.
    pub(crate) class_of: ClassOf,
    pub(crate) classes: Vec<Class>,
    /// The immediate dominator of each node; the root's is itself.
    pub(crate) dominators: Vec<u32>,
    pub(crate) retained: Sizes,
    /// Least number of strong references from a root; [`Heap::UNREACHED`] where there is no way.
    /// Found when first asked for where a format has no rules of its own for them.
    pub(crate) distances: OnceLock<Vec<u32>>,
    pub(crate) detail: Box<dyn Detail + 'a>,
    /// What V8's plain objects were called by; empty for other formats.
    pub(crate) interfaces: Vec<v8::Interface>,
    pub(crate) warnings: Vec<String>,
}

impl fmt::Debug for Heap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Heap({}, {} nodes)", self.format.name(), self.n_nodes())
    }
}

/// Reads and analyses one capture: graph, dominators, retained sizes, distances, classes.
///
/// `bytes`: the capture, not compressed. `progress` hears what begins. Cost is linear but for the dominators, which are nearly so;
/// memory is at most about the size of the capture.
///
/// # Errors
/// [`HeapError`], when no graph can be had. A capture that ends too soon is analysed as far as it goes where its format allows, and
/// [`Heap::warnings`] says so.
pub fn analyse<'a>(bytes: &'a [u8], progress: &(dyn Fn(Phase) + Sync)) -> Result<Heap<'a>, HeapError> {
    analyse_like(bytes, None, progress)
}

/// As [`analyse`], with plain objects of V8 called as in the snapshot that `interfaces` are from.
pub(crate) fn analyse_like<'a>(
    bytes: &'a [u8],
    interfaces: Option<&[v8::Interface]>,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<Heap<'a>, HeapError> {
    match Format::of(bytes)? {
        Format::V8HeapSnapshot => v8::analyse(bytes, interfaces, progress),
        Format::Hprof => hprof::analyse(bytes, progress),
        other => Err(other.is_no_graph()),
    }
}

/// Objects and bytes by type; nothing is said of what they retain. Where the format allows, no graph is built for it.
///
/// # Errors
/// As [`analyse`].
pub fn histogram(bytes: &[u8], progress: &(dyn Fn(Phase) + Sync)) -> Result<Vec<Class>, HeapError> {
    match Format::of(bytes)? {
        Format::V8HeapSnapshot => {
            let classes = v8::analyse(bytes, None, progress)?.classes;
            Ok(classes.into_iter().map(|class| Class { retained_bytes: 0, ..class }).collect())
        }
        Format::Hprof => hprof::histogram(bytes, progress),
        other => Err(other.is_no_graph()),
    }
}

impl Heap<'_> {
    /// The distance of what no strong reference reaches.
    pub const UNREACHED: u32 = u32::MAX;

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of the capture.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// What could not be read, as sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Nodes of the graph, the synthetic ones too.
    pub fn n_nodes(&self) -> usize {
        self.graph.n_nodes()
    }

    /// Edges of the graph, the weak ones too.
    pub fn n_edges(&self) -> usize {
        self.graph.targets.len()
    }

    /// Bytes of all objects.
    pub fn total_bytes(&self) -> u64 {
        self.retained_bytes(self.root())
    }

    /// What everything hangs on.
    pub fn root(&self) -> Node {
        Node(self.root)
    }

    /// All nodes, in the order of the graph.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        (0..self.n_nodes() as u32).map(Node)
    }

    /// The identity that the runtime gave it: V8's node id, HPROF's object id.
    pub fn id(&self, node: Node) -> u64 {
        self.detail.id(node.0)
    }

    /// The node with this identity.
    pub fn find(&self, id: u64) -> Option<Node> {
        self.detail.find(id).map(Node)
    }

    /// What people call it.
    pub fn name(&self, node: Node) -> String {
        let name = self.detail.name(node.0);
        if name.is_empty() { self.class(node).name.clone() } else { name }
    }

    /// The contents of a string, cut at `max` characters; none for what is no string.
    pub fn text(&self, node: Node, max: usize) -> Option<String> {
        self.detail.text(node.0, max)
    }

    /// Its type.
    pub fn class(&self, node: Node) -> &Class {
        &self.classes[self.class_of.get(node.0) as usize]
    }

    /// All types, in no order that means something.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Its own bytes.
    pub fn self_bytes(&self, node: Node) -> u64 {
        self.self_bytes.get(node.0)
    }

    /// What would be free without it.
    pub fn retained_bytes(&self, node: Node) -> u64 {
        self.retained.get(node.0)
    }

    /// The last node on every way from the root to it; none for the root.
    pub fn dominator(&self, node: Node) -> Option<Node> {
        (node.0 != self.root).then(|| Node(self.dominators[node.0 as usize]))
    }

    /// Least number of strong references from a root; none where no way leads to it.
    pub fn distance(&self, node: Node) -> Option<u32> {
        let distances = self.distances.get_or_init(|| distances(&self.graph, self.root));
        Some(distances[node.0 as usize]).filter(|distance| *distance != Self::UNREACHED)
    }

    /// Where a function, or the class of an object, is declared.
    pub fn location(&self, node: Node) -> Option<Location> {
        self.detail.location(node.0)
    }

    /// What it refers to.
    pub fn edges(&self, node: Node) -> Vec<Edge> {
        self.detail.edges(&self.graph, node.0)
    }

    /// Who refers to it, at most `max`. One pass over the whole graph.
    pub fn retainers(&self, node: Node, max: usize) -> Vec<Retainer> {
        let refers = |from: &Node| self.graph.targets(from.0).contains(&node.0);
        let mut retainers = Vec::new();
        for from in self.nodes().filter(refers) {
            let edges = self.edges(from).into_iter().filter(|edge| edge.to == node);
            retainers.extend(edges.map(|edge| Retainer { from, edge }));
            if retainers.len() >= max {
                retainers.truncate(max);
                break;
            }
        }
        retainers
    }

    /// The chain of dominators from below the root down to `node`, as a path whose steps name how each holds the next.
    pub fn dominator_path(&self, node: Node) -> Vec<Node> {
        let mut path = vec![node];
        let mut at = node;
        while let Some(dominator) = self.dominator(at).filter(|dominator| dominator.0 != self.root) {
            path.push(dominator);
            at = dominator;
        }
        path.reverse();
        path
    }
}
