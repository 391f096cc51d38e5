//! Heap bytes in, findings out: object graphs of V8 heap snapshots and HPROF dumps; pure, parallel over the bytes, no I/O.
//!
//! Reading order: [`analyse`] knows the format by its first bytes and has its reader (`v8`, `hprof`) fill one [`Heap`]: a graph in
//! compressed rows (`graph`) with self sizes and classes. `dominators` and `retained` say who holds what, `distances` how far
//! from a root it is. [`Heap`] answers questions; `suspects` ranks what looks wrong in one capture, [`diff`] what grew over
//! several. `redact` keeps the shape of a capture and drops its contents.

mod accumulate;
mod contents;
mod diff;
mod distances;
mod dominators;
mod error;
mod findings;
mod format;
mod graph;
mod heap;
mod hprof;
mod json;
pub mod profile;
mod redact;
mod retained;
mod rules;
mod shapes;
mod sharing;
mod story;
mod suspects;
mod tree;
mod v8;

pub use contents::{Collection, DuplicateString};
pub use diff::{Diff, DiffError, diff};
pub use error::HeapError;
pub use findings::{ClassGrowth, Finding, Growth, LeakIdentity, Totals};
pub use format::Format;
pub use heap::{Class, Edge, EdgeKind, EdgeName, Heap, Node, Phase, Retainer, analyse, histogram};
pub use redact::{RedactError, Redacted, redact};
pub use tree::DominatorTree;
