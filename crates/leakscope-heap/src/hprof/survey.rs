//! The first pass over the heap: which objects, classes and roots there are, how many of each class, and what the distances between
//! neighbours say about the layout of objects. Parallel over the pieces, the result the same whatever ran first.

use std::ops::Range;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::error::HeapError;
use crate::hprof::bytes::Width;
use crate::hprof::ids::{Ids, IdsBuilder, Word};
use crate::hprof::layout::Evidence;
use crate::hprof::outline::Outline;
use crate::hprof::records::{self, ClassDump, Root, Type, Visitor};

/// Bytes between places of a piece from which a record can be looked for.
const SPAN: usize = 1 << 16;
/// Pieces that one task reads in a row.
const PIECES: usize = 8;

/// Objects of one class, or arrays of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    /// Elements of arrays; for instances bytes of values in the dump.
    pub(crate) elements: u64,
    /// Arrays by the number of their elements modulo 8: what padding they need.
    pub(crate) rest: [u64; 8],
}

impl Tally {
    #[inline]
    fn add(&mut self, elements: u64) {
        self.count += 1;
        self.elements += elements;
        self.rest[(elements & 7) as usize] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.elements += other.elements;
        self.rest.iter_mut().zip(other.rest).for_each(|(rest, more)| *rest += more);
    }
}

/// Some records in a row, and between which ids those of their instances and arrays are.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) bytes: Range<usize>,
    pub(crate) low: u64,
    pub(crate) high: u64,
}

/// What the first pass found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) ids: Ids,
    /// In the order of the dump; those with the same id too.
    pub(crate) classes: Vec<ClassDump>,
    pub(crate) roots: Vec<Root>,
    /// By class, ascending in its id.
    pub(crate) instances: Vec<(u64, Tally)>,
    /// Arrays of references by class, ascending in its id.
    pub(crate) arrays: Vec<(u64, Tally)>,
    /// Arrays of others, in the order of [`Type::PRIMITIVES`].
    pub(crate) primitives: [Tally; 8],
    pub(crate) evidence: Evidence,
    pub(crate) spans: Vec<Span>,
    /// Whether some id is of several objects. Then later passes take one record after another, so that the last counts.
    pub(crate) duplicates: bool,
}

impl Survey {
    /// Reads all pieces of `outline`. Where one cannot be read to its end, it is shortened, with a warning.
    ///
    /// # Errors
    /// [`HeapError::TooMany`] objects; [`HeapError::Unexpected`], when there is no object at all.
    pub(crate) fn of(bytes: &[u8], outline: &mut Outline) -> Result<Self, HeapError> {
        let usual = match outline.width {
            Width::Four => 2,
            Width::Eight => 3,
        };
        let groups = read(bytes, outline, usual);
        let union = groups.iter().fold(0, |union, group| union | group.union);
        let unaligned = union.trailing_zeros() < usual;
        let (shift, groups) = if unaligned { (0, read(bytes, outline, 0)) } else { (usual, groups) };
        gather(groups, shift, outline)
    }
}

/// What one task found in some pieces.
struct Group {
    words: Vec<Word>,
    union: u64,
    records: u64,
    classes: Vec<ClassDump>,
    roots: Vec<Root>,
    instances: Vec<(u64, Tally)>,
    arrays: Vec<(u64, Tally)>,
    primitives: [Tally; 8],
    evidence: Evidence,
    spans: Vec<Span>,
    /// Pieces that could not be read to their end: which, and where the record is that stopped it.
    broken: Vec<(usize, usize)>,
}

fn read(bytes: &[u8], outline: &Outline, shift: u32) -> Vec<Group> {
    let one = |(index, pieces): (usize, &[Range<usize>])| match outline.width {
        Width::Four => read_pieces::<4>(bytes, pieces, index * PIECES, shift),
        Width::Eight => read_pieces::<8>(bytes, pieces, index * PIECES, shift),
    };
    outline.pieces.par_chunks(PIECES).enumerate().map(one).collect()
}

fn read_pieces<const W: usize>(bytes: &[u8], pieces: &[Range<usize>], first: usize, shift: u32) -> Group {
    let mut reader = Reader::<W>::new(shift);
    let mut broken = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        reader.open_span(piece.start);
        reader.evidence.piece_begins();
        let end = match records::walk::<W>(bytes, piece.clone(), &mut reader) {
            Ok(()) => piece.end,
            Err(at) => {
                broken.push((first + index, at));
                at
            }
        };
        reader.close_span(end);
    }
    let (words, union) = reader.ids.finish();
    Group {
        words,
        union,
        records: reader.records,
        classes: reader.classes,
        roots: reader.roots,
        instances: reader.instances.tallies,
        arrays: reader.arrays.tallies,
        primitives: reader.primitives,
        evidence: reader.evidence,
        spans: reader.spans,
        broken,
    }
}

/// Tallies by class.
#[derive(Default)]
struct ByClass {
    index: FxHashMap<u64, usize>,
    tallies: Vec<(u64, Tally)>,
    last: usize,
}

