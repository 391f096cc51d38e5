//! What grew over two or more profiles of one service.

use rustc_hash::FxHashSet;

use super::blame::Tree;
use super::columns::{Columns, Meaning};
use super::growth::{Capture, Scale, Stacks};
use super::model::Profile;
use super::origin::{Origin, Runtime};
use super::suspects::{Context, suspects};
use super::tell::{LEAK, Story, warnings_of};
use super::{mappings, native, objects, types, waits};
use crate::findings::Finding;
use crate::format::Format;

/// What grew.
#[derive(Clone, Debug)]
pub struct ProfileDiff {
    /// Of each capture, in order.
    pub captures: Vec<ProfileTotals>,
    /// Live bytes of the last less those of the first; 0 where the captures count things alone.
    pub growth_bytes: i64,
    /// Likewise of live things.
    pub growth_count: i64,
    /// What grew, most suspicious first.
    pub findings: Vec<Finding>,
    /// What could not be read or told, as sentences.
    pub warnings: Vec<String>,
}

/// The totals of one capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTotals {
    /// What it was read from.
    pub format: Format,
    /// Bytes of the capture.
    pub file_bytes: u64,
    /// Samples.
    pub samples: u64,
    /// When it was taken, in nanoseconds since the Unix epoch; 0 where it does not say.
    pub time_nanos: i64,
    /// Live bytes; none where it counts things alone.
    pub bytes: Option<i64>,
    /// Live things; none where it knows bytes alone.
    pub count: Option<i64>,
}

/// Why profiles cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// A comparison takes two.
    #[error("expected two captures or more, found {found}")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// One of them counts neither bytes nor things.
    #[error("expected a column of bytes or a count of what is alive, found {found}")]
    NoColumn {
        /// Which, from 0.
        index: usize,
        /// The columns that it has.
        found: String,
    },
    /// One of them says something else than the first.
    #[error("expected {expected} as in the first capture, found {found}")]
    Mixed {
        /// Which, from 0.
        index: usize,
        /// What the first is.
        expected: String,
        /// What this is.
        found: String,
    },
}

/// Bytes below which growth is no suspect's.
const GROWTH_MIN: f64 = 16.0 * 1024.0;
/// Least part of the last capture that growth must be.
const SHARE_MIN: f64 = 0.01;
/// Bytes from which on growth is told however large the rest is.
const GROWTH_CLEAR: f64 = 4.0 * 1024.0 * 1024.0;
/// Things below which growth is no suspect's where no bytes are known.
const GROWTH_COUNT_MIN: f64 = 10.0;
const SHARE_COUNT_MIN: f64 = 0.05;
/// Likewise for growth of libraries and of the runtime without any function of the program's own.
const SHARE_FOREIGN_MIN: f64 = 0.05;
/// Suspects that are told.
const FINDINGS_MAX: usize = 50;
const NANOS_PER_HOUR: f64 = 3.6e12;

/// What a stack of a profile stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Memory by where it was allocated.
    Stacks,
    /// Objects by type.
    Types,
    /// Goroutines by where they are.
    Goroutines,
    /// Sampled objects by what holds them.
    Objects,
    /// A process as the kernel sees it.
    Process,
}

impl Shape {
    pub(crate) fn of(profile: &Profile, columns: Columns) -> Self {
        let named = |name: &str| profile.sample_types.iter().any(|column| profile.text(column.kind) == name);
        match profile.format {
            format if format.is_by_type() => Self::Types,
            Format::Jfr => Self::Objects,
            Format::Process => Self::Process,
            _ if columns.bytes.is_none() && (named("goroutine") || named("goroutineleak")) => Self::Goroutines,
            _ => Self::Stacks,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stacks => "memory by stack",
            Self::Types => "objects by type",
            Self::Goroutines => "goroutines by stack",
            Self::Objects => "sampled objects by what holds them",
            Self::Process => "mappings, descriptors and threads",
        }
    }
}

