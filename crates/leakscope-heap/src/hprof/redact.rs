//! A dump without its contents: values of primitive fields and elements are replaced in their place, all else stays byte for byte.
//!
//! Names of classes, fields and methods are strings of the dump's symbol table and stay; its other strings are literals of the
//! program and go. The few numbers by which collections say how many entries they have are the shape, and stay. Elements of `byte[]`
//! and `char[]` become fillers: as long, the same for the same contents, another for others, so that strings that were alike still
//! are.

use std::hash::Hasher;
use std::io::Write;
use std::ops::Range;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::hprof::bytes::{Width, id_at, u32_at, wide_at};
use crate::hprof::outline::Outline;
use crate::hprof::records::{self, ClassDump, Type, Visitor};
use crate::hprof::strings::Strings;
use crate::redact::{RedactError, Redacted};

const STRING: u8 = 0x01;
/// Tag, time and length of an outer record.
const HEAD: usize = 9;
/// Bytes that are gathered before they are written.
const WRITTEN_BYTES: usize = 1 << 18;

/// Fields that stay in classes of `java/util/` and in [`SIZED`]: how many entries a collection has, and where a ring begins and ends.
const SIZES: [&str; 6] = ["size", "count", "elementCount", "head", "tail", "baseCount"];
/// Classes elsewhere whose sizes are needed.
const SIZED: [&str; 1] = ["java/lang/ThreadLocal$ThreadLocalMap"];
/// Of strings: how their bytes are read, and which part of an array they are (before JDK 7).
const STRING_FIELDS: [&str; 3] = ["coder", "offset", "count"];
const STRING_CLASS: &str = "java/lang/String";
/// A part of the size of a map that many threads write.
const CELL: &str = "java/util/concurrent/ConcurrentHashMap$CounterCell";
/// A queue whose size is in an object of a class that counts all kinds of things.
const ATOMIC_QUEUE: &str = "java/util/concurrent/LinkedBlockingQueue";
const ATOMIC_COUNT: &str = "count";
const ATOMIC: &str = "java/util/concurrent/atomic/AtomicInteger";
/// Levels of classes below a queue that are looked at.
const QUEUE_LEVELS: usize = 8;
/// Classes without fields above one that are skipped; real ones have a few.
const EMPTY_CLASSES_MAX: usize = 64;

/// Writes `bytes`, a dump, without its contents. What the dump has of a record that is cut is replaced by zeros.
///
/// # Errors
/// [`RedactError::Unreadable`] where there is no heap in it, before anything is written; [`RedactError::Unwritable`].
pub(crate) fn redact(bytes: &[u8], out: &mut dyn Write) -> Result<Redacted, RedactError> {
    let outline = Outline::of(bytes)?;
    match outline.width {
        Width::Four => redacted::<4>(bytes, &outline, out),
        Width::Eight => redacted::<8>(bytes, &outline, out),
    }
}

fn redacted<const W: usize>(bytes: &[u8], outline: &Outline, out: &mut dyn Write) -> Result<Redacted, RedactError> {
    let classes = class_dumps::<W>(bytes, outline);
    let names = names::<W>(bytes, outline, &classes);
    let plans = Plans::of::<W>(bytes, outline, &classes);
    let mut fillers = Fillers::default();
    let mut redacted = Redacted { bytes: bytes.len() as u64, ..Redacted::default() };
    let mut written = Vec::with_capacity(2 * WRITTEN_BYTES);
    let mut at = 0;
    let mut segment_end = 0;
    for piece in pieces(outline, bytes) {
        let start = written.len();
        written.extend_from_slice(&bytes[at..piece.start]);
        redacted.strings += between(bytes, at..piece.start, &mut written[start..], &names, &mut segment_end);
        at = piece.end;
        let start = written.len();
        written.extend_from_slice(&bytes[piece.clone()]);
        let (copy, first) = (&mut written[start..], piece.start);
        let mut eraser = Eraser::<W> {
            bytes: &bytes[..piece.end],
            first,
            at: first,
            copy,
            plans: &plans,
            fillers: &mut fillers,
            redacted: &mut redacted,
        };
        eraser.walk();
        if written.len() >= WRITTEN_BYTES {
            out.write_all(&written).map_err(RedactError::Unwritable)?;
            written.clear();
        }
    }
    out.write_all(&written).map_err(RedactError::Unwritable)?;
    Ok(redacted)
}

