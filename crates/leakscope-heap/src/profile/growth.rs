//! The stacks of several captures by what they have in common, what each holds in every capture, and how sure growth of it is.

use std::borrow::Cow;
use std::hash::Hasher;

use regex::Regex;
use rustc_hash::{FxHashMap, FxHasher};

use super::columns::{Columns, Meaning};
use super::model::{Line, Profile};
use super::origin::{Origin, Origins, Runtime};
use crate::hprof::normalised;

/// What stacks hold in one capture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Look {
    pub(crate) bytes: i64,
    pub(crate) count: i64,
    /// Of `bytes`, from sampling; 0 where everything was counted.
    pub(crate) variance: f64,
    /// Bytes ever allocated, freed or not; 0 where the profile does not say.
    pub(crate) allocated: i64,
}

impl Look {
    pub(crate) fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.count = self.count.saturating_add(other.count);
        self.variance += other.variance;
        self.allocated = self.allocated.saturating_add(other.allocated);
    }

    fn take(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.count = self.count.saturating_sub(other.count);
        self.variance = (self.variance - other.variance).max(0.0);
        self.allocated = self.allocated.saturating_sub(other.allocated);
    }
}

/// Adds looks capture by capture.
pub(crate) fn add(sum: &mut [Look], other: &[Look]) {
    sum.iter_mut().zip(other).for_each(|(sum, other)| sum.add(other));
}

/// Takes looks away capture by capture.
pub(crate) fn take(sum: &mut [Look], other: &[Look]) {
    sum.iter_mut().zip(other).for_each(|(sum, other)| sum.take(other));
}

/// Variance of sampled bytes, which are scaled to what they stand for.
///
/// `bytes` and `count`: as the profile says them; `period`: bytes between two samples on average. Objects are drawn one by one with
/// probability p = 1 − e^(−s/P) at a size of s, so that of N objects m ~ Bin(N, p) are seen, N is told as m/p and the bytes as B = m·s/p.
/// So Var(B) = N·p·(1 − p)·(s/p)² = m·(1 − p)·(s/p)²; with n = m/p, s = B/n. For objects much smaller than the period that is B·P, for
/// much larger ones nothing: each of them is seen.
///
/// Source: the scaling of google/pprof (`scaleHeapSample`), of Go's runtime and of V8's `SamplingHeapProfiler::ScaleSample`.
pub(crate) fn variance(bytes: i64, count: i64, period: f64) -> f64 {
    let (bytes, count) = (bytes.unsigned_abs() as f64, count.unsigned_abs() as f64);
    if bytes == 0.0 || period <= 1.0 {
        return 0.0;
    }
    // A profile without counts is taken to be of small objects, which vary most.
    let size = if count > 0.0 { bytes / count } else { 1.0 };
    let seen = -(-size / period).exp_m1();
    bytes * size * (1.0 - seen) / seen
}

/// A function, or what stands for one, alike in all captures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// Without what differs from process to process.
    pub(crate) name: String,
    /// Empty where not known.
    pub(crate) file: String,
    /// Tells functions without a name apart; else 0.
    pub(crate) line: i64,
    pub(crate) origin: Origin,
}

/// One of the captures that are compared.
pub(crate) struct Capture<'p> {
    pub(crate) profile: &'p Profile,
    pub(crate) columns: Columns,
    pub(crate) runtime: Option<Runtime>,
    /// Bytes between two samples on average; none where everything was counted.
    pub(crate) period: Option<f64>,
    /// Frames of all locations, the innermost inlined one first: those of `i` are from the end of `i - 1` to `frame_ends[i]`.
    frames: Vec<u32>,
    frame_ends: Vec<u32>,
    /// The frame of each location that has one alone, else [`NONE`].
    only_frames: Vec<u32>,
}

