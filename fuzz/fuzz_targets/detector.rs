//! Any bytes as a detector's life: scrapes on time, late, twice, from years ago; values that grow, jump, fall, are missing or are none;
//! limits of 0 and 2^63; restarts by the million. The state stays bounded, the verdict says numbers, and a detector that is
//! saved and restored on the way says the same ever after. Bytes that pretend to be a saved one are taken or refused.
#![no_main]

use leakscope_detect::Detector;
use leakscope_model::{Interval, Readings, Signal, Timestamp, Verdict};
use libfuzzer_sys::fuzz_target;

/// Steps of the clock, milliseconds.
const STEPS_MS: [i64; 16] = [
    15_000,
    60_000,
    0,
    1,
    1_000,
    5_000,
    59_999,
    300_000,
    3_600_000,
    86_400_000,
    31_536_000_000_000,
    -1,
    -60_000,
    -7_200_000,
    i64::MAX / 2,
    i64::MIN / 2,
];
/// Values that are none, or lie at an edge.
const EDGES: [f64; 12] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -1.0,
    -0.0,
    0.0,
    f64::MIN_POSITIVE,
    1.0,
    4_096.0,
    9_223_372_036_854_775_808.0,
    1e300,
    f64::MAX,
];
/// Bytes of a saved detector: what docs and store count on.
const STATE_MAX: usize = 64 * 1024;
/// Scrapes of one input: some days of minutes.
const SCRAPES_MAX: usize = 8_000;

/// The bytes of an input, one instruction after the other; zeros after the last.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().map_or((0, self.0), |(byte, rest)| (*byte, rest));
        self.0 = rest;
        byte
    }

    /// How one signal goes on: where it stands, what each scrape adds, and how far it swings.
    fn course(&mut self) -> Course {
        let kind = self.byte();
        let mantissa = f64::from(self.byte());
        match kind % 4 {
            0 => Course { value: EDGES[usize::from(kind / 4) % EDGES.len()], slope: 0.0, swing: 0.0 },
            1 => Course { value: mantissa * f64::from(1 << (kind / 8)), slope: 0.0, swing: f64::from(self.byte()) },
            2 => Course { value: 2e8, slope: (mantissa - 64.0) * 4_096.0, swing: f64::from(self.byte()) * 65_536.0 },
            _ => Course { value: f64::from(kind), slope: mantissa / 16.0, swing: 0.0 },
        }
    }
}

#[derive(Clone, Copy)]
struct Course {
    value: f64,
    slope: f64,
    swing: f64,
}

impl Course {
    fn at(self, scrape: usize) -> f64 {
        self.value + self.slope * scrape as f64 + self.swing * (scrape % 7) as f64
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut pretended) = Detector::restore(bytes) {
        pretended.observe(Timestamp::from_millis(0), &Readings::from_iter([(Signal::Rss, 1.0)]));
        drop(pretended.verdict());
    }
    let mut script = Script(bytes);
    let mut detector = Detector::default();
    let mut twin: Option<Detector> = None;
    let (mut at_ms, mut n_scrapes) = (0_i64, 0);
    while !script.0.is_empty() && n_scrapes < SCRAPES_MAX {
        let head = script.byte();
        let step_ms = STEPS_MS[usize::from(head % 16)];
        let n = 1 << (head / 16 % 10);
        let mask = u16::from(script.byte()) | u16::from(script.byte()) << 8;
        let shown = Signal::ALL.into_iter().filter(|signal| mask >> signal.index() & 1 == 1);
        let courses: Vec<(Signal, Course)> = shown.map(|signal| (signal, script.course())).collect();
        for scrape in 0..n {
            at_ms = at_ms.saturating_add(step_ms);
            let readings: Readings = courses.iter().map(|(signal, course)| (*signal, course.at(scrape))).collect();
            let at = Timestamp::from_millis(at_ms);
            let changed = detector.observe(at, &readings);
            if let Some(twin) = &mut twin {
                assert_eq!(twin.observe(at, &readings), changed);
            }
        }
        n_scrapes += n;
        says_numbers(&detector.verdict());
        let state = detector.checkpoint();
        assert!(state.len() <= STATE_MAX, "{} bytes", state.len());
        if let Some(twin) = &twin {
            assert!(twin.checkpoint() == state, "a restored detector went another way");
            assert_eq!(format!("{:?}", twin.verdict()), format!("{:?}", detector.verdict()));
        } else if head >= 160 {
            twin = Some(Detector::restore(&state).expect("what was saved is restored"));
        }
    }
});

/// A verdict's numbers are ones: no NaN, and intervals in order.
fn says_numbers(verdict: &Verdict) {
    assert!(verdict.score.is_finite() && verdict.score >= 0.0, "score {}", verdict.score);
    let ordered = |interval: Interval<f64>| interval.low <= interval.mid && interval.mid <= interval.high;
    if let Some(growth) = verdict.growth {
        assert!(ordered(growth.per_hour.map(|rate| rate.0)), "{:?}", growth.per_hour);
        assert!(growth.per_request.is_none_or(|growth| ordered(growth.map(|rate| rate.0))), "{:?}", growth.per_request);
    }
    if let Some(fit) = verdict.fit {
        assert!(ordered(fit.per_hour) && !fit.level.is_nan() && fit.from <= fit.to, "{fit:?}");
    }
    if let Some(left) = verdict.time_to_limit {
        assert!(left.low <= left.mid && left.mid <= left.high, "{left:?}");
    }
    for reason in &verdict.reasons {
        assert!(!reason.to_string().contains("NaN"), "{reason}");
    }
}
