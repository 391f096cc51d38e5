//! Requests over time, on the same blocks as the floors: how many a window served, and whether the load explains its growth.

use crate::ring::Ring;
use crate::stats::{MAX, Points};

/// A counter of requests, joined over its resets, on several time scales.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) last: Option<f64>,
    pub(crate) total: f64,
    pub(crate) rings: Vec<Ring>,
}

impl Load {
    pub(crate) fn new(scales: &[u32]) -> Self {
        Self { last: None, total: 0.0, rings: scales.iter().map(|minutes| Ring::new(*minutes)).collect() }
    }

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

    /// The share of the floors' growth that the request rate explains: slope of floor on rate × growth of the rate, over growth of the floor.
    ///
    /// `backs` are the blocks behind `points`, as [`Ring::get`] counts. 0 when they are not clearly related (|r| ≤ 0.6).
    pub(crate) fn explains(&self, minutes: u32, backs: &[usize], points: Points<'_>) -> f64 {
        let Some(ring) = self.ring(minutes) else { return 0.0 };
        let mut rates = [0.0_f64; MAX];
        for (rate, back) in rates.iter_mut().zip(backs) {
            match (ring.get(*back), ring.get(*back + 1)) {
                (Some(total), Some(before)) => *rate = total - before,
                _ => return 0.0,
            }
        }
        let rates = &rates[..backs.len()];
        let n = rates.len() as f64;
        let mean_rate = rates.iter().sum::<f64>() / n;
        let mean_floor = points.floors.iter().sum::<f64>() / n;
        let (mut covariance, mut rate_variance, mut floor_variance) = (0.0, 0.0, 0.0);
        for (rate, floor) in rates.iter().zip(points.floors) {
            covariance += (rate - mean_rate) * (floor - mean_floor);
            rate_variance += (rate - mean_rate) * (rate - mean_rate);
            floor_variance += (floor - mean_floor) * (floor - mean_floor);
        }
        let r = covariance / (rate_variance * floor_variance).sqrt();
        if r.is_nan() || r <= 0.6 {
            return 0.0;
        }
        let grew = |values: &[f64]| {
            let third = values.len() / 3;
            let mean = |part: &[f64]| part.iter().sum::<f64>() / third as f64;
            mean(&values[values.len() - third..]) - mean(&values[..third])
        };
        let growth = grew(points.floors);
        if growth <= 0.0 { 0.0 } else { (covariance / rate_variance * grew(rates) / growth).clamp(0.0, 1.0) }
    }
}
