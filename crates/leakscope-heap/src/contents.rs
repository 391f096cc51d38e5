//! What is inside: duplicate strings, collections and how full they are.

use crate::heap::{Heap, Node};

/// The same text in several strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateString {
    /// Its beginning.
    pub text: String,
    /// How many strings have it.
    pub count: u64,
    /// Own bytes of all of them.
    pub bytes: u64,
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The collection itself.
    pub node: Node,
    /// `Map`, `Set`, `Array`, `java.util.HashMap`, ...
    pub kind: String,
    /// Entries in it.
    pub size: u64,
    /// Places for entries, where the capture shows them.
    pub capacity: Option<u64>,
}

impl Heap<'_> {
    /// Texts that several strings have, most bytes first, at most `max`.
    pub fn duplicate_strings(&self, max: usize) -> Vec<DuplicateString> {
        let _ = max;
        Vec::new()
    }

    /// The collections with the most entries, at most `max`.
    pub fn collections(&self, max: usize) -> Vec<Collection> {
        let _ = max;
        Vec::new()
    }

    /// Ways from `node` up to a root, shortest first, at most `max`, each from the root down. Steps of the runtime's own are left
    /// out where a step of the program's says the same.
    pub fn paths(&self, node: Node, max: usize) -> Vec<Vec<leakscope_model::PathStep>> {
        let _ = (node, max);
        Vec::new()
    }
}
