//! Lives: where one process ends and the next begins.

use leakscope_model::{Readings, Signal};

/// What tells one life from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Life {
    pub(crate) start_time: Option<f64>,
    pub(crate) requests: Option<f64>,
    pub(crate) resident: Option<f64>,
    /// Lives that ended so far.
    pub(crate) n_ended: u32,
}

/// What showed that a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its start time or its counter.
    Process,
    /// Memory that fell to less than half: a new process, or a collection.
    Drop,
}

/// Exporters that derive the start from the uptime are off by a second either way.
const START_TIME_JITTER_S: f64 = 2.5;
/// A process that kept its memory would not halve it between two scrapes.
const DROP: f64 = 0.5;

impl Life {
    /// Takes one scrape; how the life before ended when it belongs to a new process.
    ///
    /// The start time decides where there is one; else a counter of requests that fell to less than half, or a resident set that did.
    pub(crate) fn observe(&mut self, readings: &Readings) -> Option<End> {
        let start_time = readings.get(Signal::StartTime);
        let requests = readings.get(Signal::Requests);
        let resident = readings.get(Signal::AnonRss).or(readings.get(Signal::Rss));
        let fell = |before: Option<f64>, now: Option<f64>| matches!((before, now), (Some(before), Some(now)) if now < before * DROP);
        let (ended, how) = match (self.start_time, start_time) {
            (Some(before), Some(now)) => ((now - before).abs() > START_TIME_JITTER_S, End::Process),
            _ => match (self.requests, requests) {
                (Some(_), Some(_)) => (fell(self.requests, requests), End::Process),
                _ => (fell(self.resident, resident), End::Drop),
            },
        };
        if ended {
            *self = Self { n_ended: self.n_ended.saturating_add(1), ..Self::default() };
        }
        self.start_time = start_time.or(self.start_time);
        self.requests = requests.or(self.requests);
        self.resident = resident.or(self.resident);
        ended.then_some(how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_seen_by_start_time_then_requests_then_memory() {
        use Signal::{Requests, Rss, StartTime};
        let cases: [(&[(Signal, f64)], &[(Signal, f64)], bool); 7] = [
            (&[(StartTime, 100.0)], &[(StartTime, 101.0)], false),
            (&[(StartTime, 100.0)], &[(StartTime, 160.0)], true),
            (&[(StartTime, 100.0), (Rss, 9.0)], &[(StartTime, 100.0), (Rss, 1.0)], false),
            (&[(Requests, 1_000.0)], &[(Requests, 10.0)], true),
            (&[(Requests, 1_000.0), (Rss, 9.0)], &[(Requests, 1_001.0), (Rss, 1.0)], false),
            (&[(Rss, 9.0)], &[(Rss, 4.0)], true),
            (&[(Rss, 9.0)], &[(Rss, 5.0)], false),
        ];
        for (before, now, restarted) in cases {
            let mut life = Life::default();
            life.observe(&before.iter().copied().collect());
            assert_eq!(life.observe(&now.iter().copied().collect()).is_some(), restarted, "{before:?} then {now:?}");
        }
    }
}
