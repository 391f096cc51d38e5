//! One verdict of all signals: which growth counts, what kind it is, and why.

use std::time::Duration;

use leakscope_model::{
    BytesPerHour, BytesPerRequest, Fit, Growth, Interval, Kind, Reason, Signal, State, Timestamp, Unit, Verdict,
};

use crate::detector::Role;
use crate::evidence::{Evidence, Test};
use crate::track::Finding;

/// The strongest finding on one role, and the signal that stood for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) role: Role,
    pub(crate) signal: Signal,
    pub(crate) finding: Finding,
    pub(crate) floor: f64,
    pub(crate) excess: f64,
    /// What the signal shows beyond what the role counts.
    pub(crate) offset: f64,
    /// Why it may not alarm by itself.
    pub(crate) capped: Option<Cap>,
}

/// Why a growth may not alarm by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cap {
    /// A heap with garbage in it, and no full collection in the window.
    NoCollection,
    /// A better signal is flat.
    Flat(Signal),
}

/// Hours in which a leak raises its own peak above the floor of five minutes.
const FIVE_MINUTES: f64 = 1.0 / 12.0;

/// A score that a capped candidate cannot pass: below the alarm, above suspicion.
const CAP: f64 = 0.95;

impl Candidate {
    pub(crate) fn score(&self) -> f64 {
        if self.capped.is_some() { self.finding.score.min(CAP) } else { self.finding.score }
    }

    fn kind(&self, state: State) -> Kind {
        if state < State::Recovered {
            return Kind::Unknown;
        }
        match (self.role, self.finding.held.weakest) {
            (Role::Resident, _) if self.capped.is_some_and(|cap| matches!(cap, Cap::Flat(_))) => Kind::Fragmentation,
            (Role::Native, Test::Pace | Test::Records | Test::Step) if self.finding.score < 1.0 => Kind::Fragmentation,
            (_, Test::Load) if self.finding.score < 1.0 => Kind::LoadGrowth,
            (_, Test::Pace | Test::Reach) if self.finding.score < 1.0 => Kind::CacheFill,
            (Role::Live | Role::Heap, _) => Kind::Managed,
            (Role::External | Role::Native, _) => Kind::Native,
            (Role::Tasks | Role::Threads, _) => Kind::Tasks,
            (Role::Descriptors, _) => Kind::Descriptors,
            (Role::Resident, _) => Kind::Unknown,
        }
    }
}

/// The verdict on a target in `state`, decided by `candidate`.
///
/// `left` is what is left until the limit.
pub(crate) fn verdict(
    state: State,
    score: f64,
    candidate: &Candidate,
    evidence: &Evidence,
    left: Option<f64>,
    n_grown: u32,
) -> Verdict {
    let bytes = candidate.signal.unit() == Unit::Bytes;
    let grows = state >= State::Suspect;
    let growth = (grows && bytes).then(|| growth(evidence));
    let mut reasons = reasons(state, candidate, evidence, growth.as_ref());
    if n_grown > 0 {
        reasons.push(Reason::Recurs { lives: n_grown });
    }
    Verdict {
        score,
        state,
        kind: candidate.kind(state),
        signal: Some(candidate.signal),
        growth,
        time_to_limit: left.filter(|_| grows && bytes).and_then(|left| {
            time_to_limit(evidence, left, (candidate.excess - evidence.slope * FIVE_MINUTES).max(0.0))
        }),
        since: grows.then(|| Timestamp::from_millis(evidence.from_ms)),
        fit: grows.then(|| fit(candidate, evidence)),
        reasons,
    }
}

fn growth(evidence: &Evidence) -> Growth {
    let per_hour = Interval { low: evidence.slope_low, mid: evidence.slope, high: evidence.slope_high };
    let per_request = (evidence.requests_per_hour > 0.0)
        .then(|| per_hour.map(|rate| BytesPerRequest(rate / evidence.requests_per_hour)));
    Growth { per_hour: per_hour.map(BytesPerHour), per_request }
}

fn fit(candidate: &Candidate, evidence: &Evidence) -> Fit {
    Fit {
        from: Timestamp::from_millis(evidence.from_ms),
        to: Timestamp::from_millis(evidence.to_ms),
        level: candidate.offset + evidence.level,
        per_hour: Interval { low: evidence.slope_low, mid: evidence.slope, high: evidence.slope_high },
    }
}

