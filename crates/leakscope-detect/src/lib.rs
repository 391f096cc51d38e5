//! Readings of one target in, a verdict out: online, bounded memory, deterministic. Time is an argument; nothing here does I/O.
//!
//! Reading order: [`Detector::observe`] takes one scrape, `track` keeps block floors per signal on several time scales,
//! `evidence` tests windows of floors with the statistics of `stats`, `past` adds up what earlier lives showed, and `combine` makes one verdict of
//! all signals. `tuning` holds the one knob.

mod checkpoint;
mod combine;
mod detector;
mod evidence;
mod life;
mod load;
mod past;
mod ring;
mod stats;
mod threshold;
mod track;
mod tuning;
mod window;

pub use checkpoint::CheckpointError;
pub use detector::Detector;
pub use tuning::Tuning;
