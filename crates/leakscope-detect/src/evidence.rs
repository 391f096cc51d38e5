//! One window of floors under every test: a ratio per test (1 = just passed), and the least of them is the evidence.

use crate::load::Load;
use crate::ring::{MINUTE_MS, Ring};
use crate::stats::{self, Bend, Line, MAX, Pace, Points};
use crate::threshold;
use crate::tuning::Tuning;
use crate::window::{View, Window, onset};

/// Ratios beyond this say no more.
const CEILING: f64 = 3.0;
/// Evidence from here on is worth cheap captures.
pub(crate) const SUSPECTED: f64 = 0.75;
/// What a window that fails a yes-or-no test can reach.
const FAILED: f64 = 0.6;
/// Below this the remaining tests are not worth their cost.
pub(crate) const HOPELESS: f64 = 0.3;
/// Least share of a window's blocks that must hold a sample.
const COVERED: f64 = 0.6;

/// Blocks within which the newest points of any window lie.
const NEWEST: usize = 20;

/// Points that a window must hold in any case.
const LEAST_POINTS: f64 = 6.0;

/// Points that the time before a window must show, to be compared with it.
const LEAST_BEFORE: usize = 6;

/// Days back that a floor must be new in: a week and the day before.
const DAYS: usize = 8;

/// The test that a window passes by the least.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Test {
    #[default]
    Amplitude,
    Records,
    Trend,
    Pace,
    Step,
    Load,
    Horizon,
    Novelty,
    Reach,
}

/// The outcome for one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// The least ratio of all tests, 0 to 3; 1 is just enough.
    pub(crate) ratio: f64,
    pub(crate) weakest: Test,
    /// The least ratio of the tests that chance can pass.
    pub(crate) sure: f64,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// Blocks that the window spans, and those of them that hold a value.
    pub(crate) n_blocks: usize,
    pub(crate) n_points: usize,
    /// Fitted floor at `from_ms`.
    pub(crate) level: f64,
    /// Slope an hour, with its 95 % interval.
    pub(crate) slope: f64,
    pub(crate) slope_low: f64,
    pub(crate) slope_high: f64,
    pub(crate) z: f64,
    pub(crate) n_records: u32,
    pub(crate) e_value: f64,
    /// Power of the e-value over the power that is asked for.
    pub(crate) surprise: f64,
    pub(crate) pace: f64,
    /// Part of what is left that growth reaches at the strongest bend that the samples allow.
    pub(crate) reach: f64,
    pub(crate) step_share: f64,
    pub(crate) load_share: f64,
    /// The least growth that counts.
    pub(crate) least: f64,
    /// Hours until the limit or twice the level, at this slope.
    pub(crate) hours_left: f64,
    /// Hours ahead that the window may speak of.
    pub(crate) horizon: f64,
    /// Requests an hour in the window; 0 when unknown.
    pub(crate) requests_per_hour: f64,
}

impl Evidence {
    pub(crate) fn hours(&self) -> f64 {
        self.to_ms.saturating_sub(self.from_ms) as f64 / 3_600_000.0
    }

    pub(crate) fn growth(&self) -> f64 {
        self.slope * self.hours()
    }

    fn or_better(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.ratio > self.ratio || self.n_blocks == 0 => other,
            _ => self,
        }
    }

    fn lower(&mut self, ratio: f64, test: Test) {
        if ratio < self.ratio {
            self.ratio = ratio.max(0.0);
            self.weakest = test;
        }
    }
}

/// How a signal behaves, and so what its growth must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// What collections left: exact, but a value comes with each collection and not with each scrape. A few must do.
    Live,
    /// A heap with garbage.
    Heap,
    /// Bytes that the runtime itself counts.
    Exact,
    /// Resident memory.
    Resident,
    /// Resident memory that the heap does not explain. Pages that nobody uses would: it must be even and keep its pace strictly.
    Unused,
    /// Things that are counted.
    Count,
}

