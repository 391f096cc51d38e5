//! Well-formed V8 snapshots out of any bytes.

/// Fields of a node in [`Snapshot::text`].
const NODE_FIELDS: usize = 6;

const NODE_TYPES: [&str; 15] = [
    "hidden",
    "array",
    "string",
    "object",
    "code",
    "closure",
    "regexp",
    "number",
    "native",
    "synthetic",
    "concatenated string",
    "sliced string",
    "symbol",
    "bigint",
    "object shape",
];
const EDGE_TYPES: [&str; 7] = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"];

/// Names that the rules of some object know, and names that are none's.
const STRINGS: [&str; 32] = [
    "",
    "(GC roots)",
    "(Document DOM trees)",
    "system / Map",
    "system / Context",
    "system / Script",
    "system / NativeContext",
    "Object",
    "Array",
    "Map",
    "Set",
    "WeakMap",
    "Window / https://shop.example/?token=1",
    "Detached <div class=\\\"a b\\\">",
    "Session",
    "elements",
    "properties",
    "map",
    "table",
    "backing_store",
    "constructor",
    "__proto__",
    "name",
    "script",
    "next",
    "1 / part of key (Session @3) -> value (Session @5) pair in WeakMap (table @7)",
    "2 / part of key (Session @3) -> value (Session @5) pair in WeakMap (table @7)",
    "3 / part of key (Session @3) -> value (Ses",
    "(object elements)",
    "caf\\u00e9 \\ud83d\\ude00 \\\"\\\\",
    "x0",
    "system / JSArrayBufferData",
];

/// Bytes taken one after the other; zeros when there are no more.
pub struct Taken<'a>(pub &'a [u8]);

impl Taken<'_> {
    pub fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }
}

pub struct Node {
    pub kind: usize,
    pub name: usize,
    pub id: u64,
    pub self_bytes: u64,
    pub detachedness: u8,
    /// Type, name or index, target.
    pub edges: Vec<(usize, usize, usize)>,
}

pub struct Snapshot {
    pub nodes: Vec<Node>,
    pub locations: Vec<[u64; 4]>,
}

impl Snapshot {
    /// Up to 40 nodes of all types with up to 7 edges each.
    pub fn of(bytes: &mut Taken<'_>) -> Self {
        let n = 1 + usize::from(bytes.next()) % 40;
        let mut snapshot = Self { nodes: Vec::with_capacity(n), locations: Vec::new() };
        for index in 0..n {
            let (kind, name, rest) = (bytes.next(), bytes.next(), bytes.next());
            let kind = if index == 0 { 9 } else { usize::from(kind) % NODE_TYPES.len() };
            let edges = (0..rest % 8).map(|_| {
                let (kind, name, target) = (bytes.next(), bytes.next(), bytes.next());
                (usize::from(kind) % EDGE_TYPES.len(), usize::from(name) % STRINGS.len(), usize::from(target) % n)
            });
            let edges = edges.collect();
            let self_bytes = match rest / 8 {
                31 => u64::from(u32::MAX) * 3,
                30 => 70_000,
                size => u64::from(size) * 8,
            };
            let id = if kind == 8 { 2 * index as u64 } else { 2 * index as u64 + 1 };
            let detachedness = rest / 8 % 3;
            snapshot.nodes.push(Node {
                kind,
                name: usize::from(name) % STRINGS.len(),
                id,
                self_bytes,
                detachedness,
                edges,
            });
        }
        for _ in 0..bytes.next() % 4 {
            let [object, script, line, column] = [bytes.next(), bytes.next(), bytes.next(), bytes.next()];
            let object = usize::from(object) % n * NODE_FIELDS;
            snapshot.locations.push([object as u64, u64::from(script % 40), u64::from(line), u64::from(column)]);
        }
        snapshot
    }

    pub fn text(&self) -> String {
        let quoted = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(",");
        let listed = |numbers: Vec<u64>| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let node = |node: &Node| {
            let n_edges = node.edges.len() as u64;
            [node.kind as u64, node.name as u64, node.id, node.self_bytes, n_edges, u64::from(node.detachedness)]
        };
        let edge =
            |&(kind, name, target): &(usize, usize, usize)| [kind as u64, name as u64, (target * NODE_FIELDS) as u64];
        let edges = self.nodes.iter().flat_map(|node| &node.edges);
        format!(
            r#"{{"snapshot":{{"meta":{{"node_fields":["type","name","id","self_size","edge_count","detachedness"],
"node_types":[[{}],"string","number","number","number","number"],
"edge_fields":["type","name_or_index","to_node"],"edge_types":[[{}],"string_or_number","node"],
"location_fields":["object_index","script_id","line","column"]}},"node_count":{},"edge_count":{}}},
"nodes":[{}],
"edges":[{}],
"trace_function_infos":[],"trace_tree":[],"samples":[],
"locations":[{}],
"strings":[{}]}}"#,
            quoted(&NODE_TYPES),
            quoted(&EDGE_TYPES),
            self.nodes.len(),
            edges.clone().count(),
            listed(self.nodes.iter().flat_map(node).collect()),
            listed(edges.flat_map(edge).collect()),
            listed(self.locations.iter().flatten().copied().collect()),
            quoted(&STRINGS),
        )
    }
}
