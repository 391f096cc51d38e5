//! One signal of one life: floors on every scale, the best evidence per scale, and how long it has held.

use std::time::Duration;

use crate::evidence::{self, Context, Evidence};
use crate::ring::Ring;

/// Lengths of blocks in minutes, from seconds-fast leaks to leaks of months.
pub(crate) const SCALES: [u32; 6] = [1, 5, 15, 60, 360, 1_440];

/// Evidence on one scale and since when it has held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) evidence: Evidence,
    /// Since when every test has passed, without a break.
    pub(crate) since_ms: Option<i64>,
}

/// One signal of one life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Track {
    pub(crate) rings: [Ring; SCALES.len()],
    pub(crate) held: [Held; SCALES.len()],
    pub(crate) last: f64,
    /// How far peaks stand above the floor: the largest lately, decaying by 1 % every five minutes.
    pub(crate) excess: f64,
    /// Highest value in the open five minutes.
    pub(crate) open_peak: f64,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            rings: SCALES.map(Ring::new),
            held: [Held::default(); SCALES.len()],
            last: 0.0,
            excess: 0.0,
            open_peak: 0.0,
        }
    }
}

impl Track {
    /// Takes a value; `true` when a block closed and the evidence was looked at anew. O(1) but for that.
    pub(crate) fn observe(&mut self, at_ms: i64, value: f64, context: Context<'_>) -> bool {
        self.last = value;
        let mut closed = false;
        for (ring, held) in self.rings.iter_mut().zip(&mut self.held) {
            if !ring.observe_floor(at_ms, value as f32) {
                continue;
            }
            closed = true;
            if ring.minutes == 5 {
                let floor = ring.get(0).unwrap_or(value);
                self.excess = (self.open_peak - floor).max(self.excess * 0.99);
                self.open_peak = 0.0;
            }
            held.evidence = evidence::best_of(ring, context);
            held.since_ms = (held.evidence.ratio >= 1.0).then(|| held.since_ms.unwrap_or(at_ms));
        }
        self.open_peak = self.open_peak.max(value);
        closed
    }

    /// The strongest evidence over all scales with its score. Shorter windows win ties: they speak of now.
    pub(crate) fn best(&self, at_ms: i64) -> Finding {
        let mut best = Finding::default();
        for held in &self.held {
            let finding = Finding::of(held, at_ms);
            if finding.score > best.score || best.evidence.n_blocks == 0 {
                best = finding;
            }
        }
        best
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

/// Evidence weighed by how long it has held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Finding {
    /// 1.0 is the alarm boundary.
    pub(crate) score: f64,
    pub(crate) evidence: Evidence,
    pub(crate) holding: Duration,
    pub(crate) must_hold: Duration,
}

impl Finding {
    /// Evidence that passes every test starts at 0.75 and reaches 1.0 when it has held for half the length of its window.
    fn of(held: &Held, at_ms: i64) -> Self {
        let evidence = held.evidence;
        let window_ms = (evidence.to_ms - evidence.from_ms).max(0);
        let holding_ms = held.since_ms.map_or(0, |since| (at_ms - since).max(0));
        let must_hold_ms = window_ms / 2;
        let patience = 0.75 + 0.25 * (holding_ms as f64 / must_hold_ms.max(1) as f64).min(1.0);
        let score = if evidence.ratio < 1.0 || patience >= 1.0 { evidence.ratio } else { patience };
        let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        Self { score, evidence, holding: millis(holding_ms), must_hold: millis(must_hold_ms) }
    }
}
