//! One target under watch: its health, its last values, its detector.

use std::time::Duration;

use leakscope_detect::Detector;
use leakscope_model::{Fit, Readings, Reason, Signal, State, Target, Timestamp, Verdict};

use crate::event::{Opinion, Scrape, ScrapeFailure};

/// How the last scrape went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Whether it succeeded; `None` before the first.
    pub up: Option<bool>,
    /// When it ended.
    pub last_scrape_at: Option<Timestamp>,
    /// How long it took.
    pub last_duration: Option<Duration>,
    /// Why it failed, or what of it could not be understood.
    pub last_error: Option<String>,
}

/// One target under watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is watched.
    pub target: Target,
    /// How the last scrape went.
    pub health: Health,
    /// The last values.
    pub last: Readings,
    /// The service's own opinion.
    pub opinion: Option<Opinion>,
    /// When this target first was `Leaking`.
    pub first_alarm_at: Option<Timestamp>,
    /// Whether it is read as a part of another target's page.
    pub(crate) part: bool,
    /// When the next scrape is due; `None` for parts.
    pub(crate) due: Option<Timestamp>,
    /// Until when an answer to the scrape under way may come.
    pub(crate) awaiting_until: Option<Timestamp>,
    /// Counts up with every change that a person could see.
    pub(crate) revision: u64,
    /// Among how many targets its alarm does not stand yet; 0 when it stands, or when there is none.
    pub(crate) withheld_among: usize,
    traffic: Traffic,
    detector: Detector,
    time_scale: f64,
}

/// How many requests a second a target serves.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    counted: Option<(Timestamp, f64)>,
    per_second: Option<f64>,
}

/// What the newest scrape counts in the mean of the traffic.
const TRAFFIC_WEIGHT: f64 = 0.3;

impl Traffic {
    /// Takes a counter's value. A counter that went back began anew.
    fn counted(&mut self, now: Timestamp, requests: Option<f64>) {
        let before = std::mem::replace(&mut self.counted, requests.map(|requests| (now, requests)));
        let (Some((from, less)), Some(more)) = (before, requests) else { return };
        let seconds = now.since(from).as_secs_f64();
        if more >= less && seconds > 0.0 {
            let fresh = (more - less) / seconds;
            let known = self.per_second.unwrap_or(fresh);
            self.per_second = Some(known + TRAFFIC_WEIGHT * (fresh - known));
        }
    }
}

/// What a score cannot pass while its alarm is withheld.
const WITHHELD: f64 = 0.99;

impl Watch {
    pub(crate) fn new(target: Target, detector: Detector, time_scale: f64, part: bool) -> Self {
        Self {
            target,
            health: Health::default(),
            last: Readings::default(),
            opinion: None,
            first_alarm_at: None,
            part,
            due: None,
            awaiting_until: None,
            revision: 0,
            withheld_among: 0,
            traffic: Traffic::default(),
            detector,
            time_scale,
        }
    }

    /// Takes a scrape's news of the target itself; `true` when the state changed.
    pub(crate) fn scraped(&mut self, now: Timestamp, scrape: &Scrape) -> bool {
        self.awaiting_until = None;
        self.health = Health {
            up: Some(true),
            last_scrape_at: Some(now),
            last_duration: Some(scrape.duration),
            last_error: scrape.problem.clone(),
        };
        if let Some(runtime) = scrape.runtime {
            self.target.runtime = runtime;
        }
        if scrape.opinion.is_some() {
            self.opinion.clone_from(&scrape.opinion);
        }
        self.observe(now, &scrape.readings)
    }

    pub(crate) fn failed(&mut self, now: Timestamp, failure: ScrapeFailure) {
        self.awaiting_until = None;
        self.health = Health {
            up: Some(false),
            last_scrape_at: Some(now),
            last_duration: Some(failure.duration),
            last_error: Some(failure.reason),
        };
    }

    /// Feeds the detector; `true` when its state changed. An alarm is withheld until the fleet lets it stand.
    pub(crate) fn observe(&mut self, now: Timestamp, readings: &Readings) -> bool {
        self.last = *readings;
        self.traffic.counted(now, readings.get(Signal::Requests));
        let changed = self.detector.observe(scaled(now, self.time_scale), readings);
        if changed {
            self.withheld_among = usize::from(self.alarms());
        }
        changed
    }

    /// Requests a second over the last scrapes, where a counter of them is shown.
    pub(crate) fn requests_per_second(&self) -> Option<f64> {
        self.traffic.per_second
    }

    /// Whether its detector alarms, whatever the fleet says.
    pub(crate) fn alarms(&self) -> bool {
        self.detector.state() == State::Leaking
    }

    /// Lets its alarm stand.
    pub(crate) fn stand(&mut self, now: Timestamp) {
        self.withheld_among = 0;
        self.first_alarm_at.get_or_insert(now);
    }

    /// How surprising its evidence is, as a power of ten.
    pub(crate) fn surprise(&self) -> f64 {
        self.detector.surprise()
    }

    /// The level at which it lives without leaking.
    pub(crate) fn settled(&self) -> Option<f64> {
        self.detector.settled()
    }

    /// Where the target stands.
    pub fn state(&self) -> State {
        if self.withheld_among > 0 { State::Suspect } else { self.detector.state() }
    }

    /// Its score.
    pub fn score(&self) -> f64 {
        if self.withheld_among > 0 { self.detector.score().min(WITHHELD) } else { self.detector.score() }
    }

    /// The whole verdict. Rates and the time to the limit are in hours of the detector's clock; moments and the fitted line in real time.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.detector.verdict();
        if self.withheld_among > 0 {
            (verdict.state, verdict.score) = (self.state(), self.score());
            verdict.reasons.insert(1.min(verdict.reasons.len()), Reason::Withheld { targets: self.withheld_among });
        }
        let real = |at: Timestamp| scaled(at, 1.0 / self.time_scale);
        verdict.since = verdict.since.map(real);
        verdict.fit = verdict.fit.map(|fit| Fit {
            from: real(fit.from),
            to: real(fit.to),
            level: fit.level,
            per_hour: fit.per_hour.map(|rate| rate * self.time_scale),
        });
        verdict
    }

    /// Recent floors of its memory, oldest first, at most `n`.
    pub fn recent_floors(&self, n: usize) -> Vec<f64> {
        self.detector.recent_floors(n)
    }

    /// Its memory now: resident, else heap.
    pub fn memory(&self) -> Option<f64> {
        [Signal::Rss, Signal::AnonRss, Signal::HeapUsed, Signal::HeapAfterGc]
            .into_iter()
            .find_map(|signal| self.last.get(signal))
    }

    pub(crate) fn into_detector(self) -> Detector {
        self.detector
    }

    pub(crate) fn checkpoint(&self) -> Vec<u8> {
        self.detector.checkpoint()
    }
}

/// A moment on the detector's clock, which runs `scale` times as fast as the real one.
pub(crate) fn scaled(at: Timestamp, scale: f64) -> Timestamp {
    if (scale - 1.0).abs() < f64::EPSILON {
        at
    } else {
        Timestamp::from_millis((at.as_millis() as f64 * scale).round() as i64)
    }
}
