//! Where what stands in a snapshot: its header with the names of all fields, and the byte range of each section.
//!
//! A snapshot is one JSON object: `snapshot` (the header), then flat arrays of numbers (`nodes`, `edges`, `locations`, ...) and one of
//! `strings`. Fields are found by the names in the header's `meta`, never by position. Source:
//! v8/src/profiler/heap-snapshot-generator.cc, `HeapSnapshotJSONSerializer`.

use std::ops::Range;

use serde_json::Value;

use crate::error::HeapError;
use crate::json::Cursor;

/// Bytes of the largest header that is read; real ones have 2 kB.
const HEADER_BYTES_MAX: usize = 1 << 20;

/// Names of fields and of their values, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) names: Vec<String>,
    /// Values of the field `type`.
    pub(super) types: Vec<String>,
}

impl Fields {
    /// The place of a field in each record.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|found| found == name)
    }

    fn required(&self, name: &str, section: &str) -> Result<usize, HeapError> {
        self.place(name).ok_or_else(|| HeapError::Unexpected {
            at: 0,
            expected: format!("a field `{name}` in `{section}_fields` of the header"),
            found: format!("`{}`", self.names.join("`, `")),
        })
    }
}

/// The header and the byte ranges of the arrays' contents, without their brackets.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) node: Fields,
    pub(super) edge: Fields,
    pub(super) location: Fields,
    pub(super) trace_node: Fields,
    pub(super) trace_function: Fields,
    pub(super) root_index: u64,
    /// Memory that the embedder reports beside the nodes.
    pub(super) extra_native_bytes: u64,
    pub(super) nodes: Range<usize>,
    pub(super) edges: Range<usize>,
    pub(super) locations: Range<usize>,
    pub(super) strings: Range<usize>,
    pub(super) trace_tree: Range<usize>,
    pub(super) trace_functions: Range<usize>,
}

impl Layout {
    /// The layout of `bytes`, a whole snapshot.
    ///
    /// # Errors
    /// [`HeapError::Unexpected`] where the JSON is not that of a snapshot or ends too soon.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, HeapError> {
        let mut cursor = Cursor::new(bytes, "snapshot");
        cursor.expect(b'{')?;
        let mut layout = Self::default();
        let mut seen = Vec::new();
        loop {
            let key = cursor.key()?;
            cursor.expect(b':')?;
            layout.section(bytes, &mut cursor, &key)?;
            seen.push(key.into_owned());
            if !cursor.comma_or(b'}')? {
                break;
            }
        }
        for section in ["snapshot", "nodes", "edges", "strings"] {
            if !seen.iter().any(|key| key == section) {
                return Err(cursor.unexpected(format!("a section `{section}`"), "the end of the snapshot"));
            }
        }
        Ok(layout)
    }

    fn section(&mut self, bytes: &[u8], cursor: &mut Cursor<'_>, key: &str) -> Result<(), HeapError> {
        match key {
            "snapshot" => self.header(bytes, cursor)?,
            "nodes" => self.nodes = cursor.numbers()?,
            "edges" => self.edges = cursor.numbers()?,
            "locations" => self.locations = cursor.numbers()?,
            "trace_function_infos" => self.trace_functions = cursor.numbers()?,
            "trace_tree" => self.trace_tree = cursor.skip_value()?,
            "strings" => self.strings = cursor.skip_value().map(|range| range.start + 1..range.end - 1)?,
            _ => {
                cursor.skip_value()?;
            }
        }
        Ok(())
    }

    fn header(&mut self, bytes: &[u8], cursor: &mut Cursor<'_>) -> Result<(), HeapError> {
        let range = cursor.skip_value()?;
        let at = range.start as u64;
        if range.len() > HEADER_BYTES_MAX {
            return Err(HeapError::TooMany {
                what: "bytes of the header",
                max: HEADER_BYTES_MAX as u64,
                found: range.len() as u64,
            });
        }
        let header: Value = serde_json::from_slice(&bytes[range]).map_err(|error| HeapError::Unexpected {
            at,
            expected: "the header of a snapshot as JSON".to_owned(),
            found: error.to_string(),
        })?;
        let meta = &header["meta"];
        let fields = |section: &str| Fields {
            names: texts(&meta[format!("{section}_fields")]),
            types: texts(&meta[format!("{section}_types")][0]),
        };
        self.node = fields("node");
        self.edge = fields("edge");
        self.location = fields("location");
        self.trace_node = fields("trace_node");
        self.trace_function = fields("trace_function_info");
        for field in ["type", "name", "id", "self_size", "edge_count"] {
            self.node.required(field, "node")?;
        }
        for field in ["type", "name_or_index", "to_node"] {
            self.edge.required(field, "edge")?;
        }
        self.root_index = header["root_index"].as_u64().unwrap_or(0);
        self.extra_native_bytes = header["extra_native_bytes"].as_u64().unwrap_or(0);
        Ok(())
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count"],"node_types":[["hidden"],"string"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context"]]},"root_index":5}"#;

    fn check(rest: &str, expect: &str) {
        let text = format!("{HEADER}{rest}");
        let found = match Layout::of(text.as_bytes()) {
            Ok(layout) => {
                let part = |range: Range<usize>| text[range].to_owned();
                format!(
                    "{} | {} | {} | {}",
                    part(layout.nodes),
                    part(layout.edges),
                    part(layout.strings),
                    layout.root_index
                )
            }
            Err(error) => error.to_string().replace(&HEADER.len().to_string(), "HEADER"),
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn sections_are_found_in_any_order_with_unknown_ones_between() {
        check(r#","nodes":[1,2],"edges":[3],"strings":["a","]\"b"]}"#, r#"1,2 | 3 | "a","]\"b" | 5"#);
        check(r#","strings":[],"x":{"y":[{"z":"]}"}]},"edges":[],"nodes":[] }"#, " |  |  | 5");
        check(r#","nodes":[],"n":12,"edges":[],"strings":["\\"]}"#, r#" |  | "\\" | 5"#);
    }

    #[test]
    fn what_is_missing_is_named() {
        check("", "expected the end of a value at byte HEADER, found the end of the snapshot");
        check(r#","nodes":[],"edges":[]}"#, "expected a section `strings` at byte 231, found the end of the snapshot");
        check(
            r#","nodes":[1,2"#,
            "expected the `]` of an array of numbers at byte 218, found none before the end of the snapshot",
        );
        check(r#","strings":["a"#, "expected the closing quote of a string at byte 221, found the end of the snapshot");
    }
}
