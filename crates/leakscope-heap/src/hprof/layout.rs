//! How `HotSpot` lays objects out, so that sizes are those of the process and not of the dump, where every reference takes the width of
//! an id: told from how far apart neighbours are.
//!
//! Source: `fieldLayoutBuilder.cpp` (JDK 15 and later) and `classFileParser.cpp` (before) of `OpenJDK`.

use crate::hprof::bytes::Width;
use crate::hprof::records::Type;

/// Bytes that every object's size is a multiple of.
const ALIGNMENT: u64 = 8;
/// Gaps remembered within one class: more than alignment can leave.
const GAPS_MAX: usize = 8;

/// Bytes before and behind fields that are set apart: `-XX:ContendedPaddingWidth`.
const CONTENDED_PADDING: u64 = 128;
/// Fields of the JDK that are set apart so that processors do not contend for a line of their caches (`@Contended`), which dumps do
/// not show.
const CONTENDED: [(&str, &[&str]); 3] = [
    ("java.lang.Thread", &["threadLocalRandomSeed", "threadLocalRandomProbe", "threadLocalRandomSecondarySeed"]),
    ("java.util.concurrent.ConcurrentHashMap$CounterCell", &["value"]),
    ("java.util.concurrent.atomic.Striped64$Cell", &["value"]),
];

fn aligned(size: u64) -> u64 {
    size.next_multiple_of(ALIGNMENT)
}

/// What the distance between objects that follow each other proves: objects do not overlap.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    last_id: u64,
    /// The size of the last object if references took 8 bytes; 0 for what is no array of references.
    wide: u64,
    /// The size of the last object if headers of arrays took 16 bytes; 0 for what is no array of others.
    usual: u64,
    /// Arrays of references that were followed by something, and those for which 8 bytes a reference were too much.
    references: (u64, u64),
    /// Arrays of others that were followed by something, and those for which headers of 24 and of 16 bytes were too much.
    headers: (u64, u64, u64),
    /// The highest id of an array or instance.
    high: u64,
}

impl Evidence {
    /// What follows does not follow what was told before.
    pub(crate) fn piece_begins(&mut self) {
        (self.wide, self.usual) = (0, 0);
    }

    #[inline]
    fn next(&mut self, id: u64, wide: u64, usual: u64) {
        let gap = id.wrapping_sub(self.last_id);
        if self.wide > 0 {
            self.references.0 += 1;
            self.references.1 += u64::from(gap < self.wide);
        } else if self.usual > 0 {
            self.headers.0 += 1;
            self.headers.1 += u64::from(gap < self.usual + 8);
            self.headers.2 += u64::from(gap < self.usual);
        }
        self.high = self.high.max(id);
        (self.last_id, self.wide, self.usual) = (id, wide, usual);
    }

    #[inline]
    pub(crate) fn instance(&mut self, id: u64) {
        self.next(id, 0, 0);
    }

    /// An array of `n` references.
    #[inline]
    pub(crate) fn objects(&mut self, id: u64, n: u64) {
        self.next(id, 16 + 8 * n, 0);
    }

    /// An array with `bytes` of elements.
    #[inline]
    pub(crate) fn primitives(&mut self, id: u64, bytes: u64) {
        self.next(id, 0, aligned(16 + bytes));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.references = (self.references.0 + other.references.0, self.references.1 + other.references.1);
        let (ours, theirs) = (self.headers, other.headers);
        self.headers = (ours.0 + theirs.0, ours.1 + theirs.1, ours.2 + theirs.2);
        self.high = self.high.max(other.high);
    }
}

/// Sizes of references and headers in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) reference: u64,
    header: u64,
    array_header: u64,
    /// Whether fields of a class may lie in gaps that its super classes left: JDK 15 and later.
    fills_supers: bool,
}

