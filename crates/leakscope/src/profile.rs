//! Profiles on the command line: bytes to one profile, cut as asked, to text, JSON, a page, flame graphs and files for other tools.

mod diff;
mod export;
mod flame;
mod opened;
mod options;
mod page;
mod report;
mod symbols;
mod text;
mod words;

pub(crate) use diff::{Compared, diff_report, diff_text};
pub(crate) use export::{Export, export};
pub(crate) use opened::{OpenError, Opened, column, open};
pub(crate) use options::Options;
#[cfg(test)]
pub(crate) use page::TEMPLATE;
pub(crate) use page::{analysis_html, diff_html};
pub(crate) use report::{Extent, analysis};
pub(crate) use text::{Ranked, Shown, analysis_text, answers_text};
