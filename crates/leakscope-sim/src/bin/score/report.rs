//! The tables of the report, group after group, development and test half beside each other.

use std::fmt::Write as _;

use leakscope_sim::labelled::{Half, Truth};
use leakscope_sim::metrics::quantile;

use crate::calibration;
use crate::cases::{Group, Row};
use crate::forecasts;
use crate::goals;
use crate::kinds;
use crate::run::{Outcome, Seen, detectors};
use crate::table::{Table, number, part, percent};
use crate::tally::Tally;

/// Tables that belong together.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) tables: Vec<Table>,
}

/// Every section for which there are outcomes.
pub(crate) fn sections(outcomes: &[Outcome]) -> Vec<Section> {
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let mut sections = vec![Section { title: "What it must show", text: "", tables: vec![goals::table(&all)] }];
    sections.extend(Group::ALL.into_iter().map(|group| {
        let of_group: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.row.group == group).collect();
        of(group, &of_group)
    }));
    sections.extend(over_all_groups(&all));
    for section in &mut sections {
        section.tables.retain(|table| !table.is_empty());
        section.tables = std::mem::take(&mut section.tables).into_iter().map(Table::without_empty_columns).collect();
    }
    sections.retain(|section| !section.tables.is_empty());
    sections
}

/// The sections as text for the terminal.
pub(crate) fn plain(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let tables: Vec<String> = section.tables.iter().map(Table::plain).collect();
        let _ = write!(out, "== {} ==\n\n{}\n", section.title, tables.join("\n"));
    }
    out
}

fn of(group: Group, outcomes: &[&Outcome]) -> Section {
    let section = |title, text, tables| Section { title, text, tables };
    match group {
        Group::Background => section(
            "Public series as they are",
            "No known leak in any of them, so every alarm counts as false. Model servers grow slowly, and nobody has said whether they leak. \
             An interval is the exact Poisson one, 95 %.",
            vec![false_alarms(outcomes)],
        ),
        Group::Injected => section(
            "Leaks added to public series",
            "From 35 % of a copy on, so that the limit is met after the time given (four times the level where no limit is shown). Copies that show \
             less than a quarter of that time are left out, and those with less than 5 % of their level left to the limit. Shares are of the time \
             from the onset to the limit that is spent at the alarm; early are alarms before the onset. Machines stand at 80 to 95 % of their \
             memory and swing by more than is left.",
            vec![leaks(outcomes), leaks_by_detector(outcomes, "straight")],
        ),
        Group::LookAlikes => section(
            "What only looks like a leak",
            "Added to copies of the same series. Caches fill 40 % of what is left to the limit; swings are of 20 %.",
            vec![look_alikes(outcomes)],
        ),
        Group::Corpus => section(
            "Recorded processes",
            "Real services of this repository; a second of a recording counts as a minute. A family and runtime lies wholly in one half.",
            corpus(outcomes),
        ),
        Group::Simulated => section(
            "Simulated processes",
            "Memory models, with other seeds in each half.",
            vec![by_detector(outcomes), look_alikes(outcomes), leaks(outcomes)],
        ),
        Group::Demo => section(
            "Compressed demonstration",
            "Three minutes in which a second counts as a minute, a leak of 0.3 to 3 MiB a sample; not limited, so that times are in minutes.",
            vec![by_detector(outcomes), leaks(outcomes)],
        ),
        Group::Intervals => section(
            "Other sampling intervals",
            "Public series thinned to a sample in 5 minutes, and memory models sampled at 10, 60 and 300 s.",
            vec![look_alikes(outcomes), leaks(outcomes)],
        ),
        Group::Further => section("Further series", "", vec![false_alarms(outcomes), leaks(outcomes)]),
    }
}

/// There are too many families, runtimes and rates for a row each: one table for each of the three.
fn corpus(outcomes: &[&Outcome]) -> Vec<Table> {
    let rates = merged(outcomes, |row| Row { source: String::new(), what: String::new(), ..row });
    let families = merged(outcomes, |row| Row { source: String::new(), rate: String::new(), ..row });
    let runtimes = merged(outcomes, |row| Row { what: String::new(), rate: String::new(), ..row });
    let mut rates: Vec<&Outcome> = rates.iter().collect();
    rates.retain(|outcome| matches!(outcome.truth, Truth::Leaks(_)));
    rates.sort_by(|a, b| hours(&a.row.rate).total_cmp(&hours(&b.row.rate)));
    let [families, runtimes] = [&families, &runtimes].map(|all| all.iter().collect::<Vec<&Outcome>>());
    vec![
        by_detector(outcomes),
        leaks(&rates),
        leaks_by_detector(&rates, ""),
        leaks(&families),
        look_alikes(&families),
        leaks(&runtimes),
        look_alikes(&runtimes),
    ]
}

