//! The labels of a corpus: what is true of each recording, from the table and from what was measured.

use serde_json::{Value, json};

use super::recording::{Flavour, Recording, Truth};
use super::sample::Sample;
use super::session::Recorded;

/// Seconds of the reader's clock that a real second counts as.
const TIME_SCALE: f64 = 60.0;
/// Resident bytes for a leaked one, outside of which a measurement is not believed.
const COST_BELIEVED: std::ops::RangeInclusive<f64> = 0.6..=4.0;

/// The label of a recording.
pub(crate) fn label(recording: &Recording, recorded: &Recorded) -> Value {
    let (leak, kind, negative, class) = match &recording.truth {
        Truth::Leaks(leak) => (true, Some(leak.kind), None, Some(leak.class.name())),
        Truth::Healthy(negative) => (false, None, Some(*negative), None),
    };
    let end = end_of_leak(recording, recorded);
    json!({
        "file": recording.file(),
        "family": recording.family,
        "runtime": recording.flavour.runtime(),
        "leak": leak,
        "kind": kind,
        "negative": negative,
        "onset_s": recorded.onset_s.map(hundredths),
        "oom_s": end.map(|(at_s, _)| hundredths(at_s)),
        "oom": end.map(|(_, how)| how),
        "rate_class": class,
        "time_scale": TIME_SCALE,
        "half": recording.half.name(),
    })
}

fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

/// When the leak meets the limit, and whether it did or would.
fn end_of_leak(recording: &Recording, recorded: &Recorded) -> Option<(f64, &'static str)> {
    let leak = recording.leak()?;
    if let Some(met_s) = recorded.met_s {
        return Some((met_s, "met"));
    }
    let limit = recording.limit_bytes()?;
    let (onset_s, first) = (recorded.onset_s?, recorded.samples.first()?);
    // Of the first process only: what a restart frees leaks anew.
    let life: Vec<&Sample> =
        recorded.samples.iter().filter(|sample| sample.start_s == first.start_s && sample.t_s >= onset_s).collect();
    let last = life.last()?;
    let leaked_at_limit = leaked_at(recording, &life, limit);
    // From the last sample on at the rate of the schedule, in steps of a second.
    let (mut leaked, mut t_s) = (last.leaked, last.t_s);
    let per_request = f64::from(recording.rate_bytes()) * leak.leaky.share();
    while leaked < leaked_at_limit && t_s < last.t_s + 20_000.0 {
        leaked += recording.load.rate(t_s) * per_request;
        t_s += 1.0;
    }
    Some((t_s, "extrapolated"))
}

/// Bytes leaked when the limit is met: the process dies at a peak of the signal that is limited, which grows with what
/// has leaked at a cost that is measured.
fn leaked_at(recording: &Recording, life: &[&Sample], limit: f64) -> f64 {
    let signal = |sample: &Sample| match recording.flavour {
        Flavour::JavaSized => sample.heap_after_gc.or(sample.heap),
        _ => sample.rss,
    };
    let later = life.get(life.len() / 3..).unwrap_or_default();
    let points: Vec<(f64, f64)> = later.iter().filter_map(|sample| Some((sample.leaked, signal(sample)?))).collect();
    let nominal = recording.flavour.cost();
    let cost = slope(&points).filter(|cost| COST_BELIEVED.contains(cost)).unwrap_or(nominal);
    let mut levels: Vec<f64> = points.iter().map(|(leaked, bytes)| bytes - cost * leaked).collect();
    levels.sort_by(f64::total_cmp);
    let level = levels.get(levels.len() * 19 / 20).copied().unwrap_or_else(|| recording.flavour.level_bytes());
    ((limit - level) / cost).max(0.0)
}

/// The median of the slopes between points half the series apart (Theil's incomplete method).
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let half = points.len() / 2;
    let pairs = points.iter().zip(points.get(half..)?);
    let mut slopes: Vec<f64> = pairs.filter(|(a, b)| b.0 > a.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect();
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::table::table;

    fn leaking(name: &str) -> Recording {
        table(1).into_iter().find(|recording| recording.name == name).unwrap()
    }

    #[test]
    fn a_limit_that_was_met_is_the_end() {
        let recorded = Recorded { met_s: Some(99.5), onset_s: Some(1.0), samples: vec![] };
        assert_eq!(end_of_leak(&leaking("session-map-go-2h"), &recorded), Some((99.5, "met")));
    }

    #[test]
    fn an_end_that_did_not_come_is_where_the_line_meets_the_limit() {
        let recording = leaking("session-map-rust-24h");
        let limit = recording.limit_bytes().unwrap();
        let per_second = recording.load.rate(0.0) * f64::from(recording.rate_bytes());
        let sample = |t: u32| {
            let leaked = per_second * f64::from(t);
            Sample { t_s: f64::from(t), rss: Some(2e7 + 1.1 * leaked), leaked, start_s: Some(0.0), ..Sample::default() }
        };
        let recorded = Recorded { samples: (0..600).map(sample).collect(), onset_s: Some(0.0), met_s: None };
        let expected = (limit - 2e7) / 1.1 / per_second;
        let (found, how) = end_of_leak(&recording, &recorded).unwrap();
        assert!((found / expected - 1.0).abs() < 0.01, "{found} and {expected}");
        assert_eq!(how, "extrapolated");
    }

    #[test]
    fn a_healthy_process_has_neither_onset_nor_end() {
        let recording = leaking("steady-go");
        let label = label(&recording, &Recorded::default());
        assert_eq!((&label["leak"], &label["oom_s"], &label["kind"]), (&json!(false), &Value::Null, &Value::Null));
        assert_eq!(label["negative"], "steady");
    }
}
