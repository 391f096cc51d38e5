//! What is printed: the published JSON, and a table for people.

use std::fmt::Write;

use comfy_table::Cell;
use leakscope_wire::{Interval, Verdict};
use serde::Serialize;

use crate::backtest::{Replayed, Span};
use crate::output::{style, table};

/// Series whose reasons are told. More are counted: nobody reads a hundred.
const EXPLAINED_MAX: usize = 10;
/// Reasons that are told of a suspect: what grows, and what keeps it from being an alarm.
const SUSPECT_REASONS: usize = 2;

/// The published result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// In the order of the arguments.
    pub(super) series: Vec<Series>,
}

/// What the detector said of one series.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    file: String,
    state: String,
    score: f64,
    kind: String,
    alarms: Vec<AlarmTimes>,
    growth_bytes_per_hour: Option<Interval>,
    growth_bytes_per_request: Option<Interval>,
    time_to_limit_s: Option<Interval>,
    reasons: Vec<String>,
    /// The first row's time; only for people.
    #[serde(skip)]
    began_s: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct AlarmTimes {
    raised_s: f64,
    cleared_s: Option<f64>,
}

impl Series {
    pub(super) fn of(name: &str, replayed: &Replayed) -> Self {
        let verdict = Verdict::from(&replayed.verdict);
        let times = |alarm: &Span| AlarmTimes { raised_s: alarm.from_s, cleared_s: alarm.to_s };
        Self {
            file: name.to_owned(),
            state: verdict.state,
            score: verdict.score,
            kind: verdict.kind,
            alarms: replayed.alarms.0.iter().map(times).collect(),
            growth_bytes_per_hour: verdict.growth_bytes_per_hour,
            growth_bytes_per_request: verdict.growth_bytes_per_request,
            time_to_limit_s: verdict.time_to_limit_s,
            reasons: verdict.reasons,
            began_s: replayed.began_s.unwrap_or(0.0),
        }
    }

    /// Whether it was ever `leaking`.
    pub(super) fn leaked(&self) -> bool {
        !self.alarms.is_empty()
    }

    fn reasons_told(&self) -> &[String] {
        match self.state.as_str() {
            "leaking" => &self.reasons,
            "suspect" => &self.reasons[..SUSPECT_REASONS.min(self.reasons.len())],
            _ => &[],
        }
    }
}

impl Report {
    /// One line a series, worst first; then why the worst are what they are; then how many there are of each.
    pub(super) fn text(&self) -> String {
        let mut worst_first: Vec<&Series> = self.series.iter().collect();
        worst_first.sort_by(|a, b| {
            let rank = |series: &Series| table::state_rank(&series.state);
            rank(a).cmp(&rank(b)).then(b.score.total_cmp(&a.score))
        });
        let mut text = if worst_first.is_empty() { String::new() } else { rows(&worst_first) };
        let explained: Vec<&&Series> = worst_first.iter().filter(|series| !series.reasons_told().is_empty()).collect();
        for series in explained.iter().take(EXPLAINED_MAX) {
            let verb = if series.state == "leaking" { "leaks" } else { "is suspect" };
            let _ = writeln!(text, "\n{}{}{} {verb}:", style::BOLD, series.file, style::RESET);
            for reason in series.reasons_told() {
                let _ = writeln!(text, "  {reason}");
            }
        }
        if explained.len() > EXPLAINED_MAX {
            let more = explained.len() - EXPLAINED_MAX;
            let _ = writeln!(text, "\n... and {more} more; `--format json` has the reasons of all");
        }
        if worst_first.len() > 1 {
            let _ = writeln!(text, "\n{}", self.summary());
        }
        text
    }

    /// `112 series: 3 leaking, 109 steady; alarms in 4 of them`.
    fn summary(&self) -> String {
        let mut states: Vec<(&str, usize)> = Vec::new();
        for series in &self.series {
            match states.iter_mut().find(|(state, _)| *state == series.state) {
                Some((_, n)) => *n += 1,
                None => states.push((&series.state, 1)),
            }
        }
        states.sort_by_key(|(state, _)| table::state_rank(state));
        let words: Vec<String> = states.iter().map(|(state, n)| format!("{n} {}", state.replace('_', " "))).collect();
        let n_leaked = self.series.iter().filter(|series| series.leaked()).count();
        format!("{} series: {}; alarms in {n_leaked} of them", self.series.len(), words.join(", "))
    }
}

fn rows(series: &[&Series]) -> String {
    let mut rows = table::new(
        &["STATE", "SERIES", "KIND", "SCORE", "GROWTH", "PER REQUEST", "TO LIMIT", "ALARMS", "FIRST AFTER"],
        3,
    );
    for series in series {
        let first = series
            .alarms
            .first()
            .map_or_else(|| table::NONE.to_owned(), |alarm| table::span(alarm.raised_s - series.began_s));
        let kind = if series.kind == "unknown" { table::NONE } else { &series.kind };
        rows.add_row([
            table::state(&series.state),
            Cell::new(&series.file),
            Cell::new(kind),
            Cell::new(format!("{:.2}", series.score)),
            Cell::new(table::per_hour(series.growth_bytes_per_hour)),
            Cell::new(table::per_request(series.growth_bytes_per_request)),
            Cell::new(table::time_to_limit(series.time_to_limit_s)),
            Cell::new(series.alarms.len()),
            Cell::new(first),
        ]);
    }
    table::render(&rows)
}
