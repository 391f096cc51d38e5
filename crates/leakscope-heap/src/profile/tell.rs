//! What grew, told to a person: title, reason, place, identity, and how sure it is.

use std::fmt::Write as _;
use std::hash::Hasher;

use leakscope_model::{Bytes, Frame, Location, Suspect};
use regex::Regex;
use rustc_hash::FxHasher;

use super::blame::Site;
use super::columns::Meaning;
use super::growth::{Look, Scale, Stacks, Trend, stable};
use super::model::Profile;
use super::origin::Origin;
use crate::findings::{Finding, Growth, LeakIdentity};

/// Functions that a title names at most.
const CHAIN_MAX: usize = 4;
/// Confidence from which on something is called a leak.
pub(crate) const LEAK: f64 = 0.5;
/// The most that is said where the evidence is of a kind that cannot prove a leak.
pub(crate) const DOUBTFUL: f64 = 0.45;
/// Part of what is held that growth must be for it to be more than a shift.
const GROWN_SHARE_MIN: f64 = 0.05;
/// Part of all that is held which growth must be to be called a leak, and from which on its size leaves no doubt.
const PART_MIN: f64 = 0.01;
const PART_SURE: f64 = 0.1;
/// Growth in standard errors from which on sampling leaves no doubt.
const ERRORS_SURE: f64 = 12.0;

/// What all findings of one comparison have in common.
pub(crate) struct Story<'s> {
    pub(crate) stacks: &'s Stacks<'s>,
    pub(crate) scale: &'s Scale,
    pub(crate) meaning: Meaning,
    /// All growth, of which each has its share.
    pub(crate) growth: f64,
    /// All that the last capture holds.
    pub(crate) held: f64,
    pub(crate) hours: Option<f64>,
    pub(crate) requests: Option<f64>,
    /// What the user calls his own.
    pub(crate) own: Option<&'s Regex>,
}

