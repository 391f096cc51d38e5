//! Reads the columns of a snapshot from its arrays of numbers, in parallel over their pieces.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::HeapError;
use crate::graph::{Graph, Offsets, Sizes};

use super::layout::{Fields, Layout};
use super::numbers::{Numbers, Records};
use super::snapshot::{EdgeWord, Link, NodeKind, Site, Snapshot};
use super::strings::Strings;

/// Fields of a record that are read; real ones have 3 to 7.
const FIELDS_MAX: usize = 16;
/// Own bytes of a node from here on are no size of memory.
const SELF_BYTES_MAX: u64 = 1 << 48;

/// A snapshot as it was read: its columns, its graph and the sizes in the file.
pub(super) struct Read<'a> {
    pub(super) snapshot: Snapshot<'a>,
    pub(super) graph: Graph,
    pub(super) self_bytes: Sizes,
}

/// Reads a whole snapshot.
///
/// # Errors
/// [`HeapError`] at the first byte that does not fit.
pub(super) fn read(bytes: &[u8]) -> Result<Read<'_>, HeapError> {
    let layout = Layout::of(bytes)?;
    let (strings, arrays) = rayon::join(
        || Strings::of(bytes, layout.strings.clone()),
        || {
            let nodes = read_nodes(bytes, &layout)?;
            let edges = read_edges(bytes, &layout, nodes.records.n_records)?;
            Ok((nodes, edges))
        },
    );
    let (strings, (nodes, edges)) = (strings?, arrays?);
    let n_edges = nodes.first.get(nodes.records.n_records);
    if n_edges != edges.targets.len() {
        return Err(HeapError::Unexpected {
            at: layout.edges.end as u64,
            expected: format!("the {n_edges} edges that the nodes count"),
            found: edges.targets.len().to_string(),
        });
    }
    let names_needed = nodes.names.iter().copied().max().max(edges.name_max).map_or(0, |name| name as usize + 1);
    if names_needed > strings.len() {
        return Err(HeapError::Unexpected {
            at: layout.strings.end as u64,
            expected: format!("the {names_needed} strings that nodes and edges name"),
            found: strings.len().to_string(),
        });
    }
    let sites = read_sites(bytes, &layout, nodes.records.n_records)?;
    let root = layout.root_index / nodes.records.n_fields as u64;
    if root >= nodes.records.n_records as u64 {
        return Err(HeapError::Unexpected {
            at: layout.nodes.start as u64,
            expected: format!("a root at node {root}"),
            found: format!("{} nodes", nodes.records.n_records),
        });
    }
    let mut kinds = [NodeKind::Other; 256];
    for (kind, name) in kinds.iter_mut().zip(&layout.node.types) {
        *kind = NodeKind::of(name);
    }
    let snapshot = Snapshot {
        bytes,
        root: root as u32,
        strings,
        types: nodes.types,
        kinds,
        names: nodes.names,
        ids: nodes.ids,
        node_records: nodes.records,
        edge_words: edges.words,
        long_names: edges.long_names,
        sites,
        detachedness: nodes.detachedness,
        layout,
    };
    Ok(Read { snapshot, graph: Graph { first: nodes.first, targets: edges.targets }, self_bytes: nodes.self_bytes })
}

struct Nodes {
    records: Records,
    types: Vec<u8>,
    names: Vec<u32>,
    ids: Sizes,
    self_bytes: Sizes,
    first: Offsets,
    detachedness: Vec<(u32, u8)>,
}

/// Places of the fields that are read in each node.
struct NodePlaces {
    kind: usize,
    name: usize,
    id: usize,
    self_size: usize,
    edge_count: usize,
    detachedness: Option<usize>,
}

/// What of a piece does not fit into its columns.
#[derive(Default)]
struct Odd {
    ids: Vec<(u32, u64)>,
    sizes: Vec<(u32, u64)>,
    detachedness: Vec<(u32, u8)>,
}

