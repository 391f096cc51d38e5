//! The class of each node, as DevTools groups them: `calculateObjectNames`, `inferInterfaceDefinitions`, `applyInterfaceDefinitions`.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::graph::{Bits, Graph, Sizes};
use crate::heap::Class;

use super::describe::Scripts;
use super::snapshot::{Link, NodeKind, Site, Snapshot};

/// Characters of the longest name of an interface, as long as it has one property.
const INTERFACE_NAME_MAX: usize = 120;
/// Objects that an interface must match.
const INTERFACE_OBJECTS_MIN: usize = 2;
/// One in so many plain objects must match an interface.
const INTERFACE_SHARE: usize = 1_000;

const NONE: u32 = u32::MAX;

/// The classes of a snapshot.
pub(super) struct Classes {
    /// Index into `all` of each node.
    pub(super) of: Vec<u32>,
    pub(super) all: Vec<Class>,
    /// What plain objects were grouped by, most popular first.
    pub(super) interfaces: Vec<Interface>,
}

/// Properties that many plain objects have, and the name of those objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    name: String,
    properties: Vec<String>,
}

/// Puts each node into its class and adds up counts and own bytes; retained bytes are left at 0.
///
/// `given`: the interfaces to group plain objects by, as another snapshot has them, so that both can be compared; else those that this
/// one shows.
pub(super) fn classes(
    snapshot: &Snapshot<'_>,
    graph: &Graph,
    self_bytes: &Sizes,
    detached: &Bits,
    scripts: &Scripts,
    given: Option<&[Interface]>,
) -> Classes {
    let mut names = Names::of(snapshot);
    let plain = PlainObjects::of(snapshot, graph, &mut names, given);
    let mut table =
        Table { snapshot, scripts, by_name: Vec::new(), by_site: FxHashMap::default(), classes: Vec::new() };
    let mut of = vec![0_u32; snapshot.n_nodes()];
    let mut sites = snapshot.sites.iter().peekable();
    let mut of_plain = plain.names.iter();
    for node in 0..snapshot.n_nodes() as u32 {
        let site = sites.next_if(|(at, _)| *at == node).map(|(_, site)| *site);
        let kind = snapshot.kind(node);
        let name = match kind {
            NodeKind::Object if snapshot.names[node as usize] == names.object => {
                of_plain.next().copied().unwrap_or(names.object)
            }
            NodeKind::Object | NodeKind::Native => names.of_object(snapshot, node, detached.get(node)),
            _ => names.by_type[snapshot.type_index(node) as usize],
        };
        let class = match site.filter(|_| kind == NodeKind::Object) {
            Some(site) => table.located(&names, name, site),
            None => table.named(&names, name),
        };
        of[node as usize] = class;
        let bytes = self_bytes.get(node);
        if bytes > 0 {
            let class = &mut table.classes[class as usize];
            class.count += 1;
            class.self_bytes = class.self_bytes.saturating_add(bytes);
        }
    }
    Classes { of, all: table.classes, interfaces: plain.interfaces }
}

/// Names by number: those of the snapshot's strings, then those that are made here.
struct Names {
    n_strings: u32,
    made: Vec<String>,
    by_text: FxHashMap<String, u32>,
    /// Of each of the header's node types, where the type alone decides.
    by_type: Vec<u32>,
    /// What an object's own name becomes: `NONE` where it was not met, itself where it stays.
    shortened: FxHashMap<(u32, bool), u32>,
    /// `Object`; a number of no string where the snapshot has none.
    object: u32,
}

impl Names {
    fn of(snapshot: &Snapshot<'_>) -> Self {
        let mut names = Self {
            n_strings: snapshot.strings.len() as u32,
            made: Vec::new(),
            by_text: FxHashMap::default(),
            by_type: Vec::new(),
            shortened: FxHashMap::default(),
            object: NONE,
        };
        let fixed = ["(system)", "(compiled code)", "Function", "RegExp", "Object"];
        for (text, index) in fixed.iter().zip(snapshot.strings.find(fixed)) {
            if let Some(index) = index {
                names.by_text.insert((*text).to_owned(), index);
            }
        }
        names.object = names.by_text.get("Object").copied().unwrap_or(NONE);
        for index in 0..=255_u8 {
            let text = match snapshot.kind_of_type(index) {
                NodeKind::Hidden => "(system)".to_owned(),
                NodeKind::Code => "(compiled code)".to_owned(),
                NodeKind::Closure => "Function".to_owned(),
                NodeKind::RegExp => "RegExp".to_owned(),
                _ => format!("({})", snapshot.layout.node.types.get(index as usize).map_or("unknown", String::as_str)),
            };
            let name = names.made(text);
            names.by_type.push(name);
        }
        names
    }

    /// The number of a name that is made here.
    fn made(&mut self, text: String) -> u32 {
        if let Some(&name) = self.by_text.get(&text) {
            return name;
        }
        let name = self.n_strings + self.made.len() as u32;
        self.made.push(text.clone());
        self.by_text.insert(text, name);
        name
    }

