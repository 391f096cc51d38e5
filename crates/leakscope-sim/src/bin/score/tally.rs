//! Outcomes of many series counted, for one detector.

use leakscope_sim::labelled::Truth;
use leakscope_sim::metrics::{poisson_interval, quantile};

use crate::run::Outcome;

/// How sure a rate of alarms is stated.
const LEVEL: f64 = 0.95;

/// What one detector did with some series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Series without a leak.
    pub(crate) healthy: u32,
    /// Days of them.
    pub(crate) days: f64,
    /// Alarms on them.
    pub(crate) alarms: u32,
    /// Those with an alarm.
    pub(crate) flagged: u32,
    /// Those that were ever a suspect.
    pub(crate) suspected: u32,
    /// Series with a leak.
    pub(crate) leaks: u32,
    /// Those with an alarm at or after the onset and before the end.
    pub(crate) found: u32,
    /// Those that were a suspect at least.
    pub(crate) leaks_suspected: u32,
    /// Alarms before the onset.
    pub(crate) early: u32,
    /// Leaking series with an alarm before the onset.
    pub(crate) cried: u32,
    /// Shares of the time to the limit that were spent at each alarm.
    shares: Vec<f64>,
    /// Hours from the onset to the alarm.
    delays_h: Vec<f64>,
}

impl Tally {
    /// Counts what detector number `which` did.
    pub(crate) fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, which: usize) -> Self {
        let mut tally = Self::default();
        for outcome in outcomes {
            let Some(seen) = outcome.seen.get(which) else { continue };
            let suspected = u32::from(outcome.ours.suspected);
            match &outcome.truth {
                Truth::Healthy | Truth::Unknown => {
                    tally.healthy += 1;
                    tally.days += outcome.days;
                    tally.alarms += seen.alarms.len() as u32;
                    tally.flagged += u32::from(!seen.alarms.is_empty());
                    tally.suspected += suspected;
                }
                Truth::Leaks(leak) => {
                    let early = seen.alarms.iter().filter(|at| **at < leak.onset).count() as u32;
                    let in_time = |at: &&leakscope_model::Timestamp| {
                        **at >= leak.onset && leak.killed_at.is_none_or(|killed_at| **at <= killed_at)
                    };
                    let found = seen.alarms.iter().find(in_time);
                    tally.leaks += 1;
                    tally.early += early;
                    tally.cried += u32::from(early > 0);
                    tally.leaks_suspected += suspected;
                    // An alarm that already stood is no lie, but its time says nothing.
                    tally.found += u32::from(found.is_some() || seen.stood_at_onset);
                    if let Some(at) = found {
                        let delay_h = at.hours_since(leak.onset);
                        tally.delays_h.push(delay_h);
                        tally.shares.push(delay_h / leak.hours_to_oom);
                    }
                }
            }
        }
        tally.shares.retain(|share| share.is_finite());
        tally
    }

    /// Leaks found over all leaks.
    pub(crate) fn recall(&self) -> f64 {
        f64::from(self.found) / f64::from(self.leaks)
    }

    /// Alarmed series that leak and were quiet before, over all alarmed series.
    pub(crate) fn precision(&self) -> f64 {
        let right = f64::from(self.found.saturating_sub(self.cried));
        right / (right + f64::from(self.flagged + self.cried))
    }

    pub(crate) fn per_1000_days(&self) -> f64 {
        f64::from(self.alarms) * 1_000.0 / self.days
    }

    pub(crate) fn per_1000_days_interval(&self) -> (f64, f64) {
        poisson_interval(self.alarms, self.days / 1_000.0, LEVEL)
    }

    /// The share of the time to the limit that is spent at the alarm, at this quantile.
    pub(crate) fn share(&self, at: f64) -> f64 {
        quantile(&mut self.shares.clone(), at)
    }

    /// Minutes from the onset to the alarm, at this quantile.
    pub(crate) fn delay_min(&self, at: f64) -> f64 {
        60.0 * quantile(&mut self.delays_h.clone(), at)
    }
}
