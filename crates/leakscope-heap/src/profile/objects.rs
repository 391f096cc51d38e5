//! Sampled objects that outlived collections, as the JDK Flight Recorder tells of them: by what holds them, with their ages.

use std::collections::BTreeMap;

use leakscope_model::{PathStep, Suspect};
use rustc_hash::FxHashMap;

use super::model::{LabelValue, Profile};
use super::origin::{Origin, Origins};
use super::tell::{DOUBTFUL, Story, identity, place, stack_of};
use crate::findings::Finding;
use crate::hprof::normalised;
use crate::story::short_class;

/// Samples that one holder must have.
const COUNT_MIN: usize = 8;
/// Part of all samples that it must have.
const SHARE_MIN: f64 = 0.05;
/// Part of all samples from which on a heap that grows is laid to one holder.
const MAIN_SHARE_MIN: f64 = 0.5;
/// Part of the greatest age over which the ages of a leak's objects spread at least: those of one burst are alike.
const SPREAD_MIN: f64 = 0.5;
/// How much more the heap must hold after a collection, from the first third of the samples to the last.
const HEAP_GROWTH_MIN: f64 = 1.2;
/// Part of the growth from the first third to the second that must follow from there to the last.
const STEADY_MIN: f64 = 0.4;

/// Objects that hang on one holder.
#[derive(Default)]
struct Group {
    samples: Vec<usize>,
    bytes: i64,
    ages: Vec<i64>,
}

/// Holders with many old objects; nothing where the recording does not say what holds them.
pub(crate) fn held(story: &Story<'_>) -> Vec<Finding> {
    let Some(capture) = story.stacks.captures.last() else { return Vec::new() };
    let profile = capture.profile;
    let mut holders: FxHashMap<u64, usize> = FxHashMap::default();
    for sample in 0..profile.n_samples() {
        for step in profile.path(sample) {
            *holders.entry(step.id).or_default() += 1;
        }
    }
    let own = Own { origins: Origins::new(capture.runtime, story.own) };
    let n_all = profile.n_samples();
    let least = COUNT_MIN.max((n_all as f64 * SHARE_MIN) as usize);
    let mut groups: BTreeMap<(String, Vec<String>), Group> = BTreeMap::new();
    for sample in 0..n_all {
        let path = profile.path(sample);
        // The last object that many have in common, above the sampled one, is where they accumulate.
        let last = path.len().saturating_sub(1);
        let Some(at) = path[..last].iter().rposition(|step| holders[&step.id] >= least) else { continue };
        let Some(key) = own.named(&path[..=at], path) else { continue };
        let group = groups.entry(key).or_default();
        group.samples.push(sample);
        group.bytes = group.bytes.saturating_add(capture.look(sample).bytes);
        group.ages.extend(number(profile, sample, "age"));
    }
    let grows = heap_grows(profile);
    let told = groups.iter().filter(|(_, group)| group.samples.len() >= least);
    told.map(|((name, chain), group)| group.finding(story, name, chain, n_all, grows)).collect()
}

struct Own<'o> {
    origins: Origins<'o>,
}

impl Own<'_> {
    fn holds(&self, step: &PathStep) -> bool {
        !step.edge.starts_with('[') && self.origins.named(&step.name, "", "") == Origin::Own
    }

    /// `Class.field` of the own holder nearest to where objects accumulate, and all own holders down to it: the last above, else the first
    /// below, else the last holder of any code.
    fn named(&self, above: &[PathStep], path: &[PathStep]) -> Option<(String, Vec<String>)> {
        let field = |step: &PathStep| {
            let class = normalised(&step.name);
            if step.edge.is_empty() || step.edge.starts_with('[') {
                short_class(&class).to_owned()
            } else {
                format!("{}.{}", short_class(&class), step.edge)
            }
        };
        let chain: Vec<String> = above.iter().filter(|step| self.holds(step)).map(field).collect();
        let below = || path[above.len()..].iter().find(|step| self.holds(step)).map(field);
        let name = chain.last().cloned().or_else(below).or_else(|| above.last().map(field))?;
        let chain = if chain.is_empty() { vec![name.clone()] } else { chain };
        Some((name, chain))
    }
}

