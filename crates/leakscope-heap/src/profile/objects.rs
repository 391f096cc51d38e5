//! Sampled objects that outlived collections, as the JDK Flight Recorder tells of them: by what holds them, with their ages, and by the
//! function that allocated them, which says where in the source, and is all there is of what no object holds.

use std::collections::{BTreeMap, BTreeSet};

use leakscope_model::{Frame, Location, PathStep, Suspect};
use rustc_hash::{FxHashMap, FxHashSet};

use super::growth::{Capture, Stacks};
use super::model::{LabelValue, Profile};
use super::origin::{Origin, Origins};
use super::tell::{DOUBTFUL, Story, identity, place, short_name, stack_of};
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

/// Part of a group's samples that a function's stacks must be for it to stand for the group, and the most of others' beside those.
const SITE_SHARE_MIN: f64 = 0.9;
const SITE_OTHERS_MAX: f64 = 0.1;
/// Samples of each recording, the youngest, by which its heap is measured.
const HEAP_LOOKS: usize = 9;

/// Objects that hang on one holder, or that one function allocated where no holder is known.
#[derive(Default)]
struct Group {
    samples: Vec<usize>,
    bytes: i64,
    ages: Vec<i64>,
    /// The own function that allocated them, and no others, into [`super::growth::Stacks::frames`].
    site: Option<u32>,
    is_held: bool,
}

impl Group {
    fn add(&mut self, capture: &Capture<'_>, sample: usize) {
        self.samples.push(sample);
        self.bytes = self.bytes.saturating_add(capture.look(sample).bytes);
        self.ages.extend(number(capture.profile, sample, "age"));
    }
}

/// What a person knows a holder by, and the own holders down to it.
type Key = (String, Vec<String>);

/// Holders with many old objects. What no own object is known to hold, as what a thread has on its stack, is told by the function that
/// allocated it.
pub(crate) fn held(story: &Story<'_>) -> Vec<Finding> {
    let Some(capture) = story.stacks.captures.last() else { return Vec::new() };
    let n_all = capture.profile.n_samples();
    let least = COUNT_MIN.max((n_all as f64 * SHARE_MIN) as usize);
    let traces: Vec<Vec<u32>> = (0..n_all).map(|sample| own_trace(story, capture, sample)).collect();
    let (mut groups, free) = by_holder(story, capture, least);
    place_groups(story, &mut groups, &traces);
    let known: FxHashSet<u32> =
        groups.values().flat_map(|group| &group.samples).flat_map(|sample| traces[*sample].iter().copied()).collect();
    for sample in free {
        let trace = &traces[sample];
        let holder = groups.values_mut().find(|group| group.site.is_some_and(|site| trace.contains(&site)));
        if let Some(group) = holder {
            group.add(capture, sample);
        } else if let Some(&site) = trace.iter().find(|frame| !known.contains(frame)) {
            let name = story.stacks.frames[site as usize].name.clone();
            let group = groups.entry((name.clone(), vec![name])).or_default();
            group.site = Some(site);
            group.add(capture, sample);
        }
    }
    let grows = heap_grows(capture.profile) || heap_rises(story.stacks);
    let told = groups.iter().filter(|(_, group)| group.samples.len() >= least);
    told.map(|((name, chain), group)| group.finding(story, name, chain, n_all, grows)).collect()
}

/// Own functions with names of a sample's stack, from the root down.
fn own_trace(story: &Story<'_>, capture: &Capture<'_>, sample: usize) -> Vec<u32> {
    let is_named = |frame: &u32| {
        let frame = &story.stacks.frames[*frame as usize];
        frame.origin == Origin::Own && !frame.name.contains("$$Lambda") && !frame.name.contains(".lambda$")
    };
    let mut trace: Vec<u32> = capture.frames_of(sample).filter(is_named).collect();
    trace.reverse();
    trace
}

/// Samples by what holds them, and those of which it is not known or nothing of the program's own.
fn by_holder(story: &Story<'_>, capture: &Capture<'_>, least: usize) -> (BTreeMap<Key, Group>, Vec<usize>) {
    let profile = capture.profile;
    let mut holders: FxHashMap<u64, usize> = FxHashMap::default();
    for sample in 0..profile.n_samples() {
        for step in profile.path(sample) {
            *holders.entry(step.id).or_default() += 1;
        }
    }
    let own = Own { origins: Origins::new(capture.runtime, story.own) };
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    let mut free = Vec::new();
    for sample in 0..profile.n_samples() {
        let path = profile.path(sample);
        // The last object that many have in common, above the sampled one, is where they accumulate.
        let last = path.len().saturating_sub(1);
        let at = path[..last].iter().rposition(|step| holders[&step.id] >= least);
        let Some(key) = at.and_then(|at| own.named(&path[..=at], path)) else {
            free.push(sample);
            continue;
        };
        let group = groups.entry(key).or_default();
        group.is_held = true;
        group.add(capture, sample);
    }
    (groups, free)
}

