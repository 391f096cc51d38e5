//! Where a report goes and in which form.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::exit::Failure;
use crate::output;

/// Mode of files with evidence.
const OWNER_ALONE: u32 = 0o600;

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

    /// Writes the result into this file, which only you can read
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Exit with 1 when a suspect has a confidence of 0.5 or more
    #[arg(long)]
    pub(crate) fail_on_leak: bool,
}

impl Answer {
    /// Refuses a page with the answer to a question alone.
    ///
    /// # Errors
    /// When both are asked for.
    pub(crate) fn check(&self, asks: bool) -> Result<(), Failure> {
        if self.format == Format::Html && asks {
            let message = "expected `--format text` or `json` with a question about one thing, found `html`";
            return Err(Failure::usage(message).hint("the page holds the whole report; ask without `--format html`"));
        }
        Ok(())
    }
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
        write_private(path, anstream::adapter::strip_str(text).to_string().as_bytes())
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

/// Writes a file that only its owner can read: evidence holds names, and sometimes contents, of what a service does.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = open_private(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", path.display())))
}

/// An empty file that only its owner can read.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn open_private(path: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ALONE).open(path)?;
    // A file that was there keeps its mode when it is opened; a device or a pipe is nobody's to close to others.
    if file.metadata()?.is_file() {
        file.set_permissions(fs::Permissions::from_mode(OWNER_ALONE))?;
    }
    Ok(file)
}
