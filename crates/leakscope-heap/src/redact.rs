//! The shape of a capture without its contents.

use std::io::{self, Write};
use std::ops::Range;

use crate::error::HeapError;
use crate::format::Format;
use crate::{hprof, v8};

/// Why a capture was not redacted.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// It cannot be read to its end.
    #[error(transparent)]
    Unreadable(#[from] HeapError),
    /// The copy cannot be written.
    #[error("the redacted copy cannot be written: {0}")]
    Unwritable(#[source] io::Error),
}

/// What was replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// Bytes read.
    pub bytes: u64,
    /// Strings whose contents were replaced; where a capture has each text once, texts.
    pub strings: u64,
    /// Fields and elements whose values were replaced.
    pub values: u64,
}

/// Writes a copy of `capture` to `out` in which types, names of properties and fields, sizes and references stay and the contents of
/// strings and the values of primitives are replaced. The analysis of the copy gives the same figures; a copy of the copy is the
/// same.
///
/// `capture`: not compressed. Written in pieces as they come.
///
/// # Errors
/// [`RedactError`].
pub fn redact(capture: &[u8], out: &mut dyn Write) -> Result<Redacted, RedactError> {
    match Format::of(capture)? {
        Format::V8HeapSnapshot => v8::redact(capture, out),
        Format::Hprof => hprof::redact(capture, out),
        other => Err(other.is_no_graph().into()),
    }
}

/// Bytes that are gathered before they are written.
const PIECE_BYTES: usize = 1 << 18;

/// A copy of bytes in which some ranges are replaced, from the first to the last.
pub(crate) struct Copy<'a> {
    bytes: &'a [u8],
    /// Up to where it is copied.
    at: usize,
    piece: Vec<u8>,
    out: &'a mut dyn Write,
}

impl<'a> Copy<'a> {
    pub(crate) fn of(bytes: &'a [u8], out: &'a mut dyn Write) -> Self {
        Self { bytes, at: 0, piece: Vec::with_capacity(2 * PIECE_BYTES), out }
    }

    /// Puts `by` in the place of `range`, which lies behind those before.
    ///
    /// # Errors
    /// [`RedactError::Unwritable`].
    pub(crate) fn replace(&mut self, range: Range<usize>, by: &[u8]) -> Result<(), RedactError> {
        self.keep_to(range.start)?;
        self.piece.extend_from_slice(by);
        self.at = range.end;
        Ok(())
    }

    /// Copies what is left.
    ///
    /// # Errors
    /// [`RedactError::Unwritable`].
    pub(crate) fn finish(mut self) -> Result<(), RedactError> {
        self.keep_to(self.bytes.len())?;
        self.out.write_all(&self.piece).map_err(RedactError::Unwritable)
    }

    fn keep_to(&mut self, end: usize) -> Result<(), RedactError> {
        let kept = &self.bytes[self.at..end];
        self.at = end;
        if self.piece.len() + kept.len() < PIECE_BYTES {
            self.piece.extend_from_slice(kept);
            return Ok(());
        }
        self.out.write_all(&self.piece).map_err(RedactError::Unwritable)?;
        self.piece.clear();
        if kept.len() < PIECE_BYTES {
            self.piece.extend_from_slice(kept);
            return Ok(());
        }
        self.out.write_all(kept).map_err(RedactError::Unwritable)
    }
}
