//! Numbers and texts of a chunk: in groups of seven bits where its header says so, else big-endian in their full width.

use crate::error::HeapError;

/// Bytes of a number in groups of seven bits; the last of them has all eight bits.
const GROUPS_MAX: usize = 9;

/// A text as it stands in a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// No text.
    Null,
    Here(String),
    /// In the pool of texts, by this key.
    Pooled(i64),
}

/// Reads a chunk from some place on; no further than `bytes`, which begin with the recording, so that places are those of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) is_compressed: bool,
}

impl<'a> Cursor<'a> {
    /// The same, but no further than `end`.
    pub(super) fn until(self, end: usize) -> Self {
        Self { bytes: &self.bytes[..end.min(self.bytes.len())], ..self }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The error that something else stands here.
    pub(super) fn unexpected(&self, expected: impl Into<String>, found: impl Into<String>) -> HeapError {
        HeapError::Unexpected { at: self.at as u64, expected: expected.into(), found: found.into() }
    }

    /// The next `n` bytes, of `what`.
    pub(super) fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8], HeapError> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let Some(taken) = taken else {
            return Err(self.unexpected(format!("{n} bytes of {what}"), format!("{} before the end", self.left())));
        };
        self.at += n;
        Ok(taken)
    }

    pub(super) fn byte(&mut self, what: &str) -> Result<u8, HeapError> {
        Ok(self.take(1, what)?[0])
    }

    /// A number that takes `width` bytes (2, 4 or 8) where numbers are not compressed.
    fn number(&mut self, width: usize, what: &str) -> Result<u64, HeapError> {
        if !self.is_compressed {
            let bytes = self.take(width, what)?;
            return Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        }
        let mut number = 0;
        for group in 0..GROUPS_MAX {
            let byte = self.byte(what)?;
            let bits = if group + 1 == GROUPS_MAX { byte } else { byte & 0x7f };
            number |= u64::from(bits) << (7 * group);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }

    pub(super) fn long(&mut self, what: &str) -> Result<i64, HeapError> {
        Ok(self.number(8, what)? as i64)
    }

    pub(super) fn int(&mut self, what: &str) -> Result<i32, HeapError> {
        Ok(self.number(4, what)? as i32)
    }

    pub(super) fn short(&mut self, what: &str) -> Result<i16, HeapError> {
        Ok(self.number(2, what)? as i16)
    }

    pub(super) fn char(&mut self, what: &str) -> Result<u16, HeapError> {
        Ok(self.number(2, what)? as u16)
    }

    /// How many of `what` follow. As many need not be there.
    pub(super) fn count(&mut self, what: &str) -> Result<usize, HeapError> {
        let before = *self;
        let count = self.int(what)?;
        usize::try_from(count)
            .map_err(|_negative| before.unexpected(format!("the number of {what}"), count.to_string()))
    }

    /// A text in one of its six encodings.
    ///
    /// Source: `jdk.jfr.internal.consumer.StringParser` and `jdk.jfr.internal.StringPool` of the JDK.
    pub(super) fn text(&mut self, what: &str) -> Result<Text, HeapError> {
        let before = *self;
        match self.byte(what)? {
            0 => Ok(Text::Null),
            1 => Ok(Text::Here(String::new())),
            2 => Ok(Text::Pooled(self.long(what)?)),
            3 => {
                let n = self.count(what)?;
                Ok(Text::Here(String::from_utf8_lossy(self.take(n, what)?).into_owned()))
            }
            4 => {
                let n = self.count(what)?;
                let mut units = Vec::new();
                for _ in 0..n {
                    units.push(self.char(what)?);
                }
                Ok(Text::Here(String::from_utf16_lossy(&units)))
            }
            5 => {
                let n = self.count(what)?;
                Ok(Text::Here(self.take(n, what)?.iter().copied().map(char::from).collect()))
            }
            other => Err(before.unexpected(format!("how {what} is encoded, 0 to 5"), other.to_string())),
        }
    }

    /// Passes over a text.
    pub(super) fn skip_text(&mut self, what: &str) -> Result<(), HeapError> {
        let mut ahead = *self;
        match ahead.byte(what)? {
            3 | 5 => {
                let n = ahead.count(what)?;
                ahead.take(n, what)?;
                *self = ahead;
                Ok(())
            }
            _ => self.text(what).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(bytes: &[u8], is_compressed: bool) -> Cursor<'_> {
        Cursor { bytes, at: 0, is_compressed }
    }

    #[test]
    fn numbers_are_read_in_both_widths() {
        let compressed: [(&[u8], i64, usize); 6] = [
            (&[0x00], 0, 1),
            (&[0x7f], 127, 1),
            (&[0x80, 0x01], 128, 2),
            // The size of an event is padded.
            (&[0xac, 0x82, 0x80, 0x00], 300, 4),
            (&[0xff; 9], -1, 9),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], i64::MIN, 9),
        ];
        for (bytes, expected, length) in compressed {
            let mut at = cursor(bytes, true);
            assert_eq!((at.long("it"), at.at), (Ok(expected), length), "{bytes:?}");
        }
        let mut plain = cursor(&[0, 0, 1, 0, 0xff, 0xfe, 0, 65], false);
        assert_eq!((plain.int("it"), plain.short("it"), plain.char("it")), (Ok(256), Ok(-2), Ok(65)));
        assert_eq!(cursor(&[0x80, 0x80, 0x80, 0x80, 0x08], true).int("it"), Ok(i32::MIN));
    }

    #[test]
    fn texts_are_read_in_every_encoding() {
        let cases: [(&[u8], Text); 7] = [
            (&[0], Text::Null),
            (&[1], Text::Here(String::new())),
            (&[2, 0x90, 0x01], Text::Pooled(144)),
            (&[3, 3, b'a', 0xc3, 0xa9], Text::Here("aé".to_owned())),
            (&[3, 1, 0xff], Text::Here("\u{fffd}".to_owned())),
            (&[4, 3, b'a', 0xe9, 0x01, 0x88, 0x2d], Text::Here("aé\u{1688}".to_owned())),
            (&[5, 2, b'a', 0xe9], Text::Here("aé".to_owned())),
        ];
        for (bytes, expected) in cases {
            let (mut read, mut skipped) = (cursor(bytes, true), cursor(bytes, true));
            assert_eq!(read.text("it"), Ok(expected), "{bytes:?}");
            assert_eq!((skipped.skip_text("it"), skipped.at), (Ok(()), read.at), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_or_number_is_said_with_its_place() {
        let cases: [(&[u8], &str); 5] = [
            (&[], "expected 1 bytes of it at byte 0, found 0 before the end"),
            (&[6], "expected how it is encoded, 0 to 5 at byte 0, found 6"),
            (&[3, 5, b'a'], "expected 5 bytes of it at byte 2, found 1 before the end"),
            (&[4, 0xff, 0xff, 0xff, 0xff, 0x07, 1], "expected 1 bytes of it at byte 7, found 0 before the end"),
            (&[5, 0xff, 0xff, 0xff, 0xff, 0x0f], "expected the number of it at byte 1, found -1"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(cursor(bytes, true).text("it").unwrap_err().to_string(), expected);
        }
    }
}