/// Finds the function of each group: one of the holder's class where there is one, else the highest that allocates for no other holder;
/// where there is no other, the lowest.
fn place_groups(story: &Story<'_>, groups: &mut BTreeMap<Key, Group>, traces: &[Vec<u32>]) {
    let count = |group: &Group| {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &sample in &group.samples {
            let distinct: BTreeSet<u32> = traces[sample].iter().copied().collect();
            for frame in distinct {
                *counts.entry(frame).or_default() += 1;
            }
        }
        counts
    };
    let mut all: FxHashMap<u32, usize> = FxHashMap::default();
    for group in groups.values() {
        for (frame, n) in count(group) {
            *all.entry(frame).or_default() += n;
        }
    }
    for ((name, _), group) in groups {
        let counts = count(group);
        let is_specific = |frame: &&u32| {
            let n = counts.get(frame).copied().unwrap_or(0) as f64;
            let others = all[*frame] as f64 - n;
            n >= SITE_SHARE_MIN * group.samples.len() as f64 && others <= SITE_OTHERS_MAX * n
        };
        let Some(longest) = group.samples.iter().map(|sample| &traces[*sample]).max_by_key(|trace| trace.len()) else {
            continue;
        };
        let specific: Vec<u32> = longest.iter().filter(is_specific).copied().collect();
        let class = name.split('.').next();
        let is_holders = |frame: &&u32| {
            let name = &story.stacks.frames[**frame as usize].name;
            name.rsplit_once('.').map(|(of, _)| short_class(of)) == class
        };
        let highest = || if specific.len() < longest.len() { specific.first() } else { specific.last() };
        group.site = specific.iter().find(is_holders).or_else(highest).copied();
    }
}

struct Own<'o> {
    origins: Origins<'o>,
}

impl Own<'_> {
    fn holds(&self, step: &PathStep) -> bool {
        !step.edge.starts_with(['[', '\u{2026}']) && self.origins.named(&step.name, "", "") == Origin::Own
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
        let at = self.site.and_then(|site| frames.iter().position(|frame| *frame == site));
        let is_own = |frame: &u32| story.stacks.frames[*frame as usize].origin == Origin::Own;
        let at = at.or_else(|| frames.iter().position(is_own));
        let location = at.and_then(|at| place(&stack[at]).or_else(|| place_of_class(&stack[at])));
        let by_convention = match at.and_then(|at| location.as_ref().filter(|_| stack[at].file.is_none())) {
            Some(_) => "; a recording names no files: this is that of the outermost class, by convention",
            None => "",
        };
        let title = if self.is_held {
            format!("objects of all ages hang on `{name}`")
        } else {
            format!("objects of all ages are kept that `{}` allocated", short_name(name))
        };
        let seconds = |age: Option<i64>| age.unwrap_or(0) / 1_000_000_000;
        let heap = if grows { "the heap after collections grows" } else { "the heap after collections does not grow" };
        let n = self.samples.len();
        let suspect = Suspect {
            title,
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
                 when their owner ends{by_convention}",
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
            let frames: Vec<u32> = capture.frames_of(sample).collect();
            if self.site.is_none_or(|site| frames.contains(&site)) {
                *counts.entry(frames).or_default() += 1;
            }
        }
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (0..stacks.n_rows()).find(|&row| stacks.frames_of(row).eq(most.iter().copied()))
    }
}

/// The place of a method of which the file is not known: that of its outermost class, as compilers of Java take it.
fn place_of_class(frame: &Frame) -> Option<Location> {
    let (class, _) = frame.function.rsplit_once('.')?;
    let outermost = class.split('$').next()?;
    let name = outermost.rsplit(['.', '/']).next().filter(|name| !name.is_empty())?;
    Some(Location { file: format!("{name}.java"), line: frame.line?, column: None })
}