/// A process dies at a peak, not at a floor: the early end takes off all that peaks add, the middle half of it, the late end nothing,
/// since the highest peaks are rare.
///
/// The slope's interval speaks of the window alone; what comes after it differs more. An end that is never met is [`Duration::MAX`].
fn time_to_limit(evidence: &Evidence, left: f64, excess: f64) -> Option<Interval<Duration>> {
    if evidence.slope <= 0.0 {
        return None;
    }
    let after = |left: f64, slope: f64| {
        if slope > 0.0 { hours(left.max(0.0) / slope) } else { Duration::MAX }
    };
    let slowest = evidence.slope - WIDER * (evidence.slope - evidence.slope_low);
    let fastest = evidence.slope + WIDER * (evidence.slope_high - evidence.slope);
    Some(Interval {
        low: after((left - excess) * (1.0 - MARGIN), fastest).saturating_sub(MOMENT),
        mid: after(left - excess / 2.0, evidence.slope),
        high: after(left * (1.0 + MARGIN), slowest).saturating_add(MOMENT),
    })
}

/// How much wider the slope's interval is taken for what comes than it is for what was.
const WIDER: f64 = 1.5;
/// Error of what is left.
const MARGIN: f64 = 0.04;
/// Error of any moment: scrapes are a moment apart.
const MOMENT: Duration = Duration::from_mins(1);

fn reasons(state: State, candidate: &Candidate, evidence: &Evidence, growth: Option<&Growth>) -> Vec<Reason> {
    let signal = candidate.signal;
    if state < State::Suspect {
        return why_not(state, candidate, evidence);
    }
    let from = candidate.offset + evidence.level;
    let to = from + evidence.growth();
    let over = Duration::from_millis(evidence.to_ms.saturating_sub(evidence.from_ms).max(0) as u64);
    let mut reasons = vec![
        Reason::FloorGrew { signal, from, to, over },
        Reason::Records { records: evidence.n_records, blocks: evidence.n_points as u32, e_value: evidence.e_value },
        Reason::Trend { z: evidence.z },
    ];
    reasons
        .extend(growth.and_then(|growth| growth.per_request).map(|growth| Reason::PerRequest { growth: growth.mid }));
    match candidate.capped {
        Some(Cap::NoCollection) => reasons.insert(1, Reason::NoCollection),
        Some(Cap::Flat(flat)) => reasons.insert(1, Reason::OtherFlat { grows: signal, flat }),
        None if candidate.finding.score >= 1.0 => {
            reasons.push(Reason::Sustained { tail_over_head: evidence.pace });
        }
        None => reasons.insert(1, weakness(candidate, evidence)),
    }
    reasons
}

/// What keeps a suspect from being an alarm.
fn weakness(candidate: &Candidate, evidence: &Evidence) -> Reason {
    let finding = candidate.finding;
    if evidence.ratio >= 1.0 {
        return Reason::Holding { held: finding.holding, want: finding.must_hold };
    }
    match evidence.weakest {
        Test::Reach => Reason::MayBend { reach: evidence.reach },
        Test::Pace if evidence.pace > 1.0 => Reason::SpeedsUp { tail_over_head: evidence.pace },
        Test::Pace => Reason::Decelerates { tail_over_head: evidence.pace },
        Test::Step => Reason::Step { share: evidence.step_share },
        Test::Load => Reason::FollowsLoad { share: evidence.load_share },
        Test::Amplitude => {
            Reason::TooSmall { grew: evidence.growth(), least: evidence.least, signal: candidate.signal }
        }
        Test::Horizon => {
            Reason::FarAway { time_to_limit: hours(evidence.hours_left), horizon: hours(evidence.horizon) }
        }
        Test::Records | Test::Trend | Test::Novelty => Reason::Trend { z: evidence.z },
    }
}

fn hours(hours: f64) -> Duration {
    Duration::try_from_secs_f64(hours * 3_600.0).unwrap_or(Duration::MAX)
}

fn why_not(state: State, candidate: &Candidate, evidence: &Evidence) -> Vec<Reason> {
    let level = Reason::Level { signal: candidate.signal, floor: candidate.offset + candidate.floor };
    match state {
        State::Recovered => vec![Reason::Stopped { signal: candidate.signal }, level],
        // Some growth there is: why it is no suspicion says more than a level that it does not quite keep.
        _ if evidence.ratio >= 0.3 => vec![weakness(candidate, evidence)],
        _ => vec![level],
    }
}
