//! Profiles to bytes, for other tools.

mod collapsed;
mod speedscope;

pub use collapsed::{collapsed_name, write_collapsed};
pub use speedscope::write_speedscope;
