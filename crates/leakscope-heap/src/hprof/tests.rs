//! What a dump must say, over dumps made by hand.

use super::testing::{
    BYTE, DumpBuilder, INT, OBJECT, OBJECT_CLASS, OBJECTS_CLASS, REGISTRY_CLASS, SESSION_CLASS, STRING_CLASS,
    THREAD_CLASS, WEAK_CLASS, with_classes,
};
use super::{analyse, histogram};
use crate::dominators::tests::by_definition;
use crate::heap::{Edge, EdgeKind, Heap, Node};
use proptest::prelude::*;

fn heap(bytes: &[u8]) -> Heap<'_> {
    analyse(bytes, &|_| {}).unwrap()
}

fn at(heap: &Heap<'_>, id: u64) -> Node {
    heap.find(id).unwrap()
}

/// Kind, name and target of each edge.
fn edges(heap: &Heap<'_>, id: u64) -> Vec<(EdgeKind, String, u64)> {
    let tell = |edge: Edge| (edge.kind, edge.name.to_string(), heap.id(edge.to));
    heap.edges(at(heap, id)).into_iter().map(tell).collect()
}

/// A thread whose frame holds a session, a weak reference to another, a string, a list of sessions in a static field.
fn example(wide: bool) -> DumpBuilder {
    let mut dump = with_classes(wide, 0x2000);
    dump.objects(0x2000, OBJECTS_CLASS, &[0x2100, 0, 0x2200]);
    dump.instance(0x2100, SESSION_CLASS, &[(OBJECT, 0x2200), (INT, 5), (OBJECT, 0x2300)]);
    dump.instance(0x2200, SESSION_CLASS, &[(OBJECT, 0), (INT, 6), (OBJECT, 0x2300)]);
    dump.instance(0x2300, STRING_CLASS, &[(OBJECT, 0x2400), (BYTE, 0)]);
    dump.bytes(0x2400, b"alice");
    dump.instance(0x2500, THREAD_CLASS, &[(OBJECT, 0x2600)]);
    dump.instance(0x2600, STRING_CLASS, &[(OBJECT, 0x2700), (BYTE, 1)]);
    dump.bytes(0x2700, &[0xe4, 0, b'1', 0]);
    dump.instance(0x2800, SESSION_CLASS, &[(OBJECT, 0), (INT, 7), (OBJECT, 0)]);
    dump.instance(0x2900, WEAK_CLASS, &[(OBJECT, 0x2a00), (OBJECT, 0x2200)]);
    dump.instance(0x2a00, SESSION_CLASS, &[(OBJECT, 0), (INT, 8), (OBJECT, 0)]);
    dump.record(0x08, 0x2500, &[0, 0, 0, 3, 0, 0, 0, 9]);
    dump.record(0x03, 0x2800, &[0, 0, 0, 3, 0, 0, 0, 0]);
    dump.record(0x05, OBJECT_CLASS, &[]);
    dump.record(0x07, 0x2900, &[]);
    let (method, signature, file) = (dump.string("run"), dump.string("()V"), dump.string("Worker.java"));
    dump.named(0x9000, "com/acme/Worker", 4);
    let ids = |ids: &[u64]| -> Vec<u8> { ids.iter().flat_map(|&id| dump.value(OBJECT, id)).collect() };
    let frame = [ids(&[0x77, method, signature, file]), vec![0, 0, 0, 4, 0, 0, 0, 31]].concat();
    let trace = [vec![0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 1], ids(&[0x77])].concat();
    dump.outer(0x04, &frame);
    dump.outer(0x05, &trace);
    dump
}

