//! A place in JSON: its values one after the other, from the bytes and without recursion, so that no depth of nesting is too much. Must
//! not know what the JSON is of.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::HeapError;

/// Brackets within brackets that are followed in a value that is skipped.
const DEPTH_MAX: usize = 1 << 20;
/// Whole numbers up to here are exact where they are written with a point or an exponent.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Bytes of a number that are looked at; longer ones are none.
const NUMBER_BYTES_MAX: usize = 40;

/// A place in the JSON.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What the bytes are, for errors.
    whole: &'static str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], whole: &'static str) -> Self {
        Self { bytes, at: 0, whole }
    }

    pub(crate) fn unexpected(&self, expected: impl Into<String>, found: impl Into<String>) -> HeapError {
        HeapError::Unexpected { at: self.at as u64, expected: expected.into(), found: found.into() }
    }

    fn end(&self) -> String {
        format!("the end of the {}", self.whole)
    }

    fn found(&self) -> String {
        match self.bytes.get(self.at) {
            Some(byte) => format!("`{}`", byte.escape_ascii()),
            None => self.end(),
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), HeapError> {
        self.skip_space();
        if self.bytes.get(self.at) != Some(&byte) {
            return Err(self.unexpected(format!("`{}`", byte.escape_ascii()), self.found()));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether a comma follows; else `end` must.
    pub(crate) fn comma_or(&mut self, end: u8) -> Result<bool, HeapError> {
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(&byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected(format!("`,` or `{}`", end.escape_ascii()), self.found())),
        }
    }

    /// Into an object: its first key, and past the colon; none where it is empty.
    pub(crate) fn first_key(&mut self) -> Result<Option<Cow<'a, str>>, HeapError> {
        self.expect(b'{')?;
        if self.skipped(b'}') {
            return Ok(None);
        }
        self.key_and_colon().map(Some)
    }

    /// The next key of an object behind a value, and past the colon; none at its end.
    pub(crate) fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, HeapError> {
        if self.comma_or(b'}')? { self.key_and_colon().map(Some) } else { Ok(None) }
    }

    fn key_and_colon(&mut self) -> Result<Cow<'a, str>, HeapError> {
        let key = self.key()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Into an array: whether it has a value.
    pub(crate) fn first_value(&mut self) -> Result<bool, HeapError> {
        self.expect(b'[')?;
        Ok(!self.skipped(b']'))
    }

    /// Whether an array goes on behind a value.
    pub(crate) fn next_value(&mut self) -> Result<bool, HeapError> {
        self.comma_or(b']')
    }

    /// Past a byte, where it comes next.
    fn skipped(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// A key, or any other string.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, str>, HeapError> {
        self.skip_space();
        let range = self.skip_string()?;
        Ok(decoded(&self.bytes[range]))
    }

    /// A string; `what` it is, for errors.
    pub(crate) fn text(&mut self, what: &str) -> Result<Cow<'a, str>, HeapError> {
        if self.is_text() { self.key() } else { Err(self.unexpected(format!("{what}, a string,"), self.found())) }
    }

    /// Whether a string comes next.
    pub(crate) fn is_text(&mut self) -> bool {
        self.skip_space();
        self.bytes.get(self.at) == Some(&b'"')
    }

    /// Past `null`, where it comes next.
    pub(crate) fn skipped_null(&mut self) -> bool {
        self.skip_space();
        let is_null = self.bytes[self.at..].starts_with(b"null");
        self.at += if is_null { 4 } else { 0 };
        is_null
    }

    /// A whole number; `what` it is, for errors.
    pub(crate) fn integer(&mut self, what: &str) -> Result<i64, HeapError> {
        let text = self.number_text();
        let fraction = || text.parse().ok().filter(|number: &f64| number.fract() == 0.0 && number.abs() <= EXACT_MAX);
        match text.parse::<i64>().ok().or_else(|| fraction().map(|number| number as i64)) {
            Some(number) => {
                self.at += text.len();
                Ok(number)
            }
            None => Err(self.no_number(&format!("{what}, a whole number below 2^63,"), text)),
        }
    }

    /// A whole number from 0; `what` it is, for errors.
    pub(crate) fn count(&mut self, what: &str) -> Result<i64, HeapError> {
        let text = self.number_text();
        if text.starts_with('-') {
            return Err(self.no_number(&format!("{what}, a whole number from 0,"), text));
        }
        self.integer(what)
    }

    /// A number; `what` it is, for errors.
    pub(crate) fn number(&mut self, what: &str) -> Result<f64, HeapError> {
        let text = self.number_text();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                self.at += text.len();
                Ok(number)
            }
            _ => Err(self.no_number(&format!("{what}, a number,"), text)),
        }
    }

    fn no_number(&self, expected: &str, text: &str) -> HeapError {
        self.unexpected(expected, if text.is_empty() { self.found() } else { format!("`{text}`") })
    }

    /// What comes next, as far as it could be part of a number.
    fn number_text(&mut self) -> &'a str {
        self.skip_space();
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take(NUMBER_BYTES_MAX).take_while(is_part).count();
        std::str::from_utf8(&rest[..length]).unwrap_or_default()
    }

    /// Past a string; the range of what is between its quotes.
    fn skip_string(&mut self) -> Result<Range<usize>, HeapError> {
        self.expect(b'"')?;
        let start = self.at;
        let end = end_of_string(self.bytes, start)
            .ok_or_else(|| self.unexpected("the closing quote of a string", self.end()))?;
        self.at = end + 1;
        Ok(start..end)
    }

    /// Past a flat array of numbers; the range of what is between its brackets.
    pub(crate) fn numbers(&mut self) -> Result<Range<usize>, HeapError> {
        self.expect(b'[')?;
        let start = self.at;
        let length = memchr::memchr(b']', &self.bytes[start..])
            .ok_or_else(|| self.unexpected("the `]` of an array of numbers", format!("none before {}", self.end())))?;
        self.at = start + length + 1;
        Ok(start..start + length)
    }

    /// Past any value; its range.
    pub(crate) fn skip_value(&mut self) -> Result<Range<usize>, HeapError> {
        self.skip_space();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.skip_string()?;
                }
                Some(b'[' | b'{') => {
                    depth += 1;
                    self.at += 1;
                    if depth > DEPTH_MAX {
                        return Err(self.unexpected(format!("at most {DEPTH_MAX} nested brackets"), "more"));
                    }
                }
                Some(b']' | b'}') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b']' | b'}') if depth == 0 => break,
                Some(_) => self.at += 1,
                None => return Err(self.unexpected("the end of a value", self.end())),
            }
            if depth == 0 && matches!(self.bytes.get(self.at), Some(b',' | b']' | b'}')) {
                break;
            }
        }
        Ok(start..self.at)
    }
}