/// Whether the heap after the last collection is larger from recording to recording, by what their youngest samples say of it.
fn heap_rises(stacks: &Stacks<'_>) -> bool {
    let level = |capture: &Capture<'_>| {
        let profile = capture.profile;
        let of = |sample: usize| Some((number(profile, sample, "age")?, number(profile, sample, "heap")?));
        let mut looks: Vec<(i64, i64)> = (0..profile.n_samples()).filter_map(of).collect();
        looks.sort_unstable();
        looks.truncate(HEAP_LOOKS);
        let mut heaps: Vec<i64> = looks.into_iter().map(|look| look.1).collect();
        heaps.sort_unstable();
        heaps.get(heaps.len() / 2).map(|heap| *heap as f64)
    };
    let Some(levels) = stacks.captures.iter().map(level).collect::<Option<Vec<f64>>>() else { return false };
    let steps: Vec<f64> = levels.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let grown: f64 = steps.iter().sum();
    steps.len() > 1
        && levels[levels.len() - 1] >= HEAP_GROWTH_MIN * levels[0]
        && steps.iter().all(|step| *step >= STEADY_MIN * grown / steps.len() as f64)
}

fn number(profile: &Profile, sample: usize, key: &str) -> Option<i64> {
    match profile.label(sample, key)? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::profile::builder::Builder;
    use crate::profile::model::{Label, Text};
    use crate::profile::{Context, suspects};

    /// A recording of objects of a leak, held by a list or by nothing that is known, and of a page cache, without files.
    fn recording(holder: Option<(&str, &str)>, function: &str) -> Profile {
        let step = |name: &str, edge: &str, id: u64| PathStep { name: name.to_owned(), edge: edge.to_owned(), id };
        let mut builder = Builder::new(Format::Jfr, 0);
        builder.sample_type("objects", "count");
        builder.sample_type("bytes", "bytes");
        let work = builder.frame("Service$Routes.work", "", 942, 0);
        let handler = builder.frame("Service$Leaks$$Lambda$5+0x00007f.accept", "", 0, 0);
        let leak = [builder.frame("Service$Dice.text", "", 196, 0), builder.frame(function, "", 421, 0), handler, work];
        let page = [
            builder.frame("java.lang.StringBuilder.toString", "", 9, 0),
            builder.frame("Service$Cart.page", "", 250, 0),
            builder.frame("Service$PageCache.getOrRender", "", 268, 0),
            work,
        ];
        let (age, heap) = (builder.text("age"), builder.text("heap"));
        let number = |key, value| Label { key, value: LabelValue::Number { value, unit: Text::default() } };
        for at in 0..60_u64 {
            let labels = [number(age, (60 - at as i64) * 1_000_000_000), number(heap, 10_000 + at as i64 * 1000)];
            let is_page = at % 5 == 0;
            builder.sample(if is_page { &page } else { &leak }, &[1, 1024], &labels);
            let object = step("byte[]", "", 1000 + at);
            match holder {
                _ if is_page => builder.path(vec![
                    step("Service$PageCache", "table", 1),
                    step("java.util.HashMap$Node[]", &format!("[{at}]"), 2),
                    object,
                ]),
                // What holds every sixth is not found.
                Some((class, field)) if at % 6 != 1 => {
                    builder.path(vec![
                        step(class, field, 3),
                        step("java.lang.Object[]", &format!("[{at}]"), 4),
                        object,
                    ]);
                }
                _ => {}
            }
        }
        builder.finish()
    }

    #[test]
    fn the_stack_says_where_in_the_source_and_what_is_kept_where_no_holder_is_known() {
        let cases = [
            (
                Some(("Service$InventoryBus", "LISTENERS")),
                "Service$InventoryBus.subscribe",
                "objects of all ages hang on `Service$InventoryBus.LISTENERS`",
            ),
            (
                None,
                "com.acme.Service$Reservations.await",
                "objects of all ages are kept that `Service$Reservations.await` allocated",
            ),
        ];
        for (holder, function, title) in cases {
            let found = suspects(&recording(holder, function), &Context::default(), 10);
            let suspect = &found[0].suspect;
            let place = suspect.location.as_ref().map(|place| (place.file.as_str(), place.line));
            assert_eq!((&*suspect.title, suspect.count, place), (title, 48, Some(("Service.java", 421))), "{function}");
            assert!(suspect.confidence >= 0.5 && suspect.reason.contains("by convention"), "{suspect:?}");
            assert!(found[1..].iter().all(|other| other.suspect.confidence < 0.5), "{function}");
        }
    }
}
