//! Where a report goes and in which form.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use crate::exit::Failure;
use crate::output;

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs; the shape is published
    Json,
    /// For people, as one page for a browser
    Html,
}

/// The flags of every command that answers with a report.
#[derive(Debug, clap::Args)]
pub(crate) struct Answer {
    /// How the result is printed: `text` for people, `json` for programs, `html` for a browser, in one file
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: Format,

    /// Writes the result into this file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Exit with 1 when a suspect has a confidence of 0.5 or more
    #[arg(long)]
    pub(crate) fail_on_leak: bool,
}

/// A file, or standard output without one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink(pub(crate) Option<PathBuf>);

impl Sink {
    /// Writes a report. Into a file it is written without colours.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        let Some(path) = &self.0 else { return output::data(text) };
        let plain = anstream::adapter::strip_str(text).to_string();
        fs::write(path, plain)
            .map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", path.display())))
    }

    /// Writes a report as one line of JSON.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn write_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string(value).map_err(|error| Failure::inconclusive(error.to_string()))?;
        text.push('\n');
        self.write(&text)
    }
}
