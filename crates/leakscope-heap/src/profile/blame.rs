//! Whom growth is blamed on: of the functions of the user's own on the stacks that grow, the one that keeps, not the one that helps.
//!
//! Own frames of all stacks form a tree from the root down. Below a function that also holds what does not grow (a handler that fills a
//! page cache as well) there is the highest one all of whose bytes grow alike: the leak begins there or below. Where its growth parts,
//! into the entry, its key and the table, is where it is kept.

use rustc_hash::FxHashMap;

use super::growth::{Look, Scale, Stacks, add, take};
use super::origin::Origin;

/// Part of the growth that must go one way for the other ways not to matter.
const MAIN_SHARE: f64 = 0.9;
/// Part of what grows below which what stands still beside it is not seen: it may be a part of the leak that chance drew oddly, or what
/// a function asked for before the compiler inlined it into its caller, which asks for it from then on.
const SIDE_SHARE_MIN: f64 = 0.02;
/// Likewise where allocations are sampled.
const SIDE_SAMPLED_SHARE_MIN: f64 = 0.03;
/// Bytes, or things where no bytes are known, below which it is not seen either.
const SIDE_MIN: f64 = 4096.0;
const SIDE_COUNT_MIN: f64 = 2.0;
/// Standard errors of sampling that what stands still must be above nothing.
const SIDE_ERRORS_MIN: f64 = 2.0;
/// Where what is kept of all that was ever allocated is less than this part of what the innermost function keeps, there is garbage beside.
const KEPT_SHARE_MIN: f64 = 0.5;
/// Things that a second place of allocation must have more for growth to part there.
const PART_COUNT_MIN: i64 = 10;
/// By how much of the whole growth the steps of two parts of one leak may differ.
const PART_DIFFERENCE_MAX: f64 = 0.1;

/// A function in the tree, called by its parent's.
#[derive(Clone, Debug)]
struct Node {
    parent: u32,
    /// Into [`Stacks::frames`]; of the root, which is no function, `u32::MAX`.
    frame: u32,
    children: Vec<u32>,
}

/// Own functions by who calls whom, from the root down.
pub(crate) struct Tree<'t> {
    stacks: &'t Stacks<'t>,
    scale: &'t Scale,
    nodes: Vec<Node>,
    /// What each holds with all that it calls, node by node.
    all: Vec<Look>,
    /// What each holds that no own function below it asked for.
    own: Vec<Look>,
    /// Bytes that each ever allocated, with all that it calls; empty where the profiles do not say.
    allocated: Vec<i64>,
    /// The node of each row of `stacks`.
    node_of: Vec<u32>,
    is_flat: bool,
}

/// What grows, and whom it is blamed on.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The function, into [`Stacks::frames`].
    pub(crate) frame: u32,
    /// Own functions from the highest that holds nothing else to the innermost of the biggest stack, from the root down.
    pub(crate) chain: Vec<u32>,
    /// What it holds in each capture.
    pub(crate) looks: Vec<Look>,
    /// The row that grew most.
    pub(crate) row: usize,
    /// Whether functions above also hold what does not grow, so that the chain begins where the leak does.
    pub(crate) is_bounded: bool,
}

const ROOT: u32 = 0;
/// Part of the growth that matters from which on a single row does.
const ROW_SHARE_MIN: f64 = 0.01;

impl<'t> Tree<'t> {
    /// The tree of all that grows. Rows that matter are in it with all their functions, those that do not with the first that is new:
    /// they are many, and count only as what is beside.
    pub(crate) fn of(stacks: &'t Stacks<'t>, scale: &'t Scale) -> Self {
        Self::build(stacks, scale, false)
    }

    /// The innermost own function of each row alone.
    pub(crate) fn flat(stacks: &'t Stacks<'t>, scale: &'t Scale) -> Self {
        Self::build(stacks, scale, true)
    }