/// The part of the columns that one piece fills.
struct NodeRows<'c> {
    bytes: Range<usize>,
    first_record: usize,
    types: &'c mut [u8],
    names: &'c mut [u32],
    ids: &'c mut [u32],
    sizes: &'c mut [u32],
    edge_counts: &'c mut [u32],
}

fn read_nodes(bytes: &[u8], layout: &Layout) -> Result<Nodes, HeapError> {
    let n_fields = n_fields(&layout.node, "node")?;
    let records = Records::of(bytes, layout.nodes.clone(), n_fields, "nodes")?;
    let n = records.n_records;
    if n == 0 || n > u32::MAX as usize {
        return Err(HeapError::TooMany { what: "nodes (and at least one)", max: u64::from(u32::MAX), found: n as u64 });
    }
    let place = |name| layout.node.place(name).unwrap_or_default();
    let places = NodePlaces {
        kind: place("type"),
        name: place("name"),
        id: place("id"),
        self_size: place("self_size"),
        edge_count: place("edge_count"),
        detachedness: layout.node.place("detachedness"),
    };
    let (mut types, mut names, mut ids, mut sizes, mut counts) =
        (vec![0_u8; n], vec![0_u32; n], vec![0_u32; n], vec![0_u32; n], vec![0_u32; n]);
    let mut rows = Vec::new();
    {
        let mut rest = (&mut types[..], &mut names[..], &mut ids[..], &mut sizes[..], &mut counts[..]);
        for (bytes, piece) in records.pieces() {
            let n = piece.len();
            let (types, names, ids, sizes, edge_counts);
            (types, rest.0) = rest.0.split_at_mut(n);
            (names, rest.1) = rest.1.split_at_mut(n);
            (ids, rest.2) = rest.2.split_at_mut(n);
            (sizes, rest.3) = rest.3.split_at_mut(n);
            (edge_counts, rest.4) = rest.4.split_at_mut(n);
            rows.push(NodeRows { bytes, first_record: piece.start, types, names, ids, sizes, edge_counts });
        }
    }
    let odd: Vec<Odd> = rows
        .into_par_iter()
        .map(|mut rows| read_node_rows(bytes, &mut rows, n_fields, &places))
        .collect::<Result<_, _>>()?;
    let mut nodes = Nodes {
        records,
        types,
        names,
        ids: Sizes::from_small(ids),
        self_bytes: Sizes::from_small(sizes),
        first: offsets_of(&counts),
        detachedness: Vec::new(),
    };
    for odd in odd {
        odd.ids.iter().for_each(|&(node, id)| nodes.ids.set(node, id));
        odd.sizes.iter().for_each(|&(node, size)| nodes.self_bytes.set(node, size));
        nodes.detachedness.extend(odd.detachedness);
    }
    Ok(nodes)
}

/// Places from counts.
fn offsets_of(counts: &[u32]) -> Offsets {
    let mut first = Offsets::with_capacity(counts.len() + 1);
    let mut end = 0;
    first.push(0);
    for &count in counts {
        end += count as usize;
        first.push(end);
    }
    first
}

fn n_fields(fields: &Fields, section: &str) -> Result<usize, HeapError> {
    match fields.names.len() {
        n if n <= FIELDS_MAX => Ok(n),
        n => Err(HeapError::Unexpected {
            at: 0,
            expected: format!("at most {FIELDS_MAX} names in `{section}_fields`"),
            found: n.to_string(),
        }),
    }
}

