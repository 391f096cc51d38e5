//! Profiles to bytes, for other tools.

mod collapsed;
mod pprof;
mod protobuf;
mod speedscope;

pub use collapsed::{collapsed_name, write_collapsed};
pub use pprof::write_pprof;
#[cfg(test)]
pub(crate) use protobuf::Fields;
pub use speedscope::write_speedscope;
