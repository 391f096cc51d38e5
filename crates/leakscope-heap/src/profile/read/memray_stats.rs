//! `memray stats --json` (1.20): the lines that allocated most, over the whole life of the program. What was freed again counts too, as
//! the names of the columns say; the blocks that live are in the file of `memray run` itself, which our agent turns into JSON.
//!
//! memray lists the lines with most bytes and those with most allocations apart, `-n` of each, 5 where not asked. A line that is in one
//! list alone has nothing in the other column; what no list says is in `(other stacks)`, so that the sums are those of the program.

use rustc_hash::FxHashMap;

use super::python::REST;
use crate::error::HeapError;
use crate::format::Format;
use crate::json::Cursor;
use crate::profile::builder::Builder;
use crate::profile::model::Profile;
use crate::v8::is_snapshot;

/// Bytes at the beginning in which the first field must be.
const START_BYTES: usize = 64;

/// Whether these are first bytes of what `memray stats --json` writes.
pub(super) fn knows(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(START_BYTES)];
    is_snapshot(bytes) && memchr::memmem::find(start, b"\"total_num_allocations\"").is_some()
}

/// Reads the lines: a sample each, of one frame.
///
/// # Errors
/// [`HeapError::Unexpected`] at the first byte that does not fit; [`HeapError::Invalid`] where totals or lists are missing.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut cursor = Cursor::new(bytes, "file");
    let mut stats = Stats::default();
    let (mut allocations, mut allocated_bytes) = (None, None);
    let mut key = cursor.first_key()?;
    while let Some(name) = key {
        match name.as_ref() {
            "total_num_allocations" => allocations = Some(cursor.count("`total_num_allocations`")?),
            "total_bytes_allocated" => allocated_bytes = Some(cursor.count("`total_bytes_allocated`")?),
            "top_allocations_by_size" => stats.list(&mut cursor, "size", 1)?,
            "top_allocations_by_count" => stats.list(&mut cursor, "count", 0)?,
            _ => {
                cursor.skip_value()?;
            }
        }
        key = cursor.next_key()?;
    }
    let (Some(allocations), Some(allocated_bytes)) = (allocations, allocated_bytes) else {
        return Err(missing("total_num_allocations, total_bytes_allocated", "a number each"));
    };
    if stats.n_lists == 0 {
        return Err(missing("top_allocations_by_size, top_allocations_by_count", "a list each"));
    }
    let mut builder = Builder::new(Format::MemrayStats, bytes.len());
    stats.fill(&mut builder, [allocations, allocated_bytes]);
    Ok(builder.finish())
}

fn missing(place: &str, expected: &str) -> HeapError {
    HeapError::Invalid { place: place.to_owned(), expected: expected.to_owned(), found: "none".to_owned() }
}

#[derive(Default)]
struct Stats {
    /// Where each location stands in `rows`.
    known: FxHashMap<String, usize>,
    /// Locations with allocations and bytes.
    rows: Vec<(String, [i64; 2])>,
    n_lists: usize,
}

impl Stats {
    /// `[{"location": "put:store.py:8", "size": 6297296}, ...]`.
    fn list(&mut self, cursor: &mut Cursor<'_>, value: &str, column: usize) -> Result<(), HeapError> {
        self.n_lists += 1;
        let mut is_one = cursor.first_value()?;
        while is_one {
            let (mut location, mut number) = (String::new(), 0);
            let mut key = cursor.first_key()?;
            while let Some(name) = key {
                match name.as_ref() {
                    "location" => location = cursor.text("`location`")?.into_owned(),
                    field if field == value => number = cursor.count(&format!("`{value}`"))?,
                    _ => {
                        cursor.skip_value()?;
                    }
                }
                key = cursor.next_key()?;
            }
            let row = *self.known.entry(location).or_insert_with_key(|location| {
                self.rows.push((location.clone(), [0, 0]));
                self.rows.len() - 1
            });
            let sum = &mut self.rows[row].1[column];
            *sum = sum.saturating_add(number);
            is_one = cursor.next_value()?;
        }
        Ok(())
    }

