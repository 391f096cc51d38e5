//! How the store fares: whether the disk takes what it is given, what was damaged, what it counted.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use leakscope_model::{Bytes, Timestamp};

/// Problems kept for showing. Full: the oldest goes; the counter goes on.
const PROBLEMS_MAX: usize = 32;
/// Damaged rows remembered, so that each is counted once. Full: further ones are counted each time they are met.
const DAMAGED_MAX: usize = 4_096;

/// Whether the disk takes what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// The last write succeeded.
    #[default]
    Ok,
    /// Writes are refused; reads go on, and the newest samples stay in memory as far as it goes. Every flush tries again.
    Refusing {
        /// When the first write was refused.
        since: Timestamp,
        /// What the disk or `SQLite` said.
        reason: String,
    },
}

/// A row that could not be read and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The table: `block`, `bundle`, `capture`, `delivery`, `incident`, `target`; or the `journal`, a file.
    pub table: &'static str,
    /// The row's id in it; the byte in the journal.
    pub id: i64,
    /// What was expected and not found.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of table `{}` was left out: {}", self.id, self.table, self.reason)
    }
}

/// Counters and gauges, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Targets with a head in memory.
    pub n_heads: usize,
    /// Values in memory, missing ones included; 8 bytes each.
    pub n_head_values: usize,
    /// Values lost because the disk refused for longer than memory lasts.
    pub dropped_samples: u64,
    /// Readings refused because their time was not later than the target's last.
    pub not_later_readings: u64,
    /// Rows that could not be read and were left out.
    pub damaged_rows: u64,
    /// Size of the database with its write-ahead log and the journal, without the files of captures, see
    /// [`crate::Store::captures_size`].
    pub file_size: Bytes,
}

/// The files that may refuse, each for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Database,
    Journal,
}

/// Health and problems, as they are now.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// The latest time the store was told.
    pub(crate) now: Timestamp,
    /// A sync to disk failed: nothing may be written until the file was opened anew.
    pub(crate) sync_failed: Option<String>,
    database: Health,
    journal: Health,
    problems: VecDeque<Problem>,
    seen: BTreeSet<(&'static str, i64)>,
    pub(crate) damaged_rows: u64,
}

impl Condition {
    /// Notes a damaged row, each once.
    pub(crate) fn note(&mut self, problem: Problem) {
        let key = (problem.table, problem.id);
        if self.seen.contains(&key) {
            return;
        }
        if self.seen.len() < DAMAGED_MAX {
            self.seen.insert(key);
        }
        self.damaged_rows += 1;
        if self.problems.len() == PROBLEMS_MAX {
            self.problems.pop_front();
        }
        self.problems.push_back(problem);
    }

    /// The newest problems, oldest first.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.problems.iter().cloned().collect()
    }

    /// The store's health: that of the part which is worse off.
    pub(crate) fn health(&self) -> Health {
        if self.database == Health::Ok { self.journal.clone() } else { self.database.clone() }
    }

    pub(crate) fn is_refusing(&self, part: Part) -> bool {
        match part {
            Part::Database => self.database != Health::Ok,
            Part::Journal => self.journal != Health::Ok,
        }
    }

    /// Notes how a write went.
    pub(crate) fn wrote(&mut self, part: Part, refusal: Option<&dyn fmt::Display>) {
        let now = self.now;
        let health = match part {
            Part::Database => &mut self.database,
            Part::Journal => &mut self.journal,
        };
        *health = match (&health, refusal) {
            (_, None) => Health::Ok,
            (Health::Ok, Some(reason)) => Health::Refusing { since: now, reason: reason.to_string() },
            (Health::Refusing { since, .. }, Some(reason)) => {
                Health::Refusing { since: *since, reason: reason.to_string() }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_row_is_counted_once_and_the_list_is_bounded() {
        let mut condition = Condition::default();
        for id in (0..100).chain(0..100) {
            condition.note(Problem { table: "block", id, reason: String::new() });
        }
        assert_eq!(condition.damaged_rows, 100);
        assert_eq!(condition.problems().len(), PROBLEMS_MAX);
        assert_eq!(condition.problems().last().map(|problem| problem.id), Some(99));
    }

    #[test]
    fn a_refusal_keeps_the_time_of_the_first() {
        let mut condition = Condition { now: Timestamp::from_millis(5), ..Condition::default() };
        condition.wrote(Part::Database, Some(&"full"));
        condition.now = Timestamp::from_millis(9);
        condition.wrote(Part::Database, Some(&"still full"));
        condition.wrote(Part::Journal, None);
        let since = Timestamp::from_millis(5);
        assert_eq!(condition.health(), Health::Refusing { since, reason: "still full".to_owned() });
        condition.wrote(Part::Database, None);
        assert_eq!(condition.health(), Health::Ok);
    }
}
