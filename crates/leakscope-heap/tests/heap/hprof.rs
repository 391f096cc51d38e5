//! HPROF dumps of real JVMs: classes, counts and sizes as the JVM's own histogram has them, and who holds what.

#![expect(clippy::disallowed_methods, reason = "starts JVMs and reads their dumps")]
#![expect(clippy::unwrap_used, reason = "what these helpers unwrap are expectations of the tests")]

use std::collections::BTreeMap;

use leakscope_heap::{Edge, EdgeKind, Heap, Node, analyse, diff, histogram};

use crate::fixture;
use crate::jvm::Jvm;

/// Objects and bytes by class, as `jcmd GC.class_histogram` prints them.
type Histogram = BTreeMap<String, (u64, u64)>;

/// ` 1:   500   16000  [Ljava.lang.Object; (java.base@17.0.15)`
pub(crate) fn of_jcmd(text: &str) -> Histogram {
    let mut histogram = Histogram::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [rank, count, bytes, class, ..] = words[..]
            && rank.ends_with(':')
        {
            let entry = histogram.entry(source_name(class)).or_default();
            *entry = (entry.0 + count.parse::<u64>().unwrap(), entry.1 + bytes.parse::<u64>().unwrap());
        }
    }
    histogram
}

/// `[Ljava.lang.Object;` as `java.lang.Object[]`, hidden classes as in dumps.
pub(crate) fn source_name(class: &str) -> String {
    let element = class.trim_start_matches('[');
    let dimensions = class.len() - element.len();
    let name = match (dimensions, element) {
        (0, name) => name,
        (_, "B") => "byte",
        (_, "C") => "char",
        (_, "D") => "double",
        (_, "F") => "float",
        (_, "I") => "int",
        (_, "J") => "long",
        (_, "S") => "short",
        (_, "Z") => "boolean",
        (_, class) => class.trim_start_matches('L').trim_end_matches(';'),
    };
    format!("{}{}", name.replace("/0x", "+0x"), "[]".repeat(dimensions))
}

pub(crate) fn of_dump(bytes: &[u8]) -> Histogram {
    let mut found = Histogram::new();
    for class in histogram(bytes, &|_| {}).unwrap() {
        let entry = found.entry(class.name).or_default();
        *entry = (entry.0 + class.count, entry.1 + class.self_bytes);
    }
    found.retain(|_, (count, _)| *count > 0);
    found
}

/// The object that a static field holds.
fn static_field(heap: &Heap<'_>, class: &str, field: &str) -> Node {
    let name = format!("class {class}");
    let class =
        heap.nodes().find(|&node| heap.class(node).name == "java.lang.Class" && heap.name(node) == name).unwrap();
    let is_it = |edge: &Edge| edge.kind == EdgeKind::Static && edge.name.to_string() == field;
    heap.edges(class).into_iter().find(is_it).unwrap().to
}

#[test]
fn the_histogram_is_that_of_the_jvm() {
    let dump = fixture("heap/tiny-heap.hprof.zst");
    let expected = of_jcmd(&String::from_utf8(fixture("heap/tiny-heap.histogram.txt")).unwrap());
    assert_eq!(expected.len(), 253);
    assert_eq!(of_dump(&dump), expected);
    let heap = analyse(&dump, &|_| {}).unwrap();
    assert_eq!(heap.total_bytes(), expected.values().map(|(_, bytes)| bytes).sum::<u64>());
}

#[test]
fn a_comparison_says_which_capture_is_not_whole() {
    let dump = fixture("heap/tiny-heap.hprof.zst");
    let said = |first: &[u8], last: &[u8]| diff(&[first, last], &|_, _| {}).unwrap().warnings;
    let cut = &dump[..dump.len() - 10_000];
    assert_eq!(said(&dump, &dump), [""; 0]);
    assert!(said(cut, &dump)[0].starts_with("capture 1: "), "{:?}", said(cut, &dump));
    assert!(said(&dump, cut)[0].starts_with("capture 2: "), "{:?}", said(&dump, cut));
}

