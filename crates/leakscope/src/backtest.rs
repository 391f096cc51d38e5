//! Recorded series through the daemon's own decisions: files to rows, rows to verdicts.

mod files;
mod replay;
mod rows;

pub(crate) use files::find;
pub(crate) use replay::{Alarm, Replayed, replay_all};
pub(crate) use rows::{COLUMNS, TIME_COLUMN};