/// What the tests need to know beside the floors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// When the process was first seen.
    pub(crate) began_ms: i64,
    /// Before this a process loads; no window touches it.
    pub(crate) loaded_ms: i64,
    /// Blocks before this are warm-up; a window that touches them speaks of an end that is near.
    pub(crate) warm_ms: i64,
    pub(crate) nature: Nature,
    /// The limit, for bytes.
    pub(crate) limit: Option<f64>,
    /// What is left until the limit.
    pub(crate) left: Option<f64>,
    /// The resident set: what is small beside it does not matter, whatever its own level.
    pub(crate) resident: f64,
    pub(crate) load: &'a Load,
    /// The level that earlier lives and replicas live at without leaking; 0 where none is known.
    pub(crate) settled: f64,
    /// Windows that begin before this may be of a process that comes up to that level.
    pub(crate) coming_up_until_ms: i64,
    pub(crate) tuning: Tuning,
}

impl Context<'_> {
    /// Hours that the process has been seen.
    fn hours_seen(&self, now_ms: i64) -> f64 {
        now_ms.saturating_sub(self.began_ms) as f64 / 3_600_000.0
    }

    fn day_seen(&self, now_ms: i64) -> bool {
        self.hours_seen(now_ms) >= threshold::DAY
    }

    /// Whether `n` points are so few that each must count for more.
    fn few(&self, n: usize) -> bool {
        self.nature == Nature::Live && n < threshold::FEW
    }
}

/// The floors under test, and what remembers the time before them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rings<'a> {
    pub(crate) ring: &'a Ring,
    /// The next coarser scale, or the same again where there is none.
    pub(crate) coarser: &'a Ring,
    /// The highest floor over five minutes of each hour, for two days.
    pub(crate) hours: &'a Ring,
    /// The same of each day.
    pub(crate) days: &'a Ring,
    /// Twelve hours in quarters: all of a young life.
    pub(crate) life: &'a Ring,
}

/// Lengths of windows in blocks: dense, so that one of them begins near where the growth began. Of fewer than twelve floors no records convince.
const WINDOWS: [usize; 8] = [12, 14, 17, 20, 24, 30, 38, 48];

/// The best evidence among windows of the last blocks of a ring.
pub(crate) fn best_of(rings: Rings<'_>, context: Context<'_>) -> Evidence {
    let ring = rings.ring;
    let mut best = Evidence::default();
    if ring.held() < WINDOWS[0] && context.nature != Nature::Live {
        return best;
    }
    if !may_matter(ring, context) {
        return best;
    }
    let held = Window::of(ring, 0, ring.held());
    // The shortest window that passes has to hold for the shortest time.
    for n in WINDOWS {
        best = best.or_better(of_window(rings, held.last(n), best.ratio, context));
        if best.ratio >= 1.0 {
            break;
        }
    }
    if context.nature == Nature::Live {
        // Collections are few in a young process: all of its life since the warm-up is a window as well.
        let n = (0..ring.held()).take_while(|back| ring.middle_ms(*back) >= context.warm_ms).count();
        let whole = held.last(n.max(threshold::POINTS));
        let whole = (n > 0 && n < MAX).then(|| of_window(rings, whole, best.ratio, context)).flatten();
        best = best.or_better(whole);
    }
    best
}

/// Whether any window of the ring can show growth that counts: nearly every block of a healthy service ends here.
fn may_matter(ring: &Ring, context: Context<'_>) -> bool {
    let n_newest = if context.nature == Nature::Live { MAX } else { NEWEST };
    ring.span(n_newest)
        .is_some_and(|(lowest, newest)| newest - lowest >= HOPELESS * least_growth_from(lowest, WINDOWS[0], context))
}

