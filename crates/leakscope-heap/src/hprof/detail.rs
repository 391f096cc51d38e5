//! What is said of single nodes: names, texts, edges with the names of fields.

use leakscope_model::{Frame, Location};

use crate::contents::DuplicateString;
use crate::graph::{Graph, Sizes};
use crate::heap::{Detail, Edge, EdgeKind, EdgeName, Node};
use crate::hprof::dump::{Dump, Record, Value, elements_of};
use crate::hprof::records::RootKind;
use crate::hprof::roots::{ClassLink, ROOT, Way, class_links};
use crate::hprof::{contents, holds};

/// Characters of a string that are its name.
const NAME_CHARS: usize = 80;

/// Classes of boxed values, whose only field is called `value`.
const BOXES: [&str; 8] = [
    "java.lang.Boolean",
    "java.lang.Byte",
    "java.lang.Character",
    "java.lang.Double",
    "java.lang.Float",
    "java.lang.Integer",
    "java.lang.Long",
    "java.lang.Short",
];

/// A buffer outside of the heap, which lives as long as this object.
const DIRECT_BUFFER: &str = "java.nio.DirectByteBuffer";

impl Detail for Dump<'_> {
    fn id(&self, node: u32) -> u64 {
        node.checked_sub(1).and_then(|number| self.ids.get(number)).unwrap_or(0)
    }

    fn find(&self, id: u64) -> Option<u32> {
        self.node(id)
    }

    fn name(&self, node: u32) -> String {
        if node == ROOT {
            return "(GC roots)".to_owned();
        }
        if let Some(class) = self.class_object(node) {
            return format!("class {}", self.classes.infos[class as usize].name);
        }
        match self.record(node) {
            Some(record) => self.name_of(&record),
            None => format!("(object {:#x})", self.id(node)),
        }
    }

    fn text(&self, node: u32, max: usize) -> Option<String> {
        self.string(&self.record(node)?, max)
    }

    fn edges(&self, _graph: &Graph, node: u32) -> Vec<Edge> {
        let mut edges = Vec::new();
        let mut weak = Vec::new();
        match self.record(node) {
            Some(Record::Instance { class, data }) => self.field_edges(class, data, &mut edges, &mut weak),
            Some(Record::Objects { elements, .. }) => {
                let held = elements_of(elements, self.strings.width);
                edges.extend(
                    held.filter_map(|(index, id)| self.edge(EdgeKind::Element, EdgeName::Index(index as u64), id)),
                );
            }
            Some(Record::Primitives { .. }) | None => {}
        }
        if let Some(class) = self.class_object(node) {
            edges.clear();
            weak.clear();
            self.class_edges(class, &mut edges, &mut weak);
        }
        edges.extend(self.ways.from(node).iter().map(|way| self.way_edge(way)));
        edges.append(&mut weak);
        edges
    }

    fn location(&self, _node: u32) -> Option<Location> {
        None
    }

    fn retains(&self, _graph: &Graph, _from: u32, _to: u32) -> bool {
        // Edges that do not are not in the graph.
        true
    }

    fn allocated_by(&self, _node: u32) -> Vec<Frame> {
        // HotSpot gives every object the same stack, which says nothing.
        Vec::new()
    }

    fn duplicates(&self, self_bytes: &Sizes, max: usize) -> Vec<DuplicateString> {
        self.duplicate_texts(self_bytes, max)
    }

    fn may_be_collection(&self, class: &str) -> bool {
        contents::may_be_collection(class)
    }

    fn entries(&self, _graph: &Graph, node: u32) -> Option<(u64, Option<u64>)> {
        self.entries_of(node)
    }

    fn outside_bytes(&self, node: u32) -> u64 {
        match self.record(node) {
            // Only its own memory has a cleaner: a view has that of another buffer, a mapped file is no memory of the program's.
            Some(record @ Record::Instance { class, .. })
                if self.classes.infos[class as usize].name == DIRECT_BUFFER
                    && self.referred(&record, "cleaner").is_some()
                    && self.referred(&record, "fd").is_none() =>
            {
                self.whole(&record, "capacity").and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn finer_type(&self, node: u32) -> Option<u32> {
        self.class_object(node)
    }

    fn holds(&self, graph: &Graph, dominators: &[u32]) -> Vec<u32> {
        holds::holds(self, graph, dominators)
    }

    fn hold_text(&self, hold: u32) -> String {
        self.strings.at(hold).unwrap_or_default().into_owned()
    }
}

impl Dump<'_> {
    fn edge(&self, kind: EdgeKind, name: EdgeName, id: u64) -> Option<Edge> {
        Some(Edge { kind, name, to: Node(self.node(id)?) })
    }

    fn field_edges(&self, class: u32, data: &[u8], edges: &mut Vec<Edge>, weak: &mut Vec<Edge>) {
        self.fields(class, data, &mut |declaring, field, value| {
            let Value::Reference(id) = value else { return };
            let name = self.strings.get(field.name).unwrap_or_default().into_owned();
            let is_weak = self.classes.is_weak(declaring, &name);
            let (kind, edges) = if is_weak { (EdgeKind::Weak, &mut *weak) } else { (EdgeKind::Field, &mut *edges) };
            edges.extend(self.edge(kind, EdgeName::Text(name), id));
        });
    }

    fn class_edges(&self, class: u32, edges: &mut Vec<Edge>, weak: &mut Vec<Edge>) {
        class_links(&self.strings, &self.classes, class, &mut |link, id, holds| {
            let (kind, name) = match link {
                ClassLink::Static(name) => (EdgeKind::Static, self.strings.get(name).unwrap_or_default().into_owned()),
                ClassLink::Loader => (EdgeKind::Internal, "<class loader>".to_owned()),
                ClassLink::Signers => (EdgeKind::Internal, "<signers>".to_owned()),
                ClassLink::ProtectionDomain => (EdgeKind::Internal, "<protection domain>".to_owned()),
            };
            let (kind, edges) = if holds { (kind, &mut *edges) } else { (EdgeKind::Weak, &mut *weak) };
            edges.extend(self.edge(kind, EdgeName::Text(name), id));
        });
    }

    fn way_edge(&self, way: &Way) -> Edge {
        let at = if way.frame == u32::MAX || way.kind == RootKind::Thread {
            None
        } else {
            self.frame(way.thread, way.frame)
        };
        let name = match at {
            Some(at) => format!("{} in {at}", way.kind.name()),
            None => way.kind.name().to_owned(),
        };
        let kind = if way.from == ROOT { EdgeKind::Root } else { EdgeKind::Variable };
        Edge { kind, name: EdgeName::Text(name), to: Node(way.to) }
    }

    fn name_of(&self, record: &Record<'_>) -> String {
        match record {
            Record::Instance { class, .. } => self.instance_name(*class, record),
            Record::Objects { class, elements } => {
                sized(&self.classes.infos[*class as usize].name, elements.len() / self.strings.width.bytes())
            }
            Record::Primitives { of, n, .. } => format!("{}[{n}]", of.name()),
        }
    }

    fn instance_name(&self, class: u32, record: &Record<'_>) -> String {
        let name = &self.classes.infos[class as usize].name;
        if let Some(text) = self.string(record, NAME_CHARS + 1) {
            return quoted(&text);
        }
        if let Some(thread) = self.thread_name(record) {
            return format!("{name} {}", quoted(&thread));
        }
        let value = || self.value(record, "value");
        match BOXES.contains(&name.as_str()).then(value).flatten() {
            Some(Value::Boolean(value)) => format!("{name} {value}"),
            Some(Value::Whole(value)) => match char::from_u32(value as u32).filter(|_| name.ends_with("Character")) {
                Some(character) => format!("{name} {character:?}"),
                None => format!("{name} {value}"),
            },
            Some(Value::Real(value)) => format!("{name} {value}"),
            Some(Value::Reference(_)) | None => name.clone(),
        }
    }
}

/// The name of an array class with the length of one: `java.lang.Object[16]`, `byte[4][]`.
fn sized(class: &str, n: usize) -> String {
    match class.find("[]") {
        Some(at) => format!("{}[{n}]{}", &class[..at], &class[at + 2..]),
        None => format!("{class}[{n}]"),
    }
}

/// Text in quotes, cut where it is too long for a name.
fn quoted(text: &str) -> String {
    let cut = text.char_indices().nth(NAME_CHARS).map(|(at, _)| at);
    let shown = text[..cut.unwrap_or(text.len())].replace(|control: char| control.is_control(), " ");
    format!("\"{shown}{}\"", if cut.is_some() { "…" } else { "" })
}
