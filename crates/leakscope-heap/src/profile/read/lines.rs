//! Texts by their lines, as all text formats of profiles need them. Must not know any of the formats.

use crate::error::HeapError;

/// Bytes of a line that an error shows.
const SHOWN_BYTES: usize = 60;

/// Lines with their numbers from 1, without what ends them (`\n`, `\r\n`).
pub(super) fn numbered(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let ends = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1).chain([bytes.len()]);
    let lines = ends.scan(0, |start, end| {
        let line = &bytes[std::mem::replace(start, end)..end];
        Some(line)
    });
    let lines = lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    (1..).zip(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

/// The first line with anything but spaces.
pub(super) fn first(bytes: &[u8]) -> Option<&[u8]> {
    numbered(bytes).map(|(_, line)| line).find(|line| !line.trim_ascii().is_empty())
}

/// The error of a line that does not say what it must.
pub(super) fn invalid(number: usize, expected: &str, line: &[u8]) -> HeapError {
    HeapError::Invalid { place: format!("line {number}"), expected: expected.to_owned(), found: shown(line) }
}

/// A line as an error shows it: escaped and cut.
pub(super) fn shown(line: &[u8]) -> String {
    let cut = &line[..line.len().min(SHOWN_BYTES)];
    let dots = if cut.len() < line.len() { "..." } else { "" };
    if line.is_empty() { "nothing".to_owned() } else { format!("`{}{dots}`", cut.escape_ascii()) }
}

/// A whole number in decimal digits and nothing else; none beyond 2^63 - 1.
pub(super) fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_numbers_and_no_ends() {
        let cases: [(&str, &[&str]); 5] =
            [("", &[""]), ("a", &["a"]), ("a\n", &["a", ""]), ("a\r\n\r\nb", &["a", "", "b"]), ("\r", &[""])];
        for (text, expected) in cases {
            let found: Vec<_> = numbered(text.as_bytes()).map(|(_, line)| line.escape_ascii().to_string()).collect();
            assert_eq!(found, expected, "{text:?}");
        }
        assert_eq!(numbered(b"a\nb").map(|(number, _)| number).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn only_digits_are_a_number_and_only_as_far_as_it_fits() {
        let cases = [
            ("", None),
            ("0", Some(0)),
            ("0012", Some(12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-1", None),
            ("1.5", None),
            (" 1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(digits(text.as_bytes()), expected, "{text}");
        }
    }
}