/// The evidence of the last `n` blocks; `None` when they reach into the warm-up or hold too few values.
///
/// `None` as well where it does not grow enough to matter. Once its ratio falls below `enough` the rest is not worth its cost;
/// below zero nothing is left out.
pub(crate) fn of_window(rings: Rings<'_>, window: View<'_>, enough: f64, context: Context<'_>) -> Option<Evidence> {
    let (ring, n, points) = (rings.ring, window.n_blocks, window.points);
    let begins_ms = ring.middle_ms(n - 1).saturating_sub(MINUTE_MS * i64::from(ring.minutes) / 2);
    let young = begins_ms < context.warm_ms;
    if ring.held() < n || begins_ms < context.loaded_ms || young && context.left.is_none() {
        return None;
    }
    if context.few(points.len()) && context.hours_seen(ring.end_ms(0)) < threshold::GROWN_UP_HOURS {
        return None;
    }
    let least = if context.nature == Nature::Live {
        threshold::POINTS
    } else {
        (COVERED * n as f64).ceil().max(LEAST_POINTS) as usize
    };
    if points.len() < least {
        return None;
    }
    // The cheap gate: nearly every window of a healthy service ends here.
    let rise = stats::median(&points.floors[points.len() - 3..]) - stats::median(&points.floors[..3]);
    let least = least_growth(points, context);
    if enough >= 0.0 && rise < HOPELESS * least {
        return None;
    }
    let mut evidence = Evidence {
        ratio: CEILING,
        least,
        from_ms: ring.middle_ms(window.backs[0]),
        to_ms: ring.middle_ms(window.backs[points.len() - 1]),
        n_blocks: n,
        n_points: points.len(),
        level: points.floors[0],
        ..Evidence::default()
    };
    evidence.lower(rise / evidence.least, Test::Amplitude);
    let enough = if enough < 0.0 { 0.0 } else { enough.max(HOPELESS) };
    // ORDER: by cost. The quadratic test comes last but for those that need its slope.
    let tests: [&dyn Fn(&mut Evidence); 5] = [
        &|evidence| test_records(evidence, points, young, context),
        &|evidence| test_horizon_roughly(evidence, rise, context),
        &|evidence| test_novelty(evidence, points, rings, context),
        &|evidence| test_pace(evidence, window, rings, young, context),
        &|evidence| test_load(evidence, window, rings, context),
    ];
    for test in tests {
        if evidence.ratio < enough {
            return Some(evidence);
        }
        test(&mut evidence);
    }
    if evidence.ratio < enough || (evidence.ratio <= FAILED && enough > 0.0) {
        return Some(evidence);
    }
    test_trend(&mut evidence, points, context);
    evidence.step_share = stats::step_share(points.floors, evidence.growth());
    let step = if context.nature == Nature::Unused { threshold::STEP_UNUSED } else { threshold::STEP };
    evidence.lower(step / evidence.step_share, Test::Step);
    evidence.sure = evidence.ratio;
    test_horizon(&mut evidence, window, ring.minutes, young, context);
    test_reach(&mut evidence, rings, context);
    Some(evidence)
}

fn least_growth(points: Points<'_>, context: Context<'_>) -> f64 {
    least_growth_from(points.floors[0], points.len(), context)
}

/// The least growth from `level` that counts, in a window of `n` points.
fn least_growth_from(level: f64, n: usize, context: Context<'_>) -> f64 {
    if context.nature == Nature::Count {
        return (level * threshold::OF_COUNT).max(threshold::COUNT);
    }
    let few = context.few(n);
    let of_level = if few { threshold::OF_LEVEL_FEW } else { threshold::OF_LEVEL };
    let of_limit = context.limit.unwrap_or(0.0) * threshold::OF_LIMIT;
    (level * of_level).max(context.resident * of_level).max(of_limit).max(1.0)
}

/// What goes with the load is no leak.
fn test_load(evidence: &mut Evidence, window: View<'_>, rings: Rings<'_>, context: Context<'_>) {
    let minutes = rings.ring.minutes;
    evidence.requests_per_hour = context.load.per_hour(minutes, evidence.n_blocks).unwrap_or(0.0);
    evidence.load_share = context.load.explains(minutes, window.backs, window.points);
    evidence.lower(threshold::LOAD / evidence.load_share, Test::Load);
    if context.day_seen(evidence.to_ms) || straighter_by_request(window, minutes, context, 8.0) {
        return;
    }
    // What the load held on other days is not known yet, so growth must outpace it: in the window, and since the process began.
    let life = (0..rings.life.held()).take_while(|back| rings.life.middle_ms(*back) >= context.warm_ms).count();
    let outpaces = |ring: &Ring, n: usize| {
        let rise = context.load.rise(ring.minutes, n).filter(|rise| *rise >= threshold::RISING)?;
        let floors = Window::of(ring, 0, n);
        let floors = floors.points().floors;
        let (first, last) = (floors.first_chunk::<3>()?, floors.last_chunk::<3>()?);
        // A small heap in a large process multiplies with the first requests.
        let level = stats::median(first).max(evidence.least).max(context.resident / 4.0);
        let growth = (stats::median(last) - stats::median(first)) / level;
        Some(growth / (threshold::OUTPACE * rise))
    };
    for ratio in [outpaces(rings.ring, evidence.n_blocks), outpaces(rings.life, life)].into_iter().flatten() {
        if ratio < 1.0 {
            evidence.load_share = 1.0;
            evidence.lower(ratio, Test::Load);
        }
    }
}

