//! `jcmd PID GC.class_histogram` and `jmap -histo` of JDK 8 to 25: a type a line, with its objects and their bytes.
//!
//! ```text
//! 8366:
//!  num     #instances         #bytes  class name (module)
//! -------------------------------------------------------
//!    1:          7989         630600  [B (java.base@17.0.15)
//! Total         30780        1626928
//! ```
//!
//! Source: src/hotspot/share/memory/heapInspection.cpp, `KlassInfoHisto::print_histo_on`, `KlassInfoEntry::print_on`. The module is
//! there from JDK 9 on.

use super::lines::{digits, invalid, numbered};
use crate::error::HeapError;
use crate::format::Format;
use crate::hprof::readable;
use crate::profile::builder::Builder;
use crate::profile::model::{Label, LabelValue, Profile};

/// Lines at the beginning among which the heading must be; `jcmd` writes one before it, a log may write some more.
const START_LINES: usize = 32;
/// Bytes at the beginning that are looked at for it.
const START_BYTES: usize = 4 << 10;

/// Whether the heading of a histogram is near the beginning.
pub(super) fn knows(bytes: &[u8]) -> bool {
    numbered(&bytes[..bytes.len().min(START_BYTES)]).take(START_LINES).any(|(_, line)| is_heading(line))
}

/// ` num     #instances         #bytes  class name (module)`, however it is spaced.
fn is_heading(line: &[u8]) -> bool {
    words(line).take(5).eq([&b"num"[..], b"#instances", b"#bytes", b"class", b"name"])
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Reads a histogram of classes: a sample a class, whose stack is the type's name.
///
/// # Errors
/// [`HeapError::Invalid`] at a line between heading and total that is no row. A histogram without its total, or whose total is not the
/// sum of its rows, is read with a warning.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut builder = Builder::new(Format::ClassHistogram, bytes.len());
    builder.sample_type("objects", "count");
    builder.sample_type("bytes", "bytes");
    let mut lines = numbered(bytes).skip_while(|(_, line)| !is_heading(line)).skip(1).peekable();
    let mut sum = Amount::default();
    let mut total = None;
    while let Some((number, line)) = lines.next() {
        if line.trim_ascii().is_empty() || line.iter().all(|byte| matches!(byte, b'-' | b' ')) {
            continue;
        }
        if let Some(rest) = line.trim_ascii_start().strip_prefix(b"Total") {
            total = Some(Amount::of(rest).ok_or_else(|| invalid(number, "`Total`, objects and bytes", line))?);
            break;
        }
        let Some(row) = Row::of(line) else {
            if lines.peek().is_none() {
                // The last line of a text that was cut off.
                break;
            }
            return Err(invalid(number, "`rank: objects bytes class`", line));
        };
        sum = sum.plus(row.amount);
        row.add_to(&mut builder);
    }
    match total {
        None => builder.warn("the histogram ends before its total, and is read as far as it goes".to_owned()),
        Some(total) if total != sum => builder.warn(format!(
            "the total of the histogram is {total}, that of its rows {sum}: rows are missing or were changed"
        )),
        Some(_) => {}
    }
    Ok(builder.finish())
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    objects: i64,
    bytes: i64,
}

impl Amount {
    fn of(text: &[u8]) -> Option<Self> {
        let mut numbers = words(text).map(digits);
        let amount = Self { objects: numbers.next()??, bytes: numbers.next()?? };
        numbers.next().is_none().then_some(amount)
    }

    fn plus(self, other: Self) -> Self {
        Self { objects: self.objects.saturating_add(other.objects), bytes: self.bytes.saturating_add(other.bytes) }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} objects with {} bytes", self.objects, self.bytes)
    }
}

/// `   1:          7989         630600  [B (java.base@17.0.15)`.
struct Row<'a> {
    amount: Amount,
    /// As the VM has it.
    class: &'a [u8],
    /// Without its version: it tells releases apart, and types are the same over releases.
    module: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let (rank, rest) = split_word(line)?;
        digits(rank.strip_suffix(b":")?)?;
        let (objects, rest) = split_word(rest)?;
        let (bytes, rest) = split_word(rest)?;
        let amount = Amount { objects: digits(objects)?, bytes: digits(bytes)? };
        let class = rest.trim_ascii();
        let with_module = class.strip_suffix(b")").and_then(|class| {
            let open = memchr::memmem::rfind(class, b" (")?;
            Some((&class[..open], &class[open + 2..]))
        });
        let (class, module) = match with_module {
            Some((class, module)) => (class, module.split(|byte| *byte == b'@').next()),
            None => (class, None),
        };
        (!class.is_empty()).then_some(Self { amount, class, module })
    }

    fn add_to(&self, builder: &mut Builder) {
        let name = readable(&String::from_utf8_lossy(self.class));
        let frame = builder.frame(&name, "", 0, 0);
        let module = self.module.map(|module| {
            let key = builder.text("module");
            Label { key, value: LabelValue::Text(builder.text(&String::from_utf8_lossy(module))) }
        });
        builder.sample(&[frame], &[self.amount.objects, self.amount.bytes], module.as_slice());
    }
}

