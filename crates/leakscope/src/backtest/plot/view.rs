//! What of a replay is shown: which signals, from when to when, from which value to which.

use leakscope_model::{Fit, Signal, Unit};

use super::sketch::Sketch;
use super::trace::Trace;
use crate::backtest::replay::Replayed;

/// Sizes that are shown beside the one that decided.
const SIZES: [Signal; 5] = [Signal::Rss, Signal::AnonRss, Signal::HeapUsed, Signal::HeapAfterGc, Signal::External];
/// What is shown when nothing decided.
const UNDECIDED: [Signal; 9] = [
    Signal::AnonRss,
    Signal::Rss,
    Signal::HeapAfterGc,
    Signal::HeapUsed,
    Signal::External,
    Signal::Objects,
    Signal::Tasks,
    Signal::Threads,
    Signal::FileDescriptors,
];
/// The furthest that a forecast is shown, in lengths of the series.
const FORECAST_MAX: f64 = 0.6;
/// How far it is shown when the limit is further away, or unknown.
const FORECAST: f64 = 0.25;
/// A limit this many times above all else would flatten everything.
const LIMIT_ABOVE_MAX: f64 = 2.0;
/// A forecast this many times above what was seen leaves the picture.
const FORECAST_ABOVE_MAX: f64 = 2.0;
const MS_PER_HOUR: f64 = 3_600_000.0;

/// The fitted line as a band. The slope's interval turns about the middle of the window, where a fitted line is known best.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    fit: Fit,
}

impl Band {
    pub(super) fn begins_ms(&self) -> f64 {
        self.fit.from.as_millis() as f64
    }

    pub(super) fn ends_ms(&self) -> f64 {
        self.fit.to.as_millis() as f64
    }

    pub(super) fn centre_ms(&self) -> f64 {
        f64::midpoint(self.begins_ms(), self.ends_ms())
    }

    pub(super) fn mid(&self, at_ms: f64) -> f64 {
        self.fit.level + self.fit.per_hour.mid * (at_ms - self.begins_ms()) / MS_PER_HOUR
    }

    pub(super) fn low(&self, at_ms: f64) -> f64 {
        let (a, b) = self.turned(at_ms);
        a.min(b)
    }

    pub(super) fn high(&self, at_ms: f64) -> f64 {
        let (a, b) = self.turned(at_ms);
        a.max(b)
    }

    fn turned(&self, at_ms: f64) -> (f64, f64) {
        let rates = self.fit.per_hour;
        let high = if rates.high.is_finite() { rates.high } else { 2.0 * rates.mid - rates.low };
        let turned = |rate: f64| self.mid(self.centre_ms()) + rate * (at_ms - self.centre_ms()) / MS_PER_HOUR;
        (turned(rates.low), turned(high))
    }
}

/// What is shown.
#[derive(Debug)]
pub(super) struct View {
    /// The signal that decided, or the memory that matters most; `None` without any.
    pub(super) main: Option<Signal>,
    /// Other sizes, where the main one is a size.
    pub(super) others: Vec<Signal>,
    /// The first and the last row.
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    /// Where the time axis ends: beyond the last row when there is a forecast.
    pub(super) end_ms: i64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) band: Option<Band>,
    /// The last limit, where the main signal counts against it.
    pub(super) limit: Option<f64>,
    /// When the peaks meet the limit: earliest, likeliest, latest.
    pub(super) meets_ms: Option<[f64; 3]>,
}

impl View {
    /// The detector's clock ran `time_scale` times as fast as the samples' one.
    pub(super) fn of(replayed: &Replayed, trace: &Trace, time_scale: f64) -> Self {
        let verdict = &replayed.verdict;
        let main = main_signal(verdict.signal, trace);
        let bytes = main.is_some_and(|signal| signal.unit() == Unit::Bytes);
        let shown = |signal: &Signal| bytes && Some(*signal) != main && trace.signals.contains_key(signal);
        let (from_ms, to_ms) = trace.span_ms.unwrap_or_default();
        let to_ms = to_ms.max(from_ms + 1_000);
        let limit = trace.signals.get(&Signal::Limit).filter(|_| bytes).and_then(last);
        let meets_ms = verdict.time_to_limit.map(|left| {
            [left.low, left.mid, left.high].map(|left| to_ms as f64 + left.as_secs_f64() * 1e3 / time_scale)
        });
        let mut view = Self {
            main,
            others: SIZES.into_iter().filter(shown).collect(),
            from_ms,
            to_ms,
            end_ms: to_ms,
            low: 0.0,
            high: 1.0,
            band: verdict.fit.filter(|fit| main.is_some() && fit.to > fit.from).map(|fit| Band { fit }),
            limit,
            meets_ms,
        };
        view.end_ms = view.end();
        (view.low, view.high) = view.range(trace);
        view
    }

    /// Whether the limit lies within the picture.
    pub(super) fn shows_limit(&self) -> bool {
        self.limit.is_some_and(|limit| limit <= self.high)
    }

    fn end(&self) -> i64 {
        if self.band.is_none() {
            return self.to_ms;
        }
        let span_ms = (self.to_ms - self.from_ms) as f64;
        let furthest = self.to_ms as f64 + span_ms * FORECAST_MAX;
        let end_ms = match self.meets_ms {
            // A little further than the latest, or than the likeliest when the latest is far away.
            Some([_, mid, latest]) if mid <= furthest => latest.min(furthest) + 0.04 * span_ms,
            _ => self.to_ms as f64 + span_ms * FORECAST,
        };
        end_ms as i64
    }

    fn range(&self, trace: &Trace) -> (f64, f64) {
        let drawn = self.main.iter().chain(&self.others).filter_map(|signal| trace.signals.get(signal)?.range());
        let Some((low, seen)) = drawn.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return (0.0, 1.0) };
        let mut high = seen;
        if let Some(band) = &self.band {
            high = high.max(band.mid(self.end_ms as f64).min(seen * FORECAST_ABOVE_MAX));
        }
        let meets = self.meets_ms.is_some_and(|[_, mid, _]| mid <= self.end_ms as f64);
        if let Some(limit) = self.limit.filter(|limit| meets || *limit <= high * LIMIT_ABOVE_MAX) {
            // The forecast ends at the limit.
            high = seen.max(limit);
        }
        let pad = if high > low { (high - low) * 0.08 } else { high * 0.08 };
        // From zero unless the interesting part would be a sliver on top.
        let bottom = if low < (high - low) * 2.0 { 0.0 } else { (low - pad).max(0.0) };
        let top = high + pad;
        (bottom, if top > bottom { top } else { bottom + 1.0 })
    }
}

/// What the detector calls the resident set is its anonymous part, where that is known.
fn main_signal(decided: Option<Signal>, trace: &Trace) -> Option<Signal> {
    let there = |signal: &Signal| trace.signals.contains_key(signal);
    match decided {
        Some(Signal::Rss) => [Signal::AnonRss, Signal::Rss].into_iter().find(there),
        decided => decided.filter(there),
    }
    .or_else(|| UNDECIDED.into_iter().find(there))
}

fn last(sketch: &Sketch) -> Option<f64> {
    sketch.columns().last().map(|column| column.last.value)
}
