//! Captures of heaps on the command line: files to bytes, bytes to findings, findings to text, JSON, HTML and CSV.

mod answers;
mod diff;
mod dump;
mod html;
mod input;
mod mapped;
mod outline;
mod question;
mod report;
mod sink;
mod steps;
mod text;
mod words;

pub(crate) use answers::answers_text;
pub(crate) use diff::{diff_report, diff_text};
pub(crate) use dump::dump;
pub(crate) use html::{analysis_html, diff_html};
pub(crate) use input::{Bytes, Input, read};
pub(crate) use question::{Questions, ask, parse_id};
pub(crate) use report::{Extent, analysis, has_leak, histogram};
pub(crate) use sink::{Answer, Format, Sink};
pub(crate) use steps::Steps;
pub(crate) use text::{Shown, analysis_text, class_table};