/// Compares captures of one service, oldest first.
///
/// Stacks are alike when their functions are, whatever their addresses and lines. Growth is told once, by the function of the user's own
/// that it is blamed on. Cost is linear in the samples.
///
/// # Errors
/// [`DiffError`].
pub fn diff(profiles: &[&Profile], context: &Context) -> Result<ProfileDiff, DiffError> {
    if profiles.len() < 2 {
        return Err(DiffError::TooFew { found: profiles.len() });
    }
    let mut captures = Vec::with_capacity(profiles.len());
    for (index, profile) in profiles.iter().enumerate() {
        let found = || DiffError::NoColumn { index, found: Columns::shown(profile) };
        captures.push(Capture::of(profile).ok_or_else(found)?);
    }
    let shape = comparable(&mut captures)?;
    let meaning = Meaning::of_all(&captures);
    let mut warnings = warnings_of(profiles);
    warnings.extend(doubts(&captures, meaning));
    let between = Between::of(profiles, context, &mut warnings);
    let stacks = Stacks::of(captures, context.own.as_ref());
    let total = stacks.total();
    let (first, last) = (total[0], total[total.len() - 1]);
    let by_count = stacks.captures[0].columns.bytes.is_none();
    let growth_min = if by_count {
        GROWTH_COUNT_MIN.max(last.count as f64 * SHARE_COUNT_MIN)
    } else {
        GROWTH_MIN.max((last.bytes as f64 * SHARE_MIN).min(GROWTH_CLEAR))
    };
    let scale = Scale::new(&stacks.captures, between.exposures.clone(), growth_min);
    let growth = scale.weight(&last) - scale.weight(&first);
    let story = Story {
        stacks: &stacks,
        scale: &scale,
        meaning,
        growth,
        held: scale.weight(&last),
        hours: between.hours,
        requests: between.requests,
        own: context.own.as_ref(),
    };
    let mut findings = match shape {
        Shape::Types => types::grown(&story),
        Shape::Goroutines => waits::grown(&story),
        Shape::Objects => {
            let mut found = objects::held(&story);
            if found.is_empty() {
                found = suspects(profiles[profiles.len() - 1], context, FINDINGS_MAX);
            }
            // A cache that turns over has old objects too: of several recordings only what is likely is worth telling.
            found.retain(|finding| finding.suspect.confidence >= LEAK);
            found
        }
        Shape::Process => mappings::grown(&story),
        Shape::Stacks => stacks_grown(&story),
    };
    findings.extend(native::grown(&story));
    rank(&mut findings, &stacks);
    let totals = stacks.captures.iter().zip(&total).map(|(capture, look)| ProfileTotals {
        format: capture.profile.format,
        file_bytes: capture.profile.file_bytes,
        samples: capture.profile.n_samples() as u64,
        time_nanos: capture.profile.header.time_nanos,
        bytes: capture.columns.bytes.map(|_| look.bytes),
        count: capture.columns.count.map(|_| look.count),
    });
    Ok(ProfileDiff {
        captures: totals.collect(),
        growth_bytes: last.bytes.saturating_sub(first.bytes),
        growth_count: last.count.saturating_sub(first.count),
        findings,
        warnings,
    })
}

/// Growth by the function that it is blamed on. Of stacks without an own frame only what matters much is told.
fn stacks_grown(story: &Story<'_>) -> Vec<Finding> {
    let mut sites = Tree::of(story.stacks, story.scale).sites();
    sites.retain(|site| {
        let is_own = story.stacks.frames[site.frame as usize].origin == Origin::Own;
        is_own || story.scale.trend(&site.looks).growth >= SHARE_FOREIGN_MIN * story.held
    });
    sites.iter().map(|site| story.of_site(site)).collect()
}

/// Those first that are called leaks, then those of the program's own code, by growth, else by confidence.
fn rank(findings: &mut Vec<Finding>, stacks: &Stacks<'_>) {
    let foreign = stacks.frames.iter().filter(|frame| frame.origin != Origin::Own).map(|frame| frame.name.as_str());
    let foreign: FxHashSet<&str> = foreign.collect();
    let is_foreign = |finding: &Finding| foreign.contains(finding.suspect.name.as_str());
    let weight = |finding: &Finding| finding.growth.map_or(0, |growth| growth.bytes.max(growth.count));
    findings.sort_by(|a, b| {
        let is_leak = |finding: &Finding| finding.suspect.confidence >= LEAK;
        is_leak(b)
            .cmp(&is_leak(a))
            .then_with(|| is_foreign(a).cmp(&is_foreign(b)))
            .then_with(|| weight(b).cmp(&weight(a)))
            .then_with(|| b.suspect.confidence.total_cmp(&a.suspect.confidence))
            .then_with(|| a.suspect.name.cmp(&b.suspect.name))
    });
    findings.truncate(FINDINGS_MAX);
}

