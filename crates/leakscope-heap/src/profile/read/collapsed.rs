//! Collapsed stacks: a line a stack, its frames from the root down with `;` between, and a number: `main;serve;put 12`.
//!
//! What Brendan Gregg's `stackcollapse-*.pl` made the common form, and async-profiler, py-spy, inferno and speedscope write. Endings of
//! frames (`_[j]`, `_[k]`) stay: they are part of the name for whoever compares with another file of the same tool.

use super::lines::{digits, first, invalid, numbered};
use crate::error::HeapError;
use crate::format::Format;
use crate::profile::builder::Builder;
use crate::profile::model::Profile;
use crate::v8::is_snapshot;

/// Bytes at the beginning that are looked at for the first line.
const START_BYTES: usize = 64 << 10;

/// Whether the first line is a stack with a number. Nearly any text could be: this reader comes last.
pub(super) fn knows(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(START_BYTES)];
    // Of JSON, that of a snapshot, the first line may end in a number too.
    !is_snapshot(bytes)
        && first(start).is_some_and(|line| {
            Stack::of(line).is_some() && !line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
        })
}

/// Reads collapsed stacks. Equal lines stay samples of their own.
///
/// # Errors
/// [`HeapError::Invalid`] at a line that does not end in a whole number.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut builder = Builder::new(Format::Collapsed, bytes.len());
    builder.sample_type("samples", "count");
    let mut locations = Vec::new();
    for (number, line) in numbered(bytes) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let stack = Stack::of(line).ok_or_else(|| {
            invalid(number, "frames with `;` between, a space and a whole number below 2^63", line.trim_ascii_end())
        })?;
        locations.clear();
        for frame in stack.frames.rsplit(|byte| *byte == b';').filter(|frame| !frame.is_empty()) {
            locations.push(builder.frame(&String::from_utf8_lossy(frame), "", 0, 0));
        }
        builder.sample(&locations, &[stack.value], &[]);
    }
    Ok(builder.finish())
}

/// A line: its frames, and their number.
struct Stack<'a> {
    frames: &'a [u8],
    value: i64,
}

impl<'a> Stack<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let line = line.trim_ascii_end();
        let space = line.iter().rposition(|byte| matches!(byte, b' ' | b'\t'))?;
        let frames = line[..space].trim_ascii_end();
        let value = digits(&line[space + 1..])?;
        (!frames.is_empty()).then_some(Self { frames, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::read::testing::outcome;

    #[test]
    fn stacks_are_read_from_the_root_down_with_what_tools_write_around_them() {
        let cases = [
            ("main;serve;put 12\n", "samples/count\n12 | put < serve < main"),
            ("main 1\r\n\r\nmain;a 2  \r\n", "samples/count\n1 | main\n2 | a < main"),
            ("main;a 1\nmain;a 1", "samples/count\n1 | a < main\n1 | a < main"),
            (
                "java/lang/Thread.run_[j];com/shop/Cart.add_[i];[unknown] 1048576",
                "samples/count\n1048576 | [unknown] < com/shop/Cart.add_[i] < java/lang/Thread.run_[j]",
            ),
            ("serve (app.py:12);put (store.py:7) 3", "samples/count\n3 | put (store.py:7) < serve (app.py:12)"),
            ("std::vec<int, a b>;f()\t4", "samples/count\n4 | f() < std::vec<int, a b>"),
            ("a;;b; 5", "samples/count\n5 | b < a"),
            ("{main};b 5", "samples/count\n5 | b < {main}"),
            ("a 0\nb 9223372036854775807", "samples/count\n0 | a\n9223372036854775807 | b"),
        ];
        for (text, expected) in cases {
            assert!(knows(text.as_bytes()), "{text}");
            assert_eq!(outcome(read(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_ends_in_no_whole_number_is_refused_with_its_number() {
        let expected = "expected frames with `;` between, a space and a whole number below 2^63";
        let cases = [
            ("a 1\nb 1.5", "line 2", "`b 1.5`"),
            ("a 1\n\nb", "line 3", "`b`"),
            ("a 1\nb -1", "line 2", "`b -1`"),
            ("a 1\nb;c 9223372036854775808", "line 2", "`b;c 9223372036854775808`"),
            ("a 1\n 12", "line 2", "` 12`"),
            ("a 1\n\u{ff}\x01 ", "line 2", "`\\xc3\\xbf\\x01`"),
        ];
        for (text, place, found) in cases {
            assert_eq!(outcome(read(text.as_bytes())), format!("{place}: {expected}, found {found}"), "{text}");
        }
    }

    #[test]
    fn not_any_text_is_stacks() {
        let cases = ["", "\n\n", "12", "a", "a;b", "a 1.5", "a\u{1}b 1", "{\"a\": 12\n}", "hello world\na 1"];
        for text in cases {
            assert!(!knows(text.as_bytes()), "{text}");
        }
    }
}
