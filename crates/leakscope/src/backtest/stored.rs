//! What a running daemon has stored, asked over its API and judged once more.

use std::collections::BTreeMap;

use leakscope_engine::EngineConfig;
use leakscope_model::{Readings, Signal};
use leakscope_wire::{Samples, Target};

use super::moment::Since;
use super::plot::{Clock, Subject};
use super::recordings::Recorded;
use super::replay::Replay;
use super::rows::Oddities;
use crate::exit::Failure;
use crate::remote::Remote;

/// Names that a message lists.
const NAMES_SHOWN: usize = 20;

/// The store of a running daemon.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) remote: Remote,
    /// How the daemon's detectors are set, or as it is wished.
    pub(crate) config: EngineConfig,
    /// From where on samples are read; from the oldest that is kept without.
    pub(crate) since: Option<Since>,
    /// Later samples are not read; Unix seconds.
    pub(crate) until_s: Option<f64>,
    /// Whether a picture is drawn of each.
    pub(crate) drawn: bool,
}

impl Stored {
    /// The targets that are called by one of `wanted`, all without any; with the names they are shown by.
    ///
    /// # Errors
    /// When the daemon does not answer, and when nothing is called by one of the names.
    pub(crate) async fn targets(&mut self, wanted: &[String]) -> Result<Vec<(String, Target)>, Failure> {
        let all = self.remote.targets().await?;
        for name in wanted {
            if !all.iter().any(|target| is_called(target, name)) {
                return Err(unknown(name, &all));
            }
        }
        let meant = |target: &Target| wanted.is_empty() || wanted.iter().any(|name| is_called(target, name));
        Ok(named(all.into_iter().filter(meant).collect()))
    }

    /// Replays one target's samples, page after page.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub(crate) async fn replay(&mut self, name: &str, target: &Target) -> Result<Recorded, Failure> {
        let mut replay = Replay::new(self.config, self.drawn);
        let start_s = self.start_of(target);
        let (mut cursor, mut newest) = (String::new(), None);
        loop {
            let page = self.remote.samples(&target.id, start_s, self.until_s, &cursor).await?;
            // Every page begins later than the one before ended; what does not would lead in circles.
            if page.at_ms.first().copied() <= newest && newest.is_some() {
                break;
            }
            newest = page.at_ms.last().copied();
            for (at_ms, readings) in rows(&page) {
                replay.observe(at_ms as f64 / 1e3, readings);
            }
            let Some(next) = page.next_cursor else { break };
            cursor = next;
        }
        let subject = Subject { name, clock: Clock::Unix, time_scale: self.config.time_scale };
        Ok(Recorded::of(replay.finish(), Oddities::default(), subject))
    }

    /// Unix seconds of the first sample that is asked for. What is so long ago is counted from the end, which is the last scrape.
    fn start_of(&self, target: &Target) -> Option<f64> {
        match self.since? {
            Since::Moment(at_s) => Some(at_s),
            Since::Ago(ago_s) => {
                let scraped_at = target.last_scrape_at.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
                let end_s = self.until_s.or(scraped_at.map(|at| at.as_millisecond() as f64 / 1e3))?;
                Some(end_s - ago_s)
            }
        }
    }
}

fn is_called(target: &Target, name: &str) -> bool {
    [&target.id, &target.service, &target.instance, &target.job].into_iter().any(|known| known == name)
}

fn unknown(name: &str, all: &[Target]) -> Failure {
    let mut known: Vec<&str> = all.iter().map(|target| target.service.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let more = if known.len() > NAMES_SHOWN { ", ..." } else { "" };
    known.truncate(NAMES_SHOWN);
    let hint = format!("known services: {}{more}; an instance, a job or an id will do as well", known.join(", "));
    Failure::usage(format!("no target is called `{name}`")).hint(hint)
}

/// Service and instance name a target; where two share them, its id follows.
fn named(targets: Vec<Target>) -> Vec<(String, Target)> {
    let name_of = |target: &Target| format!("{} {}", target.service, target.instance);
    let mut n_called: BTreeMap<String, usize> = BTreeMap::new();
    for target in &targets {
        *n_called.entry(name_of(target)).or_default() += 1;
    }
    let named = |target: Target| {
        let name = name_of(&target);
        let shared = n_called.get(&name).is_some_and(|n| *n > 1);
        (if shared { format!("{name} {}", target.id) } else { name }, target)
    };
    targets.into_iter().map(named).collect()
}

/// A page row by row. Signals of a newer daemon are left out.
fn rows(page: &Samples) -> impl Iterator<Item = (i64, Readings)> {
    let named = page.values.iter();
    let columns: Vec<(Signal, &Vec<Option<f64>>)> =
        named.filter_map(|(name, values)| Some((Signal::from_name(name)?, values))).collect();
    page.at_ms.iter().enumerate().map(move |(row, at_ms)| {
        let value = |(signal, values): &(Signal, &Vec<Option<f64>>)| Some((*signal, (*values.get(row)?)?));
        (*at_ms, columns.iter().filter_map(value).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_row_by_row() {
        let page = Samples {
            target: "a".into(),
            at_ms: vec![1, 2],
            values: BTreeMap::from([
                ("from_the_future".into(), vec![Some(1.0), Some(1.0)]),
                ("requests".into(), vec![Some(7.0)]),
                ("rss".into(), vec![None, Some(5.0)]),
            ]),
            next_cursor: None,
        };
        let rows: Vec<(i64, Vec<(Signal, f64)>)> =
            rows(&page).map(|(at_ms, readings)| (at_ms, readings.iter().collect())).collect();
        assert_eq!(rows, [(1, vec![(Signal::Requests, 7.0)]), (2, vec![(Signal::Rss, 5.0)])]);
    }
}