/// Copies of outcomes whose rows tell less apart.
fn merged(outcomes: &[&Outcome], row: impl Fn(Row) -> Row) -> Vec<Outcome> {
    outcomes.iter().map(|outcome| Outcome { row: row(outcome.row.clone()), ..(*outcome).clone() }).collect()
}

/// The hours that a rate is called by: `20m`, `2 h`; NaN for none.
fn hours(rate: &str) -> f64 {
    let digits = rate.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = rate.get(digits.len()..).unwrap_or_default().trim();
    let factor = match unit.get(..1) {
        Some("m") => 1.0 / 60.0,
        Some("d") => 24.0,
        _ => 1.0,
    };
    digits.parse::<f64>().map_or(f64::NAN, |number| number * factor)
}

fn over_all_groups(outcomes: &[&Outcome]) -> Vec<Section> {
    let section = |title, text, table| Section { title, text, tables: vec![table] };
    vec![
        section(
            "Time to the limit",
            "At the alarm and at each later hour while the alarm stands. Error is the distance of the best estimate from the truth over the \
             truth; sooner and later say that the end came before the interval or after it.",
            forecasts::table(outcomes),
        ),
        section(
            "Kinds",
            "What the verdict calls it when it alarms, and look-alikes when they are first suspected.",
            kinds::table(outcomes),
        ),
        section(
            "Score",
            "The highest score of a series (of one that leaks, since its onset) against whether it leaks. Public and recorded series; most leaks \
             below the alarm are those in machines.",
            calibration::table(outcomes),
        ),
        section(
            "Cost",
            "Processor time over all series of this run. State is that of a checkpoint for leakscope, and the samples kept for the others.",
            cost(outcomes),
        ),
    ]
}

/// The rows of some outcomes, in the order of their first appearance.
fn rows(outcomes: &[&Outcome]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for outcome in outcomes {
        if !rows.contains(&outcome.row) {
            rows.push(outcome.row.clone());
        }
    }
    rows
}

fn halves(outcomes: &[&Outcome], row: &Row, which: usize) -> [Tally; 2] {
    Half::BOTH.map(|half| {
        let these = outcomes.iter().filter(|outcome| outcome.row == *row && outcome.half == half).copied();
        Tally::of(these, which)
    })
}

fn false_alarms(outcomes: &[&Outcome]) -> Table {
    let heads = [
        "source",
        "detector",
        "series",
        "days",
        "alarms",
        "per 1,000 days",
        "95 %",
        "flagged",
        "suspect",
        "test: series",
        "days",
        "alarms",
        "per 1,000 days",
        "95 %",
        "flagged",
        "suspect",
    ];
    let mut table = Table::new("alarms on what is taken as healthy: development half, then test half", &heads);
    for row in rows(outcomes) {
        for (which, name) in detectors().into_iter().enumerate() {
            let halves = halves(outcomes, &row, which);
            if halves.iter().all(|tally| tally.healthy == 0) {
                continue;
            }
            let mut cells = vec![row.source.clone(), name.to_owned()];
            for tally in halves {
                let (low, high) = tally.per_1000_days_interval();
                cells.extend([
                    tally.healthy.to_string(),
                    number(tally.days, 1),
                    tally.alarms.to_string(),
                    number(tally.per_1000_days(), 1),
                    if tally.healthy == 0 { "-".into() } else { format!("{low:.1} to {high:.1}") },
                    percent(tally.flagged, tally.healthy),
                    if which == 0 { percent(tally.suspected, tally.healthy) } else { "-".into() },
                ]);
            }
            table.push(cells);
        }
    }
    table
}

fn leaks(outcomes: &[&Outcome]) -> Table {
    let heads = [
        "source",
        "leak",
        "limit after",
        "found",
        "median share",
        "p90",
        "minutes",
        "early",
        "test: found",
        "median share",
        "p90",
        "minutes",
        "early",
    ];
    let mut table = Table::new("leaks that leakscope found: development half, then test half", &heads);
    for row in rows(outcomes) {
        let halves = halves(outcomes, &row, 0);
        if halves.iter().all(|tally| tally.leaks == 0) {
            continue;
        }
        let mut cells = vec![row.source.clone(), row.what.clone(), row.rate.clone()];
        for tally in halves {
            cells.extend([
                part(tally.found, tally.leaks),
                number(tally.share(0.5), 3),
                number(tally.share(0.9), 3),
                number(tally.delay_min(0.5), 0),
                if tally.leaks == 0 { "-".into() } else { tally.early.to_string() },
            ]);
        }
        table.push(cells);
    }
    table
}

