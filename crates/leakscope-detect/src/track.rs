//! One signal of one life: floors on every scale, the best evidence per scale, and how long it has held.

use std::time::Duration;

use crate::evidence::{self, Context, Evidence, Nature, Rings, Test};
use crate::ring::{MINUTE_MS, Ring};
use crate::stats::{MAX, Points};
use crate::tuning::Tuning;
use crate::window::Window;

/// Lengths of blocks in minutes, from seconds-fast leaks to leaks of months.
pub(crate) const SCALES: [u32; 6] = [1, 5, 15, 60, 360, 1_440];

/// Blocks for which the other scales rest meanwhile.
const OTHERS_REST: u32 = 8;
/// Blocks of each scale for which an alarm rests between two looks.
const LEAST_REST: [u32; SCALES.len()] = [5, 2, 1, 1, 1, 1];

/// Places in [`SCALES`].
const FIVE_MINUTES: usize = 1;
const QUARTERS: usize = 2;
const HOURS: usize = 3;
const DAYS: usize = 5;

/// The best window on one scale and since when it has held. Its other figures are computed anew when someone asks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) ratio: f32,
    pub(crate) weakest: Test,
    /// Blocks in the window; 0 when there is none.
    pub(crate) n_blocks: u8,
    /// Blocks that hold a value.
    pub(crate) n_points: u8,
    /// Power of the record test's e-value over the power that is asked for.
    pub(crate) surprise: f32,
    /// Since when the tests of chance have passed, without a break.
    pub(crate) since_ms: Option<i64>,
}

/// One signal of one life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Track {
    pub(crate) rings: [Ring; SCALES.len()],
    /// The highest floor over five minutes of each hour and of each day: what a saw-tooth reaches before it falls.
    pub(crate) tops: [Ring; 2],
    pub(crate) held: [Held; SCALES.len()],
    pub(crate) last: f64,
    /// Whether a value comes with each collection only.
    pub(crate) sparse: bool,
    /// How far peaks stand above the floor: the largest lately, decaying by 1 % every five minutes.
    pub(crate) excess: f64,
    /// Highest value in the open five minutes.
    pub(crate) open_peak: f64,
    /// Lowest floor over five minutes since the warm-up; infinite before.
    pub(crate) lowest: f64,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            rings: SCALES.map(Ring::new),
            tops: [Ring::new(SCALES[HOURS]), Ring::new(SCALES[DAYS])],
            held: [Held::default(); SCALES.len()],
            last: f64::NAN,
            sparse: false,
            excess: 0.0,
            open_peak: f64::NEG_INFINITY,
            lowest: f64::INFINITY,
        }
    }
}

impl Track {
    /// Takes a value; `true` when a block closed and the evidence was looked at anew. O(1) but for that.
    pub(crate) fn observe(&mut self, at_ms: i64, value: f64, context: Context<'_>) -> bool {
        // A runtime repeats what its last collection left until the next: that is one value, not many.
        let fresh = if context.nature == Nature::Live && value == self.last { f64::NAN } else { value };
        self.last = value;
        self.sparse = context.nature == Nature::Live;
        let closed = observe_rings(&mut self.rings, at_ms, fresh as f32, Ring::observe_floor);
        if closed[FIVE_MINUTES] {
            let floor = self.rings[FIVE_MINUTES].get(0).unwrap_or(value);
            let middle_ms = self.rings[FIVE_MINUTES].middle_ms(0);
            for top in &mut self.tops {
                top.observe_top(middle_ms, floor as f32);
            }
            self.excess = (self.open_peak - floor).max(self.excess * 0.99);
            self.open_peak = f64::NEG_INFINITY;
            if middle_ms >= context.warm_ms {
                self.lowest = self.lowest.min(floor);
            }
        }
        self.open_peak = self.open_peak.max(value);
        let alarm = self.best(at_ms, context.tuning);
        for scale in (0..SCALES.len()).filter(|scale| closed[*scale]) {
            if self.idles(scale) || self.rests(scale, &alarm) {
                continue;
            }
            let best = evidence::best_of(self.rings(scale), context);
            let held = &mut self.held[scale];
            *held = Held {
                ratio: best.ratio as f32,
                weakest: best.weakest,
                n_blocks: best.n_blocks as u8,
                n_points: best.n_points as u8,
                surprise: best.surprise as f32,
                since_ms: (best.sure >= 1.0).then(|| held.since_ms.unwrap_or(at_ms)),
            };
        }
        closed.contains(&true)
    }