#[test]
fn objects_have_the_names_that_people_know() {
    for wide in [true, false] {
        let bytes = example(wide).finish();
        let heap = heap(&bytes);
        assert_eq!(heap.warnings(), [] as [&str; 0]);
        let cases = [
            (REGISTRY_CLASS, "class com.acme.SessionRegistry"),
            (0x2000, "java.lang.Object[3]"),
            (0x2100, "com.acme.Session"),
            (0x2300, "\"alice\""),
            (0x2400, "byte[5]"),
            (0x2500, "java.lang.Thread \"ä1\""),
        ];
        for (id, name) in cases {
            assert_eq!(heap.name(at(&heap, id)), name);
            assert_eq!(heap.id(at(&heap, id)), id);
        }
        assert_eq!(heap.name(heap.root()), "(GC roots)");
        assert_eq!((heap.text(at(&heap, 0x2300), 3), heap.text(at(&heap, 0x2100), 3)), (Some("ali".to_owned()), None));
        assert_eq!(heap.find(0x2008), None);
    }
}

#[test]
fn references_have_the_names_of_their_fields_and_weak_ones_come_last() {
    use EdgeKind::{Element, Field, Root, Static, Variable, Weak};
    for wide in [true, false] {
        let bytes = example(wide).finish();
        let heap = heap(&bytes);
        let named = |edges: &[(EdgeKind, &str, u64)]| -> Vec<_> {
            edges.iter().map(|(kind, name, to)| (*kind, (*name).to_owned(), *to)).collect()
        };
        assert_eq!(edges(&heap, 0x2000), named(&[(Element, "[0]", 0x2100), (Element, "[2]", 0x2200)]));
        assert_eq!(edges(&heap, 0x2100), named(&[(Field, "next", 0x2200), (Field, "user", 0x2300)]));
        assert_eq!(edges(&heap, REGISTRY_CLASS), named(&[(Static, "SESSIONS", 0x2000)]));
        assert_eq!(edges(&heap, 0x2900), named(&[(Field, "queue", 0x2200), (Weak, "referent", 0x2a00)]));
        let local = "local variable in com.acme.Worker.run(Worker.java:31)";
        assert_eq!(edges(&heap, 0x2500), named(&[(Field, "name", 0x2600), (Variable, local, 0x2800)]));
        let roots: Vec<(String, u64)> =
            heap.edges(heap.root()).iter().map(|edge| (edge.name.to_string(), heap.id(edge.to))).collect();
        assert!(heap.edges(heap.root()).iter().all(|edge| edge.kind == Root));
        for (kind, id) in
            [("system class", OBJECT_CLASS), ("class", REGISTRY_CLASS), ("thread", 0x2500), ("busy monitor", 0x2900)]
        {
            assert_eq!(roots.iter().filter(|root| **root == (kind.to_owned(), id)).count(), 1, "{kind}");
        }
        assert_eq!(roots.len(), 10);
        for node in heap.nodes() {
            let strong: Vec<u32> =
                heap.edges(node).iter().filter(|edge| edge.kind != Weak).map(|edge| edge.to.0).collect();
            assert_eq!(heap.graph.targets(node.0), strong, "{}", heap.name(node));
        }
    }
}

#[test]
fn what_static_fields_and_frames_hold_is_held_by_class_and_thread() {
    let bytes = example(true).finish();
    let heap = heap(&bytes);
    let dominator = |id: u64| heap.dominator(at(&heap, id)).map(|node| heap.id(node));
    let cases = [
        (REGISTRY_CLASS, 0),
        (0x2000, REGISTRY_CLASS),
        (0x2100, 0x2000),
        (0x2200, 0),
        (0x2300, 0),
        (0x2400, 0x2300),
        (0x2800, 0x2500),
        (0x2a00, 0),
    ];
    for (id, expected) in cases {
        assert_eq!(dominator(id), Some(expected), "{id:#x}");
    }
    let distance = |id: u64| heap.distance(at(&heap, id));
    assert_eq!(
        [REGISTRY_CLASS, 0x2000, 0x2100, 0x2400, 0x2a00].map(distance),
        [Some(1), Some(2), Some(3), Some(4), None]
    );
    let sessions = heap.classes().iter().find(|class| class.name == "com.acme.Session").unwrap();
    assert_eq!((sessions.count, sessions.self_bytes), (4, 4 * 40));
}

