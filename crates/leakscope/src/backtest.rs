//! Recorded series through the daemon's own decisions: files or a daemon's store to rows, rows to verdicts and pictures.

mod files;
mod moment;
mod plot;
mod recordings;
mod replay;
mod rows;
mod stored;

pub(crate) use files::find;
pub(crate) use moment::{Since, parse_moment, parse_since};
pub(crate) use recordings::{Reading, Recorded, replay_all};
pub(crate) use replay::{Replayed, Span};
pub(crate) use rows::{COLUMNS, Oddities, TIME_COLUMN};
pub(crate) use stored::Stored;
