//! Blocks of a Python program by the stack that allocated them: the JSON of our agent, from tracemalloc or memray.
//!
//! The fields are in docs/python.md; `agents/python/leakscope_heap.py` writes them. Frames are in a table, since stacks share them, and
//! a stack is their numbers, leaf first. Fields that are not known are passed over, so that a newer agent can say more.

use crate::error::HeapError;
use crate::format::Format;
use crate::json::Cursor;
use crate::profile::builder::Builder;
use crate::profile::model::Profile;
use crate::v8::is_snapshot;

/// Bytes at the beginning in which the names that tell the format must be.
const START_BYTES: usize = 256;
/// The version that is read.
const VERSION: i64 = 1;
/// The frame of what the agent did not keep stack by stack.
pub(super) const REST: &str = "(other stacks)";
/// Fields that say something of the whole, and become comments of the profile.
const FACTS: [&str; 9] = [
    "source",
    "moment",
    "python",
    "pid",
    "rss_bytes",
    "requests_total",
    "traced_bytes",
    "overhead_bytes",
    "frames_max",
];

/// Whether these are first bytes of the JSON of our agent, also with its fields by name, as Flask writes a `dict`.
pub(super) fn knows(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(START_BYTES)];
    let dense: Vec<u8> = start.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    dense.starts_with(b"{\"frames\":[[") || is_document(bytes, b"\"python-heap\"")
}

/// Whether these are first bytes of a JSON of our agent that is called so.
pub(super) fn is_document(bytes: &[u8], called: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(START_BYTES)];
    let has = |name: &[u8]| memchr::memmem::find(start, name).is_some();
    is_snapshot(bytes) && has(b"\"leakscope\"") && has(called)
}

/// # Errors
/// [`HeapError::Invalid`] for another version of the agent's JSON, and for none.
pub(super) fn version_fits(version: Option<i64>) -> Result<(), HeapError> {
    if version == Some(VERSION) {
        return Ok(());
    }
    let found = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
    Err(HeapError::Invalid { place: "version".to_owned(), expected: VERSION.to_string(), found })
}

/// Reads the JSON of our agent: a sample a stack, and one of all that have none.
///
/// # Errors
/// [`HeapError::Unexpected`] at the first byte that does not fit; [`HeapError::Invalid`] for another version, a number of no frame and
/// what is missing.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut builder = Builder::new(Format::Python, bytes.len());
    let mut cursor = Cursor::new(bytes, "file");
    let mut file = File::default();
    let mut key = cursor.first_key()?;
    while let Some(name) = key {
        file.field(&name, &mut cursor, &mut builder)?;
        key = cursor.next_key()?;
    }
    file.fill(&mut builder)?;
    Ok(builder.finish())
}

/// Blocks that live, and their bytes.
#[derive(Clone, Copy, Default)]
struct Amount {
    count: i64,
    bytes: i64,
}

#[derive(Default)]
struct File {
    version: Option<i64>,
    /// Locations by the number of the frame.
    frames: Vec<u32>,
    /// Numbers of the frames of all stacks.
    numbers: Vec<i64>,
    /// Where each stack ends in `numbers`, and what it holds.
    stacks: Vec<(usize, Amount)>,
    has_stacks: bool,
    rest: Amount,
}

impl File {
    fn field(&mut self, name: &str, cursor: &mut Cursor<'_>, builder: &mut Builder) -> Result<(), HeapError> {
        if cursor.skipped_null() {
            return Ok(());
        }
        match name {
            "version" => self.version = Some(cursor.integer("`version`")?),
            "frames" => self.read_frames(cursor, builder)?,
            "stacks" => self.read_stacks(cursor)?,
            "rest" => {
                let n_numbers = self.numbers.len();
                self.rest = self.read_stack(cursor)?;
                self.numbers.truncate(n_numbers);
            }
            "taken_at" => {
                // A conversion of a float to an integer stays within the latter.
                builder.header().time_nanos = (cursor.number("`taken_at`")? * 1e9) as i64;
            }
            _ if FACTS.contains(&name) => {
                let fact = if cursor.is_text() {
                    cursor.text(name)?.into_owned()
                } else {
                    cursor.integer(&format!("`{name}`"))?.to_string()
                };
                let comment = builder.text(&format!("{name}: {fact}"));
                builder.header().comments.push(comment);
            }
            _ => {
                cursor.skip_value()?;
            }
        }
        Ok(())
    }