/// Where only a few collections speak, every one of them must be a record.
fn test_records(evidence: &mut Evidence, points: Points<'_>, young: bool, context: Context<'_>) {
    (evidence.n_records, evidence.e_value) = stats::records(points.floors);
    let least = if context.nature == Nature::Live {
        context.tuning.log10_e_live.min(stats::records_at_most(points.len()).log10())
    } else {
        context.tuning.log10_e
    };
    evidence.surprise = evidence.e_value.max(1.0).log10() / least;
    evidence.lower(evidence.surprise, Test::Records);
    let even = match context.nature {
        _ if young => 1.0,
        Nature::Unused => threshold::EVEN_UNUSED,
        Nature::Resident => threshold::EVEN_RESIDENT,
        Nature::Live if !context.few(points.len()) => threshold::EVEN_LIVE,
        Nature::Live | Nature::Heap | Nature::Exact | Nature::Count => return,
    };
    evidence.lower(f64::from(evidence.n_records) / (points.len() - 1) as f64 / even, Test::Records);
}

fn test_trend(evidence: &mut Evidence, points: Points<'_>, context: Context<'_>) {
    let trend = stats::trend(points);
    evidence.level = trend.level;
    evidence.slope = trend.slope;
    evidence.slope_low = trend.slope_low;
    evidence.slope_high = trend.slope_high;
    evidence.z = trend.z;
    let most = if context.nature == Nature::Live { stats::z_at_most(points.len()) } else { f64::INFINITY };
    evidence.lower(trend.z / context.tuning.z.min(most), Test::Trend);
    let relative = if trend.slope > 0.0 { trend.slope_low / trend.slope } else { 0.0 };
    evidence.lower(relative / threshold::SLOPE_LOW, Test::Trend);
    evidence.least = evidence.least.max(threshold::SIGMAS * std::f64::consts::SQRT_2 * trend.sigma);
    evidence.lower(evidence.growth() / evidence.least, Test::Amplitude);
}

/// Growth must keep its pace: within the window, and against the time before, where a curve that bends was steeper.
///
/// Where requests are counted, pace per request counts as well as pace per hour: a leak that slows down at night is one.
fn test_pace(evidence: &mut Evidence, window: View<'_>, rings: Rings<'_>, young: bool, context: Context<'_>) {
    let View { backs, points, .. } = window;
    let few = context.few(points.len());
    // Of a few points no interval of the pace can be had, so a stricter least stands alone.
    let (least, least_high) = match (few, young || context.nature == Nature::Unused) {
        (true, _) => (threshold::PACE_FEW, 0.0),
        (false, true) => (threshold::PACE_UNUSED, threshold::PACE_HIGH),
        (false, false) => (threshold::PACE, threshold::PACE_HIGH),
    };
    let passes = |pace: Pace| (pace.ratio / least).min(pace.high / least_high).min(threshold::PACE_MOST / pace.ratio);
    let (before, minutes_before) = window_before(rings, evidence.n_blocks, context);
    let by_time = pace(points, before.points());
    let (mut totals, mut totals_before) = ([0.0_f64; MAX], [0.0_f64; MAX]);
    let mut best = by_time;
    if context.load.totals(rings.ring.minutes, backs, &mut totals) {
        let known_before = context.load.totals(minutes_before, &before.backs[..before.n], &mut totals_before);
        let n_before = if known_before { before.n } else { 0 };
        let points = Points { hours: &totals[..points.len()], floors: points.floors };
        let points_before = Points { hours: &totals_before[..n_before], floors: &before.floors[..n_before] };
        let by_request = pace(points, points_before);
        if passes(by_request) > passes(by_time) {
            best = by_request;
        }
    }
    evidence.pace = best.ratio;
    evidence.lower(passes(best), Test::Pace);
}

