//! How each string of a snapshot is used: as a name, which is shape, or as contents. Nothing is said of what the strings are.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use rayon::prelude::*;

use crate::error::HeapError;

use super::layout::Layout;
use super::numbers::{Numbers, Records};
use super::redact::PairNames;
use super::strings::Strings;

/// How a string is used, in bits.
pub(super) mod used {
    /// As the name of an edge or of a script.
    pub(in crate::v8) const AS_NAME: u8 = 1;
    /// As the contents of a string.
    pub(in crate::v8) const AS_TEXT: u8 = 2;
    /// As a number, a pattern or a description.
    pub(in crate::v8) const AS_VALUE: u8 = 4;
    /// As the name of a type, a function, an element of a page.
    pub(in crate::v8) const AS_TYPE: u8 = 8;
    /// In a way that says what it is.
    pub(in crate::v8) const AS_SHAPE: u8 = AS_NAME | AS_TYPE;
}

/// How a node of this type uses its name.
fn use_of(node_type: &str) -> u8 {
    match node_type {
        "string" | "concatenated string" | "sliced string" => used::AS_TEXT,
        "number" | "bigint" | "symbol" | "regexp" => used::AS_VALUE,
        _ => used::AS_TYPE,
    }
}

/// How strings are used, found by all workers at once: each reads pieces of the arrays.
pub(super) struct Uses<'a> {
    bytes: &'a [u8],
    layout: &'a Layout,
    of_strings: Vec<AtomicU8>,
}

/// What a piece of the nodes says but for how strings are used.
#[derive(Default)]
struct NodesRead {
    /// Edges of scripts, counted from the piece's first.
    of_scripts: Vec<Range<usize>>,
    n_edges: usize,
    /// Ids that names of pairs mention, of what has contents.
    contents: Vec<u64>,
}

impl<'a> Uses<'a> {
    /// How each string of a snapshot is used.
    ///
    /// # Errors
    /// [`HeapError`] at the first record that does not fit.
    pub(super) fn of(
        bytes: &'a [u8],
        layout: &'a Layout,
        strings: &Strings<'_>,
        pairs: &mut PairNames,
    ) -> Result<Vec<u8>, HeapError> {
        let [script, name] = strings.find(["system / Script", "name"]);
        let of_strings = std::iter::repeat_with(AtomicU8::default).take(strings.len()).collect();
        let uses = Self { bytes, layout, of_strings };
        let (names, pieces) = uses.read_nodes(script, pairs)?;
        let (mut of_scripts, mut n_edges) = (Vec::new(), 0_usize);
        for piece in pieces {
            of_scripts.extend(piece.of_scripts.into_iter().map(|edges| n_edges + edges.start..n_edges + edges.end));
            n_edges = n_edges.saturating_add(piece.n_edges);
            pairs.contents.extend(piece.contents);
        }
        let n_read = uses.read_edges(&of_scripts, &names, name)?;
        if n_read != n_edges {
            return Err(HeapError::Unexpected {
                at: layout.edges.end as u64,
                expected: format!("the {n_edges} edges that the nodes count"),
                found: n_read.to_string(),
            });
        }
        Ok(uses.of_strings.into_iter().map(AtomicU8::into_inner).collect())
    }

    /// The string that names each node, and what the pieces say, in the order of the file.
    fn read_nodes(&self, script: Option<u32>, pairs: &PairNames) -> Result<(Vec<u32>, Vec<NodesRead>), HeapError> {
        let Layout { node, nodes, .. } = self.layout;
        let records = records_of(self.bytes, nodes.clone(), node.names.len(), "nodes")?;
        let mut use_of_type = [used::AS_TYPE; 256];
        for (used, node_type) in use_of_type.iter_mut().zip(&node.types) {
            *used = use_of(node_type);
        }
        let mut names = vec![0; records.n_records];
        let mut pieces = Vec::new();
        let mut rest = &mut names[..];
        for (span, piece) in records.pieces() {
            let (of_piece, after) = rest.split_at_mut(piece.len());
            pieces.push((span, of_piece));
            rest = after;
        }
        let read: Vec<_> = pieces
            .into_par_iter()
            .map(|(span, names)| self.read_piece_of_nodes(&span, names, &use_of_type, script, pairs))
            .collect();
        let read: Result<_, _> = read.into_iter().collect();
        read.map(|read| (names, read))
    }

    fn read_piece_of_nodes(
        &self,
        span: &Range<usize>,
        names: &mut [u32],
        use_of_type: &[u8; 256],
        script: Option<u32>,
        pairs: &PairNames,
    ) -> Result<NodesRead, HeapError> {
        let node = &self.layout.node;
        let place = |name| node.place(name).unwrap_or_default();
        let (kind, name, id, edge_count) = (place("type"), place("name"), place("id"), place("edge_count"));
        let mut read = NodesRead::default();
        let mut records = Sequence::of(self.bytes, span, node.names.len());
        for name_of_node in names {
            let record = records.next();
            let used = use_of_type[record[kind].min(255) as usize];
            let Some(index) = self.mark(record[name], used) else { return Err(self.unknown(record[name], &records)) };
            if used != used::AS_TYPE && pairs.mentioned.contains(&record[id]) {
                read.contents.push(record[id]);
            }
            let n_edges = usize::try_from(record[edge_count]).unwrap_or(usize::MAX);
            let first = read.n_edges;
            read.n_edges = first.saturating_add(n_edges);
            if script == Some(index) {
                read.of_scripts.push(first..read.n_edges);
            }
            *name_of_node = index;
        }
        records.checked().map(|()| read)
    }