    fn text(&self, snapshot: &Snapshot<'_>, name: u32) -> String {
        match name.checked_sub(self.n_strings) {
            Some(made) => self.made[made as usize].clone(),
            None => snapshot.strings.text(name),
        }
    }

    /// The class name of an object of the program or of the embedder: its own, without the attributes of an element.
    fn of_object(&mut self, snapshot: &Snapshot<'_>, node: u32, detached: bool) -> u32 {
        let name = snapshot.names[node as usize];
        let detached = detached && snapshot.kind(node) == NodeKind::Native;
        if !detached {
            let raw = snapshot.strings.raw(name);
            if !raw.starts_with(b"<") && !raw.starts_with(b"Detached <") {
                return name;
            }
        }
        if let Some(&short) = self.shortened.get(&(name, detached)) {
            return short;
        }
        let mut text = snapshot.strings.text(name);
        // Snapshots of old have the word already.
        if detached && snapshot.layout.node.place("detachedness").is_some() {
            text.insert_str(0, "Detached ");
        }
        let tag = if text.starts_with('<') { Some(0) } else { text.starts_with("Detached <").then_some(10) };
        if let Some(space) = tag.and_then(|from| text[from..].find(' ').map(|at| from + at)) {
            text.truncate(space);
            text.push('>');
        }
        let short = self.made(text);
        self.shortened.insert((name, detached), short);
        short
    }
}

struct Table<'s, 'a> {
    snapshot: &'s Snapshot<'a>,
    scripts: &'s Scripts,
    by_name: Vec<u32>,
    by_site: FxHashMap<(u32, Site), u32>,
    classes: Vec<Class>,
}

impl Table<'_, '_> {
    #[inline]
    fn named(&mut self, names: &Names, name: u32) -> u32 {
        match self.by_name.get(name as usize) {
            Some(&class) if class != NONE => class,
            _ => self.add_named(names, name),
        }
    }

    #[cold]
    fn add_named(&mut self, names: &Names, name: u32) -> u32 {
        let class = self.add(names, name, None);
        if self.by_name.len() <= name as usize {
            self.by_name.resize(names.n_strings as usize + names.made.len(), NONE);
        }
        if let Some(place) = self.by_name.get_mut(name as usize) {
            *place = class;
        }
        class
    }

    fn located(&mut self, names: &Names, name: u32, site: Site) -> u32 {
        if let Some(&class) = self.by_site.get(&(name, site)) {
            return class;
        }
        let class = self.add(names, name, Some(site));
        self.by_site.insert((name, site), class);
        class
    }

    fn add(&mut self, names: &Names, name: u32, site: Option<Site>) -> u32 {
        let location = site.and_then(|site| self.scripts.location(site));
        let name = names.text(self.snapshot, name);
        self.classes.push(Class { name, location, count: 0, self_bytes: 0, retained_bytes: 0 });
        self.classes.len() as u32 - 1
    }
}

/// What plain objects are called: by the properties that many of them share.
struct PlainObjects {
    /// The name of each plain object, in order of nodes.
    names: Vec<u32>,
    interfaces: Vec<Interface>,
}

/// Plain objects with the same properties in the same order.
struct Shape {
    /// Indexes of strings.
    properties: Box<[u32]>,
    count: usize,
}

impl PlainObjects {
    fn of(snapshot: &Snapshot<'_>, graph: &Graph, names: &mut Names, given: Option<&[Interface]>) -> Self {
        let (shapes, mut of_objects) = shapes(snapshot, graph, names.object);
        let (interfaces, properties) = match given {
            Some(given) => (given.to_vec(), properties_of(snapshot, &shapes, given)),
            None => infer(snapshot, &shapes, of_objects.len()),
        };
        let tree = PropertyTree::of(&properties);
        let mut name_of = |shape: &Shape| match tree.best(&properties, &shape.properties) {
            Some(index) => names.made(interfaces[index].name.clone()),
            None => names.object,
        };
        let of_shapes: Vec<u32> = shapes.iter().map(&mut name_of).collect();
        for shape in &mut of_objects {
            *shape = of_shapes[*shape as usize];
        }
        Self { names: of_objects, interfaces }
    }
}

/// The shapes of all plain objects in the order in which they are met, and the shape of each object.
fn shapes(snapshot: &Snapshot<'_>, graph: &Graph, object: u32) -> (Vec<Shape>, Vec<u32>) {
    let mut shapes: Vec<Shape> = Vec::new();
    let mut by_properties: FxHashMap<Box<[u32]>, u32> = FxHashMap::default();
    let mut of_objects = Vec::new();
    let mut properties = Vec::new();
    for node in 0..snapshot.n_nodes() as u32 {
        if snapshot.names[node as usize] != object || snapshot.kind(node) != NodeKind::Object {
            continue;
        }
        properties.clear();
        let edges = graph.first.range(node as usize);
        let named = edges.filter(|&edge| snapshot.edge_words[edge].link() == Link::Property);
        properties.extend(named.map(|edge| snapshot.edge_name(edge)));
        let shape = by_properties.get(&properties[..]).copied().unwrap_or_else(|| {
            let shape = shapes.len() as u32;
            by_properties.insert(properties.clone().into(), shape);
            shapes.push(Shape { properties: properties.clone().into(), count: 0 });
            shape
        });
        shapes[shape as usize].count += 1;
        of_objects.push(shape);
    }
    (shapes, of_objects)
}

