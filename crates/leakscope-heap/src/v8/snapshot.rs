//! The columns of a snapshot: what each node and edge is.

use crate::graph::Sizes;

use super::layout::Layout;
use super::numbers::Records;
use super::strings::Strings;

/// What a node is, of all the types that rules ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeKind {
    Hidden,
    Array,
    Text,
    Object,
    Code,
    Closure,
    RegExp,
    Number,
    Native,
    Synthetic,
    ConsText,
    SlicedText,
    /// Symbols, big integers, object shapes, and what newer engines add.
    Other,
}

impl NodeKind {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "hidden" => Self::Hidden,
            "array" => Self::Array,
            "string" => Self::Text,
            "object" => Self::Object,
            "code" => Self::Code,
            "closure" => Self::Closure,
            "regexp" => Self::RegExp,
            "number" => Self::Number,
            "native" => Self::Native,
            "synthetic" => Self::Synthetic,
            "concatenated string" => Self::ConsText,
            "sliced string" => Self::SlicedText,
            _ => Self::Other,
        }
    }
}

/// How an edge refers, in three bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Link {
    Context,
    Element,
    Property,
    Internal,
    Hidden,
    Shortcut,
    Weak,
    /// What newer engines add; it retains.
    Other,
}

impl Link {
    const ALL: [Self; 8] = [
        Self::Context,
        Self::Element,
        Self::Property,
        Self::Internal,
        Self::Hidden,
        Self::Shortcut,
        Self::Weak,
        Self::Other,
    ];

    pub(super) fn of(name: &str) -> Self {
        match name {
            "context" => Self::Context,
            "element" => Self::Element,
            "property" => Self::Property,
            "internal" => Self::Internal,
            "hidden" => Self::Hidden,
            "shortcut" => Self::Shortcut,
            "weak" => Self::Weak,
            _ => Self::Other,
        }
    }

    /// Whether its name is a number; else it is the index of a string.
    pub(super) fn is_numbered(self) -> bool {
        matches!(self, Self::Element | Self::Hidden)
    }
}

/// Kind and name of an edge in four bytes: whether it retains in one bit, the kind in three, the name in twenty-eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EdgeWord(u32);

impl EdgeWord {
    /// Names from here on are listed apart.
    pub(super) const NAME_MAX: u32 = (1 << 28) - 1;
    const RETAINS: u32 = 1 << 31;

    pub(super) fn new(link: Link, name: u32) -> Self {
        Self((link as u32) << 28 | name.min(Self::NAME_MAX))
    }

    #[inline]
    pub(super) fn link(self) -> Link {
        Link::ALL[(self.0 >> 28 & 7) as usize]
    }

    #[inline]
    pub(super) fn is_weak(self) -> bool {
        self.0 >> 28 & 7 == Link::Weak as u32
    }

    /// Whether it keeps its target alive, once [`super::retention::mark`] has said so.
    #[inline]
    pub(super) fn retains(self) -> bool {
        self.0 >> 31 == 1
    }

    #[inline]
    pub(super) fn set_retains(&mut self) {
        self.0 |= Self::RETAINS;
    }

    /// The name as it stands here; [`Snapshot::edge_name`] knows the large ones.
    #[inline]
    pub(super) fn name(self) -> u32 {
        self.0 & Self::NAME_MAX
    }
}

/// Where the function is that made an object, or a function itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Site {
    pub(super) script: u32,
    /// From 0.
    pub(super) line: u32,
    /// From 0.
    pub(super) column: u32,
}

/// The columns of a snapshot.
#[derive(Debug)]
pub(super) struct Snapshot<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) layout: Layout,
    pub(super) root: u32,
    pub(super) strings: Strings<'a>,
    /// Index into the header's types of each node, and what they are.
    pub(super) types: Vec<u8>,
    pub(super) kinds: [NodeKind; 256],
    pub(super) names: Vec<u32>,
    pub(super) ids: Sizes,
    pub(super) node_records: Records,
    pub(super) edge_words: Vec<EdgeWord>,
    /// Edges whose name does not fit into their word, ascending.
    pub(super) long_names: Vec<(usize, u32)>,
    /// Nodes with a site, ascending.
    pub(super) sites: Vec<(u32, Site)>,
    /// Nodes whose detachedness the file knows: 1 attached, 2 detached; ascending.
    pub(super) detachedness: Vec<(u32, u8)>,
}

impl Snapshot<'_> {
    pub(super) fn n_nodes(&self) -> usize {
        self.types.len()
    }

    #[inline]
    pub(super) fn kind(&self, node: u32) -> NodeKind {
        self.kinds[self.types[node as usize] as usize]
    }

    /// Index into the header's node types.
    #[inline]
    pub(super) fn type_index(&self, node: u32) -> u8 {
        self.types[node as usize]
    }

    pub(super) fn kind_of_type(&self, index: u8) -> NodeKind {
        self.kinds[index as usize]
    }

    pub(super) fn id(&self, node: u32) -> u64 {
        self.ids.get(node)
    }

    /// The name in the file, decoded.
    pub(super) fn raw_name(&self, node: u32) -> String {
        self.strings.text(self.names[node as usize])
    }

    /// The number or the index of the string that names an edge.
    pub(super) fn edge_name(&self, edge: usize) -> u32 {
        let name = self.edge_words[edge].name();
        if name < EdgeWord::NAME_MAX {
            return name;
        }
        self.long_names.binary_search_by_key(&edge, |&(edge, _)| edge).map_or(name, |place| self.long_names[place].1)
    }

    pub(super) fn site(&self, node: u32) -> Option<Site> {
        self.sites.binary_search_by_key(&node, |&(node, _)| node).ok().map(|place| self.sites[place].1)
    }

    /// The own bytes of a node as they stand in the file, before any were moved to its owner.
    pub(super) fn bytes_in_file(&self, node: u32) -> u64 {
        let place = self.layout.node.place("self_size").unwrap_or_default();
        self.node_records.record(self.bytes, node as usize).get(place).copied().unwrap_or(0)
    }

    /// The number of the allocation trace of a node, where the file has one.
    pub(super) fn trace_node(&self, node: u32) -> Option<u64> {
        let place = self.layout.node.place("trace_node_id")?;
        self.node_records.record(self.bytes, node as usize).get(place).copied().filter(|&id| id != 0)
    }
}
