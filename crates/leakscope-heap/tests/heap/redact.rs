//! Captures without their contents: the same figures, and no secret left.

use std::collections::{BTreeMap, BTreeSet};

use leakscope_heap::{Heap, Redacted, analyse, diff, redact};
use serde_json::Value;

use crate::fixture;

fn capture(name: &str) -> Vec<u8> {
    fixture(&format!("heap/{name}"))
}

fn redacted(capture: &[u8]) -> (Vec<u8>, Redacted) {
    let mut copy = Vec::new();
    let redacted = redact(capture, &mut copy).unwrap();
    (copy, redacted)
}

/// All that does not say what is in a string.
fn shape(heap: &Heap<'_>) -> Vec<String> {
    let node = |node| {
        format!(
            "{} {} {} {:?} {:?} {}",
            heap.id(node),
            heap.self_bytes(node),
            heap.retained_bytes(node),
            heap.dominator(node),
            heap.distance(node),
            heap.class(node).name
        )
    };
    let classes = heap.classes().iter().map(|class| format!("{class:?}"));
    // Looked up one by one: the large fixture would take minutes without optimisation.
    let n_contents = if heap.n_nodes() < 200_000 { 50 } else { 0 };
    let repeated =
        heap.duplicate_strings(n_contents).into_iter().map(|string| format!("{} {}", string.count, string.bytes));
    let full = heap.collections(n_contents).into_iter().map(|collection| format!("{collection:?}"));
    let totals = format!("{} {} {}", heap.n_nodes(), heap.n_edges(), heap.total_bytes());
    heap.nodes().map(node).chain(classes).chain(repeated).chain(full).chain([totals]).collect()
}

fn analysis_is_the_same(name: &str) {
    let capture = capture(name);
    let (copy, _) = redacted(&capture);
    let (original, copy) = (analyse(&capture, &|_| {}).unwrap(), analyse(&copy, &|_| {}).unwrap());
    let (original, copy) = (shape(&original), shape(&copy));
    let differs = original.iter().zip(&copy).find(|(original, copy)| original != copy);
    assert_eq!((differs, original.len()), (None, copy.len()));
}

#[test]
fn a_redacted_snapshot_of_node_20_has_the_same_figures() {
    analysis_is_the_same("tiny-3.heapsnapshot.zst");
}

#[test]
fn a_redacted_snapshot_of_node_24_has_the_same_figures() {
    analysis_is_the_same("s-n24-3.heapsnapshot.zst");
}

#[test]
fn a_redacted_dump_has_the_same_figures() {
    analysis_is_the_same("tiny-heap.hprof.zst");
}

/// Strings of a dump by id, with how long they are.
fn strings(heap: &Heap<'_>) -> BTreeMap<u64, (String, usize)> {
    let text = |node| heap.text(node, 1_000).map(|text| (heap.id(node), (text.clone(), text.encode_utf16().count())));
    heap.nodes().filter_map(text).collect()
}

#[test]
fn strings_of_a_redacted_dump_are_as_long_as_alike_and_say_nothing() {
    let capture = capture("tiny-heap.hprof.zst");
    let (copy, replaced) = redacted(&capture);
    assert_eq!(copy.len(), capture.len());
    assert!(replaced.strings > 1_000 && replaced.values > 1_000, "{replaced:?}");
    let before = strings(&analyse(&capture, &|_| {}).unwrap());
    let after = strings(&analyse(&copy, &|_| {}).unwrap());
    assert_eq!(before.len(), after.len());
    let (mut to, mut from) = (BTreeMap::new(), BTreeMap::new());
    for ((id, (text, length)), (other, (filler, filler_length))) in before.iter().zip(&after) {
        assert_eq!((id, length), (other, filler_length), "{text} {filler}");
        assert_eq!(*to.entry(text).or_insert(filler), filler, "of {text}");
        assert_eq!(*from.entry(filler).or_insert(text), text, "of {filler}");
        // Texts of zeros and nothing are left.
        assert!(text.len() < 3 || text != filler || text.chars().all(|c| c == '\0'), "{text} is left");
    }
    let holds = |bytes: &[u8], text: &[u8]| memmem(bytes, text);
    for secret in ["user-1", "java.class.path"] {
        assert_eq!((holds(&capture, secret.as_bytes()), holds(&copy, secret.as_bytes())), (true, false), "{secret}");
    }
}

fn memmem(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|part| part == text)
}

