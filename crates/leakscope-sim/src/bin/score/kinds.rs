//! What growth is called against what it is.

use leakscope_model::{Kind, Verdict};
use leakscope_sim::labelled::{Half, Truth};

use crate::cases::Group;
use crate::run::Outcome;
use crate::table::Table;

/// The columns.
const KINDS: [Kind; 8] = [
    Kind::Managed,
    Kind::Native,
    Kind::Tasks,
    Kind::Descriptors,
    Kind::CacheFill,
    Kind::LoadGrowth,
    Kind::Fragmentation,
    Kind::Unknown,
];

/// True kinds as rows, stated ones as columns, both halves in a cell: `development / test`.
pub(crate) fn table(outcomes: &[&Outcome]) -> Table {
    let mut heads = vec!["group", "true kind"];
    heads.extend(KINDS.map(Kind::name));
    let mut table = Table::new("kinds, development half / test half", &heads);
    for group in [Group::Corpus, Group::Simulated] {
        for truth in KINDS {
            let of_kind = |outcome: &Outcome| {
                matches!(outcome.truth, Truth::Leaks(leak) if leak.kind == Some(truth)) && outcome.row.group == group
            };
            push(&mut table, group, truth.name(), outcomes, of_kind, at_alarm);
        }
    }
    let mut families: Vec<(Group, &str)> = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.truth == Truth::Healthy && outcome.ours.suspected) {
        let family = (outcome.row.group, outcome.row.what.as_str());
        let told = matches!(family.0, Group::Corpus | Group::Simulated | Group::LookAlikes);
        if told && !families.contains(&family) {
            families.push(family);
        }
    }
    for (group, family) in families {
        let of_family = |outcome: &Outcome| {
            outcome.row.group == group && outcome.row.what == family && outcome.truth == Truth::Healthy
        };
        push(&mut table, group, &format!("none: {family}"), outcomes, of_family, at_suspicion);
    }
    table
}

fn at_alarm(outcome: &Outcome) -> Option<&Verdict> {
    let onset = match &outcome.truth {
        Truth::Leaks(leak) => leak.onset,
        Truth::Healthy | Truth::Unknown => outcome.begin,
    };
    let alarms = outcome.seen.first()?.alarms.iter().zip(&outcome.ours.at_alarms);
    alarms.filter(|(at, _)| **at >= onset).map(|(_, verdict)| verdict).next()
}

fn at_suspicion(outcome: &Outcome) -> Option<&Verdict> {
    outcome.ours.at_suspicion.as_ref()
}

fn push(
    table: &mut Table,
    group: Group,
    name: &str,
    outcomes: &[&Outcome],
    belongs: impl Fn(&Outcome) -> bool,
    verdict: impl Fn(&Outcome) -> Option<&Verdict>,
) {
    let mut n_stated = 0;
    let mut cells = vec![group.name().to_owned(), name.to_owned()];
    for kind in KINDS {
        let [development, test] = Half::BOTH.map(|half| {
            let these = outcomes.iter().filter(|outcome| outcome.half == half && belongs(outcome));
            these.filter_map(|outcome| verdict(outcome)).filter(|verdict| verdict.kind == kind).count()
        });
        n_stated += development + test;
        cells.push(if development + test == 0 { String::new() } else { format!("{development} / {test}") });
    }
    if n_stated > 0 {
        table.push(cells);
    }
}
