//! Laws: what no input may break.

use std::time::Duration;

use leakscope_detect::{Detector, Tuning};
use leakscope_model::{Readings, Signal, State, Timestamp};
use leakscope_sim::rng::Rng;
use leakscope_sim::scenario::{self, Scenario};
use leakscope_sim::service::Leak;
use proptest::prelude::*;

type Series = Vec<(Timestamp, Readings)>;

/// Byte signals that are scaled and leaked into.
const BYTES: [Signal; 7] = [
    Signal::Rss,
    Signal::AnonRss,
    Signal::HeapUsed,
    Signal::HeapAfterGc,
    Signal::HeapCommitted,
    Signal::External,
    Signal::Limit,
];

fn any_scenario() -> impl Strategy<Value = (Scenario, u64)> {
    let mut all = scenario::look_alikes();
    all.extend(scenario::leaks(3.0));
    (prop::sample::select(all), any::<u64>())
}

/// The first hours of a scenario.
fn series((scenario, seed): &(Scenario, u64), hours: f64) -> Series {
    let scenario = Scenario { hours: hours.min(scenario.hours), ..scenario.clone() };
    scenario.series(*seed).collect()
}

fn states(series: &Series) -> Vec<State> {
    let mut detector = Detector::default();
    let state = |(at, readings): &(Timestamp, Readings)| {
        detector.observe(*at, readings);
        detector.state()
    };
    series.iter().map(state).collect()
}

/// The place in a series at which a detector first alarms.
fn first_alarm(mut detector: Detector, series: &[(Timestamp, Readings)]) -> Option<usize> {
    series.iter().position(|(at, readings)| {
        detector.observe(*at, readings);
        detector.state() == State::Leaking
    })
}

fn moved(at: Timestamp, by_ms: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + by_ms)
}

/// Hostile values: nothing, everything, and what lies at the edges.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        Just(f64::MIN_POSITIVE),
        Just(9_223_372_036_854_775_808.0),
        Just(f64::MAX),
        0.0..1e12,
        (0.0..1e3).prop_map(f64::floor),
    ]
}

/// A leak that stands out from the noise of the quiet model within three hours.
const NOISE_MIB_PER_HOUR: f64 = 10.0;

/// A straight leak that meets its limit 6 hours after it began, and the hour of its process in which that was.
fn straight_leak() -> impl Strategy<Value = (Scenario, f64, u64)> {
    let begins = |(onset_h, seed)| {
        let mut scenario = scenario::leaks(6.0).remove(0);
        scenario.model.leak = scenario.model.leak.map(|leak| Leak { onset_h, ..leak });
        scenario.hours = onset_h + 4.0;
        (scenario, onset_h, seed)
    };
    (1.0..4.0_f64, any::<u64>()).prop_map(begins)
}

/// How a new process shows.
#[derive(Clone, Copy, Debug)]
enum Shown {
    StartTime,
    /// Nothing but a counter that begins anew.
    Requests,
}

/// A series that goes on as another process of the same service, and the place from which on it does.
fn restarted(scenario: &Scenario, seed: u64, cut: f64, shown: Shown) -> (Series, usize) {
    let mut scenario = scenario.clone();
    scenario.model.load.shown = true;
    let mut series = series(&(scenario.clone(), seed), 12.0);
    let cut = ((cut * series.len() as f64) as usize).clamp(2, series.len() - 1);
    scenario.begin = series[cut].0;
    let n_left = series.len() - cut;
    series.truncate(cut);
    series.extend(scenario.series(seed.wrapping_add(1)).take(n_left));
    if matches!(shown, Shown::Requests) {
        for (_, readings) in &mut series {
            readings.clear(Signal::StartTime);
        }
    }
    (series, cut)
}

/// Steps of time: on, backward, for years, to the ends of what a clock can say.
fn step_ms() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 1_000_i64..120_000,
        2 => 60_000_i64..60_001,
        1 => -100_000_i64..0,
        1 => Just(3_600_000 * 24 * 365 * 3),
        1 => Just(-3_600_000 * 24 * 365 * 3),
        1 => Just(i64::MAX / 4),
    ]
}