#[test]
fn a_histogram_is_that_of_the_analysis() {
    for wide in [true, false] {
        let bytes = example(wide).finish();
        let heap = heap(&bytes);
        let classes = histogram(&bytes, &|_| {}).unwrap();
        for (class, analysed) in classes.iter().zip(heap.classes()) {
            let nodes = || heap.nodes().filter(|&node| node != heap.root() && heap.class(node).name == class.name);
            let bytes: u64 = nodes().map(|node| heap.self_bytes(node)).sum();
            assert_eq!((class.count, class.self_bytes), (nodes().count() as u64, bytes), "{}", class.name);
            assert_eq!(
                (&class.name, class.count, class.self_bytes),
                (&analysed.name, analysed.count, analysed.self_bytes)
            );
        }
        assert_eq!(heap.total_bytes(), classes.iter().map(|class| class.self_bytes).sum::<u64>());
    }
}

#[test]
fn a_dump_cut_anywhere_is_read_as_far_as_it_goes() {
    for wide in [true, false] {
        let whole = example(wide).finish();
        for end in 0..whole.len() {
            match analyse(&whole[..end], &|_| {}) {
                Ok(heap) => {
                    assert!(!heap.warnings().is_empty() || end == whole.len() - 9, "cut at {end}");
                    heap.nodes().for_each(|node| _ = (heap.name(node), heap.edges(node), heap.text(node, 9)));
                }
                Err(error) => assert!(error.to_string().contains("expected"), "{error}"),
            }
        }
    }
}

#[test]
fn no_flipped_bit_brings_the_reader_down() {
    let whole = example(true).finish();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(heap) = analyse(&bytes, &|_| {}) {
            heap.nodes().for_each(|node| _ = (heap.name(node), heap.edges(node), heap.text(node, 9)));
        }
    }
}

#[test]
fn lengths_and_counts_that_lie_are_not_believed() {
    let claims: [(&str, fn(&mut DumpBuilder)); 6] = [
        ("instance", |dump| dump.record(0x21, 0x3000, &[[0; 12].as_slice(), &[0x3b, 0x9a, 0xca, 0]].concat())),
        ("array", |dump| dump.record(0x22, 0x3000, &[0, 0, 0, 0, 0x3b, 0x9a, 0xca, 0, 0, 0, 0, 0, 0, 0, 0x15, 0])),
        ("bytes", |dump| dump.record(0x23, 0x3000, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 8])),
        ("longs", |dump| dump.record(0x23, 0x3000, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 11])),
        ("type", |dump| dump.record(0x23, 0x3000, &[0, 0, 0, 0, 0, 0, 0, 1, 99, 0])),
        ("tag", |dump| dump.record(0x66, 0x3000, &[])),
    ];
    for (what, claim) in claims {
        let mut dump = example(true);
        claim(&mut dump);
        let bytes = dump.finish();
        let heap = heap(&bytes);
        assert_eq!((heap.n_nodes(), heap.warnings().len()), (20, 1), "{what}: {:?}", heap.warnings());
        assert!(heap.warnings()[0].contains("the record at byte"), "{:?}", heap.warnings());
    }
}

#[test]
fn heap_records_without_a_true_length_are_read() {
    for (tag, claimed) in [(0x0c, Some(0)), (0x0c, Some(u32::MAX)), (0x1c, Some(17)), (0x1c, Some(0)), (0x0c, None)] {
        let mut dump = example(true);
        dump.segment(tag, claimed);
        dump.instance(0x4000, SESSION_CLASS, &[(OBJECT, 0x2100), (INT, 5), (OBJECT, 0)]);
        let bytes = dump.finish();
        let heap = heap(&bytes);
        assert_eq!((heap.n_nodes(), heap.warnings()), (21, &[] as &[String]), "{tag:#x} {claimed:?}");
    }
}

