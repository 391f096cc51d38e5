//! The tables of the report, a group each, development and test half beside each other.

use leakscope_sim::labelled::{Half, Truth};
use leakscope_sim::metrics::quantile;

use crate::cases::{Group, Row};
use crate::run::{Forecast, Outcome, Seen};
use crate::table::Table;
use crate::tally::Tally;

/// Every table for which there are outcomes.
pub(crate) fn tables(outcomes: &[Outcome]) -> Vec<Table> {
    let mut tables = vec![summary(outcomes)];
    for group in Group::ALL {
        let of_group: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.row.group == group).collect();
        tables.push(false_alarms(group, &of_group));
        tables.push(recall(group, &of_group));
    }
    tables.push(forecasts(outcomes));
    tables.push(cost(outcomes));
    tables.retain(|table| !table.is_empty());
    tables
}

fn summary(outcomes: &[Outcome]) -> Table {
    let heads = ["group", "half", "healthy", "flagged", "leaks", "found", "precision", "recall", "early"];
    let mut table = Table::new("all groups", &heads);
    for group in Group::ALL {
        for half in Half::BOTH {
            let these = outcomes.iter().filter(|outcome| outcome.row.group == group && outcome.half == half);
            let tally = Tally::of(these, 0);
            if tally.healthy + tally.leaks == 0 {
                continue;
            }
            table.push(vec![
                group.name().to_owned(),
                half.name().to_owned(),
                tally.healthy.to_string(),
                tally.flagged.to_string(),
                tally.leaks.to_string(),
                tally.found.to_string(),
                number(tally.precision(), 3),
                number(tally.recall(), 3),
                tally.early.to_string(),
            ]);
        }
    }
    table
}

fn cost(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new("cost", &["series", "samples", "µs a sample", "state, bytes at most"]);
    for (name, leaks) in [("healthy", false), ("leaking", true)] {
        let of_kind = outcomes.iter().filter(|outcome| matches!(outcome.truth, Truth::Leaks(_)) == leaks);
        let seen: Vec<&Seen> = of_kind.filter_map(|outcome| outcome.seen.first()).collect();
        let n_samples: usize = seen.iter().map(|seen| seen.n_samples).sum();
        let cpu: f64 = seen.iter().map(|seen| seen.cpu.as_secs_f64()).sum();
        let state = seen.iter().map(|seen| seen.state_bytes).max().unwrap_or(0);
        let us = number(1e6 * cpu / n_samples as f64, 2);
        table.push(vec![name.to_owned(), n_samples.to_string(), us, state.to_string()]);
    }
    table
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

fn halves(outcomes: &[&Outcome], row: &Row) -> [Tally; 2] {
    Half::BOTH.map(|half| {
        let these = outcomes.iter().filter(|outcome| outcome.row == *row && outcome.half == half).copied();
        Tally::of(these, 0)
    })
}

fn false_alarms(group: Group, outcomes: &[&Outcome]) -> Table {
    let heads = [
        "source",
        "what",
        "series",
        "days",
        "alarms",
        "per 1,000 days",
        "95 %",
        "flagged",
        "suspect",
        "series",
        "days",
        "alarms",
        "per 1,000 days",
        "95 %",
        "flagged",
        "suspect",
    ];
    let title = format!("{}: what does not leak (development half, then test half)", group.name());
    let mut table = Table::new(&title, &heads);
    for row in rows(outcomes) {
        let halves = halves(outcomes, &row);
        if halves.iter().all(|tally| tally.healthy == 0) {
            continue;
        }
        let mut cells = vec![row.source.clone(), row.what.clone()];
        for tally in halves {
            let (low, high) = tally.per_1000_days_interval();
            cells.extend([
                tally.healthy.to_string(),
                format!("{:.1}", tally.days),
                tally.alarms.to_string(),
                number(tally.per_1000_days(), 1),
                format!("{}–{}", number(low, 1), number(high, 1)),
                percent(tally.flagged, tally.healthy),
                percent(tally.suspected, tally.healthy),
            ]);
        }
        table.push(cells);
    }
    table
}

fn recall(group: Group, outcomes: &[&Outcome]) -> Table {
    let heads = [
        "source",
        "what",
        "limit after",
        "leaks",
        "found",
        "median",
        "p90",
        "minutes",
        "early",
        "leaks",
        "found",
        "median",
        "p90",
        "minutes",
        "early",
    ];
    let title = format!("{}: leaks (development half, then test half)", group.name());
    let mut table = Table::new(&title, &heads);
    for row in rows(outcomes) {
        let halves = halves(outcomes, &row);
        if halves.iter().all(|tally| tally.leaks == 0) {
            continue;
        }
        let mut cells = vec![row.source.clone(), row.what.clone(), row.rate.clone()];
        for tally in halves {
            cells.extend([
                tally.leaks.to_string(),
                tally.found.to_string(),
                number(tally.share(0.5), 3),
                number(tally.share(0.9), 3),
                number(tally.delay_min(0.5), 0),
                tally.early.to_string(),
            ]);
        }
        table.push(cells);
    }
    table.note =
        "median and p90: share of the time to the limit that is spent at the alarm; early: alarms before the onset"
            .into();
    table
}

fn forecasts(outcomes: &[Outcome]) -> Table {
    let heads = [
        "group",
        "source",
        "what",
        "when",
        "stated",
        "median error",
        "covered",
        "below",
        "above",
        "stated",
        "median error",
        "covered",
        "below",
        "above",
    ];
    let mut table = Table::new("time to the limit (development half, then test half)", &heads);
    let stating: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.ours.forecasts.is_empty()).collect();
    let mut kinds: Vec<Row> = Vec::new();
    for kind in rows(&stating).into_iter().map(without_rate) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for kind in kinds {
        for at_alarm in [true, false] {
            let when = if at_alarm { "at the alarm" } else { "each later hour" };
            let mut cells = vec![kind.group.name().to_owned(), kind.source.clone(), kind.what.clone(), when.to_owned()];
            for half in Half::BOTH {
                let these = stating.iter().filter(|outcome| outcome.half == half);
                let stated: Vec<Forecast> = these
                    .filter(|outcome| without_rate(outcome.row.clone()) == kind)
                    .flat_map(|outcome| &outcome.ours.forecasts)
                    .filter(|forecast| forecast.at_alarm == at_alarm)
                    .copied()
                    .collect();
                cells.extend(accuracy(&stated));
            }
            table.push(cells);
        }
    }
    table.note =
        "error: distance of the best estimate from the truth, over the truth; below: the truth was less than the interval"
            .into();
    table
}

/// Series of all rates as one kind; simulated models too, of which there are many.
fn without_rate(row: Row) -> Row {
    let what = if row.group == Group::Simulated { String::new() } else { row.what };
    Row { rate: String::new(), what, ..row }
}

fn accuracy(stated: &[Forecast]) -> [String; 5] {
    let mut errors: Vec<f64> = stated.iter().map(|one| (one.mid - one.truth).abs() / one.truth).collect();
    let share = |fits: fn(&Forecast) -> bool| {
        percent(stated.iter().filter(|one| fits(one)).count() as u32, stated.len() as u32)
    };
    [
        stated.len().to_string(),
        number(quantile(&mut errors, 0.5), 2),
        share(|one| one.low <= one.truth && one.truth <= one.high),
        share(|one| one.truth < one.low),
        share(|one| one.truth > one.high),
    ]
}

/// A number with so many decimals, `-` for none.
fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "-".to_owned() }
}

fn percent(part: u32, whole: u32) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.0} %", 100.0 * f64::from(part) / f64::from(whole)) }
}