impl Group {
    fn finding(&self, story: &Story<'_>, name: &str, chain: &[String], n_all: usize, grows: bool) -> Finding {
        let profile = story.stacks.captures[story.stacks.captures.len() - 1].profile;
        let share = self.samples.len() as f64 / n_all.max(1) as f64;
        let (youngest, oldest) = (self.ages.iter().min().copied(), self.ages.iter().max().copied());
        let spread = match (youngest, oldest) {
            (Some(youngest), Some(oldest)) if oldest > 0 => (oldest - youngest) as f64 / oldest as f64,
            _ => 0.0,
        };
        // A cache that is full has as many old objects, and the heap keeps its size.
        let confidence = match (grows && share >= MAIN_SHARE_MIN, spread >= SPREAD_MIN) {
            (true, true) => 0.5 + 0.4 * share,
            (true, false) | (false, true) => 0.1 + (DOUBTFUL - 0.1) * share,
            (false, false) => 0.1,
        };
        let example = self.samples[0];
        let row = self.common_row(story);
        let (stack, frames) = row.map(|row| stack_of(story.stacks, row)).unwrap_or_default();
        let is_own = |frame: &u32| story.stacks.frames[*frame as usize].origin == Origin::Own;
        let location = frames.iter().position(is_own).and_then(|at| place(&stack[at]));
        let seconds = |age: Option<i64>| age.unwrap_or(0) / 1_000_000_000;
        let heap = if grows { "the heap after collections grows" } else { "the heap after collections does not grow" };
        let n = self.samples.len();
        let suspect = Suspect {
            title: format!("objects of all ages hang on `{name}`"),
            kind: "object".to_owned(),
            name: name.to_owned(),
            bytes: self.bytes.unsigned_abs(),
            count: n as u64,
            share,
            path: profile.path(example).to_vec(),
            stack,
            location,
            confidence,
            reason: format!(
                "{n} of {n_all} sampled objects that outlived collections, {} to {} s old; {heap}; bound it, evict, or remove entries \
                 when their owner ends",
                seconds(youngest),
                seconds(oldest),
            ),
        };
        Finding { identity: identity("object", chain.iter().map(String::as_str)), suspect, growth: None }
    }

    /// The row of the stack that allocated most of them.
    fn common_row(&self, story: &Story<'_>) -> Option<usize> {
        let stacks = story.stacks;
        let capture = stacks.captures.last()?;
        let mut counts: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        for &sample in &self.samples {
            *counts.entry(capture.frames_of(sample).collect()).or_default() += 1;
        }
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (0..stacks.n_rows()).find(|&row| stacks.frames_of(row).eq(most.iter().copied()))
    }
}

fn number(profile: &Profile, sample: usize, key: &str) -> Option<i64> {
    let label = profile.labels(sample).iter().find(|label| profile.text(label.key) == key)?;
    match label.value {
        LabelValue::Number { value, .. } => Some(value),
        LabelValue::Text(_) => None,
    }
}

/// Whether what the heap held after the last collection before each sample grows with the time of the sample, in its middle as well as
/// at its end.
fn heap_grows(profile: &Profile) -> bool {
    let of = |sample: usize| Some((-number(profile, sample, "age")?, number(profile, sample, "heap")?));
    let mut looks: Vec<(i64, i64)> = (0..profile.n_samples()).filter_map(of).collect();
    looks.sort_unstable();
    if looks.len() < 3 * COUNT_MIN {
        return false;
    }
    let median = |part: &[(i64, i64)]| {
        let mut heaps: Vec<i64> = part.iter().map(|look| look.1).collect();
        heaps.sort_unstable();
        heaps[heaps.len() / 2] as f64
    };
    let third = looks.len() / 3;
    let (first, middle, last) =
        (median(&looks[..third]), median(&looks[third..2 * third]), median(&looks[2 * third..]));
    last >= HEAP_GROWTH_MIN * first && last - middle >= STEADY_MIN * (middle - first) && middle > first
}
