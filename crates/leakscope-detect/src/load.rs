//! Requests over time, on the same blocks as the floors: how many a window served, and whether the load explains its growth.

use crate::ring::Ring;
use crate::stats::{MAX, Points};
use crate::track::SCALES;

/// A counter of requests, joined over its resets, on several time scales.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) last: Option<f64>,
    pub(crate) total: f64,
    pub(crate) rings: [Ring; SCALES.len()],
}

impl Default for Load {
    fn default() -> Self {
        Self { last: None, total: 0.0, rings: SCALES.map(Ring::new) }
    }
}

impl Load {
    /// Takes the counter's value. A smaller value than before is a reset: it counts from zero again.
    pub(crate) fn observe(&mut self, at_ms: i64, count: f64) {
        self.total += match self.last {
            Some(last) if count >= last => count - last,
            Some(_) => count,
            None => 0.0,
        };
        self.last = Some(count);
        for ring in &mut self.rings {
            ring.observe_total(at_ms, self.total as f32);
        }
    }

    fn ring(&self, minutes: u32) -> Option<&Ring> {
        self.rings.iter().find(|ring| ring.minutes == minutes)
    }

    /// Requests an hour over the last `n` blocks of `minutes`; `None` when they are not covered or there were none.
    pub(crate) fn per_hour(&self, minutes: u32, n: usize) -> Option<f64> {
        let ring = self.ring(minutes)?;
        let oldest = (1..n).rev().find(|back| ring.get(*back).is_some())?;
        let served = ring.get(0)? - ring.get(oldest)?;
        let per_hour = served * 60.0 / (f64::from(minutes) * oldest as f64);
        (per_hour > 0.0).then_some(per_hour)
    }

    /// Writes the totals at `backs` into `totals`; `false` when one is missing or nothing was served.
    pub(crate) fn totals(&self, minutes: u32, backs: &[usize], totals: &mut [f64]) -> bool {
        let Some(ring) = self.ring(minutes).filter(|_| self.total > 0.0) else { return false };
        for (total, back) in totals.iter_mut().zip(backs) {
            match ring.get(*back) {
                Some(count) => *total = count,
                None => return false,
            }
        }
        true
    }

    /// The share of the floors' growth that the request rate explains: slope of floor on rate × growth of the rate, over growth of the floor.
    ///
    /// The slope is the partial one beside the requests served so far, since a leak per request grows with their sum and not with their rate;
    /// and it is taken two standard errors above, since in a short window the two are hard to tell apart.
    /// `backs` are the blocks behind `points`, as [`Ring::get`] counts. 0 when floor and rate are not clearly related (|r| ≤ 0.6).
    pub(crate) fn explains(&self, minutes: u32, backs: &[usize], points: Points<'_>) -> f64 {
        let Some(ring) = self.ring(minutes).filter(|_| self.total > 0.0) else { return 0.0 };
        let [mut rates, mut totals, mut floors] = [[0.0_f64; MAX]; 3];
        let mut n = 0;
        for (back, floor) in backs.iter().zip(points.floors) {
            if let (Some(total), Some(before)) = (ring.get(*back), ring.get(*back + 1)) {
                (rates[n], totals[n], floors[n]) = (total - before, total, *floor);
                n += 1;
            }
        }
        if n < 6 || n * 2 < backs.len() {
            return 0.0;
        }
        let (rates, totals, floors) = (&rates[..n], &totals[..n], &floors[..n]);
        let rate_rate = covariance(rates, rates);
        let rate_floor = covariance(rates, floors);
        let r = rate_floor / (rate_rate * covariance(floors, floors)).sqrt();
        let growth = rise(floors);
        if r.is_nan() || r <= 0.6 || growth <= 0.0 {
            return 0.0;
        }
        let total_total = covariance(totals, totals);
        let rate_total = covariance(rates, totals);
        let apart = rate_rate * total_total - rate_total * rate_total;
        let slope = if apart > 1e-6 * rate_rate * total_total {
            let total_floor = covariance(totals, floors);
            let of_rate = (rate_floor * total_total - total_floor * rate_total) / apart;
            let of_total = (total_floor * rate_rate - rate_floor * rate_total) / apart;
            let unexplained = covariance(floors, floors) - of_rate * rate_floor - of_total * total_floor;
            let error = (unexplained.max(0.0) / (n - 3) as f64 * total_total / apart).sqrt();
            of_rate + 2.0 * error
        } else {
            rate_floor / rate_rate
        };
        (slope * rise(rates) / growth).clamp(0.0, 1.0)
    }
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum()
}

/// Mean of the last third less mean of the first.
fn rise(values: &[f64]) -> f64 {
    let third = values.len() / 3;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / third as f64;
    mean(&values[values.len() - third..]) - mean(&values[..third])
}