    fn build(stacks: &'t Stacks<'t>, scale: &'t Scale, is_flat: bool) -> Self {
        let root = Node { parent: ROOT, frame: u32::MAX, children: Vec::new() };
        let n = stacks.captures.len();
        let mut tree = Self {
            stacks,
            scale,
            nodes: vec![root],
            allocated: Vec::new(),
            all: Vec::new(),
            own: vec![Look::default(); n],
            node_of: vec![ROOT; stacks.n_rows()],
            is_flat,
        };
        let mut known: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let matters = |row: usize| weight_gained(scale, stacks.looks(row)) >= scale.growth_min * ROW_SHARE_MIN;
        // ORDER: rows that matter first, so that the others find their functions.
        for is_whole in [true, false] {
            for row in (0..stacks.n_rows()).filter(|row| matters(*row) == is_whole) {
                let node = tree.place(&mut known, &tree.own_path(row), is_whole);
                tree.node_of[row] = node;
                add(&mut tree.own[node as usize * n..][..n], stacks.looks(row));
            }
        }
        tree.all.clone_from(&tree.own);
        // Those that are called stand behind those that call.
        for node in (1..tree.nodes.len()).rev() {
            let (above, below) = tree.all.split_at_mut(node * n);
            add(&mut above[tree.nodes[node].parent as usize * n..][..n], &below[..n]);
        }
        tree.allocated = tree.ever_allocated();
        tree
    }

    /// Bytes that each node ever allocated.
    fn ever_allocated(&self) -> Vec<i64> {
        if self.stacks.allocated.is_empty() {
            return Vec::new();
        }
        let mut allocated = vec![0_i64; self.nodes.len()];
        for (&node, &bytes) in self.node_of.iter().zip(&self.stacks.allocated) {
            allocated[node as usize] = allocated[node as usize].saturating_add(bytes);
        }
        for node in (1..self.nodes.len()).rev() {
            let parent = self.nodes[node].parent as usize;
            allocated[parent] = allocated[parent].saturating_add(allocated[node]);
        }
        allocated
    }

    /// Own functions of a row from the root down, the innermost alone in a flat tree.
    fn own_path(&self, row: usize) -> Vec<u32> {
        let is_own = |frame: &u32| self.stacks.frames[*frame as usize].origin == Origin::Own;
        let limit = if self.is_flat { 1 } else { usize::MAX };
        let mut path: Vec<u32> = self.stacks.frames_of(row).filter(is_own).take(limit).collect();
        if path.is_empty() {
            let stack: Vec<u32> = self.stacks.frames_of(row).collect();
            path.extend(self.stand_in(&stack));
        }
        path.reverse();
        path
    }

    /// The node of a path; unless it is to be there as a whole, of its beginning until the first function that is new.
    fn place(&mut self, known: &mut FxHashMap<(u32, u32), u32>, path: &[u32], is_whole: bool) -> u32 {
        let mut at = ROOT;
        for &frame in path {
            if let Some(before) = self.above(at, frame) {
                // A recursion is one function, however deep it went.
                at = before;
                continue;
            }
            let next = self.nodes.len() as u32;
            let node = *known.entry((at, frame)).or_insert(next);
            if node == next {
                self.nodes.push(Node { parent: at, frame, children: Vec::new() });
                self.nodes[at as usize].children.push(node);
                self.own.resize(self.own.len() + self.stacks.captures.len(), Look::default());
            }
            at = node;
            if node == next && !is_whole {
                break;
            }
        }
        at
    }

    /// Of a stack without an own frame: the outermost of a library, else the innermost that hands out no memory.
    fn stand_in(&self, stack: &[u32]) -> Option<u32> {
        let origin = |frame: &&u32| self.stacks.frames[**frame as usize].origin;
        let library = stack.iter().rev().find(|frame| origin(frame) == Origin::Library);
        let runtime = || stack.iter().find(|frame| origin(frame) != Origin::Allocator);
        library.or_else(runtime).or(stack.first()).copied()
    }

    /// The node of a function among `node` and those above.
    fn above(&self, node: u32, frame: u32) -> Option<u32> {
        let mut at = node;
        while at != ROOT {
            if self.nodes[at as usize].frame == frame {
                return Some(at);
            }
            at = self.nodes[at as usize].parent;
        }
        None
    }

    fn all(&self, node: u32) -> &[Look] {
        let n = self.stacks.captures.len();
        &self.all[node as usize * n..][..n]
    }