impl Layout {
    /// `width`: of ids. `modern`: JDK 15 and later.
    pub(crate) fn of(width: Width, evidence: &Evidence, modern: bool) -> Self {
        if width == Width::Four {
            return Self { reference: 4, header: 8, array_header: 12, fills_supers: modern };
        }
        // One in a thousand: what a damaged dump may say by chance.
        let proven = |(tried, proofs): (u64, u64)| proofs > tried / 1000;
        let narrow = proven(evidence.references);
        let (tried, below_24, below_16) = evidence.headers;
        // Compressed class pointers came with compressed references and are on without them since JDK 15.
        let (header, array_header) =
            match (proven((tried, below_24)) || tried == 0 && narrow, proven((tried, below_16))) {
                (_, true) => (8, 12),
                (true, false) => (12, 16),
                (false, false) => (16, 24),
            };
        Self { reference: if narrow { 4 } else { 8 }, header, array_header, fills_supers: modern }
    }

    /// The size of an array of `n` references.
    #[inline]
    pub(crate) fn array_of_references(&self, n: u64) -> u64 {
        aligned(self.array_header.next_multiple_of(self.reference) + n * self.reference)
    }

    /// The size of an array of `n` elements of `element` bytes each.
    #[inline]
    pub(crate) fn array(&self, element: u64, n: u64) -> u64 {
        aligned(self.array_header.next_multiple_of(element) + n * element)
    }

    /// The shape of an object without fields.
    pub(crate) fn empty(&self) -> Shape {
        Shape { end: self.header, gaps: Vec::new() }
    }

    /// The shape of a subclass of `shape` with these fields of its own.
    pub(crate) fn extended(&self, shape: &Shape, fields: &Fields) -> Shape {
        let mut shape = shape.clone();
        if !self.fills_supers && shape.end > self.header {
            shape.gaps.clear();
            shape.end = shape.end.next_multiple_of(self.reference);
        }
        for (size, &n) in [8, 4, 2, 1].into_iter().zip(&fields.primitives) {
            (0..n).for_each(|_| shape.place(size));
        }
        (0..fields.references).for_each(|_| shape.place(self.reference));
        if fields.contended.iter().any(|&n| n > 0) {
            shape.end = appended(shape.end + CONTENDED_PADDING, &fields.contended) + CONTENDED_PADDING;
            shape.gaps.clear();
        }
        shape
    }

    /// Bytes that static fields take in the object of their class: references first, and no gap is filled.
    pub(crate) fn statics(&self, fields: &Fields) -> u64 {
        aligned(appended(u64::from(fields.references) * self.reference, &fields.primitives))
    }
}

/// The end of fields of 8, 4, 2 and 1 bytes that begin behind `end`, without a look at gaps.
fn appended(end: u64, fields: &[u32; 4]) -> u64 {
    let append =
        |end: u64, (size, &n): (u64, &u32)| if n > 0 { end.next_multiple_of(size) + u64::from(n) * size } else { end };
    [8, 4, 2, 1].into_iter().zip(fields).fold(end, append)
}

/// Fields by size, of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Those of 8, 4, 2 and 1 bytes.
    pub(crate) primitives: [u32; 4],
    pub(crate) references: u32,
    /// As `primitives`, of those set apart so that processors do not contend for a line of their caches.
    pub(crate) contended: [u32; 4],
}

impl Fields {
    pub(crate) fn add(&mut self, of: Type) {
        match place(of) {
            Some(at) => self.primitives[at] += 1,
            None => self.references += 1,
        }
    }

    /// Adds the field called `name`, if known, of the class called `class`.
    pub(crate) fn add_named(&mut self, class: &str, name: impl FnOnce() -> Option<String>, of: Type) {
        let apart = CONTENDED.iter().find(|(contended, _)| *contended == class).map(|(_, fields)| fields);
        match place(of) {
            Some(at) if apart.is_some_and(|fields| name().is_some_and(|name| fields.contains(&name.as_str()))) => {
                self.contended[at] += 1;
            }
            Some(_) | None => self.add(of),
        }
    }

    /// Fields that the VM adds to some classes and dumps do not show.
    ///
    /// Source: `javaClasses.hpp` of JDK 17, `*_INJECTED_FIELDS`.
    pub(crate) fn add_injected(&mut self, class: &str) {
        let (eights, fours, ones, references) = match class {
            "java.lang.Class" => (2, 2, 0, 3),
            "java.lang.String" | "java.lang.InternalError" => (0, 0, 1, 0),
            "java.lang.ClassLoader" | "java.lang.Module" | "java.lang.invoke.MemberName" => (1, 0, 0, 0),
            "java.lang.invoke.ResolvedMethodName" => (1, 0, 0, 1),
            "java.lang.invoke.MethodHandleNatives$CallSiteContext" => (2, 0, 0, 0),
            _ => return,
        };
        self.primitives[0] += eights;
        self.primitives[1] += fours;
        self.primitives[3] += ones;
        self.references += references;
    }
}

