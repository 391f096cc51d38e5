//! One window of floors under every test: a ratio per test (1 = just passed), and the least of them is the evidence.

use crate::load::Load;
use crate::ring::{MINUTE_MS, Ring};
use crate::stats::{self, MAX, Points};

/// What must hold for an alarm. Each test gives its statistic over its threshold.
mod threshold {
    /// The record test's e-value, as a power of ten: reached by chance in one series of ten thousand.
    pub(super) const LOG10_E: f64 = 4.0;
    /// Corrected Mann–Kendall z.
    pub(super) const Z: f64 = 3.5;
    /// Lower end of the slope's interval over the slope.
    pub(super) const SLOPE_LOW: f64 = 0.3;
    /// Growth over the noise of a difference of two floors.
    pub(super) const SIGMAS: f64 = 3.0;
    /// Growth over the limit.
    pub(super) const OF_LIMIT: f64 = 0.01;
    /// Growth over the level.
    pub(super) const OF_LEVEL: f64 = 0.03;
    /// Growth of a count over its level.
    pub(super) const OF_COUNT: f64 = 0.5;
    /// Least growth of a count.
    pub(super) const COUNT: f64 = 24.0;
    /// Second half's slope over the first half's.
    pub(super) const TAIL_OVER_HEAD: f64 = 0.6;
    /// Largest single rise over the growth.
    pub(super) const STEP: f64 = 0.4;
    /// Share of the growth that the load may explain.
    pub(super) const LOAD: f64 = 0.5;
    /// Time to the limit in lengths of the window.
    pub(super) const HORIZON: f64 = 12.0;
}

/// Ratios beyond this say no more.
const CEILING: f64 = 3.0;
/// What a window that fails a yes-or-no test can reach.
const FAILED: f64 = 0.6;
/// Least share of a window's blocks that must hold a sample.
const COVERED: f64 = 0.6;

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
}

/// The outcome for one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// The least ratio of all tests, 0 to 3; 1 is just enough.
    pub(crate) ratio: f64,
    pub(crate) weakest: Test,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) n_blocks: u32,
    /// Fitted floor at `from_ms`.
    pub(crate) level: f64,
    /// Slope an hour, with its 95 % interval.
    pub(crate) slope: f64,
    pub(crate) slope_low: f64,
    pub(crate) slope_high: f64,
    pub(crate) z: f64,
    pub(crate) n_records: u32,
    pub(crate) e_value: f64,
    pub(crate) tail_over_head: f64,
    pub(crate) step_share: f64,
    pub(crate) load_share: f64,
    /// The least growth that counts.
    pub(crate) least: f64,
    /// Requests an hour in the window; 0 when unknown.
    pub(crate) requests_per_hour: f64,
}

impl Evidence {
    pub(crate) fn hours(&self) -> f64 {
        (self.to_ms - self.from_ms) as f64 / 3_600_000.0
    }

    pub(crate) fn growth(&self) -> f64 {
        self.slope * self.hours()
    }

    fn lower(&mut self, ratio: f64, test: Test) {
        if ratio < self.ratio {
            self.ratio = ratio.max(0.0);
            self.weakest = test;
        }
    }
}

/// What the tests need to know beside the floors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Blocks before this are warm-up.
    pub(crate) warm_ms: i64,
    pub(crate) limit: Option<f64>,
    /// Whether the values are bytes; else they are counts.
    pub(crate) bytes: bool,
    pub(crate) load: &'a Load,
}

/// The best evidence among windows of the last 12, 24 and 48 blocks of a ring.
///
/// On the finest scale 12 blocks are too short a time to tell a leak from an hour's mood, so there it starts at 24.
pub(crate) fn best_of(ring: &Ring, context: Context<'_>) -> Evidence {
    let windows: &[usize] = if ring.minutes == 1 { &[24, 48] } else { &[12, 24, 48] };
    let mut best = Evidence::default();
    for n in windows {
        if let Some(evidence) = of_window(ring, *n, context)
            && (evidence.ratio > best.ratio || best.n_blocks == 0)
        {
            best = evidence;
        }
    }
    best
}

fn of_window(ring: &Ring, n: usize, context: Context<'_>) -> Option<Evidence> {
    let warm = (0..n.min(ring.held()))
        .filter(|back| ring.middle_ms(*back) - MINUTE_MS * i64::from(ring.minutes) / 2 >= context.warm_ms)
        .count();
    if warm < n {
        return None;
    }
    let window = Window::of(ring, 0, n);
    if (window.n as f64) < COVERED * n as f64 {
        return None;
    }
    let points = window.points();
    let mut evidence = Evidence {
        ratio: CEILING,
        from_ms: ring.middle_ms(window.backs[0]),
        to_ms: ring.middle_ms(window.backs[window.n - 1]),
        n_blocks: window.n as u32,
        level: points.floors[0],
        ..Evidence::default()
    };
    // The cheap gate: nearly every window of a healthy service ends here.
    let rise = stats::median(&points.floors[window.n - 3..]) - stats::median(&points.floors[..3]);
    evidence.least = least_growth(points.floors[0], context);
    evidence.lower(rise / evidence.least, Test::Amplitude);
    if evidence.ratio < 0.3 {
        return Some(evidence);
    }
    test_trend(&mut evidence, points);
    test_shape(&mut evidence, points, Window::of(ring, n, n).points());
    test_novelty(&mut evidence, points, ring, n);
    evidence.requests_per_hour = context.load.per_hour(ring.minutes, n).unwrap_or(0.0);
    evidence.load_share = context.load.explains(ring.minutes, &window.backs[..window.n], points);
    evidence.lower(threshold::LOAD / evidence.load_share, Test::Load);
    test_horizon(&mut evidence, points, context);
    Some(evidence)
}

