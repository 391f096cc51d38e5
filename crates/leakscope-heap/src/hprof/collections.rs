//! How many entries the collections of the JDK have, and places for how many: read from their fields.

use crate::hprof::dump::{Dump, Record, Value, elements_of};

/// Links of a chain that are followed before it is left uncounted: each is looked up in the dump.
const CHAIN_MAX: u64 = 20_000;
/// Collections within collections that are followed.
const DEPTH_MAX: usize = 8;

/// Where a collection says how much is in it.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A field with the number of entries, and the array of places for them, if there is one.
    Counted(&'static str, Option<&'static str>),
    /// As `Counted`, with two places in the array for each entry.
    Paired(&'static str, &'static str),
    /// A field with an `AtomicInteger` of the number of entries.
    Atomic(&'static str),
    /// An array that is always full.
    Full(&'static str),
    /// An array used as a ring, between the fields `head` and `tail`.
    Ring(&'static str),
    /// `baseCount` and the values of `counterCells`; the array of places is `table`.
    Striped,
    /// A field with the first of a chain of `next`, each with an `item`.
    Chain(&'static str),
    /// A field with another collection, which this one is a face of.
    Face(&'static str),
}

/// By class; subclasses are as the nearest above them.
///
/// Source: `OpenJDK` 8 to 25, `java.util` and `java.util.concurrent`.
const SHAPES: [(&str, Shape); 43] = [
    ("java.util.ArrayList", Shape::Counted("size", Some("elementData"))),
    ("java.util.LinkedList", Shape::Counted("size", None)),
    ("java.util.ArrayDeque", Shape::Ring("elements")),
    ("java.util.Vector", Shape::Counted("elementCount", Some("elementData"))),
    ("java.util.PriorityQueue", Shape::Counted("size", Some("queue"))),
    ("java.util.HashMap", Shape::Counted("size", Some("table"))),
    ("java.util.TreeMap", Shape::Counted("size", None)),
    ("java.util.Properties", Shape::Face("map")),
    ("java.util.Hashtable", Shape::Counted("count", Some("table"))),
    ("java.util.IdentityHashMap", Shape::Paired("size", "table")),
    ("java.util.WeakHashMap", Shape::Counted("size", Some("table"))),
    ("java.util.EnumMap", Shape::Counted("size", Some("vals"))),
    ("java.util.HashSet", Shape::Face("map")),
    ("java.util.TreeSet", Shape::Face("m")),
    ("java.util.TreeMap$KeySet", Shape::Face("m")),
    ("java.util.Arrays$ArrayList", Shape::Full("a")),
    ("java.util.ImmutableCollections$ListN", Shape::Full("elements")),
    ("java.util.ImmutableCollections$SetN", Shape::Counted("size", Some("elements"))),
    ("java.util.ImmutableCollections$MapN", Shape::Paired("size", "table")),
    ("java.util.Collections$SetFromMap", Shape::Face("m")),
    ("java.util.Collections$SynchronizedCollection", Shape::Face("c")),
    ("java.util.Collections$SynchronizedMap", Shape::Face("m")),
    ("java.util.Collections$UnmodifiableCollection", Shape::Face("c")),
    ("java.util.Collections$UnmodifiableMap", Shape::Face("m")),
    ("java.util.Collections$CheckedCollection", Shape::Face("c")),
    ("java.util.Collections$CheckedMap", Shape::Face("m")),
    ("java.util.concurrent.ConcurrentHashMap", Shape::Striped),
    ("java.util.concurrent.ConcurrentHashMap$CollectionView", Shape::Face("map")),
    ("java.util.concurrent.ConcurrentSkipListSet", Shape::Face("m")),
    ("java.util.concurrent.CopyOnWriteArrayList", Shape::Full("array")),
    ("java.util.concurrent.CopyOnWriteArraySet", Shape::Face("al")),
    ("java.util.concurrent.ArrayBlockingQueue", Shape::Counted("count", Some("items"))),
    ("java.util.concurrent.LinkedBlockingQueue", Shape::Atomic("count")),
    ("java.util.concurrent.LinkedBlockingDeque", Shape::Counted("count", None)),
    ("java.util.concurrent.PriorityBlockingQueue", Shape::Counted("size", Some("queue"))),
    ("java.util.concurrent.DelayQueue", Shape::Face("q")),
    ("java.util.concurrent.ScheduledThreadPoolExecutor$DelayedWorkQueue", Shape::Counted("size", Some("queue"))),
    ("java.util.concurrent.ConcurrentLinkedQueue", Shape::Chain("head")),
    ("java.util.concurrent.ConcurrentLinkedDeque", Shape::Chain("head")),
    ("java.util.concurrent.ConcurrentHashMap$KeySetView", Shape::Face("map")),
    ("java.util.concurrent.LinkedTransferQueue", Shape::Chain("head")),
    ("java.lang.ThreadLocal$ThreadLocalMap", Shape::Counted("size", Some("table"))),
    ("java.util.Timer$TaskQueue", Shape::Counted("size", Some("queue"))),
];

impl Dump<'_> {
    /// Entries of a collection, and places for entries where it has a table; none for what is none of the JDK's.
    pub(crate) fn collection(&self, node: u32) -> Option<(u64, Option<u64>)> {
        self.entries_by_shape(self.record(node)?, DEPTH_MAX)
    }

    fn entries_by_shape(&self, record: Record<'_>, depth: usize) -> Option<(u64, Option<u64>)> {
        let Record::Instance { class, .. } = record else { return None };
        let shape = self.classes.line(class).find_map(|class| shape_of(&self.classes.infos[class as usize].name))?;
        let count = |field: &str| self.whole(&record, field).map(|count| count.max(0) as u64);
        let places = |field: &str| self.referred(&record, field).and_then(|array| self.length(&array));
        match shape {
            Shape::Counted(size, table) => Some((count(size)?, table.map(|table| places(table).unwrap_or(0)))),
            Shape::Paired(size, table) => Some((count(size)?, Some(places(table).unwrap_or(0) / 2))),
            Shape::Atomic(field) => Some((self.whole(&self.referred(&record, field)?, "value")?.max(0) as u64, None)),
            Shape::Full(array) => {
                let n = places(array)?;
                Some((n, Some(n)))
            }
            Shape::Ring(array) => {
                let n = places(array)? as i64;
                let used = self.whole(&record, "tail")? - self.whole(&record, "head")?;
                (n > 0).then(|| (used.rem_euclid(n) as u64, Some(n as u64)))
            }
            Shape::Striped => {
                let base = self.whole(&record, "baseCount")?;
                Some((base.saturating_add(self.cells(&record)).max(0) as u64, Some(places("table").unwrap_or(0))))
            }
            Shape::Chain(head) => Some((self.chain(&record, head)?, None)),
            Shape::Face(field) => self.entries_by_shape(self.referred(&record, field)?, depth.checked_sub(1)?),
        }
    }

    fn length(&self, array: &Record<'_>) -> Option<u64> {
        match array {
            Record::Objects { elements, .. } => Some((elements.len() / self.strings.width.bytes()) as u64),
            Record::Primitives { n, .. } => Some(u64::from(*n)),
            Record::Instance { .. } => None,
        }
    }

    fn cells(&self, record: &Record<'_>) -> i64 {
        let Some(Record::Objects { elements, .. }) = self.referred(record, "counterCells") else { return 0 };
        let cells = elements_of(elements, self.strings.width).take(CHAIN_MAX as usize);
        cells.filter_map(|(_, id)| self.whole(&self.record_of(id)?, "value")).fold(0, i64::saturating_add)
    }

    fn chain(&self, record: &Record<'_>, head: &str) -> Option<u64> {
        let mut n = 0;
        let mut at = self.referred(record, head);
        for _ in 0..CHAIN_MAX {
            let Some(link) = at else { return Some(n) };
            n += u64::from(matches!(self.value(&link, "item"), Some(Value::Reference(id)) if id != 0));
            at = self.referred(&link, "next");
        }
        None
    }
}

fn shape_of(class: &str) -> Option<Shape> {
    SHAPES.iter().find(|(name, _)| *name == class).map(|(_, shape)| *shape)
}