/// The pieces of the heap, and the end of the dump as an empty one.
fn pieces(outline: &Outline, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    outline.pieces.iter().cloned().chain(std::iter::once(bytes.len()..bytes.len()))
}

/// The strings of the symbol table that name classes, fields, methods, signatures and files. A JVM writes all it has, the literals of
/// the program too: those are contents.
fn names<const W: usize>(bytes: &[u8], outline: &Outline, classes: &[ClassDump]) -> FxHashSet<u64> {
    let mut names: FxHashSet<u64> = outline.class_names.iter().map(|&(_, name)| name).collect();
    for &(_, body) in &outline.frames {
        names.extend((1..4).filter_map(|index| wide_at::<W>(bytes, body as usize + index * W)));
    }
    for class in classes {
        let fields = records::fields::<W>(bytes, class.fields.clone());
        names.extend(fields.chain(records::statics::<W>(bytes, class.statics.clone())).map(|field| field.name));
    }
    names
}

/// Where the first outer record begins: behind the version, the size of ids and the time.
fn outer_start(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte == 0).map_or(bytes.len(), |end| (end + 13).min(bytes.len()))
}

/// One record beside the heap.
struct Outer {
    tag: u8,
    body: Range<usize>,
}

/// The record at the start of `range`, if one is there whole. Of a heap dump, the head alone.
fn outer(bytes: &[u8], range: Range<usize>) -> Option<Outer> {
    let head = bytes.get(range.start..range.end)?.get(..HEAD)?;
    let start = range.start + HEAD;
    let end = match head[0] {
        0x0c | 0x1c => start,
        0x01..=0x0e | 0x2c => start + u32_at(head, 5)? as usize,
        _ => return None,
    };
    (end <= range.end).then_some(Outer { tag: head[0], body: start..end })
}

/// Goes over the records between two pieces of the heap: strings that are no names are replaced in `copy`, and so is what is no
/// record, since it may be part of one. Returns how many strings there were.
fn between(bytes: &[u8], range: Range<usize>, copy: &mut [u8], names: &FxHashSet<u64>, segment_end: &mut usize) -> u64 {
    let mut n_strings = 0;
    let width = match u32_at(bytes, outer_start(bytes).saturating_sub(12)) {
        Some(4) => Width::Four,
        _ => Width::Eight,
    };
    let mut at = if range.start == 0 { outer_start(bytes).min(range.end) } else { range.start };
    while at < range.end {
        let Some(Outer { tag, body }) = outer(bytes, at..range.end) else {
            // Part of the heap that cannot be read; where it ends, records may follow.
            let end = if *segment_end > at { (*segment_end).min(range.end) } else { range.end };
            copy[at - range.start..end - range.start].fill(0);
            at = end;
            continue;
        };
        match tag {
            0x0c | 0x1c => *segment_end = body.end + u32_at(bytes, at + 5).unwrap_or(0) as usize,
            STRING => {
                let text = (body.start + width.bytes()).min(body.end)..body.end;
                if !text.is_empty() && id_at(bytes, body.start, width).is_none_or(|id| !names.contains(&id)) {
                    copy[text.start - range.start..text.end - range.start].fill(b'x');
                    n_strings += 1;
                }
            }
            _ => {}
        }
        at = body.end;
    }
    n_strings
}

