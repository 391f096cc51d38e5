//! Who calls whom, with what is made below each call, as `go tool pprof -tree` and `-peek` have it, nothing trimmed.
//!
//! Source: `newGraph` of `graph.go` in google/pprof.

use std::cmp::{Ordering, Reverse};

use rustc_hash::FxHashMap;

use super::model::Profile;
use super::nodes::{Binaries, Granularity, Nodes};
use super::top::{Order, Row, Sums, compare, row};

/// All that one row calls of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Index into [`CallGraph::rows`].
    pub caller: usize,
    /// Likewise.
    pub callee: usize,
    /// What samples that pass the call have made, each counted once.
    pub value: i64,
    /// Whether the compiler had put all of these calls into the caller.
    pub is_inlined: bool,
}

/// Rows and the calls between them, of samples that have a value in one column.
#[derive(Clone, Debug)]
pub struct CallGraph {
    /// As [`super::top`] has them, those without values included.
    pub rows: Vec<Row>,
    /// Each pair of caller and callee once.
    pub calls: Vec<Call>,
    column: usize,
    /// Calls to each row and from it, as indices, the largest first.
    callers: Vec<Vec<u32>>,
    callees: Vec<Vec<u32>>,
}

/// Who calls whom in one column of a profile. A row that calls itself is no call.
///
/// O(frames of all stacks), with one look-up for each.
pub fn call_graph(profile: &Profile, granularity: Granularity, column: usize) -> CallGraph {
    let nodes = Nodes::of(profile, granularity, Binaries::Merged);
    let sums = Sums::of(profile, &nodes);
    let rows: Vec<Row> = (0..nodes.len()).map(|number| row(profile, &nodes, &sums, number)).collect();
    let calls = calls(profile, &nodes, column);
    let mut callers = vec![Vec::new(); rows.len()];
    let mut callees = vec![Vec::new(); rows.len()];
    for (index, call) in calls.iter().enumerate() {
        callers[call.callee].push(index as u32);
        callees[call.caller].push(index as u32);
    }
    let rank = |a: u32, b: u32| by_size(&rows, &calls[a as usize], &calls[b as usize]);
    for list in callers.iter_mut().chain(&mut callees) {
        list.sort_unstable_by(|a, b| rank(*a, *b));
    }
    CallGraph { rows, calls, column, callers, callees }
}

impl CallGraph {
    /// Rows with values in the column, the largest first, as indices.
    pub fn ranked(&self, order: Order) -> Vec<usize> {
        let has_value = |row: &usize| self.rows[*row].flat[self.column] != 0 || self.rows[*row].cum[self.column] != 0;
        let mut ranked: Vec<usize> = (0..self.rows.len()).filter(has_value).collect();
        ranked.sort_by(|a, b| compare(&self.rows[*a], &self.rows[*b], self.column, order));
        ranked
    }

    /// Calls to a row, the largest first.
    pub fn callers(&self, row: usize) -> impl Iterator<Item = &Call> {
        self.callers[row].iter().map(|index| &self.calls[*index as usize])
    }

    /// Calls from a row, the largest first.
    pub fn callees(&self, row: usize) -> impl Iterator<Item = &Call> {
        self.callees[row].iter().map(|index| &self.calls[*index as usize])
    }
}

fn by_size(rows: &[Row], a: &Call, b: &Call) -> Ordering {
    let name = |call: &Call| (&rows[call.caller].label, &rows[call.callee].label);
    Reverse(a.value.unsigned_abs()).cmp(&Reverse(b.value.unsigned_abs())).then_with(|| name(a).cmp(&name(b)))
}

