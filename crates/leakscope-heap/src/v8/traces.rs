//! Where objects were allocated, in snapshots taken while V8 tracked allocations.
//!
//! `trace_tree` is a list of nodes, each four numbers and the list of its children; a node of the graph names one of them by its
//! `trace_node_id`, and the way down to it is the stack. Source: `HeapSnapshotJSONSerializer::SerializeTraceTree`.

use leakscope_model::Frame;

use super::numbers::Records;
use super::snapshot::Snapshot;

/// Frames of a stack that are followed; deeper ones belong to no program that V8 runs.
const DEPTH_MAX: usize = 10_000;

/// The stack by which `node` was allocated, innermost frame first; empty where none was recorded.
pub(super) fn stack(snapshot: &Snapshot<'_>, node: u32) -> Vec<Frame> {
    // Node.js 16 to 22 writes the field of every node, also where nothing was tracked.
    if snapshot.bytes[snapshot.layout.trace_functions.clone()].iter().all(u8::is_ascii_whitespace) {
        return Vec::new();
    }
    let Some(way) =
        snapshot.trace_node(node).and_then(|id| way_to(&snapshot.bytes[snapshot.layout.trace_tree.clone()], id))
    else {
        return Vec::new();
    };
    let layout = &snapshot.layout;
    let places = ["name", "script_name", "line"].map(|field| layout.trace_function.place(field));
    let ([Some(name), Some(script), Some(line)], n_fields) = (places, layout.trace_function.names.len()) else {
        return Vec::new();
    };
    let functions = Records::of(snapshot.bytes, layout.trace_functions.clone(), n_fields, "trace_function_infos");
    let Ok(functions) = functions else { return Vec::new() };
    let text = |index: u64| u32::try_from(index).map(|index| snapshot.strings.text(index)).unwrap_or_default();
    let frame = |&function: &u64| {
        let function = usize::try_from(function).ok().filter(|&function| function < functions.n_records)?;
        let record = functions.record(snapshot.bytes, function);
        let file = text(*record.get(script)?);
        let file = Some(file.strip_prefix("file://").unwrap_or(&file).to_owned()).filter(|file| !file.is_empty());
        // Lines are written from 0, and one less than none as 2^32 - 1.
        let line = u32::try_from(*record.get(line)?).ok().and_then(|line| line.checked_add(1));
        Some(Frame { function: text(*record.get(name)?), file, line })
    };
    way.iter().rev().filter_map(frame).collect()
}

/// The functions on the way down to the node of the tree with this id.
fn way_to(tree: &[u8], id: u64) -> Option<Vec<u64>> {
    let mut way = Vec::new();
    // The numbers of the node that is being read: its id, its function, two counts.
    let mut numbers = Vec::with_capacity(4);
    let mut at = 0;
    while let Some(&byte) = tree.get(at) {
        match byte {
            b'0'..=b'9' => {
                let digits = tree[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = std::str::from_utf8(&tree[at..at + digits]).ok()?.parse().ok()?;
                numbers.push(number);
                at += digits;
                continue;
            }
            // The list of children of the node just read; the first list is the root's.
            b'[' => {
                if let [found, function, ..] = numbers[..] {
                    way.push(function);
                    if found == id {
                        // The root of the tree is no function.
                        return Some(way.split_off(1.min(way.len())));
                    }
                } else if !way.is_empty() {
                    return None;
                }
                numbers.clear();
                if way.len() > DEPTH_MAX {
                    return None;
                }
            }
            b']' => {
                numbers.clear();
                way.pop();
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_node_of_the_tree_is_found() {
        let tree = b"[1,0,0,0,[2,3,1,8,[],4,5,1,8,[6,7,1,8,[]]]]";
        let check = |id, expected: Option<&[u64]>| assert_eq!(way_to(tree, id).as_deref(), expected, "{id}");
        check(1, Some(&[]));
        check(2, Some(&[3]));
        check(4, Some(&[5]));
        check(6, Some(&[5, 7]));
        check(7, None);
        assert_eq!(way_to(b"[1,0,0,0,[2,3", 2), None);
    }
}