/// Which bytes of the values of a class's own fields are contents.
#[derive(Clone, Debug, Default)]
struct Plan {
    erased: Vec<Range<u32>>,
    n_values: u64,
    /// Bytes of all own values.
    own: usize,
    /// The plan of the nearest class above that has fields.
    next: Option<u32>,
    /// Where the reference to its size is, of a queue that has one.
    size_at: Option<usize>,
    /// Whether it counts all kinds of things, of which sizes of queues stay.
    is_atomic: bool,
}

/// How each class is treated.
struct Plans {
    all: Vec<Plan>,
    index: FxHashMap<u64, u32>,
    /// Ids of objects whose value is the size of a collection.
    sizes: FxHashSet<u64>,
}

impl Plans {
    fn of<const W: usize>(bytes: &[u8], outline: &Outline, dumps: &[ClassDump]) -> Self {
        let strings = Strings { bytes, width: outline.width, places: outline.strings.clone() };
        let names: FxHashMap<u64, u64> = outline.class_names.iter().copied().collect();
        let index: FxHashMap<u64, u32> = dumps.iter().zip(0..).map(|(class, place)| (class.id, place)).collect();
        let mut all = Vec::with_capacity(dumps.len());
        for class in dumps {
            let name = names.get(&class.id).and_then(|&name| strings.get(name)).unwrap_or_default();
            all.push(Plan::of::<W>(&strings, &name, class));
        }
        for (place, class) in dumps.iter().enumerate() {
            let mut above = index.get(&class.super_id);
            for _ in 0..EMPTY_CLASSES_MAX {
                match above.filter(|&&above| all[above as usize].own == 0) {
                    Some(&empty) => above = index.get(&dumps[empty as usize].super_id),
                    None => break,
                }
            }
            all[place].next = above.copied().filter(|&above| all[above as usize].own > 0);
        }
        let mut plans = Self { all, index, sizes: FxHashSet::default() };
        if plans.all.iter().any(|plan| plan.size_at.is_some()) {
            plans.sizes = plans.queue_sizes::<W>(bytes, outline);
        }
        plans
    }

    /// The plans of an instance's class and those above it, each with where its values begin in `n_bytes` of data.
    fn line(&self, class: u64, n_bytes: usize) -> impl Iterator<Item = (usize, &Plan)> {
        let first = self.index.get(&class).map(|&class| (0, &self.all[class as usize]));
        // Each but the first has values of its own, so that circles end with the data.
        std::iter::successors(first, move |(start, plan)| {
            let start = start + plan.own;
            plan.next.filter(|_| start < n_bytes).map(|next| (start, &self.all[next as usize]))
        })
    }

    /// Ids of the objects that hold the sizes of queues.
    fn queue_sizes<const W: usize>(&self, bytes: &[u8], outline: &Outline) -> FxHashSet<u64> {
        struct Sizes<'p, const W: usize> {
            plans: &'p Plans,
            /// Whether a class is a queue, by its place.
            is_queue: &'p [bool],
            found: Vec<u64>,
        }
        impl<const W: usize> Visitor for Sizes<'_, W> {
            fn instance(&mut self, _at: usize, _id: u64, class: u64, data: &[u8]) {
                if !self.plans.index.get(&class).is_some_and(|&place| self.is_queue[place as usize]) {
                    return;
                }
                let at = |(start, plan): (usize, &Plan)| plan.size_at.map(|at| start + at);
                let at = self.plans.line(class, data.len()).find_map(at);
                self.found.extend(at.and_then(|at| wide_at::<W>(data, at)));
            }
        }
        // Subclasses of queues are queues; few levels are enough, since nobody derives on and on.
        let mut is_queue: Vec<bool> = self.all.iter().map(|plan| plan.size_at.is_some()).collect();
        for _ in 0..QUEUE_LEVELS {
            for (place, plan) in self.all.iter().enumerate() {
                is_queue[place] |= plan.next.is_some_and(|next| is_queue[next as usize]);
            }
        }
        let of_piece = |piece: &Range<usize>| {
            let mut sizes = Sizes::<W> { plans: self, is_queue: &is_queue, found: Vec::new() };
            // The outline has walked it already: nothing in it cannot be read.
            let _ = records::walk::<W>(bytes, piece.clone(), &mut sizes);
            sizes.found
        };
        let sizes: Vec<Vec<u64>> = outline.pieces.par_iter().map(of_piece).collect();
        sizes.into_iter().flatten().collect()
    }
}

