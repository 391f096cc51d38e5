//! YAML text to a tree that knows where everything stands. Bounded in every direction; scalars keep their spelling, so that `0123` stays a password and `1.10` a version. Knows no key of the configuration.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span};

/// Largest file. Beyond: refused before it is parsed.
pub(super) const FILE_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting; the configuration itself needs 7. Beyond: refused.
const DEPTH_MAX: usize = 32;
/// Nodes of one file, those repeated by aliases counted each time. Beyond: refused, which ends a billion laughs early.
const NODES_MAX: usize = 100_000;

/// Bytes of text of one file, that repeated by aliases counted each time. Beyond: refused.
const TEXT_BYTES_MAX: usize = 2 * FILE_BYTES_MAX;

/// Where something stands: file by number, line and column from 1, length in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) width: usize,
}

/// One value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text as written; `plain` when it stood without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

impl Node {
    /// Whether nothing was written: `key:`, `key: ~` or `key: null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// What is wrong with the YAML itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The document in `text`, or `None` when there is nothing in it. Problems that leave the tree usable (a duplicate key) go to `problems`.
pub(super) fn parse(text: &str, file: usize, problems: &mut Vec<YamlError>) -> Result<Option<Node>, YamlError> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("expected at most {FILE_BYTES_MAX} bytes of YAML, found {}", text.len());
        return Err(YamlError { place: Place { file, line: 1, column: 1, width: 1 }, message, hint: None });
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEPTH_MAX + 1;
    options.block_nesting_limit = DEPTH_MAX + 1;
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        file,
        text,
        anchors: BTreeMap::new(),
        size: Size::default(),
        problems,
        ended: false,
    };
    builder.document()
}

struct Builder<'a, 'p> {
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    file: usize,
    text: &'a str,
    /// Finished anchored nodes with their sizes; an alias inside its own anchor finds nothing.
    anchors: BTreeMap<usize, (Node, Size)>,
    size: Size,
    problems: &'p mut Vec<YamlError>,
    ended: bool,
}

/// How much has been built, copies included.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    n_nodes: usize,
    text_bytes: usize,
}

impl<'a> Builder<'a, '_> {
    fn document(&mut self) -> Result<Option<Node>, YamlError> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    return Err(self.error(span, "expected one YAML document, found a second one".to_owned(), None));
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, YamlError> {
        if self.ended {
            return Ok(None);
        }
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                self.ended = matches!(event, Event::StreamEnd);
                Ok(Some((event, span)))
            }
            Some(Err(error)) => {
                self.ended = true;
                Err(self.syntax_error(*error.marker(), &error.info()))
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, YamlError> {
        let before = self.size;
        let text_bytes = if let Event::Scalar(text, ..) = &event { text.len() } else { 0 };
        self.count(Size { n_nodes: 1, text_bytes }, span)?;
        if depth > DEPTH_MAX {
            return Err(self.error(span, format!("expected at most {DEPTH_MAX} levels of nesting, found more"), None));
        }
        let place = self.place(span);
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(id) => return self.alias(id, span),
            _ => return Err(self.error(span, "expected a value".to_owned(), None)),
        };
        let node = Node { place, value };
        if anchor != 0 {
            let size = Size {
                n_nodes: self.size.n_nodes - before.n_nodes,
                text_bytes: self.size.text_bytes - before.text_bytes,
            };
            self.count(size, span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut merged: Vec<Node> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key_node = self.node(event, span, depth + 1)?;
            let Value::Scalar { text, .. } = key_node.value else {
                return Err(self.error(span, "expected a plain word as key, found a list or mapping".to_owned(), None));
            };
            let Some((event, span)) = self.next()? else { break };
            let node = self.node(event, span, depth + 1)?;
            if text == "<<" {
                merged.push(node);
            } else if let Some(first) = seen.get(&text) {
                let message = format!("key `{text}` stands twice, first at line {first}");
                self.problems.push(YamlError { place: key_node.place, message, hint: None });
            } else {
                seen.insert(text.clone(), key_node.place.line);
                entries.push((Key { place: key_node.place, text }, node));
            }
        }
        for node in merged {
            merge(node, &mut seen, &mut entries);
        }
        Ok(Value::Mapping(entries))
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, YamlError> {
        let inside_itself = "this alias stands inside the value that it repeats";
        // Counted before it is copied.
        let size = self.anchors.get(&id).map(|(_, size)| *size).unwrap_or_default();
        self.count(size, span)?;
        let node = self.anchors.get(&id).map(|(node, _)| node.clone());
        node.ok_or_else(|| self.error(span, inside_itself.to_owned(), None))
    }

    fn count(&mut self, more: Size, span: Span) -> Result<(), YamlError> {
        self.size.n_nodes = self.size.n_nodes.saturating_add(more.n_nodes);
        self.size.text_bytes = self.size.text_bytes.saturating_add(more.text_bytes);
        let message = if self.size.n_nodes > NODES_MAX {
            format!("expected at most {NODES_MAX} values, found more")
        } else if self.size.text_bytes > TEXT_BYTES_MAX {
            format!("expected at most {TEXT_BYTES_MAX} bytes of text, found more")
        } else {
            return Ok(());
        };
        let hint = "aliases count as often as they repeat their anchor; move jobs to `scrape_config_files`, targets to `file_sd_configs`";
        Err(self.error(span, message, Some(hint.to_owned())))
    }

    fn syntax_error(&self, at: Marker, info: &str) -> YamlError {
        let place = Place { file: self.file, line: at.line().max(1), column: at.col() + 1, width: 1 };
        let line = self.text.lines().nth(place.line - 1).unwrap_or_default();
        let hint = if info.contains("tab") || line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t') {
            Some("YAML is indented by spaces, never by tabs".to_owned())
        } else if line.contains("${") {
            Some("inside `{...}` and `[...]`, quote a text with a variable: `\"${VAR}\"`".to_owned())
        } else if info.contains("mapping values") {
            Some("a key is indented deeper than its neighbours, or a text that holds `: ` needs quotes".to_owned())
        } else if info.contains("anchor") {
            Some("quote a value that begins with `*` or `&`".to_owned())
        } else {
            None
        };
        let message = if info.contains("recursion limit") {
            format!("expected at most {DEPTH_MAX} levels of nesting, found more")
        } else {
            format!("not YAML: {info}")
        };
        YamlError { place, message, hint }
    }

    fn error(&self, span: Span, message: String, hint: Option<String>) -> YamlError {
        YamlError { place: self.place(span), message, hint }
    }

    fn place(&self, span: Span) -> Place {
        let width =
            if span.start.line() == span.end.line() { span.end.col().saturating_sub(span.start.col()) } else { 1 };
        Place { file: self.file, line: span.start.line().max(1), column: span.start.col() + 1, width: width.max(1) }
    }
}

/// Adds what `<<` brings: entries whose key is not there yet.
fn merge(node: Node, seen: &mut BTreeMap<String, usize>, entries: &mut Vec<(Key, Node)>) {
    match node.value {
        Value::Mapping(more) => {
            for (key, node) in more {
                if !seen.contains_key(&key.text) {
                    seen.insert(key.text.clone(), key.place.line);
                    entries.push((key, node));
                }
            }
        }
        Value::List(nodes) => {
            for node in nodes {
                merge(node, seen, entries);
            }
        }
        Value::Scalar { .. } => {}
    }
}