impl ByClass {
    #[inline]
    fn tally(&mut self, class: u64) -> &mut Tally {
        if self.tallies.get(self.last).is_none_or(|last| last.0 != class) {
            self.last = *self.index.entry(class).or_insert(self.tallies.len());
            if self.last == self.tallies.len() {
                self.tallies.push((class, Tally::default()));
            }
        }
        &mut self.tallies[self.last].1
    }

    fn sorted(mut self) -> Vec<(u64, Tally)> {
        self.tallies.sort_unstable_by_key(|tally| tally.0);
        self.tallies
    }
}

struct Reader<const W: usize> {
    ids: IdsBuilder,
    records: u64,
    classes: Vec<ClassDump>,
    roots: Vec<Root>,
    instances: ByClass,
    arrays: ByClass,
    primitives: [Tally; 8],
    evidence: Evidence,
    spans: Vec<Span>,
    span: Span,
}

impl<const W: usize> Reader<W> {
    fn new(shift: u32) -> Self {
        Self {
            ids: IdsBuilder::new(shift),
            records: 0,
            classes: Vec::new(),
            roots: Vec::new(),
            instances: ByClass::default(),
            arrays: ByClass::default(),
            primitives: [Tally::default(); 8],
            evidence: Evidence::default(),
            spans: Vec::new(),
            span: Span { bytes: 0..0, low: u64::MAX, high: 0 },
        }
    }

    fn open_span(&mut self, at: usize) {
        self.span = Span { bytes: at..at, low: u64::MAX, high: 0 };
    }

    fn close_span(&mut self, at: usize) {
        self.span.bytes.end = at;
        if self.span.low <= self.span.high {
            self.spans.push(self.span.clone());
        }
        self.open_span(at);
    }

    #[inline]
    fn object(&mut self, at: usize, id: u64) {
        if at - self.span.bytes.start >= SPAN {
            self.close_span(at);
        }
        self.span.low = self.span.low.min(id);
        self.span.high = self.span.high.max(id);
        self.ids.insert(id);
        self.records += 1;
    }
}

impl<const W: usize> Visitor for Reader<W> {
    fn root(&mut self, root: Root) {
        self.roots.push(root);
    }

    fn class(&mut self, class: ClassDump) {
        self.ids.insert(class.id);
        self.records += 1;
        self.classes.push(class);
    }

    #[inline]
    fn instance(&mut self, at: usize, id: u64, class: u64, data: &[u8]) {
        self.object(at, id);
        self.evidence.instance(id);
        self.instances.tally(class).add(data.len() as u64);
    }

    #[inline]
    fn objects(&mut self, at: usize, id: u64, class: u64, elements: &[u8]) {
        self.object(at, id);
        let n = (elements.len() / W) as u64;
        self.evidence.objects(id, n);
        self.arrays.tally(class).add(n);
    }

    #[inline]
    fn primitives(&mut self, at: usize, id: u64, of: Type, n: u32, _elements: &[u8]) {
        self.object(at, id);
        self.evidence.primitives(id, u64::from(n) * of.bytes(0) as u64);
        self.primitives[of as usize - 1].add(u64::from(n));
    }
}

fn gather(groups: Vec<Group>, shift: u32, outline: &mut Outline) -> Result<Survey, HeapError> {
    let mut words = Vec::with_capacity(groups.len());
    let (mut instances, mut arrays) = (ByClass::default(), ByClass::default());
    let (mut classes, mut roots, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    let (mut primitives, mut evidence, mut records) = ([Tally::default(); 8], Evidence::default(), 0);
    for group in groups {
        words.push(group.words);
        records += group.records;
        classes.extend(group.classes);
        roots.extend(group.roots);
        spans.extend(group.spans);
        group.instances.iter().for_each(|(class, tally)| instances.tally(*class).merge(tally));
        group.arrays.iter().for_each(|(class, tally)| arrays.tally(*class).merge(tally));
        primitives.iter_mut().zip(&group.primitives).for_each(|(sum, tally)| sum.merge(tally));
        evidence.merge(&group.evidence);
        for (piece, at) in group.broken {
            let end = std::mem::replace(&mut outline.pieces[piece].end, at);
            outline.warn(format!(
                "the record at byte {at} of the heap cannot be read; what is up to byte {end} was left out"
            ));
        }
    }
    let ids = Ids::of(&words, shift)?;
    if ids.len() == 0 {
        let at = outline.pieces.first().map_or(0, |piece| piece.start) as u64;
        let found = outline.warnings.pop().unwrap_or_else(|| "none".to_owned());
        return Err(HeapError::Unexpected { at, expected: "objects".to_owned(), found });
    }
    let duplicates = records - u64::from(ids.len());
    if duplicates > 0 {
        outline.warn(format!("{duplicates} objects have the id of another; the last of each counts"));
    }
    let (instances, arrays) = (instances.sorted(), arrays.sorted());
    Ok(Survey { ids, classes, roots, instances, arrays, primitives, evidence, spans, duplicates: duplicates > 0 })
}