impl Plan {
    fn of<const W: usize>(strings: &Strings<'_>, name: &str, class: &ClassDump) -> Self {
        let mut plan = Self { is_atomic: name == ATOMIC, ..Self::default() };
        for field in records::fields::<W>(strings.bytes, class.fields.clone()) {
            let end = plan.own + field.of.bytes(W);
            let field_name = strings.get(field.name).unwrap_or_default();
            if field.of != Type::Object && !stays(name, &field_name) {
                plan.erase(plan.own as u32..end as u32);
            }
            if name == ATOMIC_QUEUE && field_name == ATOMIC_COUNT {
                plan.size_at = Some(plan.own);
            }
            plan.own = end;
        }
        plan
    }

    fn erase(&mut self, range: Range<u32>) {
        self.n_values += 1;
        match self.erased.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.erased.push(range),
        }
    }
}

/// Whether a field's value is part of the shape.
fn stays(class: &str, field: &str) -> bool {
    (class.starts_with("java/util/") || SIZED.contains(&class)) && SIZES.contains(&field)
        || class == STRING_CLASS && STRING_FIELDS.contains(&field)
        || class == CELL && field == "value"
}

/// All classes, one each.
fn class_dumps<const W: usize>(bytes: &[u8], outline: &Outline) -> Vec<ClassDump> {
    #[derive(Default)]
    struct Classes(Vec<ClassDump>);
    impl Visitor for Classes {
        fn class(&mut self, class: ClassDump) {
            self.0.push(class);
        }
    }
    let of_piece = |piece: &Range<usize>| {
        let mut classes = Classes::default();
        // As above.
        let _ = records::walk::<W>(bytes, piece.clone(), &mut classes);
        classes.0
    };
    let mut classes: Vec<ClassDump> = outline.pieces.par_iter().flat_map_iter(of_piece).collect();
    classes.sort_by_key(|class| class.id);
    classes.dedup_by_key(|class| class.id);
    classes
}

/// Replaces contents in the copy of one piece.
struct Eraser<'a, const W: usize> {
    bytes: &'a [u8],
    /// Where in the dump the copy begins, and where the record is that is walked.
    first: usize,
    at: usize,
    copy: &'a mut [u8],
    plans: &'a Plans,
    fillers: &'a mut Fillers,
    redacted: &'a mut Redacted,
}

impl<const W: usize> Eraser<'_, W> {
    /// Goes over all records. The outline has walked them already: there is none that cannot be read.
    fn walk(&mut self) {
        let bytes = self.bytes;
        while self.at < bytes.len() {
            let Some(next) = records::step::<W>(bytes, self.at, self) else { return };
            self.at = next;
        }
    }

    fn erase(&mut self, range: Range<usize>) {
        self.copy[range.start - self.first..range.end - self.first].fill(0);
    }

    /// The values in a class's pool of constants, each behind its index and type.
    fn erase_constants(&mut self, class: &ClassDump) {
        let mut at = self.at + 5 + 7 * W + 4 + 2;
        // What stands behind them is the count of static fields.
        while at + 2 < class.statics.start {
            let Some(of) = self.bytes.get(at + 2).and_then(|code| Type::of(*code)) else { return };
            let value = at + 3..at + 3 + of.bytes(W);
            at = value.end;
            if of != Type::Object {
                self.erase(value);
                self.redacted.values += 1;
            }
        }
    }
}

