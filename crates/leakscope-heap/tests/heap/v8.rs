//! V8 heap snapshots against Chrome DevTools' engine, node by node.

use std::collections::BTreeMap;

use leakscope_heap::{ClassGrowth, Finding, Heap, analyse, diff};
use serde_json::Value;

use crate::fixture;

fn with_heap(name: &str, test: impl FnOnce(&Heap<'_>)) {
    let bytes = fixture(&format!("heap/{name}.heapsnapshot.zst"));
    test(&analyse(&bytes, &|_| {}).unwrap());
}

/// The distance that DevTools gives to what nothing reaches.
const UNREACHED: i64 = -5;

fn nodes_are_those_of_devtools(name: &str) {
    let rows = String::from_utf8(fixture(&format!("heap/{name}.nodes.csv.zst"))).unwrap();
    with_heap(name, |heap| {
        let mut differences: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        assert_eq!(rows.lines().count() - 1, heap.n_nodes());
        for (node, row) in heap.nodes().zip(rows.lines().skip(1)) {
            let cells: Vec<&str> = row.splitn(9, ',').collect();
            let class = cells[8].trim_matches('"').replace("\"\"", "\"");
            let dominator = heap.dominator(node).unwrap_or(node).0.to_string();
            let distance = heap.distance(node).map_or(UNREACHED, i64::from).to_string();
            let ours = [
                ("id", heap.id(node).to_string(), cells[1]),
                ("self", heap.self_bytes(node).to_string(), cells[4]),
                ("retained", heap.retained_bytes(node).to_string(), cells[5]),
                ("dominator", dominator, cells[6]),
                ("distance", distance, cells[7]),
                ("class", heap.class(node).name.clone(), &class),
            ];
            for (what, ours, theirs) in ours.iter().filter(|(_, ours, theirs)| ours != theirs) {
                differences.entry(what).or_default().push(format!("{row}: {what} {ours}, not {theirs}"));
            }
        }
        let summary: Vec<String> =
            differences.iter().map(|(what, rows)| format!("{} {what}, first {}", rows.len(), rows[0])).collect();
        assert!(summary.is_empty(), "{summary:#?}");
    });
}

#[test]
fn every_node_of_a_small_snapshot_of_node_20_is_as_devtools_has_it() {
    nodes_are_those_of_devtools("tiny-3");
}

#[test]
fn every_node_of_a_snapshot_of_node_24_is_as_devtools_has_it() {
    nodes_are_those_of_devtools("s-n24-3");
}

fn classes_are_those_of_devtools(name: &str) {
    let theirs: Value = serde_json::from_slice(&fixture(&format!("heap/{name}.aggregates.json"))).unwrap();
    let row = |row: &Value| {
        let number = |key: &str| row[key].as_u64().unwrap();
        (row["name"].as_str().unwrap().to_owned(), number("count"), number("self"), number("maxRet"))
    };
    let mut theirs: Vec<_> = theirs.as_array().unwrap().iter().map(row).collect();
    with_heap(name, |heap| {
        let counted = heap.classes().iter().filter(|class| class.count > 0);
        let mut ours: Vec<_> =
            counted.map(|class| (class.name.clone(), class.count, class.self_bytes, class.retained_bytes)).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs);
    });
}

#[test]
fn classes_of_a_snapshot_of_node_20_are_those_of_devtools() {
    classes_are_those_of_devtools("tiny-3");
}

#[test]
fn classes_of_a_snapshot_of_node_24_are_those_of_devtools() {
    classes_are_those_of_devtools("s-n24-3");
}