fn calls(profile: &Profile, nodes: &Nodes, column: usize) -> Vec<Call> {
    let mut numbers: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    let mut calls: Vec<Call> = Vec::new();
    // Which sample passed a call last, counted from 1.
    let mut passed: Vec<u32> = Vec::new();
    for sample in 0..profile.n_samples() {
        let value = profile.values(sample)[column];
        if value == 0 {
            continue;
        }
        let stamp = sample as u32 + 1;
        let mut caller: Option<u32> = None;
        for location in profile.stack(sample).iter().rev() {
            for (depth, &callee) in nodes.at(*location).iter().rev().enumerate() {
                let Some(caller) = caller.replace(callee).filter(|caller| *caller != callee) else { continue };
                let number = *numbers.entry((caller, callee)).or_insert_with(|| {
                    let (caller, callee) = (caller as usize, callee as usize);
                    calls.push(Call { caller, callee, value: 0, is_inlined: true });
                    passed.push(0);
                    calls.len() as u32 - 1
                }) as usize;
                if passed[number] != stamp {
                    passed[number] = stamp;
                    calls[number].value = calls[number].value.wrapping_add(value);
                    calls[number].is_inlined &= depth > 0;
                }
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::super::inlined::{Inlined, inlined};
    use super::super::testing::profile;
    use super::*;

    const BYTES: &[(&str, &str)] = &[("inuse_space", "bytes")];

    fn told(stacks: &[(&str, &[i64])]) -> Vec<String> {
        let graph = call_graph(&profile(BYTES, stacks), Granularity::Functions, 0);
        let name = |row: usize| &graph.rows[row].label;
        let call = |call: &Call| {
            let arrow = if call.is_inlined { "⇒" } else { "→" };
            format!("{}{arrow}{} {}", name(call.caller), name(call.callee), call.value)
        };
        let mut told = Vec::new();
        for row in graph.ranked(Order::Cum) {
            told.extend(graph.callees(row).map(call));
        }
        told
    }

    #[test]
    fn a_call_counts_once_a_sample_and_none_to_itself() {
        let stacks: &[(&str, &[i64])] = &[("main;a;b;a;b;b", &[10]), ("main;b", &[5]), ("main;c", &[0])];
        assert_eq!(told(stacks), ["b→a 10", "main→a 10", "main→b 5", "a→b 10"]);
    }

    #[test]
    fn a_call_that_was_ever_made_is_not_inlined() {
        assert_eq!(told(&[("main>put", &[1]), ("main>get", &[2]), ("main;get", &[4])]), ["main→get 6", "main⇒put 1"]);
    }

    #[test]
    fn the_largest_comes_first_whatever_its_sign_and_rows_that_cancel_out_are_not_ranked() {
        let stacks: &[(&str, &[i64])] = &[("main;a", &[5]), ("main;b", &[-9]), ("main;c", &[3]), ("main;c", &[-3])];
        assert_eq!(told(stacks), ["main→b -9", "main→a 5", "main→c 0"]);
        let graph = call_graph(&profile(BYTES, stacks), Granularity::Functions, 0);
        let names: Vec<&str> =
            graph.ranked(Order::Flat).into_iter().map(|row| graph.rows[row].label.as_str()).collect();
        assert_eq!(names, ["b", "a", "main"]);
    }

    #[test]
    fn what_is_inlined_into_all_callers_is_told_from_what_is_called_too() {
        let stacks: &[(&str, &[i64])] = &[("main>put", &[1]), ("main>get", &[2]), ("main;get", &[4]), ("x;put", &[0])];
        let mut more = stacks.to_vec();
        more.push(("x>get", &[1]));
        let cases: [(&[(&str, &[i64])], &[(&str, Inlined)]); 2] = [
            (stacks, &[("put", Inlined::Always), ("get", Inlined::Never)]),
            (&more, &[("put", Inlined::Always), ("get", Inlined::Partly)]),
        ];
        for (stacks, expected) in cases {
            let of = profile(BYTES, stacks);
            let marks = inlined(&of, Granularity::Functions, 0);
            let graph = call_graph(&of, Granularity::Functions, 0);
            for (name, mark) in expected {
                let row = graph.rows.iter().position(|row| row.label == *name).unwrap();
                assert_eq!(marks[row], *mark, "{name}");
                let called = graph.callers(row).any(|call| !call.is_inlined);
                assert_eq!(Inlined::of(graph.callers(row).any(|call| call.is_inlined), called), *mark, "{name}");
            }
        }
    }
}