impl<const W: usize> Visitor for Eraser<'_, W> {
    fn class(&mut self, class: ClassDump) {
        self.erase_constants(&class);
        for field in records::statics::<W>(self.bytes, class.statics) {
            if field.of != Type::Object {
                self.erase(field.value_at..field.value_at + field.of.bytes(W));
                self.redacted.values += 1;
            }
        }
    }

    fn instance(&mut self, at: usize, id: u64, class: u64, data: &[u8]) {
        let start = at + 9 + 2 * W;
        let plans = self.plans;
        if !plans.index.contains_key(&class) {
            // Nobody can say what is in it.
            self.erase(start..start + data.len());
            return;
        }
        for (first, plan) in plans.line(class, data.len()) {
            if plan.is_atomic && plans.sizes.contains(&id) {
                continue;
            }
            for range in &plan.erased {
                let (from, to) = (first + range.start as usize, (first + range.end as usize).min(data.len()));
                if from < to {
                    self.erase(start + from..start + to);
                }
            }
            self.redacted.values += plan.n_values;
        }
    }

    fn primitives(&mut self, at: usize, _id: u64, of: Type, _n: u32, elements: &[u8]) {
        let start = at + 10 + W - self.first;
        let copy = &mut self.copy[start..start + elements.len()];
        if elements.iter().all(|&byte| byte == 0) {
            return;
        }
        match of {
            Type::Byte => self.fillers.fill(copy, 1),
            Type::Char => self.fillers.fill(copy, 2),
            _ => {
                copy.fill(0);
                self.redacted.values += (elements.len() / of.bytes(W)) as u64;
                return;
            }
        }
        self.redacted.strings += 1;
    }
}

/// Contents that say how long they were and which ones were alike, and nothing else.
#[derive(Default)]
struct Fillers {
    /// The number of each content, by a hash of it: two in 10^13 are taken for one in a dump of ten million strings.
    given: FxHashMap<u64, u64>,
    /// How many there are of each length and width of a unit.
    n_given: FxHashMap<(usize, usize), u64>,
}

/// Digits of a filler, without the `x` that fills it up.
const DIGITS: &[u8; 61] = b"0123456789abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Where digits come from when a length has more contents than `DIGITS` can tell apart: bytes beside ASCII, CJK ideographs.
const MORE_BYTES: Range<u16> = 0x80..0x100;
const MORE_CHARS: Range<u16> = 0x4e00..0xa000;

impl Fillers {
    /// Replaces `content`, of units of `width` bytes, by the filler of its number.
    fn fill(&mut self, content: &mut [u8], width: usize) {
        let n_units = content.len() / width;
        let mut hasher = FxHasher::default();
        hasher.write_usize(width);
        hasher.write(content);
        let n_given = &mut self.n_given;
        let number = *self.given.entry(hasher.finish()).or_insert_with(|| {
            let next = n_given.entry((n_units, width)).or_insert(0);
            *next += 1;
            *next - 1
        });
        let base = DIGITS.len() as u64;
        let more = if width == 1 { MORE_BYTES } else { MORE_CHARS };
        let n_plain = base.checked_pow(n_units.min(64) as u32).unwrap_or(u64::MAX);
        let (mut rest, is_plain) = if number < n_plain { (number, true) } else { (number - n_plain, false) };
        for (place, unit) in content.rchunks_exact_mut(width).enumerate() {
            let digit = if !is_plain {
                let base = u64::from(more.end - more.start);
                let digit = more.start + (rest % base) as u16;
                rest /= base;
                digit
            } else if place == 0 || rest > 0 {
                let digit = DIGITS[(rest % base) as usize];
                rest /= base;
                u16::from(digit)
            } else {
                u16::from(b'x')
            };
            match unit {
                [byte] => *byte = digit as u8,
                unit => unit.copy_from_slice(&digit.to_be_bytes()),
            }
        }
    }
}