/// What is not sure to go on may be a cache that fills: even if it bends as much as it may, it must reach a good part of what is left.
///
/// All of the growth speaks, not the window alone. Its pace per request counts where that is clearly the straighter.
fn test_reach(evidence: &mut Evidence, rings: Rings<'_>, context: Context<'_>) {
    let minutes = rings.ring.minutes;
    let held = Window::of(rings.ring, 0, rings.ring.held());
    let view @ View { backs, points, .. } = held.last(onset(&held, evidence.n_blocks));
    let z = threshold::REACH_Z * (1.0 + threshold::REACH_FEW / points.len() as f64);
    let reach = |points| Bend::of(points).map_or(0.0, |bend| bend.reach(z));
    let mut reached = reach(points);
    let mut totals = [0.0_f64; MAX];
    if straighter_by_request(view, minutes, context, 2.0) && context.load.totals(minutes, backs, &mut totals) {
        reached = reached.max(reach(Points { hours: &totals[..points.len()], floors: points.floors }));
    }
    let newest = (evidence.level + evidence.growth()).max(evidence.least);
    let left = match context.left {
        _ if context.nature == Nature::Count => threshold::REACH_COUNTS * newest,
        Some(left) if matches!(context.nature, Nature::Live | Nature::Exact) => left.min(far(evidence, context)),
        Some(left) => left,
        None => threshold::REACH_LEVELS * newest,
    };
    evidence.reach = reached / left;
    let ratio = evidence.reach / threshold::REACH;
    if ratio < 1.0 {
        // Nothing else speaks against a leak, so it stays a suspicion.
        evidence.lower(SUSPECTED + (1.0 - SUSPECTED) * ratio, Test::Reach);
    }
}

/// Whether growth is a straighter line over the requests served than over time: by this factor in the sum of squares.
fn straighter_by_request(window: View<'_>, minutes: u32, context: Context<'_>, times: f64) -> bool {
    let View { backs, points, .. } = window;
    let mut totals = [0.0_f64; MAX];
    context.load.totals(minutes, backs, &mut totals) && {
        let by_request = Points { hours: &totals[..points.len()], floors: points.floors };
        times * Line::squares(by_request) < Line::squares(points)
    }
}

/// As much time before a window of `n` blocks, warm-up left out: from its own ring, or in coarser blocks where that no longer holds it.
fn window_before(rings: Rings<'_>, n: usize, context: Context<'_>) -> (Window, u32) {
    let Rings { ring, coarser, .. } = rings;
    let warm = |ring: &Ring, skip: usize, n: usize| {
        (skip..(skip + n).min(ring.held())).take_while(|back| ring.middle_ms(*back) >= context.warm_ms).count()
    };
    let own = warm(ring, n, n);
    if own * 2 >= n || coarser.minutes == ring.minutes {
        return (Window::of(ring, n, own), ring.minutes);
    }
    let span = (n as u32 * ring.minutes).div_ceil(coarser.minutes) as usize;
    // A block that the window has begun is left out.
    (Window::of(coarser, span, warm(coarser, span, span.max(LEAST_BEFORE))), coarser.minutes)
}

fn pace(points: Points<'_>, before: Points<'_>) -> Pace {
    let within = Pace::within(points);
    if before.len() < LEAST_BEFORE {
        return within;
    }
    let line_before = Line::of(before);
    if line_before.slope <= 0.0 {
        return within;
    }
    let since = Pace::of(line_before, Line::of(points));
    if since.ratio < within.ratio { since } else { within }
}

