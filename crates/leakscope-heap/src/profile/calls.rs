//! Stacks joined at their roots: what flame graphs draw and what collapsed stacks list.

use rustc_hash::FxHashMap;

use super::model::Profile;
use super::nodes::{Binaries, Granularity, Nodes};

/// One frame below its callers.
#[derive(Clone, Copy, Debug)]
struct Frame {
    name: u32,
    /// Index of its caller, which stands before it; none for a root.
    above: Option<u32>,
}

/// The joined stacks of some profiles, with a value of each for every frame.
#[derive(Clone, Debug)]
pub struct CallTree {
    names: Vec<String>,
    frames: Vec<Frame>,
    n_profiles: usize,
    /// Of each frame and profile: what the frame itself made, and what it made with all below it.
    own: Vec<i64>,
    all: Vec<i64>,
}

/// One column of some profiles by functions, their stacks joined at the roots.
pub fn call_tree(of: &[(&Profile, usize)]) -> CallTree {
    let n_profiles = of.len();
    let mut tree = CallTree { names: Vec::new(), frames: Vec::new(), n_profiles, own: Vec::new(), all: Vec::new() };
    let mut names: FxHashMap<String, u32> = FxHashMap::default();
    let mut below: FxHashMap<(Option<u32>, u32), u32> = FxHashMap::default();
    for (index, (profile, column)) in of.iter().enumerate() {
        let nodes = Nodes::of(profile, Granularity::Functions, Binaries::Merged);
        let mut name_of = Vec::with_capacity(nodes.len());
        for key in &nodes.keys {
            let name = nodes.short_name(profile, key);
            name_of.push(*names.entry(name).or_insert_with_key(|name| {
                tree.names.push(name.clone());
                tree.names.len() as u32 - 1
            }));
        }
        for sample in 0..profile.n_samples() {
            let value = profile.values(sample)[*column];
            if value == 0 {
                continue;
            }
            let mut at = None;
            for location in profile.stack(sample).iter().rev() {
                for node in nodes.at(*location).iter().rev() {
                    let name = name_of[*node as usize];
                    at = Some(*below.entry((at, name)).or_insert_with(|| tree.add(Frame { name, above: at })));
                }
            }
            if let Some(at) = at {
                let own = &mut tree.own[at as usize * n_profiles + index];
                *own = own.wrapping_add(value);
            }
        }
    }
    tree.sum();
    tree
}

impl CallTree {
    fn add(&mut self, frame: Frame) -> u32 {
        self.frames.push(frame);
        self.own.resize(self.frames.len() * self.n_profiles, 0);
        self.frames.len() as u32 - 1
    }

    fn sum(&mut self) {
        self.all.clone_from(&self.own);
        let n = self.n_profiles;
        // Whoever is called stands after who calls.
        for (frame, above) in self.frames.iter().enumerate().rev().filter_map(|(frame, at)| Some((frame, at.above?))) {
            for index in 0..n {
                let value = self.all[frame * n + index];
                let sum = &mut self.all[above as usize * n + index];
                *sum = sum.wrapping_add(value);
            }
        }
    }

    /// The sum of all stacks, for each profile.
    pub fn totals(&self) -> Vec<i64> {
        let mut totals = vec![0_i64; self.n_profiles];
        for (index, own) in self.own.iter().enumerate() {
            let total = &mut totals[index % self.n_profiles];
            *total = total.wrapping_add(*own);
        }
        totals
    }

    /// Leaves only frames that made at least one part in so many of the largest total; what goes is counted for its caller.
    #[must_use]
    pub fn without_small(mut self, parts: u64) -> Self {
        let n = self.n_profiles;
        let whole = self.totals().iter().map(|total| total.unsigned_abs()).max().unwrap_or(0);
        let least = (whole / parts.max(1)).max(1);
        let mut stays = vec![false; self.frames.len()];
        for (index, frame) in self.frames.iter().enumerate().rev() {
            let is_large = self.all[index * n..(index + 1) * n].iter().any(|value| value.unsigned_abs() >= least);
            stays[index] |= is_large;
            if let Some(above) = frame.above.filter(|_| stays[index]) {
                stays[above as usize] = true;
            }
        }
        for index in (0..self.frames.len()).rev().filter(|index| !stays[*index]) {
            for column in 0..n {
                let value = std::mem::take(&mut self.own[index * n + column]);
                if let Some(above) = self.frames[index].above {
                    let sum = &mut self.own[above as usize * n + column];
                    *sum = sum.wrapping_add(value);
                }
            }
        }
        self
    }

    /// Has `take` see each stack that made something itself: names from the root down, and a value for each profile.
    pub fn stacks(&self, mut take: impl FnMut(&[&str], &[i64])) {
        let mut names: Vec<&str> = Vec::new();
        for (index, values) in self.own.chunks_exact(self.n_profiles.max(1)).enumerate() {
            if values.iter().all(|value| *value == 0) {
                continue;
            }
            names.clear();
            let mut at = Some(index as u32);
            while let Some(frame) = at.map(|at| self.frames[at as usize]) {
                names.push(&self.names[frame.name as usize]);
                at = frame.above;
            }
            names.reverse();
            take(&names, values);
        }
    }
}