impl<'p> Capture<'p> {
    /// None where no column can be compared.
    pub(crate) fn of(profile: &'p Profile) -> Option<Self> {
        let columns = Columns::of(profile)?;
        let period = (profile.is_sampled && profile.header.period > 1).then_some(profile.header.period as f64);
        let runtime = Runtime::of(profile);
        let (frames, frame_ends, only_frames) = (Vec::new(), Vec::new(), Vec::new());
        Some(Self { profile, columns, runtime, period, frames, frame_ends, only_frames })
    }

    /// What a sample holds.
    pub(crate) fn look(&self, sample: usize) -> Look {
        let values = self.profile.values(sample);
        let value = |column: Option<usize>| column.map_or(0, |column| values[column]);
        let (bytes, count) = (value(self.columns.bytes), value(self.columns.count));
        let variance = self.period.map_or(0.0, |period| variance(bytes, count, period));
        Look { bytes, count, variance, allocated: value(self.columns.allocated) }
    }

    /// Frames of a sample's stack, leaf first.
    pub(crate) fn frames_of(&self, sample: usize) -> impl Iterator<Item = u32> {
        let mut locations = self.profile.stack(sample).iter();
        let mut of_location: &[u32] = &[];
        std::iter::from_fn(move || {
            // Nearly all locations have one frame, for which nothing is begun.
            while of_location.is_empty() {
                let location = *locations.next()?;
                match self.only_frames[location as usize] {
                    NONE => of_location = self.frames_at(location),
                    only => return Some(only),
                }
            }
            let (frame, rest) = of_location.split_first()?;
            of_location = rest;
            Some(*frame)
        })
    }

    /// Likewise as a list, which is faster where all of them are wanted.
    fn write_frames(&self, sample: usize, into: &mut Vec<u32>) {
        let stack = self.profile.stack(sample);
        into.clear();
        into.extend(stack.iter().map(|location| self.only_frames[*location as usize]));
        if into.contains(&NONE) {
            into.clear();
            for location in stack {
                into.extend_from_slice(self.frames_at(*location));
            }
        }
    }

    #[inline]
    fn frames_at(&self, location: u32) -> &[u32] {
        let at = location as usize;
        let start = if at == 0 { 0 } else { self.frame_ends[at - 1] as usize };
        &self.frames[start..self.frame_ends[at] as usize]
    }
}

/// The stacks of several captures: one row for each that is alike in its frames.
pub(crate) struct Stacks<'p> {
    pub(crate) captures: Vec<Capture<'p>>,
    pub(crate) frames: Vec<Frame>,
    /// Row by row, one for each capture.
    looks: Vec<Look>,
    /// A sample with the stack of each row: of the last capture that has it, the biggest. The capture, and the sample in it.
    examples: Vec<(u32, u32)>,
}

const NONE: u32 = u32::MAX;

impl<'p> Stacks<'p> {
    pub(crate) fn of(captures: Vec<Capture<'p>>, own: Option<&Regex>) -> Self {
        let mut stacks = Self { captures, frames: Vec::new(), looks: Vec::new(), examples: Vec::new() };
        let mut table = FrameTable::default();
        for index in 0..stacks.captures.len() {
            table.add(&mut stacks.captures[index], own);
        }
        stacks.frames = table.frames;
        let mut rows = Rows::default();
        for index in 0..stacks.captures.len() {
            stacks.fill(index, &mut rows);
        }
        stacks
    }