/// The newest floors must stand above all that came before the last quarter of the window, and a good part of the rise above all that came
/// before the window: what each day or each week brings is no growth.
fn test_novelty(evidence: &mut Evidence, points: Points<'_>, rings: Rings<'_>, context: Context<'_>) {
    let Rings { ring, hours, days, .. } = rings;
    let n = evidence.n_blocks;
    let newest = stats::median(&points.floors[points.len() - 3..]);
    let within = points.floors[..points.len() * 3 / 4].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let before = (n..ring.held()).filter_map(|back| ring.get(back));
    let tops = |ring: &Ring, n: usize| {
        let before = (0..ring.held().min(n)).filter(|back| ring.end_ms(*back) <= evidence.from_ms);
        before.filter_map(|back| ring.get(back)).fold(f64::NEG_INFINITY, f64::max)
    };
    let before = before.fold(tops(hours, MAX).max(tops(days, DAYS)), f64::max);
    let rise = newest - stats::median(&points.floors[..3]);
    let part = if ring.minutes == 1 { threshold::NEW_FINEST } else { threshold::NEW };
    let new = newest - before >= part * rise;
    // A young process comes up to the level that others live at.
    let coming_up = newest <= context.settled && evidence.from_ms < context.coming_up_until_ms;
    if newest <= within || !new || coming_up || !stats::quintiles_rise(points.floors) {
        evidence.lower(FAILED, Test::Novelty);
    }
}

/// A window may speak of what lies within twenty times its own length, no more: an hour's growth says nothing of next month.
/// A short one, or one that reaches into the warm-up, speaks of less.
///
/// By then it must reach the limit, or five times its level where the limit is far. Where no limit is known, and for what the runtime
/// itself counts, twice the level is enough if nearly every floor was a record.
fn test_horizon(evidence: &mut Evidence, window: View<'_>, minutes: u32, young: bool, context: Context<'_>) {
    if context.nature == Nature::Count || evidence.slope <= 0.0 {
        return;
    }
    evidence.hours_left = far(evidence, context) / evidence.slope;
    evidence.horizon = claim(evidence, window, minutes, young, context);
    evidence.lower(evidence.horizon / evidence.hours_left, Test::Horizon);
}

/// The same of half as much again as the rise, before the slope is known: what fails this fails that.
fn test_horizon_roughly(evidence: &mut Evidence, rise: f64, context: Context<'_>) {
    let ratio = horizon(evidence.hours()) * 1.5 * rise / far(evidence, context);
    if context.nature != Nature::Count && ratio < 1.0 {
        evidence.lower(ratio, Test::Horizon);
    }
}

/// Hours ahead that a window may speak of.
fn claim(evidence: &Evidence, window: View<'_>, minutes: u32, young: bool, context: Context<'_>) -> f64 {
    let hours = evidence.hours();
    if young {
        return threshold::HORIZON_YOUNG * hours;
    }
    let claim = (horizon(hours) * hours).min(threshold::HORIZON_LIVES * context.hours_seen(evidence.to_ms));
    if context.day_seen(evidence.to_ms) {
        return claim;
    }
    let blind = context.load.rise(minutes, window.n_blocks).is_none();
    if blind { claim.min(threshold::HORIZON_BLIND * hours) } else { claim }
}

/// How far a window sees at most, in lengths of its own.
fn horizon(hours: f64) -> f64 {
    threshold::HORIZON * (hours / threshold::HORIZON_HOURS).powf(threshold::HORIZON_POWER).min(1.0)
}

/// What growth must cover within the horizon.
fn far(evidence: &Evidence, context: Context<'_>) -> f64 {
    // A small heap in a large process doubles unnoticed.
    let own_level = matches!(context.nature, Nature::Live | Nature::Heap) && context.left.is_none();
    let level =
        if own_level { evidence.level.max(context.resident / 4.0) } else { evidence.level.max(context.resident) };
    let clean = f64::from(evidence.n_records) >= threshold::CLEAN * (evidence.n_points - 1) as f64;
    let exact = matches!(context.nature, Nature::Live | Nature::Exact) && !context.few(evidence.n_points);
    let grown_up = context.hours_seen(evidence.to_ms) >= threshold::GROWN_UP_HOURS;
    let trusted = clean && grown_up && (exact || context.left.is_none());
    let far = level.max(evidence.least) * if trusted { threshold::LEVELS_TRUSTED } else { threshold::LEVELS };
    context.left.map_or(far, |left| left.min(far))
}
