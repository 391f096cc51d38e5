//! Ticks and their labels in units that people read: binary sizes, counts, spans, moments.

use jiff::tz::Offset;

/// How the times of a series read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Clock {
    /// Seconds since the Unix epoch: shown as moments in UTC.
    Unix,
    /// Seconds of any epoch: shown as the time since the first row.
    Elapsed,
}

/// Steps of a time axis, seconds; beyond, multiples of the last.
const TIME_STEPS_S: [i64; 21] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
    1_209_600,
];

/// Where something stands on an axis, and what it is called.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

/// Ticks of sizes from `low` to `high`, at most `n_max`, a power of two apart.
pub(super) fn byte_ticks(low: f64, high: f64, n_max: usize) -> Vec<Tick> {
    let mut step = 1.0;
    while (high - low) / step > n_max as f64 {
        step *= 2.0;
    }
    ticks(low, high, step, bytes)
}

/// Ticks of counts from `low` to `high`, at most `n_max`, one, two or five of a power of ten apart.
pub(super) fn count_ticks(low: f64, high: f64, n_max: usize) -> Vec<Tick> {
    let (mut step, mut factors) = (1.0, [2.0, 2.5, 2.0].into_iter().cycle());
    while (high - low) / step > n_max as f64 {
        step *= factors.next().unwrap_or(2.0);
    }
    ticks(low, high, step, |count| format!("{count}"))
}

fn ticks(low: f64, high: f64, step: f64, label: impl Fn(f64) -> String) -> Vec<Tick> {
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|n| n as f64 * step).map(|at| Tick { at, label: label(at) }).collect()
}

/// A size without needless zeros: `1.5 GiB`, `0`.
pub(super) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes == 0.0 {
        return "0".to_owned();
    }
    let (mut value, mut unit) = (bytes, 0);
    while value.abs() >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let digits = format!("{value:.3}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits} {}", UNITS.get(unit).copied().unwrap_or("B"))
}

/// Ticks of a time axis from `low_ms` to `high_ms`, at most `n_max`. Spans are counted from `zero_ms`.
pub(super) fn time_ticks(low_ms: i64, high_ms: i64, zero_ms: i64, clock: Clock, n_max: i64) -> Vec<Tick> {
    let zero_ms = if clock == Clock::Unix { 0 } else { zero_ms };
    let (low_s, high_s) = ((low_ms - zero_ms) as f64 / 1e3, (high_ms - zero_ms) as f64 / 1e3);
    let least = (high_s - low_s) / n_max as f64;
    let last = TIME_STEPS_S[TIME_STEPS_S.len() - 1];
    let step = TIME_STEPS_S.into_iter().find(|step| *step as f64 >= least);
    let step = step.unwrap_or_else(|| last * (least / last as f64).ceil() as i64);
    ticks(low_s, high_s, step as f64, |at_s| match clock {
        Clock::Elapsed => span(at_s as i64),
        Clock::Unix => moment(at_s as i64, step),
    })
    .into_iter()
    .map(|tick| Tick { at: tick.at * 1e3 + zero_ms as f64, label: tick.label })
    .collect()
}

/// A span in its two largest units: `1 h 30 min`, `3 d`, `0`.
pub(super) fn span(seconds: i64) -> String {
    let s = seconds.unsigned_abs();
    let sign = if seconds < 0 { "-" } else { "" };
    let units = [(s / 86_400, "d"), (s / 3_600 % 24, "h"), (s / 60 % 60, "min"), (s % 60, "s")];
    let Some(largest) = units.iter().position(|(n, _)| *n > 0) else { return "0".to_owned() };
    let shown = units.iter().skip(largest).take(2).filter(|(n, _)| *n > 0);
    let words: Vec<String> = shown.map(|(n, unit)| format!("{n} {unit}")).collect();
    format!("{sign}{}", words.join(" "))
}

/// A moment to the precision of `step_s`: midnight and longer steps show the day.
fn moment(unix_s: i64, step_s: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_second(unix_s) else { return String::new() };
    let at = Offset::UTC.to_datetime(at);
    let midnight = unix_s.rem_euclid(86_400) == 0;
    let format = match (step_s, midnight) {
        (..60, _) => "%H:%M:%S",
        (_, false) => "%H:%M",
        (60..2_000_000, true) => "%b %-d",
        (_, true) => "%Y-%m-%d",
    };
    at.strftime(format).to_string()
}

/// A moment in full: `2026-11-20 14:05:09 UTC`.
pub(super) fn whole_moment(unix_s: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_second(unix_s) else { return format!("{unix_s} s") };
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: Vec<Tick>) -> Vec<String> {
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn sizes_step_by_powers_of_two() {
        assert_eq!(labels(byte_ticks(0.0, 250e6, 5)), ["0", "64 MiB", "128 MiB", "192 MiB"]);
        assert_eq!(labels(byte_ticks(1.2e9, 1.9e9, 4)), ["1.25 GiB", "1.5 GiB", "1.75 GiB"]);
        assert_eq!(labels(byte_ticks(0.0, 3.0, 5)), ["0", "1 B", "2 B", "3 B"]);
    }

    #[test]
    fn counts_step_by_one_two_or_five() {
        assert_eq!(labels(count_ticks(0.0, 47.0, 5)), ["0", "10", "20", "30", "40"]);
        assert_eq!(labels(count_ticks(0.0, 3.0, 5)), ["0", "1", "2", "3"]);
    }

    #[test]
    fn times_read_as_spans_or_as_moments() {
        let day = 86_400_000;
        let spans = labels(time_ticks(500, 500 + 4 * 3_600_000, 500, Clock::Elapsed, 5));
        assert_eq!(spans, ["0", "1 h", "2 h", "3 h", "4 h"]);
        assert_eq!(labels(time_ticks(0, 5_400_000, 0, Clock::Elapsed, 4)), ["0", "30 min", "1 h", "1 h 30 min"]);
        let midnight = 20_413 * day;
        assert_eq!(
            labels(time_ticks(midnight - day / 4, midnight + day / 4, 0, Clock::Unix, 4)),
            ["18:00", "21:00", "Nov 21", "03:00", "06:00"]
        );
        assert_eq!(labels(time_ticks(midnight, midnight + 60 * day, 0, Clock::Unix, 3)), ["2025-12-18", "2026-01-15"]);
        assert_eq!(whole_moment(1_795_180_816), "2026-11-20 13:20:16 UTC");
    }

    #[test]
    fn spans_of_ten_thousand_years_have_few_ticks() {
        let far = 300_000_000_000_000;
        for clock in [Clock::Elapsed, Clock::Unix] {
            assert!(time_ticks(-far, far, 0, clock, 8).len() <= 9);
        }
    }
}
