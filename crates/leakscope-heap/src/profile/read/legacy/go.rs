//! The comments of Go's text profiles: what the addresses of the sample before them are, and its labels.
//!
//! ```text
//! # labels: {"plan":"free", "tenant":"blue"}
//! #       0x647bd8        main.wait+0x18  /src/main.go:27
//! ```

use std::iter::Peekable;
use std::str::Chars;

use crate::profile::builder::Builder;
use crate::profile::model::{Label, LabelValue};
use crate::profile::read::addresses::{Frame, of_word};
use crate::profile::read::lines::digits;

/// Comments behind one sample.
#[derive(Debug, Default)]
pub(super) struct Comments<'a> {
    lines: Vec<&'a [u8]>,
}

impl<'a> Comments<'a> {
    pub(super) fn line(&mut self, line: &'a [u8]) {
        if let Some(comment) = line.strip_prefix(b"#") {
            self.lines.push(comment.trim_ascii());
        }
    }

    /// Frames from the leaf. Go leaves out those of its runtime that made the allocation.
    pub(super) fn frames(&self) -> Vec<Frame<'a>> {
        self.lines.iter().filter_map(|line| frame(line)).collect()
    }

    pub(super) fn labels(&self, builder: &mut Builder) -> Vec<Label> {
        let texts = self.lines.iter().filter_map(|line| line.strip_prefix(b"labels:"));
        let pairs = texts.filter_map(|text| std::str::from_utf8(text).ok()).flat_map(labels);
        let label = |(key, value): (String, String)| {
            let (key, value) = (builder.text(&key), builder.text(&value));
            Label { key, value: LabelValue::Text(value) }
        };
        pairs.map(label).collect()
    }
}

/// `0x647bd8 main.wait+0x18 /src/main.go:27`, with tabs between.
fn frame(line: &[u8]) -> Option<Frame<'_>> {
    let mut words = line.split(|byte| *byte == b'\t').filter(|word| !word.is_empty());
    let address = of_word(words.next()?)?;
    let function = std::str::from_utf8(words.next()?).ok()?;
    let place = std::str::from_utf8(words.next()?).ok()?;
    let (function, _) = function.rsplit_once("+0x")?;
    let (file, line) = place.rsplit_once(':')?;
    Some(Frame { address, function, file, line: digits(line.as_bytes())? })
}

/// `{"plan":"free", "tenant": "blue"}`, as far as it is written so.
pub(in crate::profile::read) fn labels(text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut chars = text.trim().chars().peekable();
    while matches!(chars.next(), Some('{' | ',')) {
        while chars.next_if_eq(&' ').is_some() {}
        let pair = quoted(&mut chars).and_then(|key| {
            chars.next_if_eq(&':')?;
            while chars.next_if_eq(&' ').is_some() {}
            Some((key, quoted(&mut chars)?))
        });
        let Some(pair) = pair else { break };
        labels.push(pair);
    }
    labels
}

/// A text as Go's `%q` writes it.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    chars.next_if_eq(&'"')?;
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(escaped(chars)?),
            char => text.push(char),
        }
    }
}

/// What stands behind a backslash. A byte that is no text by itself becomes U+FFFD.
fn escaped(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    let code = |chars: &mut Peekable<Chars<'_>>, n_digits: usize| {
        (0..n_digits).try_fold(0, |code, _| Some(code * 16 + chars.next()?.to_digit(16)?))
    };
    Some(match chars.next()? {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => char::from_u32(code(chars, 2)?).filter(char::is_ascii).unwrap_or(char::REPLACEMENT_CHARACTER),
        'u' => char::from_u32(code(chars, 4)?).unwrap_or(char::REPLACEMENT_CHARACTER),
        'U' => char::from_u32(code(chars, 8)?).unwrap_or(char::REPLACEMENT_CHARACTER),
        char => char,
    })
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn labels_are_read_as_go_quotes_them() {
        let cases: [(&str, &[(&str, &str)]); 7] = [
            (r#"{"endpoint": "/put", "user": "a"}"#, &[("endpoint", "/put"), ("user", "a")]),
            (r#" {"plan":"free", "tenant":"blue \"x\""}"#, &[("plan", "free"), ("tenant", "blue \"x\"")]),
            (r#"{"a":"\n\x01\u00e9\U0001f600\xff"}"#, &[("a", "\n\x01é😀\u{fffd}")]),
            ("{}", &[]),
            (r#"{"a":"b", "c"#, &[("a", "b")]),
            (r#"{"a" "b"}"#, &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            let found = labels(text);
            let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
