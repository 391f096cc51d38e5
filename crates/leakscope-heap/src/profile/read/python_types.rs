//! Objects of a Python program by type: the other JSON of our agent, for programs that have no room to trace allocations.
//!
//! The fields are in docs/python.md; `agents/python/leakscope_heap.py` writes them.

use super::python::{is_document, version_fits};
use crate::error::HeapError;
use crate::format::Format;
use crate::json::Cursor;
use crate::profile::builder::Builder;
use crate::profile::model::Profile;

/// Fields that say something of the whole, and become comments of the profile.
const FACTS: [&str; 6] = ["python", "pid", "rss_bytes", "requests_total", "objects", "objects_seen"];

/// The file of types that have none.
const BUILT_IN: &str = "<built-in>";

/// Whether these are first bytes of the JSON of our agent with types.
pub(super) fn knows(bytes: &[u8]) -> bool {
    is_document(bytes, b"\"python-types\"")
}

/// Reads the types of our agent: a sample a type, whose stack is its name.
///
/// # Errors
/// [`HeapError::Unexpected`] at the first byte that does not fit; [`HeapError::Invalid`] for another version and what is missing.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut builder = Builder::new(Format::PythonTypes, bytes.len());
    builder.sample_type("objects", "count");
    builder.sample_type("bytes", "bytes");
    let mut cursor = Cursor::new(bytes, "file");
    let (mut version, mut has_types) = (None, false);
    let mut key = cursor.first_key()?;
    while let Some(name) = key {
        match name.as_ref() {
            _ if cursor.skipped_null() => {}
            "version" => version = Some(cursor.integer("`version`")?),
            "types" => {
                has_types = true;
                read_types(&mut cursor, &mut builder)?;
            }
            // A conversion of a float to an integer stays within the latter.
            "taken_at" => builder.header().time_nanos = (cursor.number("`taken_at`")? * 1e9) as i64,
            fact if FACTS.contains(&fact) => {
                let value = if cursor.is_text() {
                    cursor.text(fact)?.into_owned()
                } else {
                    cursor.integer(&format!("`{fact}`"))?.to_string()
                };
                let comment = builder.text(&format!("{fact}: {value}"));
                builder.header().comments.push(comment);
            }
            _ => {
                cursor.skip_value()?;
            }
        }
        key = cursor.next_key()?;
    }
    version_fits(version)?;
    if !has_types {
        let (place, expected) = ("types".to_owned(), "a list of types".to_owned());
        return Err(HeapError::Invalid { place, expected, found: "none".to_owned() });
    }
    Ok(builder.finish())
}

/// `[{"name": "shop.Click", "file": "/srv/shop.py", "count": 2, "bytes": 128}]`.
fn read_types(cursor: &mut Cursor<'_>, builder: &mut Builder) -> Result<(), HeapError> {
    let mut is_one = cursor.first_value()?;
    while is_one {
        let (mut called, mut file, mut count, mut bytes) = (None, None, 0, 0);
        let mut key = cursor.first_key()?;
        while let Some(name) = key {
            match name.as_ref() {
                "file" if cursor.skipped_null() => {}
                "name" => called = Some(cursor.text("the name of a type")?),
                "file" => file = Some(cursor.text("the file of a type")?),
                "count" => count = cursor.count("`count` of a type")?,
                "bytes" => bytes = cursor.count("`bytes` of a type")?,
                _ => {
                    cursor.skip_value()?;
                }
            }
            key = cursor.next_key()?;
        }
        // Types of the interpreter itself and of C code have no source.
        let frame = builder.frame(called.as_deref().unwrap_or("(nameless)"), file.as_deref().unwrap_or(BUILT_IN), 0, 0);
        builder.sample(&[frame], &[count, bytes], &[]);
        is_one = cursor.next_value()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::read::testing::outcome;

    #[test]
    fn a_type_is_a_sample() {
        let text = br#"{"leakscope":"python-types","version":1,"source":"gc","objects":9,"requests_total":null,
            "types":[{"name":"shop.Click","file":"/srv/shop.py","count":2,"bytes":128,"later":[]},{"bytes":8,"count":1,"file":null}]}"#;
        assert!(knows(text) && !super::super::python::knows(text));
        assert_eq!(
            outcome(read(text)),
            "objects/count bytes/bytes\n2 128 | shop.Click@/srv/shop.py\n1 8 | (nameless)@<built-in>"
        );
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let cases = [
            ("{}", "version: expected 1, found none"),
            (r#"{"version":2}"#, "version: expected 1, found 2"),
            (r#"{"version":1}"#, "types: expected a list of types, found none"),
            (
                r#"{"types":[{"bytes":-8}]}"#,
                "expected `bytes` of a type, a whole number from 0, at byte 19, found `-8`",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(outcome(read(text.as_bytes())), expected, "{text}");
        }
    }
}