    /// `[["/srv/store.py", 12, "Store.put"], ["/srv/app.py", 7, null]]`.
    fn read_frames(&mut self, cursor: &mut Cursor<'_>, builder: &mut Builder) -> Result<(), HeapError> {
        let mut is_one = cursor.first_value()?;
        while is_one {
            cursor.expect(b'[')?;
            let file = cursor.text("the file of a frame")?;
            cursor.expect(b',')?;
            let line = cursor.count("the line of a frame")?;
            cursor.expect(b',')?;
            let location = if cursor.skipped_null() {
                // Lines that have no name would else all be one function.
                let base = file.rsplit(['/', '\\']).next().unwrap_or_default();
                builder.frame(&format!("{base}:{line}"), &file, line, 0)
            } else {
                builder.frame(&cursor.text("the function of a frame")?, &file, line, 0)
            };
            cursor.expect(b']')?;
            self.frames.push(location);
            is_one = cursor.next_value()?;
        }
        Ok(())
    }

    fn read_stacks(&mut self, cursor: &mut Cursor<'_>) -> Result<(), HeapError> {
        self.has_stacks = true;
        let mut is_one = cursor.first_value()?;
        while is_one {
            let amount = self.read_stack(cursor)?;
            self.stacks.push((self.numbers.len(), amount));
            is_one = cursor.next_value()?;
        }
        Ok(())
    }

    /// `{"frames": [0, 5, 7], "bytes": 4096, "count": 2}`.
    fn read_stack(&mut self, cursor: &mut Cursor<'_>) -> Result<Amount, HeapError> {
        let mut amount = Amount::default();
        let mut key = cursor.first_key()?;
        while let Some(name) = key {
            match name.as_ref() {
                "frames" => {
                    let mut is_one = cursor.first_value()?;
                    while is_one {
                        self.numbers.push(cursor.integer("the number of a frame")?);
                        is_one = cursor.next_value()?;
                    }
                }
                "bytes" => amount.bytes = cursor.count("`bytes` of a stack")?,
                "count" => amount.count = cursor.count("`count` of a stack")?,
                _ => {
                    cursor.skip_value()?;
                }
            }
            key = cursor.next_key()?;
        }
        Ok(amount)
    }