/// Where in [`Fields::primitives`] a field counts; nowhere for a reference.
fn place(of: Type) -> Option<usize> {
    match of {
        Type::Object => None,
        Type::Double | Type::Long => Some(0),
        Type::Float | Type::Int => Some(1),
        Type::Char | Type::Short => Some(2),
        Type::Boolean | Type::Byte => Some(3),
    }
}

/// Where the fields of a class end and which gaps are between them.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    end: u64,
    /// Offset and size.
    gaps: Vec<(u64, u64)>,
}

impl Shape {
    /// The size of an instance.
    pub(crate) fn size(&self) -> u64 {
        aligned(self.end)
    }

    /// Puts a field of `size` into the smallest gap that has room, else at the end.
    fn place(&mut self, size: u64) {
        let room = |&(offset, length): &(u64, u64)| offset.next_multiple_of(size) + size <= offset + length;
        let fitting = self.gaps.iter().enumerate().rev().filter(|(_, gap)| room(gap)).min_by_key(|(_, gap)| gap.1);
        let (offset, length) = if let Some((index, _)) = fitting {
            self.gaps.remove(index)
        } else {
            let from = self.end;
            self.end = from.next_multiple_of(size) + size;
            (from, self.end - from)
        };
        let at = offset.next_multiple_of(size);
        self.gap(offset, at);
        self.gap(at + size, offset + length);
    }

    fn gap(&mut self, from: u64, to: u64) {
        if from < to && self.gaps.len() < GAPS_MAX {
            self.gaps.push((from, to - from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(fills_supers: bool) -> Layout {
        Layout { reference: 4, header: 12, array_header: 16, fills_supers }
    }

    fn fields(types: &[Type]) -> Fields {
        let mut fields = Fields::default();
        for of in types {
            fields.add(*of);
        }
        fields
    }

    #[test]
    fn instances_are_as_big_as_hotspot_makes_them() {
        use Type::{Boolean, Byte, Int, Long, Object};
        // own fields of each class from the root down, size before JDK 15, size since; from `jol` and from class histograms
        let cases: [(&[&[Type]], u64, u64); 7] = [
            (&[], 16, 16),
            (&[&[Int]], 16, 16),
            (&[&[Object, Byte, Int, Boolean]], 24, 24),
            (&[&[Long]], 24, 24),
            (&[&[Long, Int]], 24, 24),
            (&[&[Long, Boolean], &[Int]], 32, 32),
            (&[&[Boolean], &[Byte, Byte, Byte]], 24, 16),
        ];
        for (classes, before, since) in cases {
            let size = |layout: Layout| {
                classes.iter().fold(layout.empty(), |shape, own| layout.extended(&shape, &fields(own))).size()
            };
            assert_eq!((size(layout(false)), size(layout(true))), (before, since), "{classes:?}");
        }
    }

    #[test]
    fn neighbours_tell_how_wide_references_and_headers_are() {
        // gaps after an `Object[4]` and after a `byte[4]`, and the layout they prove
        let cases = [((32, 24), (4, 12, 16)), ((48, 24), (8, 12, 16)), ((56, 32), (8, 16, 24)), ((32, 16), (4, 8, 12))];
        for ((after_objects, after_bytes), expected) in cases {
            let mut evidence = Evidence::default();
            evidence.objects(0x1000, 4);
            evidence.primitives(0x1000 + after_objects, 4);
            evidence.instance(0x1000 + after_objects + after_bytes);
            let found = Layout::of(Width::Eight, &evidence, true);
            assert_eq!((found.reference, found.header, found.array_header), expected);
        }
    }

    #[test]
    fn arrays_are_padded_to_eight_bytes() {
        let sizes = [0, 1, 2, 3]
            .map(|n| (layout(true).array_of_references(n), layout(true).array(1, n), layout(true).array(8, n)));
        assert_eq!(sizes, [(16, 16, 16), (24, 24, 24), (24, 24, 32), (32, 24, 40)]);
    }
}