fn read_node_rows(
    bytes: &[u8],
    rows: &mut NodeRows<'_>,
    n_fields: usize,
    places: &NodePlaces,
) -> Result<Odd, HeapError> {
    let mut numbers = Numbers::of(bytes, &rows.bytes);
    let mut odd = Odd::default();
    let mut record = [0_u64; FIELDS_MAX];
    for index in 0..rows.types.len() {
        for field in &mut record[..n_fields] {
            *field = numbers.next();
        }
        let node = (rows.first_record + index) as u32;
        rows.types[index] = record[places.kind].min(255) as u8;
        rows.names[index] = narrow(record[places.name], "the index of a string", &numbers)?;
        rows.edge_counts[index] = narrow(record[places.edge_count], "a count of edges", &numbers)?;
        rows.ids[index] = record[places.id].min(u64::from(u32::MAX) - 1) as u32;
        if record[places.id] >= u64::from(u32::MAX) {
            odd.ids.push((node, record[places.id]));
        }
        if record[places.self_size] > SELF_BYTES_MAX {
            return Err(HeapError::TooMany {
                what: "own bytes of a node",
                max: SELF_BYTES_MAX,
                found: record[places.self_size],
            });
        }
        rows.sizes[index] = record[places.self_size].min(u64::from(u32::MAX) - 1) as u32;
        if record[places.self_size] >= u64::from(u32::MAX) {
            odd.sizes.push((node, record[places.self_size]));
        }
        if let Some(state @ 1..=2) = places.detachedness.map(|place| record[place]) {
            odd.detachedness.push((node, state as u8));
        }
    }
    numbers.checked()?;
    Ok(odd)
}

#[inline]
fn narrow(number: u64, expected: &str, numbers: &Numbers<'_>) -> Result<u32, HeapError> {
    u32::try_from(number).map_err(|_| HeapError::Unexpected {
        at: numbers.at() as u64,
        expected: format!("{expected} below 2^32 in the record that ends"),
        found: number.to_string(),
    })
}

struct Edges {
    targets: Vec<u32>,
    words: Vec<EdgeWord>,
    long_names: Vec<(usize, u32)>,
    /// The largest index of a string that names one.
    name_max: Option<u32>,
}

/// Edges of a piece whose names do not fit, and the largest index of a string.
type OddNames = (Vec<(usize, u32)>, Option<u32>);

/// Places and limits of the fields that are read in each edge.
struct EdgePlaces {
    kind: usize,
    name: usize,
    to_node: usize,
    links: [Link; 256],
    n_nodes: usize,
    n_node_fields: Divisor,
}

struct EdgeRows<'c> {
    bytes: Range<usize>,
    first_record: usize,
    targets: &'c mut [u32],
    words: &'c mut [EdgeWord],
}

fn read_edges(bytes: &[u8], layout: &Layout, n_nodes: usize) -> Result<Edges, HeapError> {
    let n_fields = n_fields(&layout.edge, "edge")?;
    let records = Records::of(bytes, layout.edges.clone(), n_fields, "edges")?;
    let place = |name| layout.edge.place(name).unwrap_or_default();
    let mut links = [Link::Other; 256];
    for (link, name) in links.iter_mut().zip(&layout.edge.types) {
        *link = Link::of(name);
    }
    let places = EdgePlaces {
        kind: place("type"),
        name: place("name_or_index"),
        to_node: place("to_node"),
        links,
        n_nodes,
        n_node_fields: Divisor::new(layout.node.names.len() as u64),
    };
    let (mut targets, mut words) = (vec![0_u32; records.n_records], vec![EdgeWord::default(); records.n_records]);
    let mut rows = Vec::new();
    {
        let mut rest = (&mut targets[..], &mut words[..]);
        for (bytes, piece) in records.pieces() {
            let (targets, words);
            (targets, rest.0) = rest.0.split_at_mut(piece.len());
            (words, rest.1) = rest.1.split_at_mut(piece.len());
            rows.push(EdgeRows { bytes, first_record: piece.start, targets, words });
        }
    }
    let read = |rows| match n_fields {
        3 => read_edge_rows::<3>(bytes, rows, n_fields, &places),
        _ => read_edge_rows::<FIELDS_MAX>(bytes, rows, n_fields, &places),
    };
    let odd: Vec<OddNames> = rows.into_par_iter().map(read).collect::<Result<_, _>>()?;
    let name_max = odd.iter().filter_map(|(_, name_max)| *name_max).max();
    let long_names = odd.into_iter().flat_map(|(long_names, _)| long_names).collect();
    Ok(Edges { targets, words, long_names, name_max })
}