impl Story<'_> {
    /// The finding of stacks that grow.
    pub(crate) fn of_site(&self, site: &Site) -> Finding {
        let trend = self.scale.trend(&site.looks);
        let origin = self.stacks.frames[site.frame as usize].origin;
        let chain = self.shown_chain(site);
        let churns = self.meaning == Meaning::Allocated;
        let title = if churns {
            format!("most is allocated in `{chain}`, freed or not")
        } else {
            format!("memory allocated in `{chain}` grows")
        };
        let kind = if churns { "churn" } else { "allocation" };
        let advice = match (origin, churns) {
            (_, true) => "allocations are work, and say nothing of what is kept",
            (Origin::Own, _) => {
                "find what keeps what is allocated here: bound it, evict, or let go when its owner ends"
            }
            _ => "no function of the program's own is on these stacks: find what it asks of this library",
        };
        let grown = self.grown(trend, &site.looks);
        self.finding(site, Told { title, kind, advice, confidence: self.confidence(&grown, origin), grown })
    }

    /// Puts a finding together.
    pub(crate) fn finding(&self, site: &Site, told: Told) -> Finding {
        let (stack, location) = self.stack_and_place(site);
        let reason = format!("{}; {}", self.reason(&told.grown, &site.looks), told.advice);
        let growth = told.grown.growth;
        let suspect = Suspect {
            title: told.title,
            kind: told.kind.to_owned(),
            name: self.stacks.frames[site.frame as usize].name.clone(),
            bytes: growth.bytes.max(0) as u64,
            count: growth.count.max(0) as u64,
            share: told.grown.share,
            path: Vec::new(),
            stack,
            location,
            confidence: told.confidence,
            reason,
        };
        let chain = shortened(&site.chain, site.frame);
        Finding { suspect, identity: self.identity_of(told.kind, &chain), growth: Some(growth) }
    }

    /// The biggest stack of a site, leaf first, and the line of its function on it.
    pub(crate) fn stack_and_place(&self, site: &Site) -> (Vec<Frame>, Option<Location>) {
        let (stack, frames) = stack_of(self.stacks, site.row);
        let at = frames.iter().position(|frame| *frame == site.frame);
        let location = at.and_then(|at| place(&stack[at]));
        (stack, location)
    }

    /// See [`identity`]; `chain`: functions that name the leak.
    pub(crate) fn identity_of(&self, kind: &str, chain: &[u32]) -> LeakIdentity {
        identity(kind, chain.iter().map(|&frame| self.stacks.frames[frame as usize].name.as_str()))
    }

    /// How much more there is, in all units.
    pub(crate) fn grown(&self, trend: Trend, looks: &[Look]) -> Grown {
        let (first, last) = (looks.first().copied().unwrap_or_default(), looks.last().copied().unwrap_or_default());
        let bytes = last.bytes.saturating_sub(first.bytes);
        let growth = Growth {
            bytes,
            count: last.count.saturating_sub(first.count),
            in_every_step: trend.in_every_step,
            error_bytes: self.scale.is_sampled.then_some(trend.error),
            bytes_per_hour: self.hours.filter(|_| !self.scale.by_count).map(|hours| bytes as f64 / hours),
            bytes_per_request: self.requests.filter(|_| !self.scale.by_count).map(|requests| bytes as f64 / requests),
        };
        let share = (trend.growth / self.growth.max(trend.growth).max(1.0)).clamp(0.0, 1.0);
        let held = self.scale.weight(&last).max(1.0);
        Grown { growth, trend, share, steps: looks.len().saturating_sub(1), of_held: trend.growth / held }
    }

    /// How sure: growth in every step beyond sampling, over three captures or more, of a part that matters, in code of the user's own.
    pub(crate) fn confidence(&self, grown: &Grown, origin: Origin) -> f64 {
        let exactness = if self.scale.is_sampled { (grown.trend.errors() / ERRORS_SURE).clamp(0.0, 1.0) } else { 1.0 };
        let weight = 0.5 + 0.5 * grown.share;
        // What is small beside all that is held matters less.
        let part = grown.trend.growth / self.held.max(1.0);
        let size = (part / PART_SURE).clamp(0.0, 1.0);
        let sure = 0.5 + 0.45 * weight * (0.4 + 0.6 * exactness) * (0.4 + 0.6 * size);
        let most = match (self.meaning, origin) {
            (Meaning::Allocated, _) => 0.2,
            (Meaning::Live, Origin::Own) => 1.0,
            (Meaning::Live, Origin::Library) => 0.7,
            (Meaning::Unknown, _) | (_, Origin::Runtime | Origin::Allocator | Origin::Unknown) => DOUBTFUL,
        };
        let is_short = grown.steps < 2;
        let doubts = part < PART_MIN
            || !grown.trend.in_every_step
            || grown.trend.slows
            || grown.of_held < GROWN_SHARE_MIN
            || is_short;
        let found = if doubts { sure * DOUBTFUL } else { sure };
        found.min(most)
    }

    /// Functions of the chain as a title names them: the outermost, the one that is blamed, and the innermost.
    pub(crate) fn shown_chain(&self, site: &Site) -> String {
        let shown = shortened(&site.chain, site.frame);
        let names: Vec<String> = shown.iter().map(|&frame| short(&self.stacks.frames[frame as usize])).collect();
        names.join(" › ")
    }

    /// The evidence as a sentence, without what to do about it.
    pub(crate) fn reason(&self, grown: &Grown, looks: &[Look]) -> String {
        let every = match (grown.trend.in_every_step, grown.steps) {
            (true, 1) => "grew from the first capture to the second".to_owned(),
            (true, steps) => format!("grew in each of {steps} steps"),
            (false, _) if self.scale.is_sampled => "grew, though a step is within what sampling explains".to_owned(),
            (false, _) => "grew, not in every step".to_owned(),
        };
        let sizes: Vec<String> = looks.iter().map(|look| self.amount(look)).collect();
        let mut reason = format!("{every}: {}", sizes.join(", "));
        if let Some(error) = grown.growth.error_bytes {
            let _ = write!(reason, " (sampling explains ± {})", Bytes(error as u64));
        }
        let counts = (looks.first().map_or(0, |look| look.count), looks.last().map_or(0, |look| look.count));
        if !self.scale.by_count && counts.1 > counts.0 {
            let each = grown.growth.bytes.max(0) / (counts.1 - counts.0).max(1);
            let _ = write!(reason, ", from {} to {} objects of {} each", counts.0, counts.1, Bytes(each as u64));
        }
        let _ = write!(reason, "; {} % of all growth", (grown.share * 100.0).round());
        if grown.trend.slows {
            reason.push_str("; it slows down, as a cache that fills does");
        }
        if grown.steps < 2 {
            reason.push_str("; two captures cannot tell a leak from a warm-up: take a third");
        }
        reason
    }

    fn amount(&self, look: &Look) -> String {
        if self.scale.by_count { look.count.to_string() } else { Bytes(look.bytes.max(0) as u64).to_string() }
    }
}

