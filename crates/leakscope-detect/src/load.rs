//! Requests over time, on the same blocks as the floors: how many a window served, and whether the load explains its growth.

use crate::ring::Ring;
use crate::stats::{Line, MAX, Points};
use crate::track::{SCALES, observe_rings};

/// A counter of requests: how many came in each block, on several time scales.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) last: Option<f64>,
    pub(crate) rings: [Ring; SCALES.len()],
}

impl Default for Load {
    fn default() -> Self {
        Self { last: None, rings: SCALES.map(Ring::new) }
    }
}

impl Load {
    /// Takes the counter's value. A smaller value than before is a reset: it counts from zero again.
    pub(crate) fn observe(&mut self, at_ms: i64, count: f64) {
        let served = match self.last {
            Some(last) if count >= last => count - last,
            Some(_) => count,
            None => 0.0,
        };
        self.last = Some(count);
        observe_rings(&mut self.rings, at_ms, served as f32, Ring::observe_sum);
    }

    fn ring(&self, minutes: u32) -> Option<&Ring> {
        self.rings.iter().find(|ring| ring.minutes == minutes && self.last.is_some())
    }

    /// Requests an hour over the last `n` blocks of `minutes`; `None` when they are not covered or there were none.
    pub(crate) fn per_hour(&self, minutes: u32, n: usize) -> Option<f64> {
        let ring = self.ring(minutes).filter(|ring| ring.held() >= n)?;
        let served: f64 = (0..n).filter_map(|back| ring.get(back)).sum();
        (served > 0.0).then(|| served * 60.0 / (f64::from(minutes) * n as f64))
    }

    /// Writes the requests served until each of `backs` (oldest first, as [`Ring::get`] counts) into `totals`, from the first of them on;
    /// `false` when a block is missing or nothing was served.
    pub(crate) fn totals(&self, minutes: u32, backs: &[usize], totals: &mut [f64]) -> bool {
        let (Some(ring), Some(oldest)) = (self.ring(minutes), backs.first()) else { return false };
        let mut served = 0.0;
        let mut next = *oldest;
        for (total, back) in totals.iter_mut().zip(backs) {
            // What came during a gap is counted in the block after it.
            served += (*back..=next).filter_map(|back| ring.get(back)).sum::<f64>();
            if ring.get(*back).is_none() {
                return false;
            }
            next = back.saturating_sub(1);
            *total = served;
        }
        served > 0.0
    }

    /// How much the request rate rises over the last `n` blocks, over where it began; 0 where that does not stand above its noise,
    /// `None` where requests are not counted.
    pub(crate) fn rise(&self, minutes: u32, n: usize) -> Option<f64> {
        let ring = self.ring(minutes)?;
        let [mut hours, mut rates] = [[0.0_f64; MAX]; 2];
        let mut n_rates = 0;
        for back in (0..n.min(MAX)).rev() {
            // After a gap the block holds more than its own requests.
            if let (Some(rate), Some(_)) = (ring.get(back), ring.get(back + 1)) {
                (hours[n_rates], rates[n_rates]) = (-(back as f64), rate);
                n_rates += 1;
            }
        }
        if n_rates < 6 || n_rates * 2 < n {
            return None;
        }
        let rates = Points { hours: &hours[..n_rates], floors: &rates[..n_rates] };
        let mean = rates.floors.iter().sum::<f64>() / n_rates as f64;
        let line = Line::of(rates);
        if mean <= 0.0 || line.slope <= 2.0 * line.error {
            return Some(0.0);
        }
        let rise = line.slope * (rates.hours[n_rates - 1] - rates.hours[0]);
        Some(rise / (mean - rise / 2.0).max(mean / 10.0))
    }

    /// The share of the floors' growth that the request rate explains: slope of floor on rate × growth of the rate, over growth of the floor.
    ///
    /// The slope is the partial one beside the requests served so far, since a leak per request grows with their sum and not with their rate;
    /// and it is taken two standard errors above, since in a short window the two are hard to tell apart.
    /// `backs` are the blocks behind `points`, as [`Ring::get`] counts. 0 when floor and rate are not clearly related (|r| ≤ 0.6).
    pub(crate) fn explains(&self, minutes: u32, backs: &[usize], points: Points<'_>) -> f64 {
        let Some(ring) = self.ring(minutes) else { return 0.0 };
        let [mut rates, mut totals, mut floors] = [[0.0_f64; MAX]; 3];
        let (mut n, mut served) = (0, 0.0);
        for (back, floor) in backs.iter().zip(points.floors) {
            let Some(rate) = ring.get(*back) else { continue };
            served += rate;
            // After a gap the block holds more than its own requests.
            if ring.get(*back + 1).is_some() {
                (rates[n], totals[n], floors[n]) = (rate, served, *floor);
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
