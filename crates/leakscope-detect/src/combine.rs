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
        match (self.role, self.finding.evidence.weakest) {
            _ if self.capped.is_some_and(|cap| matches!(cap, Cap::Flat(_))) => Kind::Fragmentation,
            (_, Test::Load) if self.finding.score < 1.0 => Kind::LoadGrowth,
            (_, Test::Pace) if self.finding.score < 1.0 => Kind::CacheFill,
            (Role::Live | Role::Heap, _) => Kind::Managed,
            (Role::External | Role::Native, _) => Kind::Native,
            (Role::Tasks | Role::Threads, _) => Kind::Tasks,
            (Role::Descriptors, _) => Kind::Descriptors,
            (Role::Resident, _) => Kind::Unknown,
        }
    }
}

/// The verdict on a target in `state`, decided by `candidate`.
pub(crate) fn verdict(state: State, score: f64, candidate: &Candidate, limit: Option<f64>, n_grown: u32) -> Verdict {
    let evidence = candidate.finding.evidence;
    let bytes = candidate.signal.unit() == Unit::Bytes;
    let grows = state >= State::Suspect;
    let growth = (grows && bytes).then(|| growth(&evidence));
    let mut reasons = reasons(state, candidate, growth.as_ref());
    if n_grown > 0 {
        reasons.push(Reason::Recurs { lives: n_grown });
    }
    Verdict {
        score,
        state,
        kind: candidate.kind(state),
        signal: Some(candidate.signal),
        growth,
        time_to_limit: limit.filter(|_| grows && bytes).and_then(|limit| time_to_limit(candidate, limit)),
        since: grows.then(|| Timestamp::from_millis(evidence.from_ms)),
        fit: grows.then(|| fit(&evidence)),
        reasons,
    }
}

fn growth(evidence: &Evidence) -> Growth {
    let per_hour = Interval { low: evidence.slope_low, mid: evidence.slope, high: evidence.slope_high };
    let per_request = (evidence.requests_per_hour > 0.0)
        .then(|| per_hour.map(|rate| BytesPerRequest(rate / evidence.requests_per_hour)));
    Growth { per_hour: per_hour.map(BytesPerHour), per_request }
}

fn fit(evidence: &Evidence) -> Fit {
    Fit {
        from: Timestamp::from_millis(evidence.from_ms),
        to: Timestamp::from_millis(evidence.to_ms),
        level: evidence.level,
        per_hour: Interval { low: evidence.slope_low, mid: evidence.slope, high: evidence.slope_high },
    }
}

/// A process dies at a peak, not at a floor, so what peaks add is taken off first. An end that is never met is [`Duration::MAX`].
fn time_to_limit(candidate: &Candidate, limit: f64) -> Option<Interval<Duration>> {
    let evidence = candidate.finding.evidence;
    if evidence.slope <= 0.0 || limit <= 0.0 {
        return None;
    }
    let left = (limit - candidate.floor - candidate.excess).max(0.0);
    let after = |slope: f64| {
        if slope > 0.0 {
            Duration::try_from_secs_f64(left / slope * 3_600.0).unwrap_or(Duration::MAX)
        } else {
            Duration::MAX
        }
    };
    Some(Interval { low: after(evidence.slope_high), mid: after(evidence.slope), high: after(evidence.slope_low) })
}

fn reasons(state: State, candidate: &Candidate, growth: Option<&Growth>) -> Vec<Reason> {
    let evidence = candidate.finding.evidence;
    let signal = candidate.signal;
    if state < State::Suspect {
        return why_not(state, candidate);
    }
    let to = evidence.level + evidence.growth();
    let over = Duration::from_millis((evidence.to_ms - evidence.from_ms).max(0) as u64);
    let mut reasons = vec![
        Reason::FloorGrew { signal, from: evidence.level, to, over },
        Reason::Records { records: evidence.n_records, blocks: evidence.n_blocks, e_value: evidence.e_value },
        Reason::Trend { z: evidence.z },
    ];
    reasons
        .extend(growth.and_then(|growth| growth.per_request).map(|growth| Reason::PerRequest { growth: growth.mid }));
    match candidate.capped {
        Some(Cap::NoCollection) => reasons.insert(1, Reason::NoCollection),
        Some(Cap::Flat(flat)) => reasons.insert(1, Reason::OtherFlat { grows: signal, flat }),
        None if candidate.finding.score >= 1.0 => {
            reasons.push(Reason::Sustained { tail_over_head: evidence.tail_over_head });
        }
        None => reasons.insert(1, weakness(candidate)),
    }
    reasons
}

/// What keeps a suspect from being an alarm.
fn weakness(candidate: &Candidate) -> Reason {
    let finding = candidate.finding;
    let evidence = finding.evidence;
    if evidence.ratio >= 1.0 {
        return Reason::Holding { held: finding.holding, want: finding.must_hold };
    }
    match evidence.weakest {
        Test::Pace => Reason::Decelerates { tail_over_head: evidence.tail_over_head },
        Test::Step => Reason::Step { share: evidence.step_share },
        Test::Load => Reason::FollowsLoad { share: evidence.load_share },
        Test::Amplitude => {
            Reason::TooSmall { grew: evidence.growth(), least: evidence.least, signal: candidate.signal }
        }
        Test::Horizon => Reason::FarAway {
            time_to_limit: Duration::try_from_secs_f64(
                12.0 * evidence.hours() * 3_600.0 / evidence.ratio.max(f64::MIN_POSITIVE),
            )
            .unwrap_or(Duration::MAX),
            horizon: Duration::try_from_secs_f64(12.0 * evidence.hours() * 3_600.0).unwrap_or(Duration::MAX),
        },
        Test::Records | Test::Trend | Test::Novelty => Reason::Trend { z: evidence.z },
    }
}

fn why_not(state: State, candidate: &Candidate) -> Vec<Reason> {
    let level = Reason::Level { signal: candidate.signal, floor: candidate.floor };
    match state {
        State::Recovered => vec![Reason::Stopped { signal: candidate.signal }, level],
        _ if candidate.finding.evidence.ratio >= 0.3 => vec![weakness(candidate), level],
        _ => vec![level],
    }
}