    /// Adds the samples of a capture to their rows.
    fn fill(&mut self, index: usize, rows: &mut Rows) {
        let n = self.captures.len();
        for sample in 0..self.captures[index].profile.n_samples() {
            let look = self.captures[index].look(sample);
            if look == Look::default() {
                continue;
            }
            let row = rows.find(self, index, sample);
            if row as usize == self.examples.len() {
                self.examples.push((index as u32, sample as u32));
                self.looks.resize(self.looks.len() + n, Look::default());
            } else {
                let (capture, other) = self.examples[row as usize];
                let is_bigger = || {
                    let known = self.captures[index].look(other as usize);
                    (look.bytes, look.count) > (known.bytes, known.count)
                };
                if capture as usize != index || is_bigger() {
                    self.examples[row as usize] = (index as u32, sample as u32);
                }
            }
            self.looks[row as usize * n + index].add(&look);
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.examples.len()
    }

    /// What a row holds in each capture.
    pub(crate) fn looks(&self, row: usize) -> &[Look] {
        let n = self.captures.len();
        &self.looks[row * n..(row + 1) * n]
    }

    /// Frames of a row, leaf first.
    pub(crate) fn frames_of(&self, row: usize) -> impl Iterator<Item = u32> {
        let (capture, sample) = self.examples[row];
        self.captures[capture as usize].frames_of(sample as usize)
    }

    /// A sample with the stack of a row.
    pub(crate) fn example(&self, row: usize) -> (&'p Profile, usize) {
        let (capture, sample) = self.examples[row];
        (self.captures[capture as usize].profile, sample as usize)
    }

    /// What all rows hold in each capture.
    pub(crate) fn total(&self) -> Vec<Look> {
        let mut total = vec![Look::default(); self.captures.len()];
        (0..self.n_rows()).for_each(|row| add(&mut total, self.looks(row)));
        total
    }
}

/// Finds the row of a stack.
#[derive(Default)]
struct Rows {
    /// The last row with each hash.
    by_hash: FxHashMap<u32, u32>,
    /// The row before with the same hash.
    alike: Vec<u32>,
    /// Frames of the stack that is looked for, and of one that may be alike.
    wanted: Vec<u32>,
    other: Vec<u32>,
}

impl Rows {
    /// The row of a sample's stack; the number of rows where it is new.
    fn find(&mut self, stacks: &Stacks<'_>, capture: usize, sample: usize) -> u32 {
        stacks.captures[capture].write_frames(sample, &mut self.wanted);
        let mut hasher = FxHasher::default();
        let pairs = self.wanted.chunks_exact(2);
        for frame in pairs.remainder() {
            hasher.write_u32(*frame);
        }
        for pair in pairs {
            hasher.write_u64(u64::from(pair[0]) << 32 | u64::from(pair[1]));
        }
        let hash = hasher.finish();
        let next = stacks.examples.len() as u32;
        let first = self.by_hash.entry((hash >> 32) as u32 ^ hash as u32).or_insert(next);
        let mut at = *first;
        while at != NONE && at != next {
            let (capture, sample) = stacks.examples[at as usize];
            stacks.captures[capture as usize].write_frames(sample as usize, &mut self.other);
            if self.other == self.wanted {
                return at;
            }
            at = self.alike[at as usize];
        }
        self.alike.push(if *first == next { NONE } else { *first });
        *first = next;
        next
    }
}

/// Functions of all captures, alike ones once.
#[derive(Default)]
struct FrameTable {
    frames: Vec<Frame>,
    known: FxHashMap<(String, String, i64), u32>,
}

impl FrameTable {
    fn add(&mut self, capture: &mut Capture<'_>, own: Option<&Regex>) {
        let profile = capture.profile;
        let origins = Origins::new(capture.runtime, own);
        let mut named: Vec<Option<u32>> = vec![None; profile.functions.len()];
        for location in 0..profile.locations.len() as u32 {
            for line in profile.lines(location) {
                let known = line.function.and_then(|function| named[function as usize]);
                let number = known.unwrap_or_else(|| {
                    let frame = frame(profile, location, *line, &origins);
                    let is_named = frame.line == 0;
                    let number = self.number(frame);
                    if let (Some(function), true) = (line.function, is_named) {
                        named[function as usize] = Some(number);
                    }
                    number
                });
                capture.frames.push(number);
            }
            if profile.lines(location).is_empty() {
                let number = self.number(frame(profile, location, Line::default(), &origins));
                capture.frames.push(number);
            }
            capture.frame_ends.push(capture.frames.len() as u32);
            let only = if let [frame] = capture.frames_at(location) { *frame } else { NONE };
            capture.only_frames.push(only);
        }
    }

