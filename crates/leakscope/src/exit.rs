//! The published exit codes, and failures on their way to them.

use std::process::ExitCode;

use crate::output;

/// What the process answers to its caller. Published: scripts build on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A gate failed, or a leak was found where `--fail-on-leak` asks.
    Leak = 1,
    /// Usage, configuration or unreadable input.
    Usage = 2,
    /// Inconclusive, or what was asked could not be reached.
    Inconclusive = 3,
}

/// The table of every command's help.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done
  1  a gate failed, or a leak was found where --fail-on-leak is given
  2  usage, configuration or unreadable input
  3  inconclusive, or what was asked could not be reached";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// The caller's input is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), hint: None }
    }

    /// The world did not play along.
    pub(crate) fn inconclusive(message: impl Into<String>) -> Self {
        Self { exit: Exit::Inconclusive, message: message.into(), hint: None }
    }

    /// What to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Tells it on standard error and returns its code.
    pub(crate) fn tell(self) -> Exit {
        output::error(&self.message);
        if let Some(hint) = self.hint {
            output::hint(&hint);
        }
        self.exit
    }
}

/// Prints what clap has to say: a help on standard output, a mistake on standard error.
pub(crate) fn of_usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to do when the stream is closed.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
