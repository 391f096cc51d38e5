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
pub(crate) mod words;

pub(crate) use answers::answers_text;
pub(crate) use diff::{diff_report, diff_text};
pub(crate) use dump::dump;
#[cfg(test)]
pub(crate) use html::TEMPLATE;
pub(crate) use html::{analysis_html, diff_html};
pub(crate) use input::{Bytes, Input, read};
pub(crate) use question::{Questions, ask, parse_id};
pub(crate) use report::{Extent, analysis, finding, has_leak, histogram};
pub(crate) use sink::{Answer, Format, Sink, open_private, write_private};
pub(crate) use steps::Steps;
pub(crate) use text::{Shown, WIDTH, analysis_text, class_table, heading, suspect};