/// Index of the quote that ends the string whose contents begin at `start`.
pub(crate) fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// A JSON string without its quotes as text; what is no UTF-8 or no character is replaced by U+FFFD.
pub(crate) fn decoded(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    let mut units: Vec<u16> = Vec::new();
    let mut text = String::new();
    let mut rest = raw;
    while let Some(&byte) = rest.first() {
        let plain = rest.iter().position(|&byte| byte == b'\\').unwrap_or(rest.len());
        if plain > 0 {
            flush(&mut units, &mut text);
            text.push_str(&String::from_utf8_lossy(&rest[..plain]));
            rest = &rest[plain..];
            continue;
        }
        debug_assert_eq!(byte, b'\\');
        let escape = rest.get(1).copied().unwrap_or(b'\\');
        let hex = rest
            .get(2..6)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u16::from_str_radix(hex, 16).ok());
        if let (b'u', Some(unit)) = (escape, hex) {
            units.push(unit);
            rest = &rest[6..];
            continue;
        }
        flush(&mut units, &mut text);
        text.push(match escape {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            other => char::from(other),
        });
        rest = rest.get(2..).unwrap_or_default();
    }
    flush(&mut units, &mut text);
    Cow::Owned(text)
}

fn flush(units: &mut Vec<u16>, text: &mut String) {
    text.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let whole = "expected a size, a whole number below 2^63, at byte 0, found";
        let cases = [
            ("12,", Ok(12)),
            (" -3", Ok(-3)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("1.5e3]", Ok(1_500)),
            ("2.0", Ok(2)),
            ("1.5", Err(format!("{whole} `1.5`"))),
            ("9223372036854775808", Err(format!("{whole} `9223372036854775808`"))),
            ("1e300", Err(format!("{whole} `1e300`"))),
            ("\"1\"", Err(format!("{whole} `\\\"`"))),
            ("", Err(format!("{whole} the end of the file"))),
        ];
        for (text, expected) in cases {
            let found = Cursor::new(text.as_bytes(), "file").integer("a size").map_err(|error| error.to_string());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn objects_and_arrays_are_walked_without_recursion() {
        let mut cursor = Cursor::new(br#" {"a": [1, 2], "b" : {}, "c": [ ], "d": null, "e": "\u00e9"} "#, "file");
        assert_eq!(cursor.first_key().unwrap().as_deref(), Some("a"));
        assert!(cursor.first_value().unwrap());
        assert_eq!(cursor.count("one").unwrap(), 1);
        assert!(cursor.next_value().unwrap());
        assert_eq!(cursor.number("two").unwrap(), 2.0);
        assert!(!cursor.next_value().unwrap());
        assert_eq!(cursor.next_key().unwrap().as_deref(), Some("b"));
        assert_eq!(cursor.first_key().unwrap(), None);
        assert_eq!(cursor.next_key().unwrap().as_deref(), Some("c"));
        assert!(!cursor.first_value().unwrap());
        assert_eq!(cursor.next_key().unwrap().as_deref(), Some("d"));
        assert!(cursor.skipped_null());
        assert_eq!(cursor.next_key().unwrap().as_deref(), Some("e"));
        assert_eq!(cursor.text("a name").unwrap(), "\u{e9}");
        assert_eq!(cursor.next_key().unwrap(), None);
    }
}
