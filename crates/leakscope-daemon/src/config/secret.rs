//! Values that must not be seen: a [`Secret`] shows itself as `<secret>` however it is printed, and is spelt out only by [`Secret::expose`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Largest secret read from a file, bytes. Beyond: refused, since it is no secret but the wrong file.
const SECRET_FILE_BYTES_MAX: usize = 1 << 20;

/// What is printed in place of a secret.
pub const REDACTED: &str = "<secret>";

/// A password, token or private key. `Debug` and `Display` print `<secret>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// A value that stands in the configuration or in a file that it names (`password` or `password_file`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sourced<T> {
    /// It stands in the configuration.
    Inline(T),
    /// It is the content of a file, read again at each use so that it can be rotated.
    File(PathBuf),
}

impl<T> Sourced<T> {
    /// The file, when it stands in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Inline(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

/// A secret's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is too large, or no text.
    #[error("expected at most {SECRET_FILE_BYTES_MAX} bytes of UTF-8 text in `{}`", path.display())]
    NoText {
        /// The file.
        path: PathBuf,
    },
}

impl SecretError {
    /// Its text with its cause, for places that show one line.
    pub fn with_source(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

impl Sourced<Secret> {
    /// The secret, from its file when it has one: this reads the file. White space around a file's content is removed.
    ///
    /// # Errors
    /// [`SecretError`] when the file cannot be read or is no text.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => read_text(path).map(Secret),
        }
    }
}

impl Sourced<String> {
    /// The text, from its file when it has one: this reads the file. White space around a file's content is removed.
    ///
    /// # Errors
    /// [`SecretError`] when the file cannot be read or is no text.
    pub fn read(&self) -> Result<String, SecretError> {
        match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::File(path) => read_text(path),
        }
    }
}

fn read_text(path: &Path) -> Result<String, SecretError> {
    let bytes = std::fs::read(path).map_err(|source| SecretError::Read { path: path.to_owned(), source })?;
    if bytes.len() > SECRET_FILE_BYTES_MAX {
        return Err(SecretError::NoText { path: path.to_owned() });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => Err(SecretError::NoText { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_itself_as_hidden() {
        let secret = Sourced::Inline(Secret::new("hunter2"));
        assert_eq!(format!("{secret:?} {}", Secret::new("hunter2")), "Inline(<secret>) <secret>");
    }
}
