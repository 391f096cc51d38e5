//! Everything that is printed: data on standard output, all else on standard error. Colours only where the stream wants them.

pub(crate) mod table;

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::exit::Failure;

/// The form of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs; the shape is published
    Json,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    pub(crate) fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Styles, as ANSI sequences that the streams strip where they are not wanted.
pub(crate) mod style {
    pub(crate) const RESET: &str = "\x1b[0m";
    pub(crate) const BOLD: &str = "\x1b[1m";
    pub(crate) const DIM: &str = "\x1b[2m";
    pub(crate) const RED: &str = "\x1b[31m";
    pub(crate) const GREEN: &str = "\x1b[32m";
    pub(crate) const YELLOW: &str = "\x1b[33m";
    pub(crate) const CYAN: &str = "\x1b[36m";
}

/// Prints a result.
///
/// # Errors
/// When standard output cannot be written. A reader that has gone away is no error: it has seen enough.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a result as one line of JSON.
///
/// # Errors
/// As [`data`].
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value).map_err(|error| Failure::inconclusive(error.to_string()))?;
    text.push('\n');
    data(&text)
}

/// Prints a line of progress or explanation. A closed standard error is nobody's loss.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

pub(crate) fn warning(text: &str) {
    note(&format!("{}warning{}: {text}", style::YELLOW, style::RESET));
}

pub(crate) fn warnings(texts: &[String]) {
    for text in texts {
        warning(text);
    }
}

pub(crate) fn error(text: &str) {
    note(&format!("{}error{}: {text}", style::RED, style::RESET));
}

pub(crate) fn hint(text: &str) {
    note(&format!("{}hint{}: {text}", style::CYAN, style::RESET));
}

/// A line on standard error that replaces itself, where standard error is a terminal; nothing elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    live: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { live: io::stderr().is_terminal() }
    }

    pub(crate) fn show(&self, text: &str) {
        if self.live {
            let _ = write!(anstream::stderr(), "\r\x1b[2K{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}
