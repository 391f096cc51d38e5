//! Which functions the compiler had put into their callers, as pprof marks them: `(inline)`, `(partial-inline)`.
//!
//! Source: `AddToEdgeDiv` of `graph.go` and `TextItems` of `report.go` in google/pprof.

use rustc_hash::FxHashMap;

use super::model::Profile;
use super::nodes::{Binaries, Granularity, Nodes};
use super::top::Part;

/// How a function is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inlined {
    /// Never inlined.
    #[default]
    Never,
    /// Inlined into some of its callers.
    Partly,
    /// Inlined into all of them.
    Always,
}

impl Inlined {
    pub(crate) fn of(inlined: bool, called: bool) -> Self {
        match (inlined, called) {
            (false, _) => Self::Never,
            (true, true) => Self::Partly,
            (true, false) => Self::Always,
        }
    }
}

/// How each row is called, by [`super::Row::number`], in samples that have a value in this column.
///
/// Counts as inlined into one caller what is never called by it otherwise; of several calls in one stack the outermost counts.
pub fn inlined(profile: &Profile, granularity: Granularity, column: usize) -> Vec<Inlined> {
    inlined_of(profile, &[Part::whole(profile)], granularity, column)
}

/// Likewise of several parts whose locations are those of `tables`.
pub(crate) fn inlined_of(
    tables: &Profile,
    parts: &[Part<'_>],
    granularity: Granularity,
    column: usize,
) -> Vec<Inlined> {
    let nodes = Nodes::of(tables, granularity, Binaries::Merged);
    let mut pairs = Pairs::of(tables, &nodes);
    if pairs.numbers.is_empty() {
        return vec![Inlined::Never; nodes.len()];
    }
    let mut stamp = 0;
    for part in parts {
        for sample in 0..part.profile.n_samples() {
            if part.profile.values(sample)[part.columns[column]] != 0 {
                stamp += 1;
                pairs.pass(part, sample, &nodes, stamp);
            }
        }
    }
    pairs.finish()
}

/// Callers with what was inlined into them somewhere. Calls between all others need no table.
struct Pairs {
    numbers: FxHashMap<(u32, u32), usize>,
    callees: Vec<u32>,
    /// Of each pair: the sample that passed it last, counted from 1; whether all that passed it were inlined.
    passed: Vec<u32>,
    is_inlined: Vec<bool>,
    /// Of each node: whether it stands in a pair as what was inlined.
    may_be_inlined: Vec<bool>,
    /// Of each node: whether it is called by one that is no pair with it.
    is_called: Vec<bool>,
}

impl Pairs {
    fn of(profile: &Profile, nodes: &Nodes) -> Self {
        let mut numbers = FxHashMap::default();
        let mut callees = Vec::new();
        let mut may_be_inlined = vec![false; nodes.len()];
        for location in 0..profile.locations.len() as u32 {
            for pair in nodes.at(location).windows(2) {
                let (callee, caller) = (pair[0], pair[1]);
                if callee == caller {
                    continue;
                }
                may_be_inlined[callee as usize] = true;
                numbers.entry((caller, callee)).or_insert_with(|| {
                    callees.push(callee);
                    callees.len() - 1
                });
            }
        }
        Self {
            passed: vec![0; callees.len()],
            is_inlined: vec![true; callees.len()],
            is_called: vec![false; nodes.len()],
            numbers,
            callees,
            may_be_inlined,
        }
    }

    fn pass(&mut self, part: &Part<'_>, sample: usize, nodes: &Nodes, stamp: u32) {
        let mut caller: Option<u32> = None;
        for location in part.profile.stack(sample).iter().rev() {
            for (depth, node) in nodes.at(part.location(*location)).iter().rev().enumerate() {
                if let Some(caller) = caller.filter(|caller| caller != node) {
                    self.call(caller, *node, depth > 0, stamp);
                }
                caller = Some(*node);
            }
        }
    }

    fn call(&mut self, caller: u32, callee: u32, is_inlined: bool, stamp: u32) {
        let pair = if self.may_be_inlined[callee as usize] { self.numbers.get(&(caller, callee)) } else { None };
        let Some(&pair) = pair else {
            self.is_called[callee as usize] = true;
            return;
        };
        if self.passed[pair] != stamp {
            self.passed[pair] = stamp;
            self.is_inlined[pair] &= is_inlined;
        }
    }

    fn finish(mut self) -> Vec<Inlined> {
        let mut inlined = vec![false; self.is_called.len()];
        for (pair, callee) in self.callees.iter().enumerate().filter(|(pair, _)| self.passed[*pair] != 0) {
            if self.is_inlined[pair] {
                inlined[*callee as usize] = true;
            } else {
                self.is_called[*callee as usize] = true;
            }
        }
        inlined.into_iter().zip(self.is_called).map(|(inlined, called)| Inlined::of(inlined, called)).collect()
    }
}