/// Says that the captures are of one kind and one runtime, and takes only columns that all have.
fn comparable(captures: &mut [Capture<'_>]) -> Result<Shape, DiffError> {
    let shapes: Vec<Shape> = captures.iter().map(|capture| Shape::of(capture.profile, capture.columns)).collect();
    let mixed = |index: usize, expected: String, found: String| DiffError::Mixed { index, expected, found };
    let first = (captures[0].columns, captures[0].runtime);
    for (index, capture) in captures.iter().enumerate().skip(1) {
        if shapes[index] != shapes[0] {
            return Err(mixed(index, shapes[0].name().to_owned(), shapes[index].name().to_owned()));
        }
        if let (Some(expected), Some(found)) = (first.1, capture.runtime)
            && expected != found
        {
            let told = |runtime: Runtime| format!("a profile of {}", runtime.name());
            return Err(mixed(index, told(expected), told(found)));
        }
        let columns = capture.columns;
        let is_common =
            first.0.bytes.is_some() && columns.bytes.is_some() || first.0.count.is_some() && columns.count.is_some();
        let is_alike = (first.0.meaning == Meaning::Allocated) == (columns.meaning == Meaning::Allocated);
        if !is_common || !is_alike {
            let shown = Columns::shown;
            return Err(mixed(index, shown(captures[0].profile), shown(capture.profile)));
        }
    }
    let (all_bytes, all_count) = (
        captures.iter().all(|capture| capture.columns.bytes.is_some()),
        captures.iter().all(|capture| capture.columns.count.is_some()),
    );
    for capture in captures {
        capture.columns.bytes = capture.columns.bytes.filter(|_| all_bytes);
        capture.columns.count = capture.columns.count.filter(|_| all_count);
    }
    Ok(shapes[0])
}

/// What the captures leave in doubt, as sentences.
fn doubts(captures: &[Capture<'_>], meaning: Meaning) -> Vec<String> {
    let mut warnings = Vec::new();
    match meaning {
        Meaning::Live => {}
        Meaning::Allocated => warnings.push(
            "the profiles count allocations and not what is alive: what grows is work, and no leak can be told from it"
                .to_owned(),
        ),
        Meaning::Unknown => warnings.push(format!(
            "the profiles do not say whether {} counts what is alive: growth of it may be work",
            Columns::shown(captures[0].profile)
        )),
    }
    let mut periods: Vec<String> = captures
        .iter()
        .map(|capture| {
            capture.period.map_or("none".to_owned(), |period| leakscope_model::Bytes(period as u64).to_string())
        })
        .collect();
    periods.dedup();
    if periods.len() > 1 {
        warnings.push(format!(
            "the captures have several sampling periods ({}): errors are those of the greatest",
            periods.join(", ")
        ));
    }
    warnings
}

/// What lies between the captures.
struct Between {
    /// From each capture to the next: requests where they are known, else time, else one each.
    exposures: Vec<f64>,
    hours: Option<f64>,
    requests: Option<f64>,
}

impl Between {
    fn of(profiles: &[&Profile], context: &Context, warnings: &mut Vec<String>) -> Self {
        let n = profiles.len();
        let steps = |values: &[f64]| -> Option<Vec<f64>> {
            let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
            (values.len() == n && steps.iter().all(|step| *step > 0.0)).then_some(steps)
        };
        let times: Vec<i64> =
            profiles.iter().map(|profile| profile.header.time_nanos).filter(|time| *time > 0).collect();
        if times.windows(2).any(|pair| pair[1] < pair[0]) {
            warnings.push("the captures are not in the order in which they were taken".to_owned());
        }
        let start = times.first().copied().unwrap_or(0);
        let hours: Vec<f64> = times.iter().map(|time| time.saturating_sub(start) as f64 / NANOS_PER_HOUR).collect();
        let hours = steps(&hours);
        let counted = || profiles.iter().filter_map(|profile| profile.fact("requests_total")).map(|count| count as f64);
        let requests: Vec<f64> = match context.requests.as_slice() {
            [] => counted().collect(),
            told => told.iter().map(|requests| *requests as f64).collect(),
        };
        let requests = steps(&requests);
        let sum = |steps: &Option<Vec<f64>>| steps.as_ref().map(|steps| steps.iter().sum());
        Self {
            hours: sum(&hours),
            requests: sum(&requests),
            exposures: requests.or(hours).unwrap_or_else(|| vec![1.0; n - 1]),
        }
    }
}

#[cfg(test)]
mod tests;
