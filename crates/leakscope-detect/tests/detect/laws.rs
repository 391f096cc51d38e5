//! Laws: what no input may break.

use leakscope_detect::Detector;
use leakscope_model::{Readings, Signal, State, Timestamp};
use leakscope_sim::rng::Rng;
use leakscope_sim::scenario::{self, Scenario};
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

#[test]
fn a_constant_series_is_steady_for_ever() {
    for value in [0.0, 1.0, 9_223_372_036_854_775_808.0] {
        let mut detector = Detector::default();
        for minute in 0..5_000 {
            let readings = [(Signal::Rss, value), (Signal::Limit, 0.0)].into_iter().collect();
            detector.observe(Timestamp::from_millis(minute * 60_000), &readings);
        }
        assert_eq!((detector.state(), detector.score()), (State::Steady, 0.0), "{value}");
    }
}
