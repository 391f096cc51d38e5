//! V8 heap snapshots that are none, or only nearly: an error with its place, never a panic, never memory that was not received.

use leakscope_heap::{Heap, analyse, diff};

/// A program with a map of two sessions, and a circle that nothing holds.
const SMALL: &str = r#"{"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count","detachedness"],
"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic"],"string","number","number","number","number"],
"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],
"location_fields":["object_index","script_id","line","column"]},"node_count":8,"edge_count":9},
"nodes":[9,0,1,0,2,0,9,1,3,0,1,0,3,2,5,16,1,0,3,3,7,32,2,0,3,4,9,100,0,0,3,4,11,100,1,0,3,5,13,8,1,0,8,6,15,8,1,2],
"edges":[5,7,12,1,1,6,1,1,12,2,8,18,1,1,24,1,2,30,6,3,24,3,9,42,3,9,36],
"trace_function_infos":[],"trace_tree":[],"samples":[],
"locations":[24,3,10,4],
"strings":["","(GC roots)","global","Map","Session","Loop","<div class=\"x\">","entry","sessions","next"]}"#;

fn everything_asked_of(heap: &Heap<'_>) {
    for node in heap.nodes() {
        let _ = (heap.id(node), heap.name(node), heap.text(node, 10), heap.location(node), heap.distance(node));
        assert!(heap.retained_bytes(node) >= heap.self_bytes(node));
        heap.edges(node);
        heap.retainers(node, 3);
        heap.paths(node, 3);
    }
    heap.suspects(10);
    heap.duplicate_strings(10);
    heap.collections(10);
}

/// What analysing comes to, in words.
fn outcome(bytes: &[u8]) -> String {
    match analyse(bytes, &|_| {}) {
        Ok(heap) => {
            everything_asked_of(&heap);
            format!("{} nodes, {} edges, {} bytes", heap.n_nodes(), heap.n_edges(), heap.total_bytes())
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_small_snapshot_is_a_snapshot() {
    assert_eq!(outcome(SMALL.as_bytes()), "8 nodes, 9 edges, 264 bytes");
}

#[test]
fn a_snapshot_that_ends_at_any_byte_is_an_error() {
    for end in 0..SMALL.len() {
        let found = analyse(&SMALL.as_bytes()[..end], &|_| {}).map(|_| ());
        assert!(found.is_err(), "{end} bytes were taken for a snapshot");
    }
}

#[test]
fn any_flipped_bit_is_an_error_or_a_graph() {
    let mut bytes = SMALL.as_bytes().to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            outcome(&bytes);
            bytes[at] ^= 1 << bit;
        }
    }
}

fn check(from: &str, to: &str, expected: &str) {
    assert!(SMALL.contains(from), "{from}");
    let found = outcome(SMALL.replacen(from, to, 1).as_bytes());
    assert!(found.contains(expected), "{to}: {found}");
}

#[test]
fn what_does_not_fit_is_named() {
    check("\"nodes\":[9,0,1", "\"nodes\":[9,0,x", "expected a number at byte");
    check("9,0,1,0,2,0", "9,0,1,0,2,0,0", "expected `nodes` with 6 numbers each");
    check("9,0,1,0,2", "9,0,1,0,4000000000", "that the nodes count");
    check("5,7,12", "5,7,13", "expected an edge to one of 8 nodes");
    check("5,7,12", "5,7,999999999996", "expected an edge to one of 8 nodes");
    check("5,7,12", "5,77,12", "expected the 78 strings that nodes and edges name");
    check("3,2,5,16", "3,2,5,18446744073709551615", "own bytes of a node");
    check("\"edge_count\",", "\"edges\",", "a field `edge_count` in `node_fields`");
    check("\"node_count\":8", "\"root_index\":600,\"node_count\":8", "expected a root at node 100");
    check("\"strings\":[\"\"", "\"strings\":[1", "expected a string at byte");
    check("{\"snapshot\"", "[\"snapshot\"", "expected a heap snapshot, a heap dump or a profile");
}

#[test]
fn declared_counts_are_not_believed() {
    check("\"node_count\":8", "\"node_count\":1000000000", "8 nodes, 9 edges");
    check("3,4,9,100,0", "3,4,9,100,1000000000", "that the nodes count");
}

#[test]
fn nested_brackets_do_not_end_the_stack() {
    let deep = format!("\"trace_tree\":{}{}", "[".repeat(500_000), "]".repeat(500_000));
    assert_eq!(outcome(SMALL.replacen("\"trace_tree\":[]", &deep, 1).as_bytes()), "8 nodes, 9 edges, 264 bytes");
    let header = SMALL.replacen("\"node_count\":8", &format!("\"x\":{}1{}", "[".repeat(1_000), "]".repeat(1_000)), 1);
    assert!(outcome(header.as_bytes()).contains("expected the header of a snapshot as JSON"));
}

#[test]
fn an_id_that_two_nodes_have_is_found_once() {
    check("3,4,11,100", "3,4,9,100", "8 nodes, 9 edges, 264 bytes");
    let twice = SMALL.replacen("3,4,11,100", "3,4,9,100", 1);
    let compared = diff(&[SMALL.as_bytes(), twice.as_bytes()], &|_, _| {}).unwrap();
    assert_eq!(compared.growth_bytes, 0);
}