    fn number(&mut self, frame: Frame) -> u32 {
        let key = (frame.name.clone(), frame.file.clone(), frame.line);
        *self.known.entry(key).or_insert_with(|| {
            self.frames.push(frame);
            self.frames.len() as u32 - 1
        })
    }
}

/// The frame of one line of a location.
fn frame(profile: &Profile, location: u32, line: Line, origins: &Origins<'_>) -> Frame {
    let found = profile.locations[location as usize];
    let mapping = found.mapping.map(|mapping| &profile.mappings[mapping as usize]);
    let Some(function) = line.function.map(|function| &profile.functions[function as usize]) else {
        let file = mapping.map_or("", |mapping| profile.text(mapping.file));
        let origin = origins.named("", "", file);
        let offset = mapping
            .map_or(found.address, |mapping| found.address.wrapping_sub(mapping.start).wrapping_add(mapping.offset));
        let binary = file.rsplit('/').next().unwrap_or_default();
        let name = if binary.is_empty() { format!("{offset:#x}") } else { format!("{binary}+{offset:#x}") };
        return Frame { name, file: String::new(), line: 0, origin };
    };
    let name = stable(profile.text(function.name));
    let is_unnamed = name.is_empty() || name.starts_with('(') && name.ends_with(')') || name == "<lambda>";
    Frame {
        file: profile.text(function.file).to_owned(),
        line: if is_unnamed { line.line } else { 0 },
        origin: origins.of(profile, function, mapping),
        name: name.into_owned(),
    }
}

/// A function's name without what differs from process to process or build to build: the hash at the end of Rust's names, and what
/// [`normalised`] cuts.
pub(crate) fn stable(name: &str) -> Cow<'_, str> {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.rsplit_once("::h") {
        Some((function, hash)) if is_hash(hash) => Cow::Borrowed(function),
        _ => normalised(name),
    }
}

/// Steps in standard errors of sampling that growth from the first to the last must be, for anything to be said.
const ERRORS_MIN: f64 = 4.5;
/// Likewise for a single step to count as growth.
const STEP_ERRORS_MIN: f64 = 1.5;
/// Part of a step of even growth that each step must be.
const STEP_SHARE_MIN: f64 = 0.05;
/// Part of the greatest pace below which growth that slows down is taken for a cache that fills.
const PACE_MIN: f64 = 0.25;

/// How captures are compared: what is weighed, and what lies between them.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// Whether things are counted, since the captures know no bytes.
    pub(crate) by_count: bool,
    /// Whether values are drawn from all allocations.
    pub(crate) is_sampled: bool,
    /// The greatest period in bytes, 0 where nothing is sampled.
    pub(crate) period: f64,
    /// Whether all captures also count what was ever allocated.
    pub(crate) counts_allocations: bool,
    /// Growth below says nothing.
    pub(crate) growth_min: f64,
    /// What lies between one capture and the next: requests, else time, else one each.
    exposures: Vec<f64>,
}

/// How what is held changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trend {
    /// The last less the first.
    pub(crate) growth: f64,
    /// Standard error of it from sampling.
    pub(crate) error: f64,
    /// Whether each step is growth beyond what sampling explains.
    pub(crate) in_every_step: bool,
    /// Whether growth slowed down, as that of a cache that fills.
    pub(crate) slows: bool,
}

impl Trend {
    /// Growth in standard errors, infinite where everything was counted.
    pub(crate) fn errors(&self) -> f64 {
        if self.error > 0.0 { self.growth / self.error } else { f64::INFINITY * self.growth.signum() }
    }
}

