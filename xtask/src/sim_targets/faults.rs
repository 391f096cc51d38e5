//! Which simulated target misbehaves how, and when: a table of number and time, so that every run is the same.

use std::time::Duration;

use super::Mood;

/// How a target answers one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Well,
    /// Takes the request and never answers.
    Hang,
    /// Bytes that are no format at all.
    Noise,
    /// A body of 10 GB.
    Flood,
    /// Now one format, now another, under the same content type.
    Flip,
    /// One byte a second.
    Drip,
    /// Half a body, then the end.
    Cut,
    /// A redirect to itself.
    Circle,
}

const MANNERS: [Manner; 7] =
    [Manner::Hang, Manner::Noise, Manner::Flood, Manner::Flip, Manner::Drip, Manner::Cut, Manner::Circle];

/// One target in so many misbehaves at any time.
const ONE_IN: usize = 5;

/// How long a target keeps its manner.
const TURN: Duration = Duration::from_secs(20);

/// The manner of a target at a time. The first ten are always well, as a baseline to return to.
pub(super) fn manner(target: usize, now: Duration, mood: Mood) -> Manner {
    let turn = (now.as_secs() / TURN.as_secs()) as usize;
    if mood == Mood::Honest || target < 10 || !(target + turn).is_multiple_of(ONE_IN) {
        return Manner::Well;
    }
    MANNERS.get((target / ONE_IN + turn) % MANNERS.len()).copied().unwrap_or(Manner::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_misbehaves_in_every_manner_and_takes_turns() {
        let at = |seconds| (10..2_010).map(move |target| manner(target, Duration::from_secs(seconds), Mood::Faulty));
        assert_eq!(at(0).filter(|manner| *manner != Manner::Well).count(), 400);
        assert!(MANNERS.iter().all(|wanted| at(0).any(|manner| manner == *wanted)));
        assert!(at(0).zip(at(20)).all(|(before, after)| before == Manner::Well || after == Manner::Well));
        assert_eq!(manner(10, Duration::ZERO, Mood::Honest), Manner::Well);
    }
}
