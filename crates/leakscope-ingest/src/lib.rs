//! Bytes of the outside world to readings of canonical signals: exposition formats, status pages, procfs and cgroup files, and relabelling. Pure: no I/O, no clock, no environment, no threads; any bytes give a value or an error.

pub mod actuator;
pub mod jolokia;
pub mod procfs;
pub mod quantity;

mod dialect;
mod error;
mod expvar;
mod harvest;
mod html;
mod json;
mod markup;
mod md5;
mod page;
mod prometheus;
mod reader;
mod relabel;
mod scan;
mod spec;
mod status;

pub use error::{IngestError, RelabelError, SpecError};
pub use page::{Opinion, Page, Part, Problem, Problems};
pub use reader::PageReader;
pub use relabel::{Action, Labels, Relabel, RelabelConfig, relabel};
pub use spec::{Format, Limits, Mapping, PageConfig, PageSpec, Source};