#[test]
fn redacted_snapshots_have_the_same_suspects() {
    let names = ["tiny-1", "tiny-2", "tiny-3"].map(|name| capture(&format!("{name}.heapsnapshot.zst")));
    let copies = names.each_ref().map(|capture| redacted(capture).0);
    let findings = |captures: [&[u8]; 3]| diff(&captures, &|_, _| {}).unwrap().findings;
    let original = findings(names.each_ref().map(Vec::as_slice));
    assert!(!original.is_empty());
    assert_eq!(findings(copies.each_ref().map(Vec::as_slice)), original);
}

#[test]
fn what_is_redacted_twice_is_as_what_is_redacted_once() {
    for name in ["tiny-1.heapsnapshot.zst", "s-n24-1.heapsnapshot.zst", "tiny-heap.hprof.zst"] {
        let (once, replaced) = redacted(&capture(name));
        assert!(replaced.strings > 1_000, "{replaced:?}");
        assert!(redacted(&once).0 == once, "{name}");
    }
}

/// The texts of a snapshot that are contents of strings and nothing else.
fn contents(snapshot: &Value) -> BTreeSet<&str> {
    let meta = &snapshot["snapshot"]["meta"];
    let words = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let numbers = |section: &str| -> Vec<usize> {
        snapshot[section].as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
    };
    let texts: Vec<&str> = snapshot["strings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let (node_types, edge_types) = (words(&meta["node_types"][0]), words(&meta["edge_types"][0]));
    let n_fields = words(&meta["node_fields"]).len();
    let (mut contents, mut names) = (BTreeSet::new(), BTreeSet::new());
    for node in numbers("nodes").chunks(n_fields) {
        let kind = node_types[node[0]].as_str();
        let holds = ["string", "concatenated string", "sliced string", "number", "bigint", "regexp", "symbol"];
        if holds.contains(&kind) {
            contents.insert(node[1])
        } else {
            names.insert(node[1])
        };
    }
    for edge in numbers("edges").chunks(3) {
        if !["element", "hidden"].contains(&edge_types[edge[0]].as_str()) {
            names.insert(edge[1]);
        }
    }
    contents.difference(&names).map(|index| texts[*index]).collect()
}

#[test]
fn no_text_that_is_contents_alone_is_left() {
    for name in ["tiny-3.heapsnapshot.zst", "s-n24-1.heapsnapshot.zst"] {
        let capture = capture(name);
        let (copy, _) = redacted(&capture);
        let (snapshot, copy): (Value, Value) =
            (serde_json::from_slice(&capture).unwrap(), serde_json::from_slice(&copy).unwrap());
        let left: BTreeSet<&str> = copy["strings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let secrets = contents(&snapshot);
        let kept: Vec<&str> = secrets.iter().copied().filter(|text| text.len() >= 8 && left.contains(text)).collect();
        assert_eq!(kept, ["(concatenated string)", "(sliced string)", "heap number"], "{name}");
        assert!(secrets.len() > 5_000, "{name}");
        assert!(secrets.iter().any(|text| text.starts_with("cust-")), "the fixture holds customers");
    }
}

#[test]
fn a_snapshot_that_ends_too_soon_is_refused_before_anything_is_written() {
    let capture = capture("tiny-1.heapsnapshot.zst");
    for end in [0, 1, 100, capture.len() / 2, capture.len() - 1] {
        let mut copy = Vec::new();
        let error = redact(&capture[..end], &mut copy).unwrap_err().to_string();
        assert!(copy.is_empty() && error.starts_with("expected "), "{error}");
    }
}

#[test]
fn a_dump_that_ends_too_soon_is_redacted_as_far_as_it_goes() {
    let capture = capture("tiny-heap.hprof.zst");
    let (whole, _) = redacted(&capture);
    for end in [capture.len() / 3 * 2, capture.len() / 4 * 3 + 1, capture.len() - 13, capture.len() - 1] {
        let (copy, _) = redacted(&capture[..end]);
        assert_eq!(copy.len(), end);
        // Fillers count what they have seen, so that all before the cut is as in the whole; the cut record says nothing.
        let same = copy.iter().zip(&whole).take_while(|(copy, whole)| copy == whole).count();
        assert!(copy[same..].iter().all(|byte| *byte == 0), "cut at {end}, differs at {same}");
    }
    let mut none = Vec::new();
    let error = redact(&capture[..31], &mut none).unwrap_err().to_string();
    assert!(none.is_empty() && error.starts_with("expected a heap dump record at byte 31"), "{error}");
}

#[test]
fn a_writer_that_fails_is_named() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = redact(&capture("tiny-1.heapsnapshot.zst"), &mut Full).unwrap_err();
    assert_eq!(error.to_string(), "the redacted copy cannot be written: no storage space");
}
