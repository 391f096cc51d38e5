//! What people call the nodes of a snapshot, and where they come from in the source.

use leakscope_model::{Frame, Location};
use rustc_hash::FxHashMap;

use crate::contents::{DuplicateString, duplicates_of};
use crate::graph::{Bits, Graph, Sizes};
use crate::heap::{Detail, Edge, EdgeKind, EdgeName, Node};

use super::snapshot::{Link, NodeKind, Site, Snapshot};
use super::tables::TableNames;
use super::traces;

/// Properties of an object whose names are taken for names.
const PROPERTIES_MAX: usize = 100;
/// Characters of a string in a name.
const TEXT_IN_NAME: usize = 60;
/// Parts of a concatenated string that are put together.
const PARTS_MAX: usize = 4_096;

/// A snapshot that answers for its nodes.
#[derive(Debug)]
pub(crate) struct Described<'a> {
    snapshot: Snapshot<'a>,
    detached: Bits,
    scripts: Scripts,
    /// Both parts of each concatenated string.
    parts: FxHashMap<u32, (u32, u32)>,
    tables: TableNames,
}

impl<'a> Described<'a> {
    pub(super) fn new(snapshot: Snapshot<'a>, graph: &Graph, detached: Bits, scripts: Scripts) -> Self {
        let parts = concatenated(&snapshot, graph);
        let tables = TableNames::of(&snapshot);
        Self { snapshot, detached, scripts, parts, tables }
    }

    /// The text of a string, put together from its parts, cut at `max` characters.
    fn string(&self, node: u32, max: usize) -> String {
        let mut text = String::new();
        let mut stack = vec![node];
        let mut n_parts = 0;
        while let Some(node) = stack.pop() {
            if let Some(&(first, second)) = self.parts.get(&node) {
                stack.extend([second, first]);
            } else {
                text.push_str(&self.snapshot.raw_name(node));
            }
            n_parts += 1;
            // A character has at most four bytes; circles do not end by themselves.
            if text.len() > max.saturating_mul(4) || n_parts > PARTS_MAX {
                break;
            }
        }
        if let Some((end, _)) = text.char_indices().nth(max) {
            text.truncate(end);
        }
        text
    }

    fn is_string(&self, node: u32) -> bool {
        matches!(self.snapshot.kind(node), NodeKind::Text | NodeKind::ConsText | NodeKind::SlicedText)
    }
}

fn concatenated(snapshot: &Snapshot<'_>, graph: &Graph) -> FxHashMap<u32, (u32, u32)> {
    let [first, second] = snapshot.strings.find(["first", "second"]);
    let mut parts = FxHashMap::default();
    for node in (0..snapshot.n_nodes() as u32).filter(|&node| snapshot.kind(node) == NodeKind::ConsText) {
        let part = |name| target_of(snapshot, graph, node, name);
        if let (Some(first), Some(second)) = (part(first), part(second)) {
            parts.insert(node, (first, second));
        }
    }
    parts
}

/// The target of the internal edge of `node` with this name.
pub(super) fn target_of(snapshot: &Snapshot<'_>, graph: &Graph, node: u32, name: Option<u32>) -> Option<u32> {
    let name = name?;
    let mut edges = graph.first.range(node as usize);
    let is_it = |&edge: &usize| {
        let word = snapshot.edge_words[edge];
        !word.link().is_numbered() && word.name() == name
    };
    edges.find(is_it).map(|edge| graph.targets[edge])
}

