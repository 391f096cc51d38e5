//! What a capture of a heap says, and what grew over several.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Location, PathStep, Suspect};

/// One suspect with its identity and, where captures were compared, its growth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What a person reads.
    #[serde(flatten)]
    pub suspect: Suspect,
    /// The same leak in every process, replica and deploy: 16 hexadecimal digits.
    pub identity: String,
    /// Growth from the first capture to the last; `null` from a single capture.
    pub growth_bytes: Option<i64>,
    /// Likewise in count.
    pub growth_count: Option<i64>,
    /// Whether each capture has more than the one before.
    pub grew_in_every_step: Option<bool>,
    /// Standard error of `growth_bytes` from sampling; `null` where every object was counted.
    pub growth_error_bytes: Option<f64>,
    /// Bytes an hour; `null` where the captures do not say when they were taken.
    pub growth_bytes_per_hour: Option<f64>,
    /// Bytes a request; `null` where the requests served are not known.
    pub growth_bytes_per_request: Option<f64>,
}

/// One analysed capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeapAnalysis {
    /// `v8-heapsnapshot` or `hprof`.
    pub format: String,
    /// Bytes of the capture, not compressed.
    pub file_bytes: u64,
    /// Nodes of the graph.
    pub nodes: u64,
    /// Edges of the graph.
    pub edges: u64,
    /// Bytes of all objects.
    pub total_bytes: u64,
    /// Types, most retained bytes first.
    pub classes: Vec<HeapClass>,
    /// The objects that hold the most, most first.
    pub dominators: Vec<HeapObject>,
    /// What looks wrong, strongest first.
    pub suspects: Vec<Finding>,
    /// What could not be read.
    pub warnings: Vec<String>,
    /// Answers to what was asked beside.
    #[serde(flatten)]
    pub answers: HeapAnswers,
}

/// Types of one capture, without who holds what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapHistogram {
    /// As [`HeapAnalysis::format`].
    pub format: String,
    /// Bytes of the capture, not compressed.
    pub file_bytes: u64,
    /// Bytes of all objects.
    pub total_bytes: u64,
    /// Types, most own bytes first.
    pub classes: Vec<HeapClass>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// Answers to single questions; what was not asked is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeapAnswers {
    /// Types of one name, with their biggest objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<HeapClassDetail>,
    /// One object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<HeapNode>,
    /// Who refers to one object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retainers: Option<Vec<HeapRetainer>>,
    /// Ways from a root to one object, shortest first, each from the root down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<Vec<PathStep>>>,
    /// Texts that several strings have, most bytes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_strings: Option<Vec<DuplicateString>>,
    /// Collections with the most entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<Collection>>,
}

/// All objects of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapClass {
    /// Its name.
    pub name: String,
    /// Objects.
    pub count: u64,
    /// Their own bytes.
    pub self_bytes: u64,
    /// What would be free without them; `null` in a histogram, which does not ask who holds what.
    pub retained_bytes: Option<u64>,
    /// Where it is declared.
    pub location: Option<Location>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapObject {
    /// The identity that the runtime gave it.
    pub id: u64,
    /// What people call it.
    pub name: String,
    /// Its own bytes.
    pub self_bytes: u64,
    /// What would be free without it.
    pub retained_bytes: u64,
    /// Who holds it alone; `null` for the root.
    pub dominator_id: Option<u64>,
}

/// Types of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapClassDetail {
    /// The types; several where the name is declared in several places.
    pub types: Vec<HeapClass>,
    /// Their biggest objects by retained bytes.
    pub biggest: Vec<HeapObject>,
}

/// One object with all that is around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapNode {
    /// The object.
    #[serde(flatten)]
    pub object: HeapObject,
    /// Its type.
    pub class: String,
    /// Least number of strong references from a root; `null` where none leads to it.
    pub distance: Option<u32>,
    /// Where it, or its type, is declared.
    pub location: Option<Location>,
    /// The beginning of its text, if it is a string.
    pub text: Option<String>,
    /// Who holds whom alone, from below the root down to it.
    pub dominators: Vec<HeapObject>,
    /// References that it has.
    pub n_edges: u64,
    /// Those to the biggest objects.
    pub edges: Vec<HeapEdge>,
}

/// One reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapEdge {
    /// `field`, `element`, `variable`, `static`, `internal`, `hidden`, `shortcut`, `weak` or `root`.
    pub kind: String,
    /// Property, field, variable or `[index]`.
    pub edge: String,
    /// To what.
    pub to: HeapObject,
}

/// One reference, seen from its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapRetainer {
    /// As [`HeapEdge::kind`].
    pub kind: String,
    /// As [`HeapEdge::edge`].
    pub edge: String,
    /// Who refers.
    pub from: HeapObject,
}

/// The same text in several strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DuplicateString {
    /// Its beginning.
    pub text: String,
    /// How many strings have it.
    pub count: u64,
    /// Own bytes of all of them.
    pub bytes: u64,
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Collection {
    /// The collection itself.
    #[serde(flatten)]
    pub object: HeapObject,
    /// `Map`, `Set`, `Array`, `java.util.HashMap`, ...
    pub kind: String,
    /// Entries in it.
    pub size: u64,
    /// Places for entries, where the capture shows them.
    pub capacity: Option<u64>,
}

/// What grew from the first capture to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeapDiff {
    /// As [`HeapAnalysis::format`].
    pub format: String,
    /// Of each capture, in order.
    pub captures: Vec<HeapTotals>,
    /// Bytes of all objects of the last less those of the first.
    pub growth_bytes: i64,
    /// What grew, most suspicious first.
    pub suspects: Vec<Finding>,
    /// By type, most growth first.
    pub classes: Vec<HeapClassGrowth>,
    /// What could not be read of the last capture.
    pub warnings: Vec<String>,
}

/// One of several captures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapTotals {
    /// As it was given.
    pub file: String,
    /// Bytes of the capture, not compressed.
    pub file_bytes: u64,
    /// Nodes.
    pub nodes: u64,
    /// Edges.
    pub edges: u64,
    /// Bytes of all objects.
    pub total_bytes: u64,
}

/// What changed of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeapClassGrowth {
    /// Its name.
    pub name: String,
    /// Objects of the last that the first has not; the increase alone where objects have no lasting identity.
    pub added_count: u64,
    /// Objects of the first that the last has not.
    pub removed_count: u64,
    /// Own bytes of those added.
    pub added_bytes: u64,
    /// Own bytes of those removed.
    pub removed_bytes: u64,
    /// Added less removed.
    pub growth_count: i64,
    /// Likewise in bytes.
    pub growth_bytes: i64,
    /// Where it is declared.
    pub location: Option<Location>,
}