/// How much more there is of something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grown {
    pub(crate) growth: Growth,
    pub(crate) trend: Trend,
    /// Of all growth.
    pub(crate) share: f64,
    pub(crate) steps: usize,
    /// Growth as a part of what the last capture holds.
    of_held: f64,
}

/// What a kind of suspect adds.
pub(crate) struct Told {
    pub(crate) title: String,
    pub(crate) kind: &'static str,
    pub(crate) advice: &'static str,
    pub(crate) confidence: f64,
    pub(crate) grown: Grown,
}

/// At most [`CHAIN_MAX`] of a chain: its beginning, its end, and the frame that is blamed. Without a frame that is in it, as that of a
/// library, the frame alone.
fn shortened(chain: &[u32], blamed: u32) -> Vec<u32> {
    let Some(at) = chain.iter().position(|frame| *frame == blamed) else { return vec![blamed] };
    if chain.len() <= CHAIN_MAX {
        return chain.to_vec();
    }
    let start = at.min(chain.len() - CHAIN_MAX);
    let mut shown = chain[start..start + CHAIN_MAX].to_vec();
    if let (Some(last), Some(innermost)) = (shown.last_mut(), chain.last()) {
        *last = *innermost;
    }
    if !shown.contains(&blamed) {
        shown[0] = blamed;
    }
    shown
}

/// The stack of a row as people read it, leaf first, and its frames.
pub(crate) fn stack_of(stacks: &Stacks<'_>, row: usize) -> (Vec<Frame>, Vec<u32>) {
    let (profile, sample) = stacks.example(row);
    let mut stack = Vec::new();
    for &location in profile.stack(sample) {
        if profile.lines(location).is_empty() {
            let found = profile.locations[location as usize];
            stack.push(Frame { function: format!("{:#x}", found.address), file: None, line: None });
        }
        for line in profile.lines(location) {
            let function = line.function.map(|function| profile.functions[function as usize]);
            let text = |text| Some(profile.text(text).to_owned()).filter(|text| !text.is_empty());
            let start = function.map_or(0, |function| function.start_line);
            let line = if line.line > 0 { line.line } else { start };
            stack.push(Frame {
                function: function.map_or(String::new(), |function| profile.text(function.name).to_owned()),
                file: function.and_then(|function| text(function.file)),
                line: u32::try_from(line).ok().filter(|line| *line > 0),
            });
        }
    }
    (stack, stacks.frames_of(row).collect())
}

pub(crate) fn place(frame: &Frame) -> Option<Location> {
    Some(Location { file: frame.file.clone()?, line: frame.line?, column: None })
}

/// A hash of what names the leak in every process; see [`LeakIdentity`].
pub(crate) fn identity<'n>(kind: &str, names: impl Iterator<Item = &'n str>) -> LeakIdentity {
    let mut hasher = FxHasher::default();
    hasher.write(kind.as_bytes());
    for name in names {
        hasher.write_u8(0);
        hasher.write(stable(name).as_bytes());
    }
    LeakIdentity(hasher.finish())
}

/// A function as a title names it: without folders, packages that say nothing, and type arguments.
pub(crate) fn short(frame: &super::growth::Frame) -> String {
    let name = match &*frame.name {
        "" => "(anonymous)",
        name => name,
    };
    if frame.line > 0 && !frame.file.is_empty() {
        let file = frame.file.rsplit('/').next().unwrap_or_default();
        return format!("{name} at {file}:{}", frame.line);
    }
    short_name(name)
}

