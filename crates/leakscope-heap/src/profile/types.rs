//! Growth by type: the user's own first, with what they hold counted as theirs.

use std::fmt::Write as _;

use leakscope_model::{Bytes, Suspect};

use super::blame::Site;
use super::growth::{Look, Trend, add};
use super::origin::{Origin, Runtime};
use super::suspects::HELD_SHARE_MIN;
use super::tell::{DOUBTFUL, Story, Told, identity};
use crate::findings::Finding;
use crate::story::short_class;

/// Objects that a type must have more.
const COUNT_MIN: i64 = 10;
/// Part of its objects that growth must be.
const GROWN_MIN: f64 = 0.02;
/// By how much of their growth two types may differ in a step, and one be a part of the other.
const DIFFERENCE_MAX: f64 = 0.12;

/// Types whose growth says what is wrong, though they are not the user's own: the name, the kind, what is told of them, what to do.
const TELLING: [(&str, &str, &str, &str); 6] = [
    (
        "java.nio.DirectByteBuffer",
        "native",
        "direct buffers accumulate, with memory outside of the heap",
        "find who keeps the buffers: their memory is freed when they are collected",
    ),
    ("java.lang.Thread", "thread", "threads never end", "find what they wait for, and end it after a deadline"),
    (
        "java.lang.ThreadLocal$ThreadLocalMap$Entry",
        "thread-local",
        "entries of thread locals accumulate",
        "call `remove()` when the task ends: pooled threads keep it",
    ),
    ("ClassLoader", "classloader", "class loaders stay loaded", "find who refers to a class of the old deployment"),
    ("java.io.FileDescriptor", "unclosed", "files are opened and not closed", "close them where they are opened"),
    (
        "java.lang.ref.Finalizer",
        "finalizer",
        "objects wait for their finalizers",
        "find the finalizer that blocks, and close such objects by hand",
    ),
];

/// A type that grows.
struct Grower<'l> {
    row: usize,
    name: String,
    origin: Origin,
    looks: &'l [Look],
}

impl Grower<'_> {
    fn grown_bytes(&self) -> i64 {
        self.looks.last().map_or(0, |look| look.bytes - self.looks[0].bytes)
    }
}

/// Types that became more.
pub(crate) fn grown(story: &Story<'_>) -> Vec<Finding> {
    let mut growers: Vec<Grower<'_>> = (0..story.stacks.n_rows()).filter_map(|row| grower(story, row)).collect();
    let mut findings = Vec::new();
    while let Some(first) = first_of(&growers) {
        let lead = growers.remove(first);
        let is_alike = |other: &Grower<'_>| in_proportion(lead.looks, other.looks);
        let (alike, others): (Vec<Grower<'_>>, Vec<Grower<'_>>) = growers.into_iter().partition(is_alike);
        growers = others;
        findings.extend(finding(story, &lead, &alike));
    }
    findings
}

/// A type whose objects became more in every step.
fn grower<'l>(story: &'l Story<'_>, row: usize) -> Option<Grower<'l>> {
    let looks = story.stacks.looks(row);
    let (first, last) = (looks.first()?, looks.last()?);
    let grown = last.count - first.count;
    let rises = looks.windows(2).all(|pair| pair[1].count > pair[0].count);
    if !rises || grown < COUNT_MIN || (grown as f64) < GROWN_MIN * last.count as f64 {
        return None;
    }
    let frame = &story.stacks.frames[story.stacks.frames_of(row).next()? as usize];
    let origin = origin_of_type(&frame.name, frame.origin, story.stacks.captures[0].runtime);
    Some(Grower { row, name: frame.name.clone(), origin, looks })
}

/// Whose a type is.
fn origin_of_type(name: &str, found: Origin, runtime: Option<Runtime>) -> Origin {
    const BUILT_IN: [&str; 22] = [
        "Array",
        "ArrayBuffer",
        "AsyncFunction",
        "BigInt",
        "Boolean",
        "Buffer",
        "DataView",
        "Date",
        "Error",
        "Function",
        "Generator",
        "Map",
        "Number",
        "Object",
        "Promise",
        "RegExp",
        "Set",
        "String",
        "Symbol",
        "Uint8Array",
        "WeakMap",
        "WeakRef",
    ];
    if runtime != Some(Runtime::Node) {
        return found;
    }
    let is_engines =
        name.starts_with('(') || name.starts_with("system / ") || name.is_empty() || BUILT_IN.contains(&name);
    if is_engines { Origin::Runtime } else { Origin::Own }
}

/// The type that a leak is told by: an own one with most bytes, else a telling one, else that with most bytes.
fn first_of(growers: &[Grower<'_>]) -> Option<usize> {
    let rank =
        |grower: &Grower<'_>| (grower.origin == Origin::Own, telling(&grower.name).is_some(), grower.grown_bytes());
    (0..growers.len()).max_by_key(|&index| rank(&growers[index]))
}

fn telling(name: &str) -> Option<&'static (&'static str, &'static str, &'static str, &'static str)> {
    TELLING.iter().find(|(known, ..)| name == *known || *known == "ClassLoader" && name.ends_with("ClassLoader"))
}