/// The properties of `given` interfaces as this snapshot's strings; none where no object has one of them.
fn properties_of(snapshot: &Snapshot<'_>, shapes: &[Shape], given: &[Interface]) -> Vec<Vec<u32>> {
    let mut by_text: FxHashMap<String, u32> = FxHashMap::default();
    let mut seen = Bits::new(snapshot.strings.len());
    for &property in shapes.iter().flat_map(|shape| shape.properties.iter()) {
        if !seen.get(property) {
            seen.set(property);
            by_text.insert(snapshot.strings.text(property), property);
        }
    }
    let of_interface = |interface: &Interface| -> Option<Vec<u32>> {
        interface.properties.iter().map(|text| by_text.get(text).copied()).collect()
    };
    given.iter().map(|interface| of_interface(interface).unwrap_or_default()).collect()
}

/// The interfaces that enough objects begin with, most objects first, and their properties as indexes of strings.
fn infer(snapshot: &Snapshot<'_>, shapes: &[Shape], n_objects: usize) -> (Vec<Interface>, Vec<Vec<u32>>) {
    let proto = snapshot.strings.find(["__proto__"])[0];
    let mut by_name: FxHashMap<String, usize> = FxHashMap::default();
    let mut candidates: Vec<(String, Vec<u32>, usize)> = Vec::new();
    for shape in shapes {
        let mut name = String::from("{");
        let (mut length, mut properties) = (1, Vec::new());
        for &property in shape.properties.iter().filter(|&&property| Some(property) != proto) {
            let text = formatted(snapshot.strings.text(property));
            let text_length = text.encode_utf16().count();
            if length > 1 && length + text_length > INTERFACE_NAME_MAX {
                break;
            }
            if length != 1 {
                name.push_str(", ");
                length += 2;
            }
            name.push_str(&text);
            length += text_length;
            properties.push(property);
        }
        if properties.is_empty() {
            continue;
        }
        name.push('}');
        if let Some(&place) = by_name.get(&name) {
            candidates[place].2 += shape.count;
        } else {
            by_name.insert(name.clone(), candidates.len());
            candidates.push((name, properties, shape.count));
        }
    }
    candidates.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    let enough = |count: usize| count >= INTERFACE_OBJECTS_MIN && count * INTERFACE_SHARE >= n_objects;
    let popular = candidates.into_iter().take_while(|(_, _, count)| enough(*count));
    let interface = |(name, properties, _): (String, Vec<u32>, usize)| {
        let texts = properties.iter().map(|&property| snapshot.strings.text(property)).collect();
        (Interface { name, properties: texts }, properties)
    };
    popular.map(interface).unzip()
}

/// A property as it stands in the name of an interface: quoted where it would confuse.
fn formatted(property: String) -> String {
    if property.contains([',', '\'', '"', '{', '}']) {
        serde_json::to_string(&property).unwrap_or(property)
    } else {
        property
    }
}

/// Finds interfaces whose properties an object has, by ascending number of the property.
#[derive(Default)]
struct PropertyTree {
    branches: Vec<Branch>,
}

#[derive(Default)]
struct Branch {
    next: BTreeMap<u32, usize>,
    /// The first interface that ends here.
    interface: Option<usize>,
}

impl PropertyTree {
    /// `interfaces`: the properties of each; one without any matches nothing.
    fn of(interfaces: &[Vec<u32>]) -> Self {
        let mut tree = Self { branches: vec![Branch::default()] };
        for (index, properties) in interfaces.iter().enumerate().filter(|(_, properties)| !properties.is_empty()) {
            let mut properties = properties.clone();
            properties.sort_unstable();
            let mut at = 0;
            for property in properties {
                let n_branches = tree.branches.len();
                let next = *tree.branches[at].next.entry(property).or_insert(n_branches);
                if next == n_branches {
                    tree.branches.push(Branch::default());
                }
                at = next;
            }
            tree.branches[at].interface.get_or_insert(index);
        }
        tree
    }

    /// The index of the interface with the most properties that `properties` has; the first of equals.
    fn best(&self, interfaces: &[Vec<u32>], properties: &[u32]) -> Option<usize> {
        let mut properties = properties.to_vec();
        properties.sort_unstable();
        let mut states = vec![0];
        let mut best: Option<usize> = None;
        for property in properties {
            for place in (0..states.len()).rev() {
                let branch = &self.branches[states[place]];
                if branch.next.last_key_value().is_none_or(|(&last, _)| property >= last) {
                    states.swap_remove(place);
                }
                if let Some(&next) = branch.next.get(&property) {
                    states.push(next);
                    let found = self.branches[next].interface;
                    let size = |index: usize| (interfaces[index].len(), std::cmp::Reverse(index));
                    best = best.into_iter().chain(found).max_by_key(|&index| size(index));
                }
            }
        }
        best
    }
}
