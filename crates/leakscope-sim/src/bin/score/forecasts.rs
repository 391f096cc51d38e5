//! Stated times to the limit against the true ones.

use leakscope_sim::labelled::Half;
use leakscope_sim::metrics::quantile;

use crate::cases::{Group, Row};
use crate::run::{Forecast, Outcome};
use crate::table::{Table, number, percent};

/// Error and coverage by kind of series, at the alarm and on each later hour.
pub(crate) fn table(outcomes: &[&Outcome]) -> Table {
    let heads = [
        "group",
        "source",
        "leak",
        "when",
        "stated",
        "median error",
        "covered",
        "sooner",
        "later",
        "test: stated",
        "median error",
        "covered",
        "sooner",
        "later",
    ];
    let mut table = Table::new("time to the limit: development half, then test half", &heads);
    let stating: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| !outcome.ours.forecasts.is_empty()).copied().collect();
    let mut kinds: Vec<Row> = Vec::new();
    for kind in stating.iter().map(|outcome| merged(&outcome.row)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for kind in kinds {
        for at_alarm in [true, false] {
            let when = if at_alarm { "at the alarm" } else { "each later hour" };
            let mut cells = vec![kind.group.name().to_owned(), kind.source.clone(), kind.what.clone(), when.to_owned()];
            for half in Half::BOTH {
                let these = stating.iter().filter(|outcome| outcome.half == half && merged(&outcome.row) == kind);
                cells.extend(Accuracy::of(these.copied(), at_alarm).cells());
            }
            table.push(cells);
        }
    }
    table
}

/// Series of all rates as one kind; of memory models and recorded families there are too many for a row each.
fn merged(row: &Row) -> Row {
    let many = matches!(row.group, Group::Simulated | Group::Corpus);
    let what = if many { String::new() } else { row.what.clone() };
    let source = if row.group == Group::Corpus { String::new() } else { row.source.clone() };
    Row { rate: String::new(), what, source, ..row.clone() }
}

/// How good some stated times were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accuracy {
    pub(crate) n: u32,
    median_error: f64,
    covered: u32,
    sooner: u32,
    later: u32,
}

impl Accuracy {
    /// Of what was stated at the alarm, or else later.
    pub(crate) fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, at_alarm: bool) -> Self {
        let stated: Vec<Forecast> = outcomes
            .into_iter()
            .flat_map(|outcome| &outcome.ours.forecasts)
            .filter(|forecast| forecast.at_alarm == at_alarm)
            .copied()
            .collect();
        let mut errors: Vec<f64> = stated.iter().map(|one| (one.mid - one.truth).abs() / one.truth).collect();
        let count = |fits: fn(&Forecast) -> bool| stated.iter().filter(|one| fits(one)).count() as u32;
        Self {
            n: stated.len() as u32,
            median_error: quantile(&mut errors, 0.5),
            covered: count(|one| one.low <= one.truth && one.truth <= one.high),
            sooner: count(|one| one.truth < one.low),
            later: count(|one| one.truth > one.high),
        }
    }

    /// Share of intervals that hold the truth.
    pub(crate) fn coverage(&self) -> f64 {
        f64::from(self.covered) / f64::from(self.n)
    }

    fn cells(&self) -> [String; 5] {
        [
            self.n.to_string(),
            number(self.median_error, 2),
            percent(self.covered, self.n),
            percent(self.sooner, self.n),
            percent(self.later, self.n),
        ]
    }
}