#[test]
fn an_id_of_two_objects_is_the_last_and_said() {
    let mut dump = example(true);
    dump.instance(0x2100, SESSION_CLASS, &[(OBJECT, 0x2300), (INT, 5), (OBJECT, 0)]);
    dump.objects(0x2200, OBJECTS_CLASS, &[0x2300, 0x2300, 0x2300]);
    dump.bytes(0x2000, b"");
    let bytes = dump.finish();
    let heap = heap(&bytes);
    assert_eq!(heap.warnings(), ["3 objects have the id of another; the last of each counts"]);
    assert_eq!(edges(&heap, 0x2100), [(EdgeKind::Field, "next".to_owned(), 0x2300)]);
    assert_eq!((edges(&heap, 0x2200).len(), edges(&heap, 0x2000).len()), (3, 0));
    assert_eq!(heap.graph.targets(at(&heap, 0x2200).0).len(), 3);
    assert_eq!(heap.name(at(&heap, 0x2000)), "byte[0]");
}

#[test]
fn what_is_not_in_the_dump_is_left_out() {
    let mut dump = with_classes(true, 0x5550);
    dump.instance(0x2000, 0x6660, &[(OBJECT, 0x2000)]);
    dump.objects(0x2100, OBJECTS_CLASS, &[0x5550, 0x2000, 0x5558, u64::MAX]);
    dump.record(0xff, 0x5550, &[]);
    dump.named(0x7770, "com/acme/Never", 0);
    dump.instance(0x2200, 0x7770, &[]);
    let bytes = dump.finish();
    let heap = heap(&bytes);
    assert_eq!(heap.warnings(), ["5 references and roots are to objects that the dump does not have"]);
    assert_eq!(edges(&heap, 0x2100), [(EdgeKind::Element, "[1]".to_owned(), 0x2000)]);
    assert_eq!(edges(&heap, 0x2000), []);
    assert_eq!(
        (heap.name(at(&heap, 0x2000)), heap.name(at(&heap, 0x2200))),
        ("(class 0x6660)".to_owned(), "com.acme.Never".to_owned())
    );
}

#[test]
fn super_classes_in_a_circle_end() {
    let mut dump = DumpBuilder::new(true);
    dump.class(0x1000, "A", 0x1100, &[], &[("a", OBJECT, 0)]);
    dump.class(0x1100, "B", 0x1000, &[], &[("b", OBJECT, 0)]);
    dump.class(0x1200, "C", 0x1200, &[], &[]);
    dump.instance(0x2000, 0x1000, &[(OBJECT, 0x2000), (OBJECT, 0x2000), (OBJECT, 0x2000), (OBJECT, 0x2000)]);
    dump.instance(0x2100, 0x1200, &[(OBJECT, 0x2000)]);
    let bytes = dump.finish();
    let heap = heap(&bytes);
    let node = at(&heap, 0x2000);
    assert_eq!(heap.edges(node).len(), heap.graph.targets(node.0).len());
}

#[test]
fn collections_say_how_many_entries_they_have() {
    let mut dump = with_classes(true, 0);
    let classes: [(u64, &str, &[(&str, u8, u64)]); 5] = [
        (0x3000, "java/util/HashMap", &[("table", OBJECT, 0), ("size", INT, 0)]),
        (0x3100, "java/util/ArrayDeque", &[("elements", OBJECT, 0), ("head", INT, 0), ("tail", INT, 0)]),
        (0x3200, "java/util/Collections$UnmodifiableMap", &[("m", OBJECT, 0)]),
        (0x3300, "java/util/concurrent/ConcurrentLinkedQueue", &[("head", OBJECT, 0)]),
        (0x3400, "java/util/concurrent/ConcurrentLinkedQueue$Node", &[("item", OBJECT, 0), ("next", OBJECT, 0)]),
    ];
    for (id, name, fields) in classes {
        dump.class(id, name, OBJECT_CLASS, &[], fields);
    }
    dump.class(0x3500, "com/acme/LruMap", 0x3000, &[], &[("limit", INT, 0)]);
    dump.objects(0x4000, OBJECTS_CLASS, &[0; 16]);
    dump.instance(0x4100, 0x3000, &[(OBJECT, 0x4000), (INT, 5)]);
    dump.instance(0x4200, 0x3500, &[(INT, 100), (OBJECT, 0x4000), (INT, 7)]);
    dump.instance(0x4300, 0x3100, &[(OBJECT, 0x4000), (INT, 14), (INT, 3)]);
    dump.instance(0x4400, 0x3200, &[(OBJECT, 0x4200)]);
    dump.instance(0x4500, 0x3300, &[(OBJECT, 0x4600)]);
    dump.instance(0x4600, 0x3400, &[(OBJECT, 0), (OBJECT, 0x4700)]);
    dump.instance(0x4700, 0x3400, &[(OBJECT, 0x4000), (OBJECT, 0)]);
    dump.instance(0x4800, 0x3200, &[(OBJECT, 0x4800)]);
    let bytes = dump.finish();
    let heap = heap(&bytes);
    let cases = [
        (0x4100, Some((5, Some(16)))),
        (0x4200, Some((7, Some(16)))),
        (0x4300, Some((5, Some(16)))),
        (0x4400, Some((7, Some(16)))),
        (0x4500, Some((1, None))),
        (0x4800, None),
    ];
    for (id, expected) in cases {
        assert_eq!(heap.detail.entries(&heap.graph, at(&heap, id).0), expected, "{id:#x}");
    }
}