    /// Whether a scale of which nothing was to be said may wait for one block more.
    fn idles(&self, scale: usize) -> bool {
        let hopeless = f64::from(self.held[scale].ratio) < evidence::HOPELESS;
        hopeless && !self.sparse && !self.rings[scale].n_closed.is_multiple_of(2)
    }

    /// Whether a scale need not be looked at yet while an alarm stands: an eighth of its window changes little, nor do a few minutes,
    /// and the other scales say the same.
    fn rests(&self, scale: usize, alarm: &Finding) -> bool {
        let of_window = if scale == alarm.scale { u32::from(alarm.held.n_blocks / 8) } else { OTHERS_REST };
        alarm.score >= 1.0 && !self.rings[scale].n_closed.is_multiple_of(of_window.max(LEAST_REST[scale]))
    }

    fn rings(&self, scale: usize) -> Rings<'_> {
        Rings {
            ring: &self.rings[scale],
            coarser: &self.rings[(scale + 1).min(SCALES.len() - 1)],
            hours: &self.tops[0],
            days: &self.tops[1],
            life: &self.rings[QUARTERS],
        }
    }

    /// The strongest evidence over all scales with its score. Shorter windows win ties: they speak of now.
    pub(crate) fn best(&self, at_ms: i64, tuning: Tuning) -> Finding {
        let mut best = Finding::default();
        for (scale, held) in self.held.iter().enumerate() {
            let finding = Finding::of(scale, *held, at_ms, self.sparse, tuning);
            if finding.score > best.score || best.held.n_blocks == 0 {
                best = finding;
            }
        }
        best
    }

    /// All figures of a finding's window.
    pub(crate) fn evidence(&self, finding: &Finding, context: Context<'_>) -> Evidence {
        let n_blocks = usize::from(finding.held.n_blocks);
        let rings = self.rings(finding.scale);
        let window = Window::of(rings.ring, 0, n_blocks);
        let view = (n_blocks > 0).then(|| window.last(n_blocks));
        let evidence = view.and_then(|view| evidence::of_window(rings, view, -1.0, context));
        // What decided stands as it was decided, even if the limit has changed since.
        let decided =
            |evidence| Evidence { ratio: f64::from(finding.held.ratio), weakest: finding.held.weakest, ..evidence };
        evidence.map(decided).unwrap_or_default()
    }

    /// All of this life since its warm-up as one window, on the finest scale that holds it: the finding of that window, and its figures.
    pub(crate) fn whole(&self, context: Context<'_>) -> Option<(Finding, Evidence)> {
        let warm = |ring: &Ring| (0..ring.held()).take_while(|back| ring.middle_ms(*back) >= context.warm_ms).count();
        let scale = (0..SCALES.len()).find(|scale| warm(&self.rings[*scale]) < MAX)?;
        let n_blocks = warm(&self.rings[scale]);
        let held = Held { ratio: 1.0, n_blocks: n_blocks as u8, ..Held::default() };
        let finding = Finding { score: 1.0, scale, held, ..Finding::default() };
        let evidence = self.evidence(&finding, context);
        (evidence.n_points > 0).then(|| {
            let held = Held { n_points: evidence.n_points as u8, surprise: evidence.surprise as f32, ..held };
            (Finding { held, ..finding }, evidence)
        })
    }

    /// Whether the values in a finding's window mostly rise, and by how much: the last over the first.
    pub(crate) fn rise(&self, finding: &Finding) -> Option<Rise> {
        let window = Window::of(&self.rings[finding.scale], 0, usize::from(finding.held.n_blocks));
        Rise::of(window.points())
    }

    /// Blocks of one minute closed in this life, as far as the ring shows.
    pub(crate) fn n_blocks(&self) -> u32 {
        self.rings[0].n_closed
    }

    /// The newest floor over five minutes, else over one, else the last value.
    pub(crate) fn floor(&self) -> f64 {
        self.rings[1].get(0).or_else(|| self.rings[0].get(0)).unwrap_or(self.last)
    }
}

