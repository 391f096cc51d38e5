//! The demo: real services of every runtime, one leaking and one healthy each, watched by a daemon in this process.
//!
//! Reading order: `embedded` and `prepare` make programs of sources, `fleet` starts and drives them, `watching` has the
//! daemon look at them and keeps what was seen, `screen` and `report` tell.

mod embedded;
mod fleet;
mod prepare;
mod report;
mod runtime;
mod screen;
mod watching;

pub(crate) use embedded::Sources;
pub(crate) use fleet::{Fleet, Load};
pub(crate) use prepare::{Prepared, prepare_all};
pub(crate) use report::Report;
pub(crate) use runtime::DemoRuntime;
pub(crate) use screen::Screen;
pub(crate) use watching::Watching;