/// Whether objects of one type become more as those of the other do, step by step: one holds the other, or both hang on one.
fn in_proportion(lead: &[Look], other: &[Look]) -> bool {
    let all = |looks: &[Look]| (looks[looks.len() - 1].count - looks[0].count) as f64;
    let share = |pair: &[Look], all: f64| (pair[1].count - pair[0].count) as f64 / all;
    let (of_lead, of_other) = (all(lead), all(other));
    lead.windows(2)
        .zip(other.windows(2))
        .all(|(lead, other)| (share(lead, of_lead) - share(other, of_other)).abs() <= DIFFERENCE_MAX)
}

fn finding(story: &Story<'_>, lead: &Grower<'_>, alike: &[Grower<'_>]) -> Option<Finding> {
    let mut looks = lead.looks.to_vec();
    for other in alike {
        add(&mut looks, other.looks);
    }
    let special = telling(&lead.name).or_else(|| alike.iter().find_map(|other| telling(&other.name)));
    let is_told_by_type = lead.origin == Origin::Own || telling(&lead.name).is_some();
    if story.scale.growing(&looks).is_none() && special.is_none() {
        return None;
    }
    // The number of its objects, not of all that they hold.
    for (sum, of_lead) in looks.iter_mut().zip(lead.looks) {
        sum.count = of_lead.count;
    }
    let trend = Trend { in_every_step: true, ..story.scale.trend(&looks) };
    let grown = story.grown(trend, &looks);
    let sure = story.confidence(&grown, if is_told_by_type { Origin::Own } else { Origin::Library });
    let (kind, title, advice) = told(lead, special);
    let frame = story.stacks.frames_of(lead.row).next()?;
    let site = Site { frame, chain: vec![frame], looks, row: lead.row, is_bounded: false };
    let mut finding = story.finding(&site, Told { title, kind, advice, confidence: sure, grown });
    let held: Vec<String> = heaviest(alike).iter().map(|name| format!("`{name}`")).collect();
    if !held.is_empty() {
        let with = if held.len() < alike.len() { " and others" } else { "" };
        let _ = write!(finding.suspect.reason, "; {}{with} grow along with it and are counted in", held.join(", "));
    }
    finding.suspect.stack = Vec::new();
    Some(finding)
}

fn told(
    lead: &Grower<'_>,
    special: Option<&(&str, &'static str, &'static str, &'static str)>,
) -> (&'static str, String, &'static str) {
    let name = short_class(&lead.name).to_owned();
    let whose = match name.strip_suffix("$$Lambda") {
        Some(class) => format!("lambdas of `{class}` accumulate"),
        None => format!("`{name}` accumulates"),
    };
    match (special, lead.origin == Origin::Own) {
        (Some((_, kind, said, advice)), true) => (*kind, format!("{whose}, and {said}"), *advice),
        (Some((known, kind, said, advice)), false) => (*kind, format!("{said} (`{known}`)"), *advice),
        (None, true) => (
            "object",
            whose,
            "a heap dump says who holds them: bound it, evict, or remove entries when their owner ends",
        ),
        (None, false) => (
            "object",
            format!("`{name}` accumulates, and no type of the program's own along with it"),
            "a histogram does not say who holds them: take a heap dump, or a recording with old objects",
        ),
    }
}

/// The types that have most of the growth beside.
fn heaviest(alike: &[Grower<'_>]) -> Vec<String> {
    let mut sorted: Vec<&Grower<'_>> = alike.iter().collect();
    sorted.sort_by_key(|grower| std::cmp::Reverse(grower.grown_bytes()));
    sorted.into_iter().take(3).map(|grower| short_class(&grower.name).to_owned()).collect()
}

/// Own types that hold much of the heap of a single capture.
pub(crate) fn held(story: &Story<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for row in 0..story.stacks.n_rows() {
        let (Some(look), Some(frame)) = (story.stacks.looks(row).first(), story.stacks.frames_of(row).next()) else {
            continue;
        };
        let frame = &story.stacks.frames[frame as usize];
        let share: f64 = story.scale.weight(look) / story.growth.max(1.0);
        let origin = origin_of_type(&frame.name, frame.origin, story.stacks.captures[0].runtime);
        if origin != Origin::Own || share < HELD_SHARE_MIN || look.count < COUNT_MIN {
            continue;
        }
        let each = Bytes((look.bytes / look.count.max(1)).unsigned_abs());
        let suspect = Suspect {
            title: format!("{} objects of `{}` are alive", look.count, short_class(&frame.name)),
            kind: "object".to_owned(),
            name: frame.name.clone(),
            bytes: look.bytes.unsigned_abs(),
            count: look.count.unsigned_abs(),
            share: share.clamp(0.0, 1.0),
            path: Vec::new(),
            stack: Vec::new(),
            location: None,
            confidence: (0.1 + 0.4 * share).min(DOUBTFUL),
            reason: format!(
                "{} of {each} each are {} % of all objects; one capture cannot show growth: take another and compare",
                look.count,
                (share * 100.0).round()
            ),
        };
        findings.push(Finding {
            identity: identity("object", [frame.name.as_str()].into_iter()),
            suspect,
            growth: None,
        });
    }
    findings
}
