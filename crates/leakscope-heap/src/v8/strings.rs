//! The strings of a snapshot: found once, decoded only when they are shown.

use std::ops::Range;

use crate::error::HeapError;
use crate::graph::Offsets;
use crate::json::{decoded, end_of_string};

/// The strings of a snapshot by their index.
#[derive(Debug)]
pub(super) struct Strings<'a> {
    /// The snapshot up to the end of the section.
    bytes: &'a [u8],
    /// Behind the opening quote of each.
    starts: Offsets,
}

impl<'a> Strings<'a> {
    /// Finds the strings in `range` of `bytes`.
    ///
    /// # Errors
    /// [`HeapError::Unexpected`] for anything but strings with commas between.
    pub(super) fn of(bytes: &'a [u8], range: Range<usize>) -> Result<Self, HeapError> {
        let bytes = &bytes[..range.end];
        let mut starts = Offsets::default();
        let mut at = range.start;
        loop {
            at += bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            match bytes.get(at) {
                None if starts.len() == 0 => break,
                Some(b'"') => {}
                found => return Err(unexpected(at, "a string", found)),
            }
            starts.push(at + 1);
            let end = end_of_string(bytes, at + 1).ok_or_else(|| unexpected(bytes.len(), "a closing quote", None))?;
            at = end + 1;
            at += bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            match bytes.get(at) {
                Some(b',') => at += 1,
                None => break,
                found => return Err(unexpected(at, "`,` behind a string", found)),
            }
        }
        Ok(Self { bytes, starts })
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// What stands between the quotes, escapes as they are; empty for an index that is none.
    pub(super) fn raw(&self, index: u32) -> &'a [u8] {
        let index = index as usize;
        if index >= self.starts.len() {
            return &[];
        }
        let start = self.starts.get(index);
        let end = end_of_string(self.bytes, start).unwrap_or(self.bytes.len());
        &self.bytes[start..end]
    }

    /// The text, decoded.
    pub(super) fn text(&self, index: u32) -> String {
        decoded(self.raw(index)).into_owned()
    }

    /// The indexes of the strings whose raw bytes contain `needle`, ascending.
    pub(super) fn containing(&self, needle: &[u8]) -> Vec<u32> {
        let Some(first) = (self.len() > 0).then(|| self.starts.get(0)) else { return Vec::new() };
        let mut indexes: Vec<u32> = Vec::new();
        for found in memchr::memmem::find_iter(&self.bytes[first..], needle) {
            let index = self.index_at(first + found);
            if indexes.last() != Some(&index) {
                indexes.push(index);
            }
        }
        indexes
    }

    /// The index of the string that contains the byte at `at`.
    fn index_at(&self, at: usize) -> u32 {
        let (mut low, mut high) = (0, self.len());
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            if self.starts.get(middle) <= at { low = middle } else { high = middle }
        }
        low as u32
    }

    /// The index of each of `texts`, which need no escapes, where there is one.
    pub(super) fn find<const N: usize>(&self, texts: [&str; N]) -> [Option<u32>; N] {
        texts.map(|text| {
            let to_its_end = format!("{text}\"");
            self.containing(to_its_end.as_bytes()).into_iter().find(|&index| self.raw(index) == text.as_bytes())
        })
    }
}

fn unexpected(at: usize, expected: &str, found: Option<&u8>) -> HeapError {
    let found = found.map_or_else(|| "the end of the strings".to_owned(), |byte| format!("`{}`", byte.escape_ascii()));
    HeapError::Unexpected { at: at as u64, expected: expected.to_owned(), found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(section: &str) -> Result<Vec<String>, String> {
        let strings = Strings::of(section.as_bytes(), 0..section.len()).map_err(|error| error.to_string())?;
        Ok((0..strings.len() as u32).map(|index| strings.text(index)).collect())
    }

    #[test]
    fn strings_are_decoded() {
        let expected = ["a", "", "q\"uo\\te", "line\nbreak", "\u{e9}\u{1F600}", "\u{fffd}x", "/"].map(str::to_owned);
        assert_eq!(
            all(r#" "a","","q\"uo\\te",  "line\nbreak","\u00e9\ud83d\uDE00","\ud83dx" , "\/""#),
            Ok(expected.to_vec())
        );
        assert_eq!(all(""), Ok(vec![]));
    }

    #[test]
    fn what_is_no_string_is_named_with_its_place() {
        assert_eq!(all(r#""a",1"#), Err("expected a string at byte 4, found `1`".to_owned()));
        assert_eq!(all(r#""a" "b""#), Err("expected `,` behind a string at byte 4, found `\\\"`".to_owned()));
        assert_eq!(all(r#""a","#), Err("expected a string at byte 4, found the end of the strings".to_owned()));
    }

    #[test]
    fn strings_are_found_by_a_part_of_them() {
        let section = r#""key","part of key","a part of key","key""#;
        let strings = Strings::of(section.as_bytes(), 0..section.len()).unwrap();
        assert_eq!(strings.containing(b"part of"), [1, 2]);
        assert_eq!(strings.find(["key", "part of key", "part"]), [Some(0), Some(1), None]);
    }
}