/// All leaks of one kind, every detector a row, every rate a column; both halves together, since nothing is fitted in a peer.
fn leaks_by_detector(outcomes: &[&Outcome], what: &str) -> Table {
    let outcomes: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.row.what == what).copied().collect();
    let all_rows = rows(&outcomes);
    let mut rates: Vec<&str> = Vec::new();
    let mut sources: Vec<&str> = Vec::new();
    for row in &all_rows {
        if !rates.contains(&row.rate.as_str()) {
            rates.push(&row.rate);
        }
        if !sources.contains(&row.source.as_str()) {
            sources.push(&row.source);
        }
    }
    let mut heads = vec!["source", "detector"];
    heads.extend(&rates);
    heads.push("alarmed before the onset");
    let mut table = Table::new("by detector: found and median share, both halves", &heads);
    for source in sources {
        for (which, name) in detectors().into_iter().enumerate() {
            let of_source = outcomes.iter().filter(|outcome| outcome.row.source == source);
            let mut cells = vec![source.to_owned(), name.to_owned()];
            for rate in &rates {
                let tally = Tally::of(of_source.clone().filter(|outcome| outcome.row.rate == *rate).copied(), which);
                cells.push(match tally.leaks {
                    0 => "-".to_owned(),
                    _ => format!("{}, {}", part(tally.found, tally.leaks), number(tally.share(0.5), 2)),
                });
            }
            let tally = Tally::of(of_source.copied(), which);
            cells.push(percent(tally.cried, tally.leaks));
            if tally.leaks > 0 {
                table.push(cells);
            }
        }
    }
    table
}

fn look_alikes(outcomes: &[&Outcome]) -> Table {
    let names = detectors();
    let mut heads = vec!["source", "what", "flagged", "suspect", "test: flagged", "suspect"];
    heads.extend(&names[1..]);
    let mut table = Table::new("series flagged: leakscope by half, then its peers on both halves together", &heads);
    for row in rows(outcomes) {
        let halves = halves(outcomes, &row, 0);
        if halves.iter().all(|tally| tally.healthy == 0) {
            continue;
        }
        let mut cells = vec![row.source.clone(), row.what.clone()];
        for tally in halves {
            cells.extend([part(tally.flagged, tally.healthy), percent(tally.suspected, tally.healthy)]);
        }
        for which in 1..names.len() {
            let tally = Tally::of(outcomes.iter().filter(|outcome| outcome.row == row).copied(), which);
            cells.push(percent(tally.flagged, tally.healthy));
        }
        table.push(cells);
    }
    table
}

fn by_detector(outcomes: &[&Outcome]) -> Table {
    let heads = [
        "detector",
        "precision",
        "recall",
        "median share",
        "p90",
        "early",
        "flagged",
        "test: precision",
        "recall",
        "median share",
        "p90",
        "early",
        "flagged",
    ];
    let mut table = Table::new("by detector: development half, then test half", &heads);
    for (which, name) in detectors().into_iter().enumerate() {
        let mut cells = vec![name.to_owned()];
        let mut n_series = 0;
        for half in Half::BOTH {
            let tally = Tally::of(outcomes.iter().filter(|outcome| outcome.half == half).copied(), which);
            n_series += tally.healthy + tally.leaks;
            cells.extend([
                number(tally.precision(), 3),
                number(tally.recall(), 3),
                number(tally.share(0.5), 3),
                number(tally.share(0.9), 3),
                tally.early.to_string(),
                part(tally.flagged, tally.healthy),
            ]);
        }
        if n_series > 0 {
            table.push(cells);
        }
    }
    table
}

fn cost(outcomes: &[&Outcome]) -> Table {
    let heads = [
        "detector",
        "µs a sample, healthy",
        "µs a sample, leaking",
        "healthy series for a core at a sample a minute",
        "state, bytes",
        "at most",
    ];
    let mut table = Table::new("processor time and state", &heads);
    for (which, name) in detectors().into_iter().enumerate() {
        let mut cells = vec![name.to_owned()];
        let mut us = Vec::new();
        for leaks in [false, true] {
            let of_kind = outcomes.iter().filter(|outcome| matches!(outcome.truth, Truth::Leaks(_)) == leaks);
            let seen: Vec<&Seen> = of_kind.filter_map(|outcome| outcome.seen.get(which)).collect();
            let n_samples: usize = seen.iter().map(|seen| seen.n_samples).sum();
            let cpu: f64 = seen.iter().map(|seen| seen.cpu.as_secs_f64()).sum();
            cells.push(number(1e6 * cpu / n_samples as f64, 2));
            us.push(1e6 * cpu / n_samples as f64);
        }
        cells.push(format!("{} million", number(60.0 / us[0], 0)));
        let states = outcomes.iter().filter_map(|outcome| outcome.seen.get(which)).map(|seen| seen.state_bytes as f64);
        let mut states: Vec<f64> = states.collect();
        cells.extend([number(quantile(&mut states, 0.5), 0), number(quantile(&mut states, 1.0), 0)]);
        if !states.is_empty() {
            table.push(cells);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_in_hours() {
        for (rate, expected) in [("20m", 1.0 / 3.0), ("40 min", 2.0 / 3.0), ("2 h", 2.0), ("24h", 24.0), ("7 d", 168.0)]
        {
            assert!((hours(rate) - expected).abs() < 1e-9, "{rate}");
        }
        assert!(hours("").is_nan());
    }
}