    fn own(&self, node: u32) -> &[Look] {
        let n = self.stacks.captures.len();
        &self.own[node as usize * n..][..n]
    }

    fn grows(&self, looks: &[Look]) -> bool {
        self.scale.growing(looks).is_some()
    }

    fn growth(&self, looks: &[Look]) -> f64 {
        weight_gained(self.scale, looks)
    }

    /// What grew, each part of it once, with the function that it is blamed on.
    pub(crate) fn sites(&self) -> Vec<Site> {
        let mut found = Vec::new();
        let mut open = vec![(ROOT, false)];
        let mixed = self.mixed();
        while let Some((node, is_bounded)) = open.pop() {
            let growing = self.growing_children(node);
            if node != ROOT && !mixed[node as usize] {
                found.push(self.below(node, is_bounded));
                continue;
            }
            if node != ROOT {
                let mut rest = self.all(node).to_vec();
                for &child in &growing {
                    take(&mut rest, self.all(child));
                }
                if self.grows(self.own(node)) {
                    found.push((node, node, Part::Own, true));
                } else if self.grows(&rest) {
                    found.push((node, node, Part::Rest, true));
                }
            }
            open.extend(growing.into_iter().map(|child| (child, node != ROOT)));
        }
        self.told(found)
    }

    /// What grows, by the innermost own function alone: that in which a goroutine waits.
    pub(crate) fn innermost(&self) -> Vec<Site> {
        let nodes = (1..self.nodes.len() as u32).filter(|node| self.grows(self.own(*node)));
        self.told(nodes.map(|node| (node, node, Part::Own, false)).collect())
    }

    /// What holds most, by the innermost own function, from `weight_min` on; of a single capture.
    pub(crate) fn largest(&self, weight_min: f64) -> Vec<Site> {
        let mut by_frame: FxHashMap<u32, f64> = FxHashMap::default();
        let weight = |node: u32| self.own(node).first().map_or(0.0, |look| self.scale.weight(look));
        for node in 1..self.nodes.len() as u32 {
            *by_frame.entry(self.nodes[node as usize].frame).or_default() += weight(node);
        }
        let is_large = |node: &u32| by_frame[&self.nodes[*node as usize].frame] >= weight_min.max(1.0);
        let nodes = (1..self.nodes.len() as u32).filter(is_large);
        let mut sites = self.told(nodes.map(|node| (node, node, Part::Own, false)).collect());
        let held = |site: &Site| site.looks.first().map_or(0.0, |look| self.scale.weight(look));
        sites.sort_by(|a, b| held(b).total_cmp(&held(a)));
        sites
    }

    fn growing_children(&self, node: u32) -> Vec<u32> {
        self.nodes[node as usize].children.iter().copied().filter(|&child| self.grows(self.all(child))).collect()
    }

    /// For each node that grows, whether it or one below also holds what does not.
    fn mixed(&self) -> Vec<bool> {
        let mut mixed = vec![false; self.nodes.len()];
        for node in (1..self.nodes.len() as u32).rev() {
            if !self.grows(self.all(node)) {
                continue;
            }
            let mut side = self.all(node).to_vec();
            let mut below = false;
            for child in self.growing_children(node) {
                below |= mixed[child as usize];
                take(&mut side, self.all(child));
            }
            if self.grows(self.own(node)) {
                take(&mut side, self.own(node));
            }
            let mut leak = self.all(node).to_vec();
            take(&mut leak, &side);
            // Where a compiler inlines a callee on the way, its growth stops as that of its caller begins: only both together grow evenly.
            let is_handed_over = self.scale.trend(&leak).slows && !self.scale.trend(self.all(node)).slows;
            mixed[node as usize] = below || !is_handed_over && self.stands_still(&side, &leak);
        }
        mixed
    }

