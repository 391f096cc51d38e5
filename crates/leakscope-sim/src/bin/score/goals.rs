//! The rows that the detector is measured by, met or not.

use leakscope_sim::labelled::{Half, Truth};

use crate::cases::Group;
use crate::forecasts::Accuracy;
use crate::run::Outcome;
use crate::table::{Table, number, part, percent};
use crate::tally::Tally;

/// One measured value: how it is shown, and whether it is good enough.
type Measured = Option<(String, bool)>;

/// Goals with what was measured on each half; whether one is met the test half decides.
pub(crate) fn table(outcomes: &[&Outcome]) -> Table {
    let mut table = Table::new("goals", &["what", "goal", "development half", "test half", "met"]);
    for goal in goals() {
        let [development, test] = Half::BOTH.map(|half| {
            let of_half: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.half == half).copied().collect();
            (goal.measure)(&of_half)
        });
        if development.is_none() && test.is_none() {
            continue;
        }
        let met = test.as_ref().map_or("-", |(_, met)| if *met { "yes" } else { "no" });
        let shown = |measured: Measured| measured.map_or_else(|| "-".to_owned(), |(shown, _)| shown);
        table.push(vec![goal.what.into(), goal.wanted.into(), shown(development), shown(test), met.into()]);
    }
    table
}

struct Goal {
    what: &'static str,
    wanted: &'static str,
    measure: fn(&[&Outcome]) -> Measured,
}

fn goals() -> Vec<Goal> {
    let goal = |what, wanted, measure| Goal { what, wanted, measure };
    vec![
        goal("alarms per 1,000 days on public series", "≤ 2", |outcomes| {
            let tally = tally(outcomes, |outcome| background(outcome, true));
            let (low, high) = tally.per_1000_days_interval();
            let shown = format!("{:.1} ({low:.1} to {high:.1})", tally.per_1000_days());
            (tally.healthy > 0).then_some((shown, tally.per_1000_days() <= 2.0))
        }),
        goal("precision over recorded processes", "≥ 0.97", |outcomes| {
            let tally = tally(outcomes, |outcome| outcome.row.group == Group::Corpus);
            (tally.leaks > 0).then(|| (number(tally.precision(), 3), tally.precision() >= 0.97))
        }),
        goal("recall over recorded processes", "≥ 0.97", |outcomes| {
            let tally = tally(outcomes, |outcome| outcome.row.group == Group::Corpus);
            (tally.leaks > 0).then(|| {
                (format!("{} ({})", number(tally.recall(), 3), part(tally.found, tally.leaks)), tally.recall() >= 0.97)
            })
        }),
        goal("leaks of 2 h to 24 h in pods, found", "≥ 98 %", |outcomes| {
            let tally = tally(outcomes, |outcome| pods(outcome) && ["2 h", "6 h", "24 h"].contains(&rate(outcome)));
            (tally.leaks > 0).then(|| (found(&tally), tally.recall() >= 0.98))
        }),
        goal("alarms before the onset of these", "0", |outcomes| {
            let tally = tally(outcomes, |outcome| pods(outcome) && ["2 h", "6 h", "24 h"].contains(&rate(outcome)));
            (tally.leaks > 0).then(|| (tally.early.to_string(), tally.early == 0))
        }),
        goal("median share of 2 h spent, straight leaks in pods", "≤ 0.20", |outcomes| share(outcomes, "2 h", 0.20)),
        goal("median share of 6 h spent", "≤ 0.12", |outcomes| share(outcomes, "6 h", 0.12)),
        goal("median share of 24 h spent", "≤ 0.07", |outcomes| share(outcomes, "24 h", 0.07)),
        goal("found before the limit, pods and recorded, slower than 20 min", "≥ 99 %", |outcomes| {
            let slow = |outcome: &Outcome| !["20 min", "20m"].contains(&rate(outcome));
            let tally =
                tally(outcomes, |outcome| (pods(outcome) || outcome.row.group == Group::Corpus) && slow(outcome));
            (tally.leaks > 0).then(|| (found(&tally), tally.recall() >= 0.99))
        }),
        goal("steps, high-water marks, saw-teeth, days, restarts flagged", "0 %", |outcomes| {
            look_alikes(outcomes, |what| !what.starts_with("cache") && !what.starts_with("warm"), 0.0)
        }),
        goal("warm-ups flagged", "0 %", |outcomes| look_alikes(outcomes, |what| what.starts_with("warm"), 0.0)),
        goal("filling caches flagged", "≤ 10 %", |outcomes| {
            look_alikes(outcomes, |what| what.starts_with("cache"), 0.1)
        }),
        goal("stated time to the limit holds the truth, at the alarm", "85 to 95 %", |outcomes| {
            coverage(outcomes, true)
        }),
        goal("the same on each later hour", "85 to 95 %", |outcomes| coverage(outcomes, false)),
        goal("processor time a sample, healthy series", "≤ 1 µs", |outcomes| {
            let healthy: Vec<_> = outcomes.iter().filter(|outcome| outcome.row.group == Group::Background).collect();
            let cpu: f64 =
                healthy.iter().filter_map(|outcome| outcome.seen.first()).map(|seen| seen.cpu.as_secs_f64()).sum();
            let n: usize = healthy.iter().filter_map(|outcome| outcome.seen.first()).map(|seen| seen.n_samples).sum();
            let us = 1e6 * cpu / n as f64;
            (n > 0).then(|| (format!("{us:.2} µs"), us <= 1.0))
        }),
        goal("state, as a checkpoint, at most", "≤ 4 KiB", |outcomes| {
            let bytes =
                outcomes.iter().filter_map(|outcome| outcome.seen.first()).map(|seen| seen.state_bytes).max()?;
            Some((format!("{:.1} KiB", bytes as f64 / 1_024.0), bytes <= 4_096))
        }),
    ]
}