pub(crate) fn short_name(name: &str) -> String {
    if name.contains("::") {
        return short_path(name);
    }
    let end = name.find(['(', '[', ' ', '<']).unwrap_or(name.len());
    if let Some(slash) = name[..end].rfind('/') {
        // Go: the last element of the import path stays.
        return name[slash + 1..].to_owned();
    }
    if let Some(function) = name.strip_prefix("main.") {
        return function.to_owned();
    }
    let dots: Vec<usize> = name[..end].match_indices('.').map(|(at, _)| at).collect();
    // A JVM's method: its class and itself. Go's `store.(*Cache).Put` and Python's `Store.open` have one dot or none at all.
    match dots.len() {
        0 | 1 => name.to_owned(),
        n => name[dots[n - 2] + 1..].to_owned(),
    }
}

/// The last two steps of a path of Rust or C++, without closures, blocks and type arguments.
fn short_path(name: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_u32;
    let self_type = name.strip_prefix('<').and_then(|inner| inner.split_once(" as ").map(|(this, _)| this));
    let rest = name.rsplit_once(">::").map_or(name, |(_, method)| method);
    if let Some(this) = self_type.filter(|_| rest.len() < name.len()) {
        plain.push_str(this);
        plain.push_str("::");
    }
    let from = if self_type.is_some() { rest } else { name };
    for letter in from.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            '(' if depth == 0 => break,
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    let steps: Vec<&str> = plain.split("::").filter(|step| !step.is_empty()).collect();
    let named: Vec<&str> = steps.iter().copied().filter(|step| !step.starts_with('{')).collect();
    let steps = if named.is_empty() { steps } else { named };
    steps[steps.len().saturating_sub(2)..].join("::")
}

/// What could not be read of each capture, as sentences.
pub(crate) fn warnings_of(profiles: &[&Profile]) -> Vec<String> {
    let n = profiles.len();
    let mut warnings = Vec::new();
    for (index, profile) in profiles.iter().enumerate() {
        let told = |warning: &String| if n > 1 { format!("capture {}: {warning}", index + 1) } else { warning.clone() };
        warnings.extend(profile.warnings.iter().map(told));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_name_functions_by_what_tells_them_apart() {
        let cases = [
            ("main.rememberRecommendation", "rememberRecommendation"),
            ("main.(*dice).texts", "(*dice).texts"),
            ("main.(*shop).serve.func1", "(*shop).serve.func1"),
            ("github.com/acme/shop/cart.(*Cart).Add", "cart.(*Cart).Add"),
            ("github.com/acme/shop/cart.Keep[go.shape.string]", "cart.Keep[go.shape.string]"),
            ("example_service::leaks::remember_recommendation", "leaks::remember_recommendation"),
            ("<example_service::leaks::SessionStore as core::fmt::Debug>::fmt", "SessionStore::fmt"),
            ("example_service::work::{{closure}}", "example_service::work"),
            ("example_service::leaks::SessionStore::open", "SessionStore::open"),
            ("example_service::leaks::{impl#3}::open", "leaks::open"),
            ("example_service::serve::{async_fn#0}::{closure_env#1}", "example_service::serve"),
            ("{async_fn#0}", "{async_fn#0}"),
            ("shop::Cache<K,V>::put", "Cache::put"),
            ("rememberRecommendation", "rememberRecommendation"),
            ("SessionStore.open", "SessionStore.open"),
            ("com.acme.shop.Cart.add", "Cart.add"),
            ("Service$AuditTrail.append(Service$WorkRequest)", "Service$AuditTrail.append(Service$WorkRequest)"),
            ("keep_thumbnail", "keep_thumbnail"),
        ];
        for (name, expected) in cases {
            assert_eq!(short_name(name), expected, "{name}");
        }
    }

    #[test]
    fn a_long_chain_keeps_the_blamed_and_both_ends() {
        let cases: [(&[u32], u32, &[u32]); 5] = [
            (&[1, 2, 3], 2, &[1, 2, 3]),
            (&[1, 2, 3, 4, 5, 6], 1, &[1, 2, 3, 6]),
            (&[1, 2, 3, 4, 5, 6], 2, &[2, 3, 4, 6]),
            (&[1, 2, 3, 4, 5, 6], 6, &[3, 4, 5, 6]),
            (&[1, 2], 9, &[9]),
        ];
        for (chain, blamed, expected) in cases {
            assert_eq!(shortened(chain, blamed), expected, "{blamed} in {chain:?}");
        }
    }
}