/// Floors of `n` blocks, the newest `skip` left out, oldest first; blocks without a sample are left out.
struct Window {
    n: usize,
    backs: [usize; MAX],
    hours: [f64; MAX],
    floors: [f64; MAX],
}

impl Window {
    fn of(ring: &Ring, skip: usize, n: usize) -> Self {
        let mut window = Self { n: 0, backs: [0; MAX], hours: [0.0; MAX], floors: [0.0; MAX] };
        let oldest_ms = ring.middle_ms(skip + n - 1);
        for back in (skip..skip + n).rev() {
            if let Some(floor) = ring.get(back) {
                window.backs[window.n] = back;
                window.hours[window.n] = (ring.middle_ms(back) - oldest_ms) as f64 / 3_600_000.0;
                window.floors[window.n] = floor;
                window.n += 1;
            }
        }
        window
    }

    fn points(&self) -> Points<'_> {
        Points { hours: &self.hours[..self.n], floors: &self.floors[..self.n] }
    }
}

fn least_growth(level: f64, context: Context<'_>) -> f64 {
    if context.bytes {
        (context.limit.unwrap_or(0.0) * threshold::OF_LIMIT).max(level * threshold::OF_LEVEL).max(1.0)
    } else {
        (level * threshold::OF_COUNT).max(threshold::COUNT)
    }
}

fn test_trend(evidence: &mut Evidence, points: Points<'_>) {
    let trend = stats::trend(points);
    evidence.level = trend.level;
    evidence.slope = trend.slope;
    evidence.slope_low = trend.slope_low;
    evidence.slope_high = trend.slope_high;
    evidence.z = trend.z;
    evidence.lower(trend.z / threshold::Z, Test::Trend);
    let relative = if trend.slope > 0.0 { trend.slope_low / trend.slope } else { 0.0 };
    evidence.lower(relative / threshold::SLOPE_LOW, Test::Trend);
    evidence.least = evidence.least.max(threshold::SIGMAS * std::f64::consts::SQRT_2 * trend.sigma);
    evidence.lower(evidence.growth() / evidence.least, Test::Amplitude);
    (evidence.n_records, evidence.e_value) = stats::records(points.floors);
    evidence.lower(evidence.e_value.max(1.0).log10() / threshold::LOG10_E, Test::Records);
}

/// Pace and steps. `before` is the window before this one: a curve that bends looks straight in a short window, but steeper before it.
fn test_shape(evidence: &mut Evidence, points: Points<'_>, before: Points<'_>) {
    evidence.tail_over_head = stats::tail_over_head(points);
    if before.len() * 2 >= points.len() {
        let slope_before = stats::least_squares_slope(before);
        if slope_before > 0.0 {
            evidence.tail_over_head = evidence.tail_over_head.min(evidence.slope / slope_before);
        }
    }
    evidence.lower(evidence.tail_over_head / threshold::TAIL_OVER_HEAD, Test::Pace);
    evidence.step_share = stats::step_share(points.floors, evidence.growth());
    evidence.lower(threshold::STEP / evidence.step_share, Test::Step);
}

/// The newest floors must stand above all that came before the last quarter, in the window and before it.
fn test_novelty(evidence: &mut Evidence, points: Points<'_>, ring: &Ring, n: usize) {
    let newest = stats::median(&points.floors[points.len() - 3..]);
    let within = points.floors[..points.len() * 3 / 4].iter().copied().fold(0.0, f64::max);
    let before = (n..ring.held()).filter_map(|back| ring.get(back)).fold(0.0, f64::max);
    if newest <= within.max(before) || !stats::quintiles_rise(points.floors) {
        evidence.lower(FAILED, Test::Novelty);
    }
}

/// A window may claim a limit only within twelve times its own length: a day's growth says nothing of next month.
fn test_horizon(evidence: &mut Evidence, points: Points<'_>, context: Context<'_>) {
    let Some(limit) = context.limit else { return };
    let left = limit - points.floors[points.len() - 1];
    if evidence.slope > 0.0 && left > 0.0 {
        evidence.lower(threshold::HORIZON * evidence.hours() / (left / evidence.slope), Test::Horizon);
    }
}
