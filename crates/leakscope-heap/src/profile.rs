//! Profiles: stacks with values. Bytes to one model, the model to what people ask of it, several of them to what grew and who made it.
//!
//! Reading order: `read` has a reader a format, which fills a [`Profile`] (`model`) through `builder`. `filter` and `top` answer as `go
//! tool pprof` does; `growth` compares several with the error of sampling, `blame` finds the user's own function on what grows, and
//! `suspects` says it. `write` gives a profile back, for other tools.

mod blame;
mod builder;
mod calls;
mod columns;
mod diff;
mod difference;
mod evidence;
mod filter;
mod growth;
mod inlined;
mod listing;
mod mappings;
mod model;
mod native;
mod nodes;
mod objects;
mod origin;
mod proto;
mod read;
mod suspects;
mod symbols;
mod tell;
#[cfg(test)]
mod testing;
mod top;
mod tree;
mod types;
mod waits;
mod write;

pub use calls::{CallTree, call_tree};
pub use diff::{DiffError, ProfileDiff, ProfileTotals, diff};
pub use difference::{Joined, difference};
pub use evidence::histogram_of;
pub use filter::{Filter, prune};
pub use inlined::{Inlined, inlined};
pub use listing::{Routine, RoutineLine, listing};
pub use model::{Function, Header, Label, LabelValue, Line, Location, Mapping, Profile, Text, ValueType};
pub(crate) use read::READERS;
pub use read::read;
pub use suspects::{Context, suspects};
pub use symbols::symbolize;
pub use top::{Granularity, Order, Row, rank, sort, top, totals};
pub use tree::{Call, CallGraph, call_graph};
pub use write::{collapsed_name, write_collapsed, write_pprof, write_speedscope};
