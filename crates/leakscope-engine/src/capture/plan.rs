//! When the next round of captures of a service comes: at the first suspicion, at a steady spacing, by the forecast, and until a site is confirmed.

use std::time::Duration;

use leakscope_model::{Phase, Timestamp};

use super::CapturePolicy;

/// From one round of captures of a target to the next, in real time, however fast the detector's clock runs.
pub(crate) const REAL_GAP_MIN: Duration = Duration::from_secs(5);
/// Rounds beyond [`CapturePolicy::rounds_max`] come so many times as seldom.
const SPARSE: u32 = 6;
/// How many times the plan is looked at again within a spacing: the forecast moves.
const LOOKS: u32 = 10;

/// The detector's clock against the real one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace(pub(crate) f64);

impl Pace {
    /// Real time in which `duration` passes on the detector's clock.
    pub(crate) fn real(self, duration: Duration) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() / self.0).unwrap_or(Duration::MAX)
    }

    /// What passes on the detector's clock in `duration` of real time.
    pub(crate) fn detector(self, duration: Duration) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() * self.0).unwrap_or(Duration::MAX)
    }

    /// What has passed on the detector's clock.
    pub(crate) fn passed(self, from: Timestamp, to: Timestamp) -> Duration {
        self.detector(to.since(from))
    }
}

/// Where a suspected process stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other, read once")]
pub(crate) struct Situation {
    /// Whether it leaks; else it is suspected.
    pub(crate) leaks: bool,
    /// Whether its service was looked at for a suspicion within a day.
    pub(crate) suspected_before: bool,
    /// Whether a site is confirmed: nothing more is to be learnt.
    pub(crate) settled: bool,
    /// When its last round began, refused ones included.
    pub(crate) last_at: Option<Timestamp>,
    /// Its rounds so far.
    pub(crate) rounds: u32,
    /// Rounds of the incident so far, of all processes.
    pub(crate) rounds_of_incident: u32,
    /// Whether the round before the limit was taken.
    pub(crate) late_taken: bool,
    /// The lower bound of the time to the limit, on the detector's clock.
    pub(crate) left: Option<Duration>,
    /// How long a round takes, on the detector's clock.
    pub(crate) lead: Duration,
}

/// What is to be done for a suspected process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A round now.
    Now(Phase),
    /// Look again then.
    At(Timestamp),
    /// Nothing until its state changes.
    Never,
}

/// What comes next.
pub(crate) fn step(now: Timestamp, policy: &CapturePolicy, pace: Pace, situation: &Situation) -> Step {
    let Situation { leaks, settled, left, .. } = *situation;
    if !leaks && (situation.rounds > 0 || situation.suspected_before) {
        return Step::Never;
    }
    if settled {
        return Step::Never;
    }
    let Some(last) = situation.last_at else { return Step::Now(Phase::Early) };
    let earliest = last.plus(REAL_GAP_MIN);
    let sparse = situation.rounds_of_incident >= policy.rounds_max;
    let spacing = pace.real(if sparse { policy.spacing * SPARSE } else { policy.spacing });
    let late = !situation.late_taken && left.is_some_and(|left| left <= policy.spacing + situation.lead);
    let halfway = situation.rounds == 1 && left.is_some_and(|left| pace.passed(last, now) >= left);
    let planned = if late || halfway { earliest } else { last.plus(spacing).max(earliest) };
    if now >= planned {
        let phase = match situation.rounds {
            0 => Phase::Early,
            _ if late => Phase::Late,
            _ => Phase::Middle,
        };
        return Step::Now(phase);
    }
    let look = (pace.real(policy.spacing) / LOOKS).max(Duration::from_secs(1));
    Step::At(planned.min(now.plus(look)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    fn minutes(n: u64) -> Duration {
        Duration::from_mins(n)
    }

    #[test]
    fn rounds_come_at_the_first_suspicion_then_by_spacing_or_forecast_until_a_site_is_confirmed() {
        let leaks = Situation { leaks: true, ..Situation::default() };
        let once = Situation { last_at: Some(at(0)), rounds: 1, rounds_of_incident: 1, ..leaks };
        let many = Situation { last_at: Some(at(0)), rounds: 8, rounds_of_incident: 8, ..leaks };
        let suspected = Situation { leaks: false, ..leaks };
        for (what, now, situation, expect) in [
            ("a suspect is looked at", 0, suspected, Step::Now(Phase::Early)),
            ("once", 90, Situation { leaks: false, ..once }, Step::Never),
            ("and once a day", 0, Situation { suspected_before: true, ..suspected }, Step::Never),
            ("a leak is looked at", 0, leaks, Step::Now(Phase::Early)),
            ("whatever was suspected", 0, Situation { suspected_before: true, ..leaks }, Step::Now(Phase::Early)),
            ("then after the spacing", 9, once, Step::At(at(10))),
            ("then after the spacing", 10, once, Step::Now(Phase::Middle)),
            ("the forecast is seen to", 0, once, Step::At(at(1))),
            ("half of the way", 4, Situation { left: Some(minutes(30)), ..once }, Step::At(at(5))),
            ("half of the way", 15, Situation { left: Some(minutes(15)), ..once }, Step::Now(Phase::Middle)),
            ("before the limit", 1, Situation { left: Some(minutes(9)), ..once }, Step::Now(Phase::Late)),
            (
                "with time to do it",
                1,
                Situation { left: Some(minutes(12)), lead: Duration::from_mins(3), ..once },
                Step::Now(Phase::Late),
            ),
            (
                "that once",
                2,
                Situation { left: Some(minutes(9)), late_taken: true, rounds: 2, ..once },
                Step::At(at(3)),
            ),
            ("then seldom", 10, many, Step::At(at(11))),
            ("then seldom", 60, many, Step::Now(Phase::Middle)),
            ("until it is known", 60, Situation { settled: true, ..many }, Step::Never),
            (
                "a refused round is tried again",
                10,
                Situation { last_at: Some(at(0)), ..leaks },
                Step::Now(Phase::Early),
            ),
        ] {
            let policy = CapturePolicy::default();
            assert_eq!(step(at(now), &policy, Pace(1.0), &situation), expect, "{what}, at minute {now}");
        }
    }

    #[test]
    fn a_fast_clock_shortens_the_spacing_but_not_below_five_real_seconds() {
        let once = Situation { leaks: true, last_at: Some(at(0)), rounds: 1, ..Situation::default() };
        let second = |n: i64| Timestamp::from_millis(n * 1_000);
        let policy = CapturePolicy::default();
        for (pace, due) in [(60.0, 10), (600.0, 5)] {
            assert_eq!(step(second(due - 1), &policy, Pace(pace), &once), Step::At(second(due)), "{pace}");
            assert_eq!(step(second(due), &policy, Pace(pace), &once), Step::Now(Phase::Middle), "{pace}");
        }
    }
}