fn growth_is_that_of_devtools(name: &str) {
    let theirs: Value = serde_json::from_slice(&fixture(&format!("heap/{name}-1-3.diff.json"))).unwrap();
    let row = |row: &Value| {
        let number = |key: &str| row[key].as_u64().unwrap();
        let counts = (number("addedCount"), number("removedCount"), number("addedSize"), number("removedSize"));
        (row["name"].as_str().unwrap().to_owned(), counts)
    };
    let mut theirs: Vec<_> = theirs["rows"].as_array().unwrap().iter().map(row).collect();
    let (first, last) =
        (fixture(&format!("heap/{name}-1.heapsnapshot.zst")), fixture(&format!("heap/{name}-3.heapsnapshot.zst")));
    let diff = diff(&[&first, &last], &|_, _| {}).unwrap();
    let counts = |row: &ClassGrowth| (row.added_count, row.removed_count, row.added_bytes, row.removed_bytes);
    let mut ours: Vec<_> = diff.classes.iter().map(|row| (row.name.clone(), counts(row))).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

#[test]
fn growth_by_class_of_node_20_is_that_of_devtools() {
    growth_is_that_of_devtools("tiny");
}

#[test]
fn growth_by_class_of_node_24_is_that_of_devtools() {
    growth_is_that_of_devtools("s-n24");
}

#[test]
fn two_snapshots_name_all_that_grows_in_their_service_and_no_cache() {
    let captures = ["s-n24-1", "s-n24-3"].map(|name| fixture(&format!("heap/{name}.heapsnapshot.zst")));
    let diff = diff(&[&captures[0], &captures[1]], &|_, _| {}).unwrap();
    let told = |finding: &Finding| {
        let place = finding.suspect.location.as_ref().map(|place| place.line);
        (finding.suspect.title.clone(), place, finding.growth.unwrap().in_every_step)
    };
    let found: Vec<_> = diff.findings.iter().map(told).collect();
    let expected = [
        ("`Session` accumulates in `store.sessions` (Map)", Some(19)),
        ("listeners `onPrice()` of `price` accumulate on `bus`", Some(34)),
        ("`{resolve, order, ctx}` accumulates in `pending` (Array)", Some(20)),
        ("`audit()` accumulates in `auditTrail` (Array)", Some(39)),
        // What the others hold are its keys.
        ("`WeakMap` grows `wm`", None),
    ];
    assert_eq!(found, expected.map(|(title, line)| (title.to_owned(), line, true)));
}

/// The same snapshot with other ids, as V8 gives them after an inspector has left.
fn with_ids_anew(bytes: &[u8]) -> Vec<u8> {
    let mut snapshot: Value = serde_json::from_slice(bytes).unwrap();
    let fields = snapshot["snapshot"]["meta"]["node_fields"].as_array().unwrap();
    let (id, n) = (fields.iter().position(|field| field == "id").unwrap(), fields.len());
    for node in snapshot["nodes"].as_array_mut().unwrap().chunks_mut(n) {
        node[id] = Value::from(node[id].as_u64().unwrap() * 2 + 1_000_001);
    }
    serde_json::to_vec(&snapshot).unwrap()
}

#[test]
fn ids_that_were_given_anew_between_captures_hide_no_growth() {
    let captures = ["tiny-1", "tiny-2", "tiny-3"].map(|name| fixture(&format!("heap/{name}.heapsnapshot.zst")));
    let told = |captures: &[&[u8]]| {
        let diff = diff(captures, &|_, _| {}).unwrap();
        let titles = diff.findings.iter().map(|finding| finding.suspect.title.clone()).collect::<Vec<_>>();
        let sum = |count: fn(&ClassGrowth) -> u64| diff.classes.iter().map(count).sum::<u64>();
        (titles, sum(|class| class.added_count), sum(|class| class.removed_count))
    };
    let [first, second, last] = &captures;
    let (titles, added, removed) = told(&[first, second, last]);
    let (anew, second) = (with_ids_anew(first), with_ids_anew(second));
    let (told_anew, added_anew, removed_anew) = told(&[&anew, &second, last]);
    assert!(!titles.is_empty());
    assert_eq!(told_anew, titles);
    // What is not known by its id is counted by type: no more is added and removed than there was.
    assert!(added_anew <= added && removed_anew <= removed, "{added_anew} {added}, {removed_anew} {removed}");
}