fn tally(outcomes: &[&Outcome], fits: impl Fn(&Outcome) -> bool) -> Tally {
    Tally::of(outcomes.iter().filter(|outcome| fits(outcome)).copied(), 0)
}

fn background(outcome: &Outcome, known: bool) -> bool {
    outcome.row.group == Group::Background && (outcome.truth == Truth::Healthy) == known
}

fn pods(outcome: &Outcome) -> bool {
    outcome.row.group == Group::Injected && outcome.row.source == "pods"
}

fn rate(outcome: &Outcome) -> &str {
    &outcome.row.rate
}

fn found(tally: &Tally) -> String {
    format!("{} ({})", percent(tally.found, tally.leaks), part(tally.found, tally.leaks))
}

fn share(outcomes: &[&Outcome], rate: &str, most: f64) -> Measured {
    let tally = tally(outcomes, |outcome| pods(outcome) && outcome.row.what == "straight" && outcome.row.rate == rate);
    let share = tally.share(0.5);
    (tally.leaks > 0).then(|| (number(share, 3), share <= most))
}

fn look_alikes(outcomes: &[&Outcome], fits: fn(&str) -> bool, most: f64) -> Measured {
    let tally = tally(outcomes, |outcome| outcome.row.group == Group::LookAlikes && fits(&outcome.row.what));
    let flagged = f64::from(tally.flagged) / f64::from(tally.healthy);
    let shown = format!("{} ({})", percent(tally.flagged, tally.healthy), part(tally.flagged, tally.healthy));
    (tally.healthy > 0).then_some((shown, flagged <= most))
}

fn coverage(outcomes: &[&Outcome], at_alarm: bool) -> Measured {
    let accuracy = Accuracy::of(outcomes.iter().copied(), at_alarm);
    let covered = accuracy.coverage();
    (accuracy.n > 0).then(|| (format!("{:.0} % of {}", 100.0 * covered, accuracy.n), (0.85..=0.95).contains(&covered)))
}