/// `N`: `n_fields`, or more where no version is made for it.
fn read_edge_rows<const N: usize>(
    bytes: &[u8],
    rows: EdgeRows<'_>,
    n_fields: usize,
    places: &EdgePlaces,
) -> Result<OddNames, HeapError> {
    let mut numbers = Numbers::of(bytes, &rows.bytes);
    let (mut long_names, mut name_end) = (Vec::new(), 0_u64);
    let mut record = [0_u64; N];
    for (index, (target, word)) in rows.targets.iter_mut().zip(rows.words).enumerate() {
        for field in record.iter_mut().take(n_fields) {
            *field = numbers.next();
        }
        let (node, rest) = places.n_node_fields.divide(record[places.to_node]);
        if rest != 0 || node >= places.n_nodes as u64 {
            numbers.checked()?;
            return Err(HeapError::Unexpected {
                at: numbers.at() as u64,
                expected: format!("an edge to one of {} nodes in the record that ends", places.n_nodes),
                found: format!("`to_node` {}", record[places.to_node]),
            });
        }
        *target = node as u32;
        let name = narrow(record[places.name], "the name of an edge", &numbers)?;
        if name >= EdgeWord::NAME_MAX {
            long_names.push((rows.first_record + index, name));
        }
        let link = places.links[record[places.kind].min(255) as usize];
        if !link.is_numbered() {
            name_end = name_end.max(u64::from(name) + 1);
        }
        *word = EdgeWord::new(link, name);
    }
    numbers.checked()?;
    Ok((long_names, name_end.checked_sub(1).map(|name| name as u32)))
}

/// Division by a small number that is not known before, without the cost of one.
struct Divisor {
    by: u64,
    /// `floor(2^64 / by) + 1`: exact for numbers below 2^40 and divisors below 2^16.
    reciprocal: u64,
}

impl Divisor {
    fn new(by: u64) -> Self {
        Self { by, reciprocal: (u64::MAX / by.max(1)).wrapping_add(1) }
    }

    #[inline]
    fn divide(&self, number: u64) -> (u64, u64) {
        if self.by < 2 || number >> 40 != 0 {
            return (number / self.by.max(1), number % self.by.max(1));
        }
        let quotient = ((u128::from(number) * u128::from(self.reciprocal)) >> 64) as u64;
        (quotient, number - quotient * self.by)
    }
}

fn read_sites(bytes: &[u8], layout: &Layout, n_nodes: usize) -> Result<Vec<(u32, Site)>, HeapError> {
    let places = ["object_index", "script_id", "line", "column"].map(|name| layout.location.place(name));
    let [Some(object), Some(script), Some(line), Some(column)] = places else { return Ok(Vec::new()) };
    let n_fields = n_fields(&layout.location, "location")?;
    let records = Records::of(bytes, layout.locations.clone(), n_fields, "locations")?;
    let n_node_fields = layout.node.names.len().max(1) as u64;
    let read = |(piece, indexes): (Range<usize>, Range<usize>)| {
        let mut numbers = Numbers::of(bytes, &piece);
        let mut sites = Vec::with_capacity(indexes.len());
        let mut record = [0_u64; FIELDS_MAX];
        for _ in indexes {
            for field in &mut record[..n_fields] {
                *field = numbers.next();
            }
            let node = record[object] / n_node_fields;
            // V8 writes -1 as a huge number for what has no place.
            let narrow = |place: usize| u32::try_from(record[place]).unwrap_or(0);
            if node < n_nodes as u64 {
                sites.push((node as u32, Site { script: narrow(script), line: narrow(line), column: narrow(column) }));
            }
        }
        numbers.checked()?;
        Ok(sites)
    };
    let pieces: Vec<_> = records.pieces().collect();
    let sites: Vec<Vec<(u32, Site)>> = pieces.into_par_iter().map(read).collect::<Result<_, HeapError>>()?;
    let mut sites = sites.concat();
    sites.par_sort_unstable();
    sites.dedup_by_key(|(node, _)| *node);
    Ok(sites)
}