impl Detail for Described<'_> {
    fn id(&self, node: u32) -> u64 {
        self.snapshot.id(node)
    }

    fn find(&self, id: u64) -> Option<u32> {
        (0..self.snapshot.n_nodes() as u32).find(|&node| self.snapshot.id(node) == id)
    }

    fn name(&self, node: u32) -> String {
        if self.is_string(node) {
            let text = self.string(node, TEXT_IN_NAME + 1);
            return match text.char_indices().nth(TEXT_IN_NAME) {
                Some((end, _)) => format!("{:?}\u{2026}", &text[..end]),
                None => format!("{text:?}"),
            };
        }
        let raw = self.snapshot.raw_name(node);
        match self.snapshot.kind(node) {
            NodeKind::Closure if raw.is_empty() => "(anonymous)()".to_owned(),
            NodeKind::Closure => format!("{raw}()"),
            NodeKind::Object if raw == "Object" => String::new(),
            NodeKind::Native if self.detached.get(node) && !raw.starts_with("Detached ") => format!("Detached {raw}"),
            _ => raw,
        }
    }

    fn text(&self, node: u32, max: usize) -> Option<String> {
        self.is_string(node).then(|| self.string(node, max))
    }

    fn edges(&self, graph: &Graph, node: u32) -> Vec<Edge> {
        let edge = |edge: usize| {
            let word = self.snapshot.edge_words[edge];
            let kind = match word.link() {
                _ if node == self.snapshot.root => EdgeKind::Root,
                Link::Context => EdgeKind::Variable,
                Link::Element => EdgeKind::Element,
                Link::Property => EdgeKind::Field,
                Link::Internal | Link::Other => EdgeKind::Internal,
                Link::Hidden => EdgeKind::Hidden,
                Link::Shortcut => EdgeKind::Shortcut,
                Link::Weak => EdgeKind::Weak,
            };
            let name = self.snapshot.edge_name(edge);
            let name = if word.link().is_numbered() {
                EdgeName::Index(u64::from(name))
            } else {
                EdgeName::Text(self.snapshot.strings.text(name))
            };
            Edge { kind, name, to: Node(graph.targets[edge]) }
        };
        graph.first.range(node as usize).map(edge).collect()
    }

    fn location(&self, node: u32) -> Option<Location> {
        self.scripts.location(self.snapshot.site(node)?)
    }

    fn retains(&self, graph: &Graph, from: u32, to: u32) -> bool {
        let mut edges = graph.first.range(from as usize);
        edges.any(|edge| graph.targets[edge] == to && !self.snapshot.edge_words[edge].is_weak())
    }

    fn allocated_by(&self, node: u32) -> Vec<Frame> {
        traces::stack(&self.snapshot, node)
    }

    fn duplicates(&self, self_bytes: &Sizes, max: usize) -> Vec<DuplicateString> {
        let mut counts = vec![(0_u64, 0_u64); self.snapshot.strings.len()];
        for node in (0..self.snapshot.n_nodes() as u32).filter(|&node| self.snapshot.kind(node) == NodeKind::Text) {
            let (count, bytes) = &mut counts[self.snapshot.names[node as usize] as usize];
            *count += 1;
            *bytes = bytes.saturating_add(self_bytes.get(node));
        }
        let strings = counts.into_iter().enumerate().map(|(index, (count, bytes))| (index as u64, count, bytes));
        duplicates_of(strings, max, |index| self.snapshot.strings.text(index as u32))
    }

    fn may_be_collection(&self, class: &str) -> bool {
        matches!(class, "Array" | "Map" | "Set" | "WeakMap" | "WeakSet")
    }

    fn entries(&self, graph: &Graph, node: u32) -> Option<(u64, Option<u64>)> {
        self.tables.entries(&self.snapshot, graph, node)
    }

    fn outside_bytes(&self, _node: u32) -> u64 {
        // V8 writes them as nodes of their own.
        0
    }

    fn finer_type(&self, node: u32) -> Option<u32> {
        let name = self.snapshot.names[node as usize];
        match self.snapshot.kind(node) {
            // There are fewer than 2^31 strings, each of two bytes at least, in any snapshot that is read.
            NodeKind::Closure => Some(name | 1 << 31),
            NodeKind::Hidden | NodeKind::Synthetic => Some(name),
            _ => None,
        }
    }

    fn holds(&self, graph: &Graph, dominators: &[u32]) -> Vec<u32> {
        let mut holds = vec![u32::MAX; self.snapshot.n_nodes()];
        for node in 0..self.snapshot.n_nodes() as u32 {
            let edges = graph.first.range(node as usize);
            // An object with so many properties is used as a dictionary, and their names are keys.
            let keyed = edges.len() > PROPERTIES_MAX;
            for edge in edges {
                let target = graph.targets[edge];
                let link = self.snapshot.edge_words[edge].link();
                let named = !link.is_numbered() && link != Link::Weak && !(keyed && link == Link::Property);
                if named && dominators[target as usize] == node {
                    let name = self.snapshot.edge_name(edge);
                    if !self.snapshot.strings.raw(name).first().is_none_or(u8::is_ascii_digit) {
                        holds[target as usize] = name;
                    }
                }
            }
        }
        holds
    }

    fn hold_text(&self, hold: u32) -> String {
        self.snapshot.strings.text(hold)
    }
}

/// The files of the scripts, by the number that sites name.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    files: FxHashMap<u32, String>,
}

impl Scripts {
    /// A function knows its site and, over its shared part, its script.
    pub(super) fn of(snapshot: &Snapshot<'_>, graph: &Graph) -> Self {
        let [shared, script, script_or_debug, name] =
            snapshot.strings.find(["shared", "script", "script_or_debug_info", "name"]);
        let mut scripts = Self::default();
        for &(node, site) in &snapshot.sites {
            if snapshot.kind(node) != NodeKind::Closure || scripts.files.contains_key(&site.script) {
                continue;
            }
            let to = |node, name| target_of(snapshot, graph, node, name);
            let Some(function) = to(node, shared) else { continue };
            let Some(file) =
                to(function, script).or_else(|| to(function, script_or_debug)).and_then(|script| to(script, name))
            else {
                continue;
            };
            if snapshot.kind(file) == NodeKind::Text {
                scripts.files.insert(site.script, snapshot.raw_name(file));
            }
        }
        scripts
    }

    /// A place for people: lines and columns from 1, without the scheme of a file's address.
    pub(super) fn location(&self, site: Site) -> Option<Location> {
        let file = self.files.get(&site.script)?;
        let file = file.strip_prefix("file://").unwrap_or(file).to_owned();
        Some(Location { file, line: site.line.saturating_add(1), column: Some(site.column.saturating_add(1)) })
    }
}