    fn fill(&self, builder: &mut Builder, totals: [i64; 2]) {
        builder.sample_type("alloc_objects", "count");
        builder.sample_type("alloc_space", "bytes");
        let mut rest = totals;
        for (location, values) in &self.rows {
            let (function, file, line) = parts(location);
            let frame = builder.frame(function, file, line, 0);
            builder.sample(&[frame], values, &[]);
            for (rest, value) in rest.iter_mut().zip(values) {
                *rest = rest.saturating_sub(*value);
            }
        }
        if rest.iter().any(|value| *value < 0) {
            builder.warn("the lines that memray lists have more than its totals, which are left out".to_owned());
        } else if rest != [0, 0] {
            let frame = builder.frame(REST, "", 0, 0);
            builder.sample(&[frame], &rest, &[]);
        }
    }
}

/// Function, file and line of `put:/srv/store.py:8`; `<stack trace unavailable>` has the first alone.
fn parts(location: &str) -> (&str, &str, i64) {
    let place = location.split_once(':').and_then(|(function, place)| {
        let (file, line) = place.rsplit_once(':')?;
        Some((function, file, line.parse().ok().filter(|line| *line >= 0)?))
    });
    place.unwrap_or((location, "", 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::read::testing::outcome;

    const COLUMNS: &str = "alloc_objects/count alloc_space/bytes";

    fn stats(by_size: &str, by_count: &str) -> String {
        format!(
            r#"{{"total_num_allocations": 100, "total_bytes_allocated": 5000, "allocation_size_histogram": [{{"min_bytes": 0}}],
            "top_allocations_by_size": [{by_size}], "top_allocations_by_count": [{by_count}], "metadata": {{"pid": 7}}}}"#
        )
    }

    #[test]
    fn lines_are_samples_and_what_no_list_says_is_one_too() {
        let put = r#"{"location": "put:/srv/store.py:8", "size": 4000}"#;
        let cases = [
            (
                stats(
                    put,
                    r#"{"location": "put:/srv/store.py:8", "count": 60}, {"location": "get:<frozen a:b>:3", "count": 30}"#,
                ),
                "60 4000 | put@/srv/store.py:8\n30 0 | get@<frozen a:b>:3\n10 1000 | (other stacks)",
            ),
            (
                stats(put, r#"{"location": "<stack trace unavailable>", "count": 100}"#),
                "0 4000 | put@/srv/store.py:8\n100 0 | <stack trace unavailable>\n0 1000 | (other stacks)",
            ),
            (stats(r#"{"location": "a:b", "size": 5000}"#, r#"{"location": "a:b", "count": 100}"#), "100 5000 | a:b"),
            (
                stats(r#"{"location": "f:a.py:1", "size": 5001}"#, ""),
                "0 5001 | f@a.py:1\nwarning: the lines that memray lists have more than its totals, which are left out",
            ),
        ];
        for (text, expected) in cases {
            assert!(knows(text.as_bytes()), "{text}");
            assert_eq!(outcome(read(text.as_bytes())), format!("{COLUMNS}\n{expected}"), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let cases = [
            ("{}", "total_num_allocations, total_bytes_allocated: expected a number each, found none"),
            (
                r#"{"total_num_allocations":1,"total_bytes_allocated":1}"#,
                "top_allocations_by_size, top_allocations_by_count: expected a list each, found none",
            ),
            (
                r#"{"total_num_allocations":-1}"#,
                "expected `total_num_allocations`, a whole number from 0, at byte 25, found `-1`",
            ),
            (r#"{"top_allocations_by_size":[{"location":1}]}"#, "expected `location`, a string, at byte 40, found `1`"),
            (
                r#"{"top_allocations_by_size":[{"size":0.5}]}"#,
                "expected `size`, a whole number below 2^63, at byte 36, found `0.5`",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(outcome(read(text.as_bytes())), expected, "{text}");
        }
    }
}
