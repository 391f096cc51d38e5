//! `.heapprofile` of V8's sampling heap profiler: a tree of calls, each node with the bytes that it allocated and that still live.
//!
//! What `node --heap-prof`, Chrome DevTools' "Allocation sampling" and the inspector's `HeapProfiler.getSamplingProfile` give, the latter
//! with its answer around it: `{"profile":{...}}`. A node's line is that where its function begins; V8 records no other. Bytes are scaled
//! by V8 to what the samples stand for, each sample of an object of `s` bytes to `s / (1 - e^(-s / interval))`, in `selfSize` and in the
//! list `samples` alike. Objects are not told: their sizes cannot be had back from scaled ones, since 24 objects of 16 bytes and 16 of 24
//! look the same. The list tells how many samples there are, which is what the error of sampling needs: it becomes the column `samples`.
//!
//! The interval is not in the file. No sample stands for less, and those of small objects stand for hardly more: the smallest of the list
//! is taken for it.
//!
//! Source: v8/src/profiler/sampling-heap-profiler.cc, `ScaleSample`, `TranslateAllocationNode`, `BuildSamples`;
//! v8/src/inspector/v8-heap-profiler-agent-impl.cc, `buildSampingHeapProfileNode`.

use rustc_hash::FxHashMap;

use crate::error::HeapError;
use crate::format::Format;
use crate::json::Cursor;
use crate::profile::builder::Builder;
use crate::profile::model::{Function, Line, Location, Profile};
use crate::v8::is_snapshot;

/// Bytes at the beginning that are looked at for the names of the first fields.
const START_BYTES: usize = 1 << 10;
/// Frames of all stacks together, 4 bytes each. V8 cuts stacks off at 128 frames, so that real profiles have a few million; a tree that
/// is one long chain would have the square of its nodes, and is refused.
const FRAMES_MAX: u64 = 1 << 26;

/// Whether these are first bytes of a sampling heap profile.
pub(super) fn knows(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(START_BYTES)];
    let has = |name: &str| memchr::memmem::find(start, name.as_bytes()).is_some();
    is_snapshot(bytes) && ((has("\"head\"") && has("\"callFrame\"")) || (has("\"samples\"") && has("\"nodeId\"")))
}

/// Reads a sampling heap profile: a sample a node that has bytes.
///
/// # Errors
/// [`HeapError::Unexpected`] at the first byte that does not fit, [`HeapError::TooMany`] for more than 2^26 frames of all stacks.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut builder = Builder::new(Format::V8HeapProfile, bytes.len());
    let mut cursor = Cursor::new(bytes, "profile");
    let mut file = File::default();
    let mut key = cursor.first_key()?;
    while let Some(name) = key {
        key = match name.as_ref() {
            // The answer of the inspector, and what a client of it may have around that: the profile is one level down.
            "profile" | "result" => cursor.first_key()?,
            "head" => {
                file.nodes = read_tree(&mut cursor, &mut builder)?;
                cursor.next_key()?
            }
            "samples" => {
                file.samples = Some(read_samples(&mut cursor)?);
                cursor.next_key()?
            }
            _ => {
                cursor.skip_value()?;
                cursor.next_key()?
            }
        };
    }
    if file.nodes.is_empty() {
        return Err(cursor.unexpected("a field `head` before the end of the profile", "none"));
    }
    file.fill(&mut builder)?;
    Ok(builder.finish())
}

#[derive(Default)]
struct File {
    /// A node comes behind the one that called it.
    nodes: Vec<Node>,
    /// Older versions of V8 write none.
    samples: Option<Samples>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    parent: Option<u32>,
    id: i64,
    /// None where the node has no call frame.
    location: Option<u32>,
    self_bytes: i64,
}

#[derive(Default)]
struct Samples {
    /// By the node's id. Nodes that came to be while the profile was taken are not in its tree.
    counts: FxHashMap<i64, i64>,
    /// What the smallest stands for.
    bytes_min: Option<i64>,
}

