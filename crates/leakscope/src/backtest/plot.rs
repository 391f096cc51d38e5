//! One picture of one replayed series: what was seen, what the detector made of it, and when it said so.

mod chart;
mod legend;
mod scale;
mod sketch;
mod style;
mod svg;
mod trace;
mod view;
mod words;

pub(crate) use chart::Subject;
pub(crate) use scale::Clock;
pub(crate) use trace::Trace;
