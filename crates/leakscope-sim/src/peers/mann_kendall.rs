//! The plain trend test over six hours of 5-minute medians, with Sen's slope and a horizon of a week.
//!
//! Source: Mann 1945, doi:10.2307/1907187; Kendall 1975; Sen 1968, doi:10.1080/01621459.1968.10480934. No correction for autocorrelation,
//! which is how it is used where it is used.

use std::time::Duration;

use leakscope_model::{Readings, Signal, Timestamp};

use super::Peer;
use super::alert::Alert;
use super::window::{FiveMinutes, Window, median};
use crate::inject::resident;

/// One-sided 1 %.
const Z: f64 = 2.326;
/// Least points: two hours.
const POINTS_MIN: usize = 24;
/// A limit further away than this is no alarm.
const HORIZON_H: f64 = 7.0 * 24.0;

/// The test on one target. Without a limit the trend alone decides.
#[derive(Clone, Debug)]
pub struct MannKendall {
    blocks: FiveMinutes,
    window: Window,
    limit: Option<f64>,
    alert: Alert,
}

impl Default for MannKendall {
    fn default() -> Self {
        Self {
            blocks: FiveMinutes::default(),
            window: Window::new(Duration::from_hours(6)),
            limit: None,
            alert: Alert::new(Duration::from_mins(15), Duration::ZERO),
        }
    }
}

impl Peer for MannKendall {
    fn name(&self) -> &'static str {
        "Mann–Kendall"
    }

    fn observe(&mut self, at: Timestamp, readings: &Readings) -> bool {
        self.limit = readings.get(Signal::Limit).or(self.limit);
        let closed = resident(readings).and_then(|value| self.blocks.push(at, value));
        if let Some((end, value)) = closed {
            self.window.push(end, value);
            let holds = self.window.len() >= POINTS_MIN && rises(&self.window.points(end), self.limit);
            return self.alert.evaluate(at, holds);
        }
        self.alert.firing()
    }

    fn state_bytes(&self) -> usize {
        self.window.bytes() + self.blocks.bytes()
    }
}

fn rises(points: &[(f64, f64)], limit: Option<f64>) -> bool {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    let mut s = 0.0;
    for (number, later) in points.iter().enumerate() {
        for earlier in &points[..number] {
            let rise = later.1 - earlier.1;
            s += if rise > 0.0 {
                1.0
            } else if rise < 0.0 {
                -1.0
            } else {
                0.0
            };
            slopes.push(rise / (later.0 - earlier.0));
        }
    }
    let n = points.len() as f64;
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - ties(points)) / 18.0;
    let trend = variance > 0.0 && (s - 1.0) / variance.sqrt() > Z;
    let Some(slope) = median(&mut slopes).filter(|slope| trend && *slope > 0.0) else { return false };
    let level = points.last().map_or(0.0, |(_, value)| *value);
    limit.is_none_or(|limit| (limit - level) / slope <= HORIZON_H)
}

/// What equal values take off the variance.
fn ties(points: &[(f64, f64)]) -> f64 {
    let mut values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let groups = values.chunk_by(|a, b| a == b).map(|group| group.len() as f64);
    groups.map(|n| n * (n - 1.0) * (2.0 * n + 5.0)).sum()
}
