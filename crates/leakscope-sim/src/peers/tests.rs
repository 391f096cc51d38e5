//! Known behaviour of each peer, as one table.

use leakscope_model::{Readings, Signal, Timestamp};

use super::all;
use crate::rng::Rng;
use crate::service::MIB;

const MINUTES: i64 = 30 * 60;
/// When something is added.
const ONSET: i64 = 600;

fn first_alarms(value: impl Fn(i64) -> f64, limit: Option<f64>) -> Vec<(&'static str, Option<i64>)> {
    let mut rng = Rng::new(5);
    let noise: Vec<f64> = (0..MINUTES).map(|_| rng.normal()).collect();
    let alarm = |mut peer: Box<dyn super::Peer>| {
        let first = (0..MINUTES).find(|minute| {
            let rss = value(*minute) + noise[*minute as usize];
            let mut readings = Readings::from_iter([(Signal::Rss, rss * MIB)]);
            if let Some(limit) = limit {
                readings.set(Signal::Limit, limit * MIB);
            }
            peer.observe(Timestamp::from_millis(minute * 60_000), &readings)
        });
        (peer.name(), first)
    };
    all().into_iter().map(alarm).collect()
}

fn after(minute: i64) -> f64 {
    (minute - ONSET).max(0) as f64
}

/// Which peers alarm at or after the onset, and which before it.
#[test]
fn each_peer_does_what_it_is_known_for() {
    let leak = |hours: f64| move |minute: i64| 400.0 + 600.0 * after(minute) / (60.0 * hours);
    let step = |minute: i64| if minute >= ONSET { 520.0 } else { 400.0 };
    let cache = |minute: i64| 400.0 + 240.0 * (1.0 - (-after(minute) / 90.0).exp());
    let all_names =
        ["Coroot", "predict_linear 1 h → 4 h", "predict_linear 6 h → 24 h", "LBR", "Precog", "Mann–Kendall"];
    let cases: [(&str, Vec<(&'static str, Option<i64>)>, &[&str]); 6] = [
        ("flat", first_alarms(|_| 400.0, Some(1_000.0)), &[]),
        ("leak of 2 h", first_alarms(leak(2.0), Some(1_000.0)), &all_names),
        // A tenth an hour is not reached, and four hours see no limit that is a day away.
        ("leak of 24 h", first_alarms(leak(24.0), Some(1_000.0)), &all_names[2..]),
        // Coroot's tail is level again before its 15 minutes are over; of all windows none fits Precog's line.
        (
            "step of 30 %",
            first_alarms(step, Some(1_000.0)),
            &["predict_linear 1 h → 4 h", "predict_linear 6 h → 24 h", "LBR", "Mann–Kendall"],
        ),
        // The rise of an hour, four times, is still below the limit.
        (
            "cache of 1.5 h",
            first_alarms(cache, Some(1_000.0)),
            &["Coroot", "predict_linear 6 h → 24 h", "LBR", "Precog", "Mann–Kendall"],
        ),
        ("leak of 2 h, no limit", first_alarms(leak(2.0), None), &["Coroot", "Mann–Kendall"]),
    ];
    for (name, alarms, expected) in cases {
        let fired: Vec<&str> = alarms.iter().filter(|(_, at)| at.is_some()).map(|(name, _)| *name).collect();
        assert_eq!(fired, expected, "{name}: {alarms:?}");
        assert!(alarms.iter().all(|(_, at)| at.is_none_or(|at| at > ONSET)), "{name}: {alarms:?}");
    }
}

#[test]
fn slow_noise_is_a_trend_to_those_who_ask_a_line_to_fit() {
    let mut rng = Rng::new(11);
    let mut level = 0.0;
    let walk: Vec<f64> = (0..MINUTES)
        .map(|_| {
            level = 0.998 * level + rng.normal();
            900.0 + level
        })
        .collect();
    let alarms = first_alarms(|minute| walk[minute as usize], Some(1_000.0));
    let fired: Vec<&str> = alarms.iter().filter(|(_, at)| at.is_some()).map(|(name, _)| *name).collect();
    assert_eq!(
        fired,
        ["predict_linear 1 h → 4 h", "predict_linear 6 h → 24 h", "LBR", "Precog", "Mann–Kendall"],
        "{alarms:?}"
    );
}

#[test]
fn nothing_said_is_nothing_found() {
    for mut peer in all() {
        for minute in 0..600 {
            assert!(!peer.observe(Timestamp::from_millis(minute * 60_000), &Readings::default()), "{}", peer.name());
        }
    }
}