/// Reads the tree, however deep it is.
fn read_tree(cursor: &mut Cursor<'_>, builder: &mut Builder) -> Result<Vec<Node>, HeapError> {
    let mut nodes = vec![Node::default()];
    // The nodes that are being read, each called by the one before.
    let mut open = vec![0_usize];
    let mut key = cursor.first_key()?;
    while let Some(&node) = open.last() {
        let Some(name) = key else {
            if nodes[node].location.is_none() {
                return Err(cursor.unexpected("a node with a field `callFrame`", "the end of one without"));
            }
            open.pop();
            key = match open.last() {
                None => break,
                Some(&parent) if cursor.next_value()? => child_of(parent, cursor, &mut nodes, &mut open)?,
                Some(_) => cursor.next_key()?,
            };
            continue;
        };
        match name.as_ref() {
            "children" => {
                if cursor.first_value()? {
                    key = child_of(node, cursor, &mut nodes, &mut open)?;
                    continue;
                }
            }
            "callFrame" => nodes[node].location = Some(read_call_frame(cursor, builder)?),
            "selfSize" => nodes[node].self_bytes = cursor.count("`selfSize`")?,
            "id" => nodes[node].id = cursor.integer("the `id` of a node")?,
            _ => {
                cursor.skip_value()?;
            }
        }
        key = cursor.next_key()?;
    }
    Ok(nodes)
}

/// Begins with a node of the tree; its first key.
fn child_of<'a>(
    parent: usize,
    cursor: &mut Cursor<'a>,
    nodes: &mut Vec<Node>,
    open: &mut Vec<usize>,
) -> Result<Option<std::borrow::Cow<'a, str>>, HeapError> {
    open.push(nodes.len());
    nodes.push(Node { parent: Some(parent as u32), ..Node::default() });
    cursor.first_key()
}

/// `{"functionName":"remember","scriptId":"80","url":"file:///app.js","lineNumber":5,"columnNumber":17}`, numbers from 0, -1 for none.
fn read_call_frame(cursor: &mut Cursor<'_>, builder: &mut Builder) -> Result<u32, HeapError> {
    let (mut name, mut url) = (builder.text("(anonymous)"), builder.text(""));
    let mut line = Line::default();
    let mut key = cursor.first_key()?;
    while let Some(field) = key {
        match field.as_ref() {
            "functionName" => match cursor.text("`functionName`")? {
                anonymous if anonymous.is_empty() => {}
                text => name = builder.text(&text),
            },
            "url" => url = builder.text(&path_of(&cursor.text("`url`")?)),
            "lineNumber" => line.line = cursor.integer("`lineNumber`")?.saturating_add(1).max(0),
            "columnNumber" => line.column = cursor.integer("`columnNumber`")?.saturating_add(1).max(0),
            _ => {
                cursor.skip_value()?;
            }
        }
        key = cursor.next_key()?;
    }
    let function = Function { name, system_name: name, file: url, start_line: line.line };
    line.function = Some(builder.function(function));
    Ok(builder.location(Location::default(), &[line]))
}