    /// Whether what is beside a leak is there and keeps its size, rather than growing in its proportion.
    ///
    /// By the likelihood of what is seen in each capture: of the same part of all in each, against that of the leak in each. With the
    /// first capture left out as well, since a cache may have filled before the second.
    fn stands_still(&self, side: &[Look], leak: &[Look]) -> bool {
        let weight = |look: &Look| self.scale.weight(look).max(0.0);
        let (Some(last), Some(leaked)) = (side.last(), leak.last()) else { return false };
        let floor = if self.scale.by_count { SIDE_COUNT_MIN } else { SIDE_MIN };
        let noise = if self.scale.is_sampled { SIDE_ERRORS_MIN * last.variance.sqrt() } else { 0.0 };
        let share = if self.scale.is_sampled { SIDE_SAMPLED_SHARE_MIN } else { SIDE_SHARE_MIN };
        let least = (weight(leaked) * share).max(floor).max(noise);
        if weight(last) <= least {
            return false;
        }
        let favours_leak = |from: usize| {
            let sum: f64 = leak[from..].iter().map(weight).sum();
            let even = 1.0 / (leak.len() - from) as f64;
            let part = |look: &Look| ((weight(look) + 1.0) / (sum + 1.0)).max(1e-6);
            side[from..]
                .iter()
                .zip(&leak[from..])
                .map(|(side, leak)| weight(side) * (part(leak) / even).ln())
                .sum::<f64>()
                > 0.0
        };
        !favours_leak(0) || leak.len() > 2 && !favours_leak(1)
    }

    /// The leak below a node that holds nothing else. Where nothing above says where it begins, that is below the last function which also
    /// allocates what it does not keep, as a handler does: what is behind a leak is kept, all of it.
    fn below(&self, top: u32, is_bounded: bool) -> Found {
        if is_bounded {
            return (top, self.chosen(top, true), Part::All, true);
        }
        let mut chain = vec![top];
        while let Some(child) = self.main_child(chain[chain.len() - 1]) {
            chain.push(child);
        }
        let kept: Option<Vec<f64>> = chain.iter().map(|&node| self.kept(node)).collect();
        let Some(kept) = kept else { return (top, self.chosen(top, false), Part::All, false) };
        let least = kept[kept.len() - 1] * KEPT_SHARE_MIN;
        match kept.iter().rposition(|kept| *kept < least) {
            Some(above) => (top, self.chosen(chain[above + 1], true), Part::Below(chain[above + 1]), true),
            None => (top, self.chosen(top, false), Part::All, false),
        }
    }

    /// Part of all that a node ever allocated which is still alive; none where the profile does not say.
    fn kept(&self, node: u32) -> Option<f64> {
        let allocated = *self.allocated.get(node as usize)?;
        let alive = self.all(node).last()?.bytes;
        (allocated > 0).then(|| alive.max(0) as f64 / allocated as f64)
    }

    /// The function that has nearly all growth of those that a node calls.
    fn main_child(&self, node: u32) -> Option<u32> {
        let growth = self.growth(self.all(node));
        let children = self.nodes[node as usize].children.iter().copied();
        let most = children.max_by(|a, b| self.growth(self.all(*a)).total_cmp(&self.growth(self.all(*b))));
        most.filter(|&child| self.growth(self.all(child)) >= MAIN_SHARE * growth)
    }

    /// The function that growth below a node that holds nothing else is blamed on.
    fn chosen(&self, top: u32, is_bounded: bool) -> u32 {
        let mut at = top;
        loop {
            match self.main_child(at) {
                Some(child) if !self.parts(at) => at = child,
                Some(_) => return at,
                // All of it is asked for here, or it goes several ways.
                None => {
                    let growth = self.growth(self.all(at));
                    let is_all_here = self.growth(self.own(at)) >= MAIN_SHARE * growth;
                    return if is_all_here && is_bounded { top } else { at };
                }
            }
        }
    }

    /// Whether the growth of a node has several places, as that of an entry, its key and its table has: seen by their number, where
    /// everything is counted.
    fn parts(&self, node: u32) -> bool {
        if self.scale.is_sampled || self.stacks.captures.len() < 3 {
            return false;
        }
        let whole = self.all(node);
        let part_of = |looks: &[Look]| {
            let (first, last) = (looks[0].count, looks[looks.len() - 1].count);
            last - first >= PART_COUNT_MIN && self.in_proportion(looks, whole)
        };
        let children = &self.nodes[node as usize].children;
        let n = children.iter().filter(|&&child| part_of(self.all(child))).count();
        n + usize::from(part_of(self.own(node))) > 1
    }

