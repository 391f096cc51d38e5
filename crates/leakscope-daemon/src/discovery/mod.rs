//! Where targets come from.

mod groups;

pub(crate) use groups::parse_target_file;
