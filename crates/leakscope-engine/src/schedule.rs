//! When each target is scraped: at its own offset in its interval, so that thousands are spread evenly and a restart does not move them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use leakscope_model::{TargetId, Timestamp};

/// Due times, earliest first. An entry counts only while its target still waits for that very time; others are dropped when they come up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    due: BinaryHeap<Reverse<(Timestamp, TargetId)>>,
}

impl Schedule {
    /// Plans the first scrape after `now` and returns its time.
    pub(crate) fn add(&mut self, now: Timestamp, target: TargetId, interval: Duration) -> Timestamp {
        let slot = next_slot(now, target, interval);
        self.due.push(Reverse((slot, target)));
        slot
    }

    /// Takes the next target that is due.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, TargetId)> {
        let Reverse((due, _)) = self.due.peek()?;
        if *due > now {
            return None;
        }
        self.due.pop().map(|Reverse(entry)| entry)
    }

    /// When the next target is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }
}

/// The first time after `now` that lies at the target's offset in its interval. Slots that were missed are left out.
fn next_slot(now: Timestamp, target: TargetId, interval: Duration) -> Timestamp {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let offset_ms = (target.0 % interval_ms.unsigned_abs()) as i64;
    let into = (now.as_millis() - offset_ms).rem_euclid(interval_ms);
    Timestamp::from_millis(now.as_millis().saturating_add(interval_ms - into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_one_interval_apart_and_spread_over_it() {
        let interval = Duration::from_secs(15);
        let now = Timestamp::from_millis(1_000_000_007);
        let mut first_half = 0;
        for number in 0..1_000_u64 {
            let target = TargetId::of("job", &number.to_string(), "");
            let slot = next_slot(now, target, interval);
            assert!(slot > now && slot <= now.plus(interval));
            assert_eq!(next_slot(slot, target, interval), slot.plus(interval));
            first_half += u32::from(slot <= now.plus(interval / 2));
        }
        assert!((400..600).contains(&first_half), "{first_half}");
    }
}