    fn fill(&self, builder: &mut Builder) -> Result<(), HeapError> {
        let invalid = |place: &str, expected: String, found: String| {
            Err(HeapError::Invalid { place: place.to_owned(), expected, found })
        };
        version_fits(self.version)?;
        if !self.has_stacks {
            return invalid("stacks", "a list of stacks".to_owned(), "none".to_owned());
        }
        builder.sample_type("inuse_objects", "count");
        builder.sample_type("inuse_space", "bytes");
        let mut start = 0;
        let mut stack = Vec::new();
        for (index, (end, amount)) in self.stacks.iter().enumerate() {
            stack.clear();
            for (place, number) in self.numbers[start..*end].iter().enumerate() {
                match usize::try_from(*number).ok().and_then(|number| self.frames.get(number)) {
                    Some(location) => stack.push(*location),
                    None => {
                        return invalid(
                            &format!("stacks[{index}].frames[{place}]"),
                            format!("the number of one of {} frames", self.frames.len()),
                            number.to_string(),
                        );
                    }
                }
            }
            start = *end;
            builder.sample(&stack, &[amount.count, amount.bytes], &[]);
        }
        if self.rest.bytes != 0 || self.rest.count != 0 {
            let rest = builder.frame(REST, "", 0, 0);
            builder.sample(&[rest], &[self.rest.count, self.rest.bytes], &[]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::read::testing::outcome;

    const FRAMES: &str =
        r#""frames":[["/srv/shop/store.py",12,"Store.put"],["/srv/shop/app.py",7,null],["<frozen runpy>",88,null]]"#;

    #[test]
    fn fields_by_name_are_known_and_read_alike() {
        let sorted = br#"{
  "frames": [["/a.py", 3, "put"]], "leakscope": "python-heap",
  "stacks": [{"bytes": 8, "count": 1, "frames": [0]}], "version": 1}"#;
        assert!(knows(sorted));
        assert_eq!(read(sorted).unwrap().values(0), [1, 8]);
    }
    const STACKS: &str = r#""stacks":[{"frames":[0,1,2],"bytes":4096,"count":2},{"frames":[],"bytes":16,"count":1}]"#;

    #[test]
    fn stacks_are_samples_of_blocks_that_live() {
        let start = r#"{"leakscope":"python-heap","version":1"#;
        let stack =
            "Store.put@/srv/shop/store.py:12 < app.py:7@/srv/shop/app.py:7 < <frozen runpy>:88@<frozen runpy>:88";
        let expected = format!("inuse_objects/count inuse_space/bytes\n2 4096 | {stack}\n1 16 | ");
        let rest = format!("{expected}\n5 80 | (other stacks)");
        let cases = [
            (format!("{start},{FRAMES},{STACKS}}}"), &expected),
            (format!("{start},{STACKS},{FRAMES}}}"), &expected),
            (format!("{start},{FRAMES},{STACKS},\"rest\":{{\"stacks\":3,\"bytes\":80,\"count\":5}}}}"), &rest),
            (format!("{start},{FRAMES},\"rest\":{{\"bytes\":80,\"count\":5,\"frames\":[1]}},{STACKS}}}"), &rest),
            (format!("{start},{FRAMES},\"later\":[[{{}}]],\"rest\":null,{STACKS}}}\n"), &expected),
        ];
        for (text, expected) in cases {
            assert!(knows(text.as_bytes()), "{text}");
            assert_eq!(outcome(read(text.as_bytes())), *expected, "{text}");
        }
    }

    #[test]
    fn what_is_said_of_the_whole_is_kept() {
        let facts = r#"{"leakscope":"python-heap","version":1,"source":"tracemalloc","taken_at":1763748000.5,"python":"3.11.7","rss_bytes":1024,"requests_total":null"#;
        let profile = read(format!("{facts},{FRAMES},{STACKS}}}").as_bytes()).unwrap();
        let header = profile.header();
        let comments: Vec<&str> = header.comments.iter().map(|comment| profile.text(*comment)).collect();
        assert_eq!(comments, ["source: tracemalloc", "python: 3.11.7", "rss_bytes: 1024"]);
        assert_eq!(header.time_nanos, 1_763_748_000_500_000_000);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let cases = [
            ("{}", "version: expected 1, found none"),
            (r#"{"version":2}"#, "version: expected 1, found 2"),
            (r#"{"version":1}"#, "stacks: expected a list of stacks, found none"),
            (
                r#"{"version":1,"stacks":[{"frames":[0]}]}"#,
                "stacks[0].frames[0]: expected the number of one of 0 frames, found 0",
            ),
            (
                r#"{"version":1,"frames":[["a",1,null]],"stacks":[{"frames":[0]},{"frames":[0,-1]}]}"#,
                "stacks[1].frames[1]: expected the number of one of 1 frames, found -1",
            ),
            (r#"{"frames":[[1,1,null]]}"#, "expected the file of a frame, a string, at byte 12, found `1`"),
            (
                r#"{"frames":[["a",-1,null]]}"#,
                "expected the line of a frame, a whole number from 0, at byte 16, found `-1`",
            ),
            (r#"{"frames":[["a",1]]}"#, "expected `,` at byte 17, found `]`"),
            (r#"{"frames":[["a",1,2]]}"#, "expected the function of a frame, a string, at byte 18, found `2`"),
            (
                r#"{"stacks":[{"bytes":-8}]}"#,
                "expected `bytes` of a stack, a whole number from 0, at byte 20, found `-8`",
            ),
            (
                r#"{"stacks":[{"count":"2"}]}"#,
                "expected `count` of a stack, a whole number below 2^63, at byte 20, found `\\\"`",
            ),
            (r#"{"taken_at":"now"}"#, "expected `taken_at`, a number, at byte 12, found `\\\"`"),
            (r#"{"version":1,"#, "expected `\\\"` at byte 13, found the end of the file"),
        ];
        for (text, expected) in cases {
            assert_eq!(outcome(read(text.as_bytes())), expected, "{text}");
        }
    }
}