/// The first word of a line, and what follows it.
fn split_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    Some(line.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::read::testing::outcome;

    /// JDK 17, `jcmd PID GC.class_histogram`.
    const JDK_17: &str = "8366:
 num     #instances         #bytes  class name (module)
-------------------------------------------------------
   1:          7989         630600  [B (java.base@17.0.15)
   2:          1332         107240  [Ljava.lang.Object; (java.base@17.0.15)
   3:             2             48  com.shop.Cart
   4:             1             16  com.shop.App$$Lambda$14/0x0000000800c03000
Total          9324         737904
";
    /// JDK 8, `jmap -histo`.
    const JDK_8: &str = "
 num     #instances         #bytes  class name
----------------------------------------------
   1:           512          49888  [[J
   2:            10            240  java.util.HashMap$Node
Total           522          50128
";
    const COLUMNS: &str = "objects/count bytes/bytes\n";

    #[test]
    fn types_have_the_names_of_their_source_and_their_module_as_a_label() {
        let jdk_17 = "7989 630600 | byte[] | module=java.base
1332 107240 | java.lang.Object[] | module=java.base
2 48 | com.shop.Cart
1 16 | com.shop.App$$Lambda$14/0x0000000800c03000";
        let jdk_8 = "512 49888 | long[][]\n10 240 | java.util.HashMap$Node";
        let modules = "1 16 | com.shop.A | module=shop\n1 16 | com.shop.B | module=app";
        let named = " num     #instances         #bytes  class name (module)\n\
                     1: 1 16 com.shop.A (shop)\n 2: 1 16 com.shop.B (app@1.0 (beta))\nTotal 2 32";
        let cases = [
            (JDK_17.to_owned(), jdk_17),
            (JDK_17.replace('\n', "\r\n"), jdk_17),
            (format!("Attaching\n{JDK_17}\nBUILD SUCCESSFUL"), jdk_17),
            (JDK_8.to_owned(), jdk_8),
            (named.replace(" (beta)", ""), modules),
        ];
        for (text, expected) in cases {
            assert!(knows(text.as_bytes()), "{text}");
            assert_eq!(outcome(read(text.as_bytes())), format!("{COLUMNS}{expected}"), "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes() {
        let cut = "warning: the histogram ends before its total, and is read as far as it goes";
        let first_row = "7989 630600 | byte[] | module=java.base";
        let cases = [
            (JDK_17.find("   2:"), format!("{first_row}\n{cut}")),
            (JDK_17.find("07240"), format!("{first_row}\n{cut}")),
            (JDK_17.find("   1:"), cut.to_owned()),
        ];
        for (end, expected) in cases {
            let text = &JDK_17[..end.unwrap()];
            assert_eq!(outcome(read(text.as_bytes())), format!("{COLUMNS}{expected}"), "{text}");
        }
    }

    #[test]
    fn a_total_that_is_not_the_sum_is_told() {
        let text = JDK_8.replace("50128", "50129");
        let profile = read(text.as_bytes()).unwrap();
        let expected = "the total of the histogram is 522 objects with 50129 bytes, that of its rows 522 objects with 50128 bytes: rows are missing or were changed";
        assert_eq!(profile.warnings(), [expected]);
    }

    #[test]
    fn a_line_that_is_no_row_is_refused_with_its_number() {
        let row = "expected `rank: objects bytes class`";
        let cases = [
            (
                "  10            240  ",
                "  10            2.5  ",
                format!("line 5: {row}, found `   2:            10            2.5  java.util.HashMap$Node`"),
            ),
            ("   1:", "   1 ", format!("line 4: {row}, found `   1            512          49888  [[J`")),
            ("[[J", "", format!("line 4: {row}, found `   1:           512          49888  `")),
            (
                "49888",
                "9223372036854775808",
                format!("line 4: {row}, found `   1:           512          9223372036854775808  [[J`"),
            ),
            (
                "522 ",
                "",
                "line 6: expected `Total`, objects and bytes, found `Total                    50128`".to_owned(),
            ),
        ];
        for (from, to, expected) in cases {
            let text = JDK_8.replacen(from, to, 1);
            assert_eq!(outcome(read(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn sums_beyond_a_number_stay_at_its_end() {
        let text = format!("num #instances #bytes class name\n1: 1 {0} a\n2: 1 {0} b\nTotal 2 {0}", i64::MAX);
        assert_eq!(read(text.as_bytes()).unwrap().warnings(), [""; 0]);
    }

    #[test]
    fn texts_without_the_heading_are_none() {
        for text in ["", "num #instances", "1: 2 3 java.lang.String", "num #instances #bytes class"] {
            assert!(!knows(text.as_bytes()), "{text}");
        }
    }
}