    /// Marks the names of edges, and of what scripts call their name. Returns how many edges there are.
    ///
    /// `of_scripts`: the edges of scripts, in the order of the file.
    fn read_edges(&self, of_scripts: &[Range<usize>], names: &[u32], name_of: Option<u32>) -> Result<usize, HeapError> {
        let Layout { edge, edges, .. } = self.layout;
        let records = records_of(self.bytes, edges.clone(), edge.names.len(), "edges")?;
        let mut is_numbered = [false; 256];
        for (numbered, edge_type) in is_numbered.iter_mut().zip(&edge.types) {
            *numbered = edge_type == "element" || edge_type == "hidden";
        }
        let pieces: Vec<_> = records.pieces().collect();
        let named: Vec<_> = pieces
            .into_par_iter()
            .map(|(span, piece)| {
                let of_scripts = &of_scripts[of_scripts.partition_point(|edges| edges.end <= piece.start)..];
                self.read_piece_of_edges(&span, piece, &is_numbered, of_scripts, name_of)
            })
            .collect();
        let n_fields = self.layout.node.names.len().max(1);
        for named in named {
            for to_node in named? {
                if let Some(&file) = names.get(to_node as usize / n_fields) {
                    self.mark(u64::from(file), used::AS_NAME);
                }
            }
        }
        Ok(records.n_records)
    }

    /// Marks the names of the edges of a piece. Returns where those lead to that are the names of scripts.
    fn read_piece_of_edges(
        &self,
        span: &Range<usize>,
        piece: Range<usize>,
        is_numbered: &[bool; 256],
        of_scripts: &[Range<usize>],
        name_of: Option<u32>,
    ) -> Result<Vec<u64>, HeapError> {
        let edge = &self.layout.edge;
        let place = |name| edge.place(name).unwrap_or_default();
        let (kind, name, to_node) = (place("type"), place("name_or_index"), place("to_node"));
        let mut records = Sequence::of(self.bytes, span, edge.names.len());
        let mut scripts = of_scripts.iter().filter(|edges| !edges.is_empty()).peekable();
        let mut named = Vec::new();
        for edge in piece {
            let record = records.next();
            if !is_numbered[record[kind].min(255) as usize] {
                let Some(index) = self.mark(record[name], used::AS_NAME) else {
                    return Err(self.unknown(record[name], &records));
                };
                if name_of == Some(index) && scripts.peek().is_some_and(|edges| edges.contains(&edge)) {
                    named.push(record[to_node]);
                }
            }
            if scripts.peek().is_some_and(|edges| edges.end <= edge + 1) {
                scripts.next();
            }
        }
        records.checked().map(|()| named)
    }

    /// Notes that a string is used so; its index, if there is such a string.
    #[inline]
    fn mark(&self, index: u64, used: u8) -> Option<u32> {
        let uses = self.of_strings.get(usize::try_from(index).ok()?)?;
        // Nearly all is marked already, and looking costs less than marking.
        if uses.load(Ordering::Relaxed) & used != used {
            uses.fetch_or(used, Ordering::Relaxed);
        }
        Some(index as u32)
    }

    fn unknown(&self, index: u64, records: &Sequence<'_>) -> HeapError {
        HeapError::Unexpected {
            at: records.numbers.at() as u64,
            expected: format!("a record before it that names one of {} strings", self.of_strings.len()),
            found: index.to_string(),
        }
    }
}

/// Fields of a record that are read; real ones have 3 to 7.
const FIELDS_MAX: usize = 16;

fn records_of(bytes: &[u8], range: Range<usize>, n_fields: usize, what: &str) -> Result<Records, HeapError> {
    if n_fields > FIELDS_MAX {
        return Err(HeapError::Unexpected {
            at: 0,
            expected: format!("at most {FIELDS_MAX} fields in each of the `{what}`"),
            found: n_fields.to_string(),
        });
    }
    Records::of(bytes, range, n_fields, what)
}

/// The records of a piece of an array, one after the other.
struct Sequence<'a> {
    numbers: Numbers<'a>,
    n_fields: usize,
    record: [u64; FIELDS_MAX],
}

impl<'a> Sequence<'a> {
    fn of(bytes: &'a [u8], span: &Range<usize>, n_fields: usize) -> Self {
        Self { numbers: Numbers::of(bytes, span), n_fields, record: [0; FIELDS_MAX] }
    }

    /// The next record; what is no number counts as 0 until [`Sequence::checked`] says so.
    #[inline]
    fn next(&mut self) -> &[u64; FIELDS_MAX] {
        for field in &mut self.record[..self.n_fields] {
            *field = self.numbers.next();
        }
        &self.record
    }

    fn checked(mut self) -> Result<(), HeapError> {
        self.numbers.checked()
    }
}
