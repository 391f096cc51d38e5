//! Scrapes as no healthy exporter sends them: each oddity by its name, and what the detector says of it.

use leakscope_detect::Detector;
use leakscope_model::{Readings, Reason, Signal, State, Timestamp};

const MINUTE_MS: i64 = 60_000;
const YEAR_MS: i64 = 365 * 24 * 60 * MINUTE_MS;
/// What runtimes and control groups write for no limit.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const REFUSED: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0];

fn minute(n: i64) -> Timestamp {
    Timestamp::from_millis(1_700_092_800_000 + n * MINUTE_MS)
}

fn resident(value: f64, limit: f64) -> Readings {
    [(Signal::Rss, value), (Signal::Limit, limit)].into_iter().collect()
}

/// 100 MB that stay, with a little noise.
fn level(n: i64) -> Readings {
    resident(1e8 + 1e5 * (n * 7 % 11) as f64, 1e9)
}

/// 1 MB a minute on top of it.
fn leak(n: i64) -> Readings {
    resident(1e8 + 1e6 * n as f64, 1e9)
}

fn fed(minutes: std::ops::Range<i64>, readings: impl Fn(i64) -> Readings) -> Detector {
    let mut detector = Detector::default();
    for n in minutes {
        detector.observe(minute(n), &readings(n));
    }
    detector
}

#[test]
fn one_sample_says_nothing() {
    for value in [0.0, f64::MIN_POSITIVE, 1e8, f64::MAX] {
        let detector = fed(0..1, |_| resident(value, 1e9));
        let verdict = detector.verdict();
        assert_eq!((detector.state(), detector.score(), verdict.growth), (State::TooEarly, 0.0, None), "{value}");
        assert!(matches!(verdict.reasons[..], [Reason::Warming { blocks: 0, .. }]), "{:?}", verdict.reasons);
    }
}

#[test]
fn a_second_sample_at_the_same_time_is_left_out() {
    let mut twice = Detector::default();
    for n in 0..300 {
        twice.observe(minute(n), &leak(n));
        assert!(!twice.observe(minute(n), &resident(9e8, 1.0)));
    }
    assert_eq!(twice.checkpoint(), fed(0..300, leak).checkpoint());
    assert_eq!(twice.state(), State::Leaking);
}

#[test]
fn a_sample_that_is_minutes_older_than_the_newest_is_left_out() {
    let mut disordered = Detector::default();
    for n in 0..300 {
        disordered.observe(minute(n), &leak(n));
        assert!(!disordered.observe(minute(n - 1 - n % 50), &resident(9e8, 1.0)));
    }
    assert_eq!(disordered.checkpoint(), fed(0..300, leak).checkpoint());
}

#[test]
fn a_clock_set_back_by_years_begins_a_new_life() {
    let mut detector = fed(0..300, leak);
    assert_eq!(detector.state(), State::Leaking);
    let back = |n: i64| Timestamp::from_millis(minute(n).as_millis() - 3 * YEAR_MS);
    assert!(detector.observe(back(300), &level(300)));
    assert_eq!((detector.state(), detector.score()), (State::TooEarly, 0.0));
    for n in 301..900 {
        detector.observe(back(n), &level(n));
        assert!(detector.state() <= State::Steady, "minute {n}");
    }
    assert_eq!(detector.state(), State::Steady);
}

#[test]
fn a_clock_that_jumps_ahead_by_years_makes_no_leak_of_a_level() {
    let mut detector = fed(0..300, level);
    for jump in 1..20 {
        for n in 0..120 {
            detector.observe(Timestamp::from_millis(minute(300 + n).as_millis() + jump * 3 * YEAR_MS), &level(n));
            assert_eq!(detector.state(), State::Steady, "jump {jump}, minute {n}");
        }
    }
}

#[test]
fn a_clock_at_the_ends_of_time_does_not_overflow() {
    for began in [i64::MIN, i64::MIN / 2, 0, i64::MAX - 1] {
        for ended in [i64::MIN, 0, i64::MAX - 1, i64::MAX] {
            let mut detector = fed(0..300, leak);
            for at in [began, ended, i64::MAX] {
                detector.observe(Timestamp::from_millis(at), &leak(300));
                assert!(detector.verdict().score.is_finite() && detector.settled().is_none_or(f64::is_finite));
                // Another process, by its memory.
                detector.observe(Timestamp::from_millis(at.saturating_add(1)), &resident(1e6, 1e9));
            }
        }
    }
}

#[test]
fn values_that_no_signal_can_have_are_refused_and_leave_the_state_as_it_was() {
    for (series, expect) in [(level as fn(i64) -> Readings, State::Steady), (leak, State::Leaking)] {
        for value in REFUSED {
            let mut detector = fed(0..300, series);
            let score = detector.score();
            let refused: Readings = Signal::ALL.into_iter().map(|signal| (signal, value)).collect();
            assert!(refused.is_empty());
            for n in 300..600 {
                assert!(!detector.observe(minute(n), &refused));
            }
            assert_eq!((detector.state(), detector.score()), (expect, score), "{value}");
        }
    }
}

#[test]
fn one_refused_value_hides_no_other() {
    let beside = |n| {
        let mut readings = leak(n);
        for value in REFUSED {
            assert!(!readings.set(Signal::Rss, value) && !readings.set(Signal::HeapUsed, value));
        }
        readings
    };
    assert_eq!(fed(0..300, beside).checkpoint(), fed(0..300, leak).checkpoint());
}

/// Where nothing changes there is no evidence, whatever the level and whatever is said of the limit.
#[test]
fn a_constant_series_is_steady_for_ever_whatever_the_limit() {
    for value in [0.0, 1.0, 1e8, TWO_TO_63] {
        for limit in [0.0, 1.0, 1e8, TWO_TO_63, f64::MAX] {
            let detector = fed(0..5_000, |_| resident(value, limit));
            assert_eq!((detector.state(), detector.score()), (State::Steady, 0.0), "{value} of {limit}");
        }
    }
}

#[test]
fn every_signal_may_be_constant() {
    for signal in Signal::ALL {
        let detector = fed(0..1_500, |_| [(signal, 5e4)].into_iter().collect());
        assert!(detector.state() <= State::Steady && detector.score() == 0.0, "{}", signal.name());
    }
}

/// A limit of 0 is met already, so it tells nothing of what is left.
#[test]
fn a_leak_under_a_limit_of_zero_is_found() {
    let detector = fed(0..600, |n| resident(1e8 + 1e6 * n as f64, 0.0));
    assert_eq!(detector.state(), State::Leaking);
}

/// Beside it any growth is nothing. Readers of pages leave such a limit out, and without one the leak is found.
#[test]
fn a_limit_of_2_to_the_63_is_taken_at_its_word() {
    let growing = |n| 1e8 + 1e6 * n as f64;
    assert_eq!(fed(0..600, |n| resident(growing(n), TWO_TO_63)).state(), State::Steady);
    assert_eq!(fed(0..600, |n| [(Signal::Rss, growing(n))].into_iter().collect()).state(), State::Leaking);
}