#[test]
fn headers_of_no_dump_are_refused() {
    let cases: [(&[u8], &str); 5] = [
        (b"JAVA PROFILE 1.0.2", "expected `JAVA PROFILE 1.0.2` and a zero byte at byte 0, found `JAVA PROFILE 1.0.2`"),
        (b"JAVA PROFILE 1.0.2\0\0\0", "expected the size of ids at byte 19, found the end"),
        (b"JAVA PROFILE 1.0.2\0\0\0\0\x02", "expected ids of 4 or 8 bytes at byte 19, found 2"),
        (b"JAVA PROFILE 1.0.1\0\0\0\0\x08", "expected the time of the dump at byte 23, found the end"),
        (b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0\0\0\0\0\0\0", "expected a heap dump record at byte 31, found the end"),
    ];
    for (bytes, error) in cases {
        assert_eq!(analyse(bytes, &|_| {}).unwrap_err().to_string(), error);
    }
}

/// A dump of `n` sessions as arrays with these references, of which `roots` are roots.
fn random_dump(n: usize, edges: &[(usize, usize)], roots: &[usize], step: u64) -> Vec<u8> {
    let mut dump = DumpBuilder::new(true);
    dump.named(OBJECTS_CLASS, "[Ljava/lang/Object;", 0);
    let id = |node: usize| 0x8000_0000 + node as u64 * step;
    for node in 0..n {
        let targets: Vec<u64> = edges.iter().filter(|edge| edge.0 == node).map(|edge| id(edge.1)).collect();
        dump.objects(id(node), OBJECTS_CLASS, &targets);
        if node % 7 == 6 {
            dump.segment(0x1c, None);
        }
    }
    for &root in roots {
        dump.record(0x05, id(root), &[]);
    }
    dump.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn retained_sizes_and_dominators_are_those_of_the_definition(
        (n, edges, roots, step) in (1_usize..20).prop_flat_map(|n| {
            (Just(n), prop::collection::vec((0..n, 0..n), 0..50), prop::collection::vec(0..n, 0..4), prop::sample::select(vec![8_u64, 24, 4096, 1 << 33, 3]))
        })
    ) {
        let bytes = random_dump(n, &edges, &roots, step);
        let heap = heap(&bytes);
        prop_assert_eq!(heap.n_nodes(), n + 1);
        prop_assert_eq!(&heap.dominators, &by_definition(&heap.graph, 0));
        for node in heap.nodes().skip(1) {
            let dominated = |other: &Node| std::iter::successors(Some(*other), |&at| heap.dominator(at)).any(|at| at == node);
            let bytes: u64 = heap.nodes().filter(dominated).map(|other| heap.self_bytes(other)).sum();
            prop_assert_eq!(heap.retained_bytes(node), bytes);
        }
        let all: u64 = heap.nodes().map(|node| heap.self_bytes(node)).sum();
        prop_assert_eq!((heap.total_bytes(), heap.retained_bytes(heap.root())), (all, all));
    }
}