/// Shows a value to the finest ring, and what that closes to the next: a block of each scale is made of whole blocks of the one before.
/// Which rings closed a block.
pub(crate) fn observe_rings(
    rings: &mut [Ring; SCALES.len()],
    at_ms: i64,
    value: f32,
    observe: fn(&mut Ring, i64, f32) -> bool,
) -> [bool; SCALES.len()] {
    let mut closed = [false; SCALES.len()];
    let mut opened = rings[0].opened();
    closed[0] = observe(&mut rings[0], at_ms, value);
    for scale in 1..SCALES.len() {
        let (true, Some((block_ms, block))) = (closed[scale - 1], opened) else { break };
        let ring = &mut rings[scale];
        observe(ring, block_ms, block);
        opened = ring.opened();
        closed[scale] = observe(ring, at_ms, f32::NAN);
    }
    closed
}

/// What a few values say: from first to last, and how consistently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rise {
    pub(crate) by: f64,
    /// Pairs that rise less pairs that fall, over all pairs.
    pub(crate) concordance: f64,
}

impl Rise {
    /// `None` of fewer than three values.
    fn of(points: Points<'_>) -> Option<Self> {
        let floors = points.floors;
        if floors.len() < 3 {
            return None;
        }
        let (mut balance, mut pairs) = (0.0, 0.0);
        for (place, later) in floors.iter().enumerate() {
            for earlier in &floors[..place] {
                balance += f64::from(i8::from(later > earlier) - i8::from(later < earlier));
                pairs += 1.0;
            }
        }
        Some(Self { by: floors[floors.len() - 1] - floors[0], concordance: balance / pairs })
    }
}

/// Evidence weighed by how long it has held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Finding {
    /// 1.0 is the alarm boundary.
    pub(crate) score: f64,
    /// Place of the scale in [`SCALES`].
    pub(crate) scale: usize,
    pub(crate) held: Held,
    pub(crate) holding: Duration,
    pub(crate) must_hold: Duration,
}

impl Finding {
    /// Evidence that passes every test starts at 0.75 and reaches 1.0 when it has held for long enough.
    /// What collections left has no moods and need not hold.
    fn of(scale: usize, held: Held, at_ms: i64, sparse: bool, tuning: Tuning) -> Self {
        let window_ms = i64::from(held.n_blocks) * i64::from(SCALES[scale]) * MINUTE_MS;
        let holding_ms = held.since_ms.map_or(0, |since| at_ms.saturating_sub(since).max(0));
        let must_hold_ms = if sparse { 0 } else { (window_ms as f64 * tuning.patience) as i64 };
        let patience = 0.75 + 0.25 * (holding_ms.max(1) as f64 / must_hold_ms.max(1) as f64).min(1.0);
        let ratio = f64::from(held.ratio);
        let score = if ratio < 1.0 || patience >= 1.0 { ratio } else { patience };
        let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        Self { score, scale, held, holding: millis(holding_ms), must_hold: millis(must_hold_ms) }
    }

    /// Whether too few collections speak to be believed alone.
    pub(crate) fn few(&self) -> bool {
        usize::from(self.held.n_points) < crate::threshold::FEW
    }
}