/// The path of a `file:` URL; any other URL as it is.
fn path_of(url: &str) -> String {
    let Some(path) = url.strip_prefix("file://") else { return url.to_owned() };
    let drive = path.strip_prefix('/').filter(|path| path.as_bytes().get(1) == Some(&b':'));
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = drive.unwrap_or(path).as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.filter(|_| *byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `[{"size":32784,"nodeId":4,"ordinal":5}, ...]`.
fn read_samples(cursor: &mut Cursor<'_>) -> Result<Samples, HeapError> {
    let mut samples = Samples::default();
    let mut is_one = cursor.first_value()?;
    while is_one {
        let (mut node, mut bytes) = (None, None);
        let mut key = cursor.first_key()?;
        while let Some(field) = key {
            match field.as_ref() {
                "size" => bytes = Some(cursor.count("the `size` of a sample")?),
                "nodeId" => node = Some(cursor.integer("the `nodeId` of a sample")?),
                _ => {
                    cursor.skip_value()?;
                }
            }
            key = cursor.next_key()?;
        }
        let (Some(node), Some(bytes)) = (node, bytes) else {
            return Err(cursor.unexpected("a sample with `size` and `nodeId`", "the end of one without"));
        };
        *samples.counts.entry(node).or_default() += 1;
        samples.bytes_min = Some(samples.bytes_min.map_or(bytes, |min| min.min(bytes)));
        is_one = cursor.next_value()?;
    }
    Ok(samples)
}

impl File {
    fn fill(&self, builder: &mut Builder) -> Result<(), HeapError> {
        builder.sampled();
        if let Some(samples) = &self.samples {
            builder.sample_type("samples", "count");
            let period_type = builder.value_type("space", "bytes");
            let header = builder.header();
            (header.period_type, header.period) = (period_type, samples.bytes_min.unwrap_or(0));
        }
        builder.sample_type("space", "bytes");
        let mut n_frames = 0;
        let mut stack = Vec::new();
        for node in &self.nodes {
            let count = self.samples.as_ref().map(|samples| samples.counts.get(&node.id).copied().unwrap_or(0));
            if node.self_bytes == 0 && count.unwrap_or(0) == 0 {
                continue;
            }
            self.stack_of(node, &mut stack);
            n_frames += stack.len() as u64;
            if n_frames > FRAMES_MAX {
                return Err(HeapError::TooMany { what: "frames of all stacks", max: FRAMES_MAX, found: n_frames });
            }
            let values: Vec<i64> = count.into_iter().chain([node.self_bytes]).collect();
            builder.sample(&stack, &values, &[]);
        }
        Ok(())
    }

    /// The locations of a node's stack, leaf first. The root of the tree is no function: only what is its own has it as frame.
    fn stack_of(&self, node: &Node, stack: &mut Vec<u32>) {
        stack.clear();
        let mut called = Some(node);
        while let Some(node) = called {
            if node.parent.is_some() || stack.is_empty() {
                stack.extend(node.location);
            }
            called = node.parent.map(|parent| &self.nodes[parent as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::read::testing::outcome;

    fn frame(name: &str, url: &str, line: i64, column: i64) -> String {
        format!(
            r#""callFrame":{{"functionName":"{name}","scriptId":"80","url":"{url}","lineNumber":{line},"columnNumber":{column}}}"#
        )
    }

    /// A node with one line of children.
    fn node(frame: &str, bytes: i64, id: u32, children: &str) -> String {
        format!(r#"{{{frame},"selfSize":{bytes},"id":{id},"children":[{children}]}}"#)
    }

    fn tree(children: &str) -> String {
        node(&frame("(root)", "", -1, -1), 0, 1, children)
    }

    #[test]
    fn nodes_with_bytes_are_samples_with_the_stack_that_leads_to_them() {
        let put = node(&frame("put", "file:///srv/my%20app/store.js", 4, 16), 65_568, 4, "");
        let post = node(&frame("post", "node:inspector", 110, 5), 16, 5, "");
        let main = node(&frame("", "file:///C:/srv/app.js", 0, 0), 0, 3, &format!("{put},{post}"));
        let api = node(&frame("(V8 API)", "", -1, -1), 400_016, 2, "");
        let head = tree(&format!("{main},{api}"));
        let samples = r#"[{"size":32784,"nodeId":4,"ordinal":1},{"size":32784,"nodeId":4,"ordinal":2},{"size":400016,"nodeId":2,"ordinal":3},{"size":33040,"nodeId":99,"ordinal":9}]"#;
        let main = "(anonymous)@C:/srv/app.js:1:1";
        let counted = format!(
            "samples/count space/bytes\n2 65568 | put@/srv/my app/store.js:5:17 < {main}\n0 16 | post@node:inspector:111:6 < {main}\n1 400016 | (V8 API)"
        );
        let plain = format!(
            "space/bytes\n65568 | put@/srv/my app/store.js:5:17 < {main}\n16 | post@node:inspector:111:6 < {main}\n400016 | (V8 API)"
        );
        let cases = [
            (format!(r#"{{"head":{head},"samples":{samples}}}"#), &counted),
            (format!(r#"{{"samples":{samples},"head":{head}}}"#), &counted),
            (format!(r#"{{"profile":{{"head":{head},"samples":{samples}}}}}"#), &counted),
            (format!(r#"{{"id":7,"result":{{"profile":{{"head":{head},"samples":{samples}}}}}}}"#), &counted),
            (format!("{{ \"x\": [{{}}], \n\"head\": {} }}", head.replace(',', " ,\n")), &plain),
        ];
        for (text, expected) in cases {
            assert!(knows(text.as_bytes()), "{text}");
            assert_eq!(outcome(read(text.as_bytes())), *expected, "{text}");
        }
    }

    #[test]
    fn the_smallest_sample_is_taken_for_the_interval() {
        let head = tree(&node(&frame("f", "", 0, 0), 98_352, 2, ""));
        let text = format!(r#"{{"head":{head},"samples":[{{"size":32840,"nodeId":2}},{{"size":32784,"nodeId":2}}]}}"#);
        let profile = read(text.as_bytes()).unwrap();
        let (period, is_sampled) = (profile.header().period, profile.is_sampled);
        assert_eq!((period, is_sampled, profile.functions()[1].start_line), (32_784, true, 1));
    }

    #[test]
    fn what_the_root_allocated_itself_is_kept() {
        let text = format!(r#"{{"head":{}}}"#, node(&frame("(root)", "", -1, -1), 8, 1, ""));
        assert_eq!(outcome(read(text.as_bytes())), "space/bytes\n8 | (root)");
    }

    #[test]
    fn a_tree_may_be_as_deep_as_it_likes() {
        let levels = 100_000;
        let (open, close) = (r#"{"callFrame":{},"children":["#, "]}");
        let leaf = node(&frame("leaf", "", 0, 0), 8, 2, "");
        let text = format!(r#"{{"head":{}{leaf}{}}}"#, open.repeat(levels), close.repeat(levels));
        let profile = read(text.as_bytes()).unwrap();
        assert_eq!((profile.n_samples(), profile.stack(0).len()), (1, levels));
    }

    #[test]
    fn a_chain_whose_stacks_are_the_square_of_it_is_refused() {
        let levels = 12_000;
        let (open, close) = (r#"{"callFrame":{},"selfSize":1,"children":["#, "]}");
        let text = format!(r#"{{"head":{}{}}}"#, open.repeat(levels), close.repeat(levels));
        let error = outcome(read(text.as_bytes()));
        assert!(error.starts_with("frames of all stacks: at most 67108864 are read, found 67"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let cases = [
            ("{}", "expected a field `head` before the end of the profile at byte 2, found none"),
            (r#"{"head":[]}"#, "expected `{` at byte 8, found `[`"),
            (r#"{"head":{}}"#, "expected a node with a field `callFrame` at byte 10, found the end of one without"),
            (
                r#"{"head":{"callFrame":{},"selfSize":-1}}"#,
                "expected `selfSize`, a whole number from 0, at byte 35, found `-1`",
            ),
            (r#"{"head":{"selfSize":1.5}}"#, "expected `selfSize`, a whole number below 2^63, at byte 20, found `1.5`"),
            (
                r#"{"head":{"id":"x"}}"#,
                "expected the `id` of a node, a whole number below 2^63, at byte 14, found `\\\"`",
            ),
            (
                r#"{"head":{"callFrame":{"functionName":1}}}"#,
                "expected `functionName`, a string, at byte 37, found `1`",
            ),
            (r#"{"head":{"callFrame":{},"children":[{"#, "expected `\\\"` at byte 37, found the end of the profile"),
            (r#"{"head":{"callFrame":{},"children":[1]}}"#, "expected `{` at byte 36, found `1`"),
            (
                r#"{"samples":[{"size":1}]}"#,
                "expected a sample with `size` and `nodeId` at byte 22, found the end of one without",
            ),
            (
                r#"{"samples":[{"size":-1}]}"#,
                "expected the `size` of a sample, a whole number from 0, at byte 20, found `-1`",
            ),
            (r#"{"head":{"callFrame":{}},"#, "expected `\\\"` at byte 25, found the end of the profile"),
        ];
        for (text, expected) in cases {
            assert_eq!(outcome(read(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn other_json_is_none() {
        for text in [
            "",
            "{",
            r#"{"snapshot":{"meta":{}}}"#,
            r#"{"nodes":[{"id":1,"callFrame":{}}]}"#,
            r#"["head","callFrame"]"#,
        ] {
            assert!(!knows(text.as_bytes()), "{text}");
        }
    }
}
