//! Whom growth is blamed on: of the functions of the user's own on the stacks that grow, the one that keeps, not the one that helps.
//!
//! Own frames of all stacks form a tree from the root down. Below a function that also holds what does not grow (a handler that fills a
//! page cache as well) there is the highest one all of whose bytes grow alike: the leak begins there or below. Where its growth parts,
//! into the entry, its key and the table, is where it is kept; a function that makes a list and its texts parts as well, and helps: where
//! the leak begins is known, only a function whose growth goes on in the code of another class or file counts. What has no name, as a
//! closure or an async block, is never blamed.

mod tree;

use rustc_hash::FxHashMap;

use self::tree::{ROOT, owner};
pub(crate) use self::tree::{Tree, is_nameless};
use super::growth::{Look, add, take};
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
/// Part of the first capture's leak from which on what is beside it is clearly something else.
const SIDE_FIRST_SHARE_MIN: f64 = 0.1;
/// Things that a second place of allocation must have more for growth to part there.
const PART_COUNT_MIN: i64 = 10;
/// By how much of the whole growth the steps of two parts of one leak may differ.
const PART_DIFFERENCE_MAX: f64 = 0.1;

/// What grows, and whom it is blamed on.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The function, into [`super::growth::Stacks::frames`].
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

impl Tree<'_> {
    /// What grew, each part of it once, with the function that it is blamed on.
    pub(crate) fn sites(&self) -> Vec<Site> {
        let mut found = Vec::new();
        let mut open = vec![(ROOT, false)];
        // What stood beside the leak when it was small says more of where it begins than what is hardly seen beside it.
        let (clearly, faintly) = (self.mixed(SIDE_FIRST_SHARE_MIN), self.mixed(0.0));
        let mixed = if clearly[ROOT as usize] { clearly } else { faintly };
        while let Some((node, is_bounded)) = open.pop() {
            let growing = self.growing_children(node);
            // What has no name is parted, where nothing with a name below it has nearly all of it.
            if node != ROOT && !mixed[node as usize] && self.is_named(self.named_below(node)) {
                found.push(self.below(node, is_bounded));
                continue;
            }
            if node != ROOT {
                let mut rest = self.all(node).to_vec();
                for &child in &growing {
                    take(&mut rest, self.all(child));
                }
                let part = if self.grows(self.own(node)) { Part::Own } else { Part::Rest };
                if part == Part::Own || self.grows(&rest) {
                    found.push((node, self.named_above(node), part, true));
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

    /// Those called that grow, or lead to what does.
    fn growing_children(&self, node: u32) -> Vec<u32> {
        self.nodes[node as usize].children.iter().copied().filter(|&child| self.leads[child as usize]).collect()
    }

    /// For each node that leads to growth, whether it or one below also calls what holds memory that does not grow; of the root, whether
    /// any does. What a function allocates by itself says nothing: the table of a collection grows at once and then not for long.
    ///
    /// `share_min`: the part of the leak in the first capture that it must be there.
    fn mixed(&self, share_min: f64) -> Vec<bool> {
        let mut mixed = vec![false; self.nodes.len()];
        for node in (1..self.nodes.len() as u32).rev() {
            if !self.leads[node as usize] {
                continue;
            }
            if !self.grows(self.all(node)) {
                mixed[node as usize] = true;
                mixed[ROOT as usize] = true;
                continue;
            }
            let mut side = self.all(node).to_vec();
            let mut below = false;
            for child in self.growing_children(node) {
                below |= mixed[child as usize];
                take(&mut side, self.all(child));
            }
            take(&mut side, self.own(node));
            let mut leak = self.all(node).to_vec();
            take(&mut leak, &side);
            // Where a compiler inlines a callee on the way, its growth stops as that of its caller begins: only both together grow evenly.
            let is_handed_over = self.scale.trend(&leak).slows && !self.scale.trend(self.all(node)).slows;
            let first = |looks: &[Look]| looks.first().map_or(0.0, |look| self.scale.weight(look));
            let is_there = first(&side) >= share_min * first(&leak);
            mixed[node as usize] = below || is_there && !is_handed_over && self.stands_still(&side, &leak);
            mixed[ROOT as usize] |= mixed[node as usize];
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
        let start = self.named_below(top);
        // What an async block calls is a task of its own: the leak begins there.
        if is_bounded || start != top {
            return (top, self.named_above(self.chosen(start, true)), Part::From(start), true);
        }
        let mut chain = vec![top];
        while let Some(child) = self.main_child(chain[chain.len() - 1]) {
            chain.push(child);
        }
        let inner = (top, self.named_above(self.chosen(top, false)), Part::From(top), false);
        let kept: Option<Vec<f64>> = chain.iter().map(|&node| self.kept(node)).collect();
        let Some(kept) = kept else { return inner };
        let least = kept[kept.len() - 1] * KEPT_SHARE_MIN;
        match kept.iter().rposition(|kept| *kept < least) {
            Some(above) => {
                let start = self.named_below(chain[above + 1]);
                (top, self.named_above(self.chosen(start, true)), Part::From(start), true)
            }
            None => inner,
        }
    }

    fn is_named(&self, node: u32) -> bool {
        !is_nameless(&self.stacks.frames[self.nodes[node as usize].frame as usize].name)
    }

    /// The first function with a name from a node down the main way; the node itself where there is none.
    fn named_below(&self, top: u32) -> u32 {
        let mut at = Some(top);
        while let Some(node) = at {
            if self.is_named(node) {
                return node;
            }
            at = self.main_child(node);
        }
        top
    }

    /// The first function with a name from a node up; the node itself where there is none.
    fn named_above(&self, node: u32) -> u32 {
        let mut at = node;
        while at != ROOT {
            if self.is_named(at) {
                return at;
            }
            at = self.nodes[at as usize].parent;
        }
        node
    }

    /// Part of all that a node ever allocated which is still alive; none where the profile does not say.
    fn kept(&self, node: u32) -> Option<f64> {
        let look = self.all(node).last()?;
        (look.allocated > 0).then(|| look.bytes.max(0) as f64 / look.allocated as f64)
    }

    /// The function that has nearly all growth of those that a node calls.
    fn main_child(&self, node: u32) -> Option<u32> {
        let growth = self.growth(self.all(node));
        self.biggest_child(node).filter(|&child| self.growth(self.all(child)) >= MAIN_SHARE * growth)
    }

    fn biggest_child(&self, node: u32) -> Option<u32> {
        let children = self.nodes[node as usize].children.iter().copied();
        children.max_by(|a, b| self.growth(self.all(*a)).total_cmp(&self.growth(self.all(*b))))
    }

    /// The function that growth below a node that holds nothing else is blamed on.
    fn chosen(&self, top: u32, is_bounded: bool) -> u32 {
        let mut at = top;
        loop {
            let is_helper = is_bounded && self.biggest_child(at).is_some_and(|child| self.is_of_one(at, child));
            match self.main_child(at) {
                Some(child) if is_helper || !self.parts(at) => at = child,
                Some(_) => return at,
                // All of it is asked for here, or it goes several ways.
                None => {
                    let growth = self.growth(self.all(at));
                    let is_all_here = self.growth(self.own(at)) >= MAIN_SHARE * growth;
                    return if is_bounded && (is_all_here || is_helper) { top } else { at };
                }
            }
        }
    }

    /// Whether two functions are of one class or file, so that what they ask for is likely to be one value.
    fn is_of_one(&self, node: u32, child: u32) -> bool {
        let frame = |node: u32| &self.stacks.frames[self.nodes[node as usize].frame as usize];
        owner(frame(node)) == owner(frame(child))
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
            let start = if let Part::From(start) = part { start } else { chosen };
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
            Part::From(_) => self.nodes[top as usize].children.clone(),
            Part::Rest => {
                let children = self.nodes[top as usize].children.iter().copied();
                children.filter(|&child| !self.leads[child as usize]).collect()
            }
        };
        while let Some(node) = open.pop() {
            site_of[node as usize] = Some(site);
            open.extend(&self.nodes[node as usize].children);
        }
    }

    /// Functions with a name from the top of a site's leak down to `node`.
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
            return self.with_names(chain);
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
        self.with_names(chain)
    }

    /// Those of a chain that have names; all where none has.
    fn with_names(&self, chain: Vec<u32>) -> Vec<u32> {
        let is_named = |frame: &&u32| !is_nameless(&self.stacks.frames[**frame as usize].name);
        let named: Vec<u32> = chain.iter().filter(is_named).copied().collect();
        if named.is_empty() { chain } else { named }
    }
}

/// The highest node that holds nothing else, the node that is blamed, what of the highest is meant, and whether the leak begins there.
type Found = (u32, u32, Part, bool);

/// What of a node a site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It and all below, of which the leak begins at this node.
    From(u32),
    /// What no own function below asked for.
    Own,
    /// What does not belong to a site below.
    Rest,
}

#[cfg(test)]
mod tests {
    use crate::profile::model::Profile;
    use crate::profile::testing::profile;
    use crate::profile::{Context, diff};

    /// Name and title of each finding of three captures: of each stack its bytes in KiB, where a period is given sampled.
    fn said(stacks: &[(&str, [i64; 3])], period: i64) -> Vec<(String, String)> {
        let columns = [("inuse_objects", "count"), ("inuse_space", "bytes")];
        let at = |capture: usize| -> Profile {
            let values: Vec<(&str, [i64; 2])> =
                stacks.iter().map(|(stack, kib)| (*stack, [kib[capture], kib[capture] * 1024])).collect();
            let rows: Vec<(&str, &[i64])> = values.iter().map(|(stack, values)| (*stack, &values[..])).collect();
            let mut profile = profile(&columns, &rows);
            profile.is_sampled = period > 0;
            profile.header.period = period;
            profile
        };
        let profiles = [0, 1, 2].map(at);
        let all: Vec<&Profile> = profiles.iter().collect();
        let found = diff(&all, &Context::default()).unwrap();
        found.findings.into_iter().map(|finding| (finding.suspect.name, finding.suspect.title)).collect()
    }

    #[test]
    fn growth_is_blamed_on_own_code_with_a_name_where_the_leak_begins() {
        const TASK: &str = "{async_fn#0}";
        type Stacks<'s> = &'s [(&'s str, [i64; 3])];
        let cases: [(&str, i64, Stacks<'_>, &[(&str, &str)]); 7] = [
            (
                "small growth beside much that chance moves",
                4096,
                &[("main.answer;main.page", [4400, 4460, 4430]), ("main.answer;main.keep", [100, 250, 480])],
                &[("main.keep", "keep")],
            ),
            (
                "nothing but chance",
                4096,
                &[("main.answer;main.page", [4400, 4460, 4430]), ("main.answer;main.keep", [100, 110, 105])],
                &[],
            ),
            (
                "a helper that makes a list and its texts",
                0,
                &[
                    ("work;subscribe;Dice.texts;Dice.text", [1000, 2000, 3000]),
                    ("work;subscribe;Dice.texts", [100, 200, 300]),
                    ("work;page", [400, 400, 400]),
                ],
                &[("subscribe", "subscribe › Dice.texts › Dice.text")],
            ),
            (
                "a class that keeps what a helper makes",
                0,
                &[
                    ("work;open_session;Store.open;Dice.texts", [2000, 4000, 6000]),
                    ("work;open_session;Store.open", [100, 200, 300]),
                    ("work;page", [400, 400, 400]),
                ],
                &[("Store.open", "open_session › Store.open › Dice.texts")],
            ),
            (
                "below a task without a name",
                0,
                &[(&format!("{TASK};keep;touched"), [1000, 2000, 3000])],
                &[("keep", "keep › touched")],
            ),
            (
                "through a closure without a name",
                0,
                &[(&format!("{TASK};keep;{{closure#0}};text"), [1000, 2000, 3000])],
                &[("keep", "keep › text")],
            ),
            (
                "beside what a library keeps for the same task",
                0,
                &[(&format!("{TASK};chain"), [8000, 27000, 47000]), (&format!("{TASK};malloc"), [0, 45000, 47000])],
                &[("chain", "chain"), (TASK, TASK)],
            ),
        ];
        for (case, period, stacks, expected) in cases {
            let told =
                |(name, chain): &(&str, &str)| ((*name).to_owned(), format!("memory allocated in `{chain}` grows"));
            let expected: Vec<(String, String)> = expected.iter().map(told).collect();
            assert_eq!(said(stacks, period), expected, "{case}");
        }
    }
}