#[test]
fn static_fields_hold_what_hangs_on_them() {
    let dump = fixture("heap/tiny-heap.hprof.zst");
    let heap = analyse(&dump, &|_| {}).unwrap();
    assert_eq!(heap.warnings(), [] as [&str; 0]);
    let counts = static_field(&heap, "TinyHeap", "COUNTS");
    assert_eq!((heap.name(counts), heap.retained_bytes(counts)), ("long[100]".to_owned(), 16 + 100 * 8));
    let last = static_field(&heap, "TinyHeap", "last");
    assert_eq!((heap.name(last), heap.retained_bytes(last)), ("TinyHeap$Node".to_owned(), 500 * 24));
    let sessions = static_field(&heap, "TinyHeap", "SESSIONS");
    assert_eq!(heap.retained_bytes(sessions), retained_by_definition(&heap, sessions));
    assert_eq!(heap.dominator(sessions).map(|node| heap.name(node)), Some("class TinyHeap".to_owned()));
    let main = heap.nodes().find(|&node| heap.name(node) == "java.lang.Thread \"main\"").unwrap();
    let buffer =
        heap.nodes().find(|&node| heap.name(node) == "byte[4096]" && heap.dominator_path(node).contains(&main));
    assert!(buffer.is_some_and(|buffer| heap.retained_bytes(main) > heap.self_bytes(buffer)));
}

/// The bytes of all that is not reached without `node`, and was before.
fn retained_by_definition(heap: &Heap<'_>, node: Node) -> u64 {
    let reached = |without: Option<Node>| {
        let mut reached = vec![false; heap.n_nodes()];
        let mut stack = vec![heap.root()];
        while let Some(at) = stack.pop() {
            if Some(at) != without && !std::mem::replace(&mut reached[at.0 as usize], true) {
                stack.extend(heap.edges(at).into_iter().filter(|edge| edge.kind != EdgeKind::Weak).map(|edge| edge.to));
            }
        }
        reached
    };
    let (all, left) = (reached(None), reached(Some(node)));
    let lost = heap.nodes().filter(|other| all[other.0 as usize] && !left[other.0 as usize]);
    lost.map(|other| heap.self_bytes(other)).sum()
}

/// A dump, and the histogram before it and after it.
fn dump(jvm: &Jvm, name: &str) -> Option<(Vec<u8>, Histogram, Histogram)> {
    let path = jvm.folder.path().join(name);
    let before = jvm.jcmd(&["GC.class_histogram"])?;
    jvm.jcmd(&["GC.heap_dump", path.to_str()?])?;
    let after = jvm.jcmd(&["GC.class_histogram"])?;
    Some((std::fs::read(path).ok()?, of_jcmd(&before), of_jcmd(&after)))
}

#[test]
fn sizes_are_those_of_the_jvm_whatever_its_collector_and_references() {
    let options: [&[&str]; 4] = [
        // With its archive G1 has objects of classes that were never loaded, which a histogram counts and a dump leaves out.
        &["-XX:+UseG1GC", "-Xshare:off"],
        &["-XX:+UseSerialGC", "-XX:-UseCompressedOops"],
        &["-XX:+UseParallelGC", "-XX:-UseCompressedOops", "-XX:-UseCompressedClassPointers"],
        &["-XX:+UseSerialGC", "-XX:ObjectAlignmentInBytes=8", "-XX:-UseCompressedClassPointers"],
    ];
    for options in options {
        let Some(jvm) = Jvm::run("TinyHeap.java", &fixture("heap/TinyHeap.java"), options, "TinyHeap", "ready") else {
            eprintln!("SKIPPED: no JDK (javac, java, jcmd) is installed, or it does not know {options:?}");
            continue;
        };
        // The JVM's own threads may still be at work: a dump counts when nothing changed around it.
        let settled = (0..20)
            .filter_map(|attempt| dump(&jvm, &format!("{attempt}.hprof")))
            .find(|(_, before, after)| before == after);
        let Some((dump, expected, _)) = settled else {
            eprintln!("SKIPPED: the JVM with {options:?} never rested");
            continue;
        };
        let found = of_dump(&dump);
        let differing: Vec<_> = expected
            .iter()
            .filter(|(class, sizes)| found.get(*class) != Some(sizes))
            .map(|(class, sizes)| (class, sizes, found.get(class)))
            .collect();
        assert_eq!((differing, found.len()), (vec![], expected.len()), "{options:?}: class, expected, found");
        analyse(&dump, &|_| {}).unwrap();
    }
}
