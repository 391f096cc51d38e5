//! An alert as Prometheus and Coroot keep one: a condition that must hold for a while, and may go for a while.

use std::time::Duration;

use leakscope_model::Timestamp;

use super::EVALUATED;

/// `for` and `keep_firing_for` of one rule.
#[derive(Clone, Debug)]
pub(super) struct Alert {
    held_for: Duration,
    kept_for: Duration,
    evaluated: Option<Timestamp>,
    pending_since: Option<Timestamp>,
    last_true: Option<Timestamp>,
    firing: bool,
}

impl Alert {
    pub(super) fn new(held_for: Duration, kept_for: Duration) -> Self {
        Self { held_for, kept_for, evaluated: None, pending_since: None, last_true: None, firing: false }
    }

    /// Whether the rule is to be evaluated at `at`: a minute has passed, less a second of jitter.
    pub(super) fn due(&mut self, at: Timestamp) -> bool {
        let due = self.evaluated.is_none_or(|last| at.since(last) + Duration::from_secs(1) >= EVALUATED);
        if due {
            self.evaluated = Some(at);
        }
        due
    }

    /// Takes what the condition says at `at`; whether the alert fires.
    pub(super) fn evaluate(&mut self, at: Timestamp, holds: bool) -> bool {
        if holds {
            let since = *self.pending_since.get_or_insert(at);
            self.last_true = Some(at);
            self.firing |= at.since(since) >= self.held_for;
        } else {
            self.pending_since = None;
            self.firing &= self.last_true.is_some_and(|last| at.since(last) < self.kept_for);
        }
        self.firing
    }

    pub(super) fn firing(&self) -> bool {
        self.firing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_must_hold_and_may_go_for_a_while() {
        let minutes = Duration::from_mins;
        for (held_for, kept_for, conditions, expected) in
            [(2, 0, "1111", "..##"), (2, 0, "11011", "....."), (0, 0, "0110", ".##."), (1, 2, "11001000", ".##.....")]
        {
            let mut alert = Alert::new(minutes(held_for), minutes(kept_for));
            let fired: String = conditions
                .chars()
                .enumerate()
                .map(|(minute, holds)| {
                    let at = Timestamp::from_millis(minute as i64 * 60_000);
                    if alert.evaluate(at, holds == '1') { '#' } else { '.' }
                })
                .collect();
            assert_eq!(fired, expected, "{conditions}");
        }
    }
}