    /// Whether two grow alike, step by step.
    fn in_proportion(&self, part: &[Look], whole: &[Look]) -> bool {
        let (of_part, of_whole) = (self.growth(part), self.growth(whole));
        let share = |pair: &[Look], all: f64| (self.scale.weight(&pair[1]) - self.scale.weight(&pair[0])) / all;
        of_part > 0.0
            && part
                .windows(2)
                .zip(whole.windows(2))
                .all(|(part, whole)| (share(part, of_part) - share(whole, of_whole)).abs() <= PART_DIFFERENCE_MAX)
    }

    /// The sites as they are told: those of one function as one.
    fn told(&self, found: Vec<Found>) -> Vec<Site> {
        let n = self.stacks.captures.len();
        let mut sites: Vec<Site> = Vec::new();
        let mut by_frame: FxHashMap<u32, usize> = FxHashMap::default();
        let mut site_of: Vec<Option<usize>> = vec![None; self.nodes.len()];
        let mut tops = vec![ROOT; found.len()];
        for (top, chosen, part, is_bounded) in found {
            let frame = self.nodes[chosen as usize].frame;
            let start = if let Part::Below(start) = part { start } else { top };
            let index = *by_frame.entry(frame).or_insert(sites.len());
            if index == sites.len() {
                let looks = vec![Look::default(); n];
                sites.push(Site { frame, chain: Vec::new(), looks, row: usize::MAX, is_bounded });
                tops[index] = start;
            }
            site_of[top as usize] = Some(index);
            self.claim(top, part, index, &mut site_of);
        }
        let mut most = vec![f64::NEG_INFINITY; sites.len()];
        for (row, &node) in self.node_of.iter().enumerate() {
            let Some(index) = site_of[node as usize] else { continue };
            let looks = self.stacks.looks(row);
            add(&mut sites[index].looks, looks);
            let weight = if n > 1 { self.growth(looks) } else { self.scale.weight(&looks[0]) };
            if weight > most[index] {
                most[index] = weight;
                sites[index].row = row;
            }
        }
        sites.retain(|site| site.row != usize::MAX);
        for site in &mut sites {
            site.chain = self.chain(site, self.node_of[site.row], &tops);
        }
        sites
    }

    /// Gives the nodes of a part to a site.
    fn claim(&self, top: u32, part: Part, site: usize, site_of: &mut [Option<usize>]) {
        let mut open = match part {
            Part::Own => return,
            Part::All | Part::Below(_) => self.nodes[top as usize].children.clone(),
            Part::Rest => {
                let children = self.nodes[top as usize].children.iter().copied();
                children.filter(|&child| !self.grows(self.all(child))).collect()
            }
        };
        while let Some(node) = open.pop() {
            site_of[node as usize] = Some(site);
            open.extend(&self.nodes[node as usize].children);
        }
    }

    /// Functions from the top of a site's leak down to `node`.
    fn chain(&self, site: &Site, node: u32, tops: &[u32]) -> Vec<u32> {
        let mut chain: Vec<u32> = Vec::new();
        if self.is_flat {
            let is_own = |frame: &u32| self.stacks.frames[*frame as usize].origin == Origin::Own;
            for frame in self.stacks.frames_of(site.row).filter(is_own) {
                if !chain.contains(&frame) {
                    chain.push(frame);
                }
            }
            chain.reverse();
            return chain;
        }
        let mut at = node;
        while at != ROOT {
            chain.push(self.nodes[at as usize].frame);
            if site.is_bounded && tops.contains(&at) {
                break;
            }
            at = self.nodes[at as usize].parent;
        }
        chain.reverse();
        chain
    }
}

/// The highest node that holds nothing else, the node that is blamed, what of the highest is meant, and whether the leak begins there.
type Found = (u32, u32, Part, bool);

fn weight_gained(scale: &Scale, looks: &[Look]) -> f64 {
    let weight = |look: Option<&Look>| look.map_or(0.0, |look| scale.weight(look));
    weight(looks.last()) - weight(looks.first())
}

/// What of a node a site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It and all below.
    All,
    /// Likewise, and what is there begins at a node below.
    Below(u32),
    /// What no own function below asked for.
    Own,
    /// What does not belong to a site below.
    Rest,
}