/// A stream of hostile scrapes, with the seed of which signals show.
fn hostile(n: usize) -> impl Strategy<Value = (Vec<(i64, Vec<f64>)>, u64)> {
    let scrape = (step_ms(), prop::collection::vec(value(), Signal::COUNT));
    (prop::collection::vec(scrape, 1..n), any::<u64>())
}

fn readings(values: &[f64], rng: &mut Rng) -> Readings {
    Signal::ALL.into_iter().zip(values.iter().copied()).filter(|_| rng.chance(0.7)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scaling_memory_by_a_power_of_two_changes_no_state(scenario in any_scenario(), power in -6_i32..7) {
        let plain = series(&scenario, 8.0);
        // What rises by whole bytes would be rounded anew; so the plain series is scaled, not the model.
        let scaled: Series = plain.iter().map(|(at, readings)| {
            let scale = |(signal, value)| (signal, if BYTES.contains(&signal) { value * 2.0_f64.powi(power) } else { value });
            (*at, readings.iter().map(scale).collect())
        }).collect();
        prop_assert_eq!(states(&plain), states(&scaled));
    }

    #[test]
    fn shifting_time_by_whole_days_changes_no_state(scenario in any_scenario(), days in -3_000_i64..3_000) {
        let plain = series(&scenario, 8.0);
        let by_ms = days * 86_400_000;
        let shifted: Series = plain.iter().map(|(at, readings)| {
            let mut readings = *readings;
            if let Some(start) = readings.get(Signal::StartTime) {
                readings.set(Signal::StartTime, start + by_ms as f64 / 1_000.0);
            }
            (moved(*at, by_ms), readings)
        }).collect();
        prop_assert_eq!(states(&plain), states(&shifted));
    }

    #[test]
    fn a_restored_detector_gives_the_same_verdicts_bit_for_bit(scenario in any_scenario(), cut in 0.0..1.0_f64) {
        let series = series(&scenario, 6.0);
        let cut = (cut * series.len() as f64) as usize;
        let mut through = Detector::default();
        for (at, readings) in &series[..cut] {
            through.observe(*at, readings);
        }
        let mut restored = Detector::restore(&through.checkpoint()).unwrap();
        for (at, readings) in &series[cut..] {
            prop_assert_eq!(through.observe(*at, readings), restored.observe(*at, readings));
            prop_assert_eq!(through.score().to_bits(), restored.score().to_bits());
        }
        prop_assert_eq!(format!("{:?}", through.verdict()), format!("{:?}", restored.verdict()));
        prop_assert_eq!(through.checkpoint(), restored.checkpoint());
    }

    #[test]
    fn hostile_scrapes_never_panic_and_state_stays_bounded((scrapes, seed) in hostile(400)) {
        let mut rng = Rng::new(seed);
        let mut detector = Detector::default();
        let mut at = 0_i64;
        for (step, values) in scrapes {
            at = at.saturating_add(step);
            detector.observe(Timestamp::from_millis(at), &readings(&values, &mut rng));
            let verdict = detector.verdict();
            prop_assert!(verdict.score >= 0.0 && verdict.score.is_finite(), "{:?}", verdict);
            let _ = verdict.reasons.iter().map(ToString::to_string).collect::<Vec<_>>();
        }
        let bytes = detector.checkpoint();
        prop_assert!(bytes.len() < 24_000, "{}", bytes.len());
        prop_assert!(Detector::restore(&bytes).is_ok());
    }

    #[test]
    fn any_bytes_restore_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Detector::restore(&bytes);
    }

    #[test]
    fn a_checkpoint_with_a_changed_byte_restores_to_something_that_works_or_is_refused(
        scenario in any_scenario(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let series = series(&scenario, 3.0);
        let mut detector = Detector::default();
        for (at, readings) in &series {
            detector.observe(*at, readings);
        }
        let mut bytes = detector.checkpoint();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(mut detector) = Detector::restore(&bytes) {
            for (at, readings) in &series {
                detector.observe(moved(*at, 4 * 3_600_000), readings);
            }
            let _ = detector.verdict();
        }
    }

    #[test]
    fn halving_the_sampling_rate_hides_no_straight_leak_and_raises_no_alarm_before_it(
        (scenario, onset_h, seed) in straight_leak(), secs in prop::sample::select(vec![15, 30, 60]),
    ) {
        let scenario = Scenario { interval: Duration::from_secs(secs), ..scenario };
        let often = series(&(scenario.clone(), seed), f64::INFINITY);
        let seldom: Series = often.iter().copied().step_by(2).collect();
        for series in [often, seldom] {
            let found = first_alarm(Detector::default(), &series);
            let found_h = found.map(|place| series[place].0.hours_since(scenario.begin));
            prop_assert!(found_h.is_some_and(|found_h| found_h > onset_h), "found at {:?} h", found_h);
            prop_assert_eq!(states(&series).pop(), Some(State::Leaking));
        }
    }

    /// A cache that fills may be taken for a leak, so the new process is compared with itself alone: the restart adds nothing.
    #[test]
    fn a_restart_anywhere_raises_no_alarm_that_the_new_process_alone_would_not(
        scenario in prop::sample::select(scenario::look_alikes()), seed in any::<u64>(), cut in 0.0..1.0_f64,
        shown in prop::sample::select(vec![Shown::StartTime, Shown::Requests]),
    ) {
        let (series, cut) = restarted(&scenario, seed, cut, shown);
        let mut through = Detector::default();
        for (at, readings) in &series[..cut] {
            through.observe(*at, readings);
        }
        let n_restarts = through.n_restarts();
        let alone = first_alarm(Detector::default(), &series[cut..]).unwrap_or(usize::MAX);
        let after = first_alarm(through.clone(), &series[cut..]).unwrap_or(usize::MAX);
        prop_assert!(after >= alone, "{} scrapes after the restart, alone after {}", after, alone);
        through.observe(series[cut].0, &series[cut].1);
        prop_assert_eq!((through.state(), through.n_restarts()), (State::TooEarly, n_restarts + 1));
    }

    #[test]
    fn fewer_false_alarms_asked_never_alarm_earlier(scenario in any_scenario()) {
        let series = series(&scenario, 12.0);
        let tuned = |rate| Detector::default().with_tuning(Tuning::for_false_alarms(rate));
        let [fewer, more] = [0.1, 10.0].map(|rate| first_alarm(tuned(rate), &series).unwrap_or(usize::MAX));
        prop_assert!(fewer >= more, "{} before {}", fewer, more);
    }

    /// Of the score it holds for leaks above the noise only: a megabyte in three hours may bend by chance what chance had straightened.
    #[test]
    fn adding_a_leak_never_lowers_the_state_nor_above_the_noise_the_score(seed in any::<u64>(), mib_per_hour in 1.0..400.0_f64) {
        let quiet = scenario::look_alikes().into_iter().find(|scenario| scenario.name == "steady").unwrap();
        let plain = series(&(quiet, seed), 3.0);
        let judged = |mib_per_hour: f64| {
            let mut detector = Detector::default();
            for (at, readings) in &plain {
                let mut readings = *readings;
                let leaked = mib_per_hour * 1_048_576.0 * at.hours_since(plain[0].0);
                readings.set(Signal::Rss, readings.get(Signal::Rss).unwrap() + leaked);
                readings.clear(Signal::Limit);
                detector.observe(*at, &readings);
            }
            (detector.state(), detector.score())
        };
        let ((state, score), (plain_state, plain_score)) = (judged(mib_per_hour), judged(0.0));
        prop_assert!(state >= plain_state);
        prop_assert!(score >= plain_score || mib_per_hour < NOISE_MIB_PER_HOUR);
    }
}

#[test]
fn a_million_lives_leave_a_bounded_state() {
    let mut detector = Detector::default();
    for life in 0..1_000_000_i64 {
        let readings = [(Signal::Rss, 1e8), (Signal::StartTime, 60.0 * life as f64)].into_iter().collect();
        detector.observe(Timestamp::from_millis(life * 60_000), &readings);
    }
    assert_eq!(detector.n_restarts(), 999_999);
    assert!(detector.checkpoint().len() < 1_000);
}