impl Scale {
    pub(crate) fn new(captures: &[Capture<'_>], exposures: Vec<f64>, growth_min: f64) -> Self {
        let by_count = captures.iter().any(|capture| capture.columns.bytes.is_none());
        let period = captures.iter().filter_map(|capture| capture.period).fold(0.0, f64::max);
        let period = if by_count { 0.0 } else { period };
        let counts_allocations = captures.iter().all(|capture| capture.columns.allocated.is_some());
        Self { by_count, is_sampled: period > 0.0, period, counts_allocations, growth_min, exposures }
    }

    pub(crate) fn weight(&self, look: &Look) -> f64 {
        if self.by_count { look.count as f64 } else { look.bytes as f64 }
    }

    /// Standard error of the difference of two looks.
    ///
    /// An object that lives from one look to the next is seen in both or in none, so that only those that came or went between add to the
    /// error. What came is at most what was allocated between, and what went is that less the growth, where the profiles count allocations
    /// too. Where they do not, all are taken to have been replaced: that is the most it can be. One sample is added, since nothing seen is
    /// no proof of nothing.
    fn error(&self, from: &Look, to: &Look) -> f64 {
        if !self.is_sampled {
            return 0.0;
        }
        let replaced = from.variance + to.variance;
        let came = to.allocated.saturating_sub(from.allocated);
        let exchanged = if self.counts_allocations && came >= 0 && to.bytes > 0 {
            let went = came.saturating_sub(to.bytes.saturating_sub(from.bytes)).max(0);
            (came as f64 + went as f64) * to.variance / to.bytes as f64
        } else {
            replaced
        };
        (exchanged.min(replaced) + self.period * self.period).sqrt()
    }

    /// How what is held changed over the captures; at least two.
    pub(crate) fn trend(&self, looks: &[Look]) -> Trend {
        let steps: Vec<f64> = looks.windows(2).map(|pair| self.weight(&pair[1]) - self.weight(&pair[0])).collect();
        let errors: Vec<f64> = looks.windows(2).map(|pair| self.error(&pair[0], &pair[1])).collect();
        let growth: f64 = steps.iter().sum();
        let even = growth * STEP_SHARE_MIN / steps.len().max(1) as f64;
        let grew = |(step, error): (&f64, &f64)| *step > 0.0 && *step >= even && *step > STEP_ERRORS_MIN * error;
        let pace = |index: usize, value: f64| value / self.exposures.get(index).copied().unwrap_or(1.0).max(1e-9);
        let paces: Vec<f64> = steps.iter().enumerate().map(|(index, step)| pace(index, *step)).collect();
        let slowest = paces.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = paces.iter().copied().fold(0.0, f64::max);
        let doubt = errors.iter().enumerate().map(|(index, error)| pace(index, *error)).fold(0.0, f64::max);
        Trend {
            growth,
            error: match (looks.first(), looks.last()) {
                (Some(first), Some(last)) => self.error(first, last),
                _ => 0.0,
            },
            in_every_step: !steps.is_empty() && steps.iter().zip(&errors).all(grew),
            slows: steps.len() > 1 && slowest + 2.0 * doubt < PACE_MIN * fastest,
        }
    }

    /// How it changed, where that is growth which matters and which neither sampling nor a single step explains.
    pub(crate) fn growing(&self, looks: &[Look]) -> Option<Trend> {
        let trend = self.trend(looks);
        let rises = looks.windows(2).all(|pair| self.weight(&pair[1]) > self.weight(&pair[0]));
        let matters = trend.growth >= self.growth_min && trend.errors() >= ERRORS_MIN;
        (matters && rises && (self.is_sampled || trend.in_every_step)).then_some(trend)
    }
}

impl Meaning {
    /// The least that several columns mean.
    pub(crate) fn of_all(captures: &[Capture<'_>]) -> Self {
        let all: Vec<Self> = captures.iter().map(|capture| capture.columns.meaning).collect();
        if all.contains(&Self::Allocated) {
            Self::Allocated
        } else if all.contains(&Self::Unknown) {
            Self::Unknown
        } else {
            Self::Live
        }
    }
}
