//! The report for machines: every table, and every series with what each detector did.

use leakscope_sim::labelled::Truth;
use serde_json::{Value, json};

use crate::report::Section;
use crate::run::{Outcome, detectors};

/// One document.
pub(crate) fn document(outcomes: &[Outcome], sections: &[Section]) -> Value {
    let sections: Vec<Value> = sections
        .iter()
        .map(|section| {
            let tables: Vec<Value> = section.tables.iter().map(crate::table::Table::json).collect();
            json!({ "title": section.title, "text": section.text, "tables": tables })
        })
        .collect();
    json!({ "sections": sections, "series": outcomes.iter().map(series).collect::<Vec<_>>() })
}

fn series(outcome: &Outcome) -> Value {
    let hours = |at: leakscope_model::Timestamp| at.hours_since(outcome.begin);
    let leak = match &outcome.truth {
        Truth::Leaks(leak) => json!({
            "onset_h": hours(leak.onset),
            "hours_to_oom": leak.hours_to_oom,
            "killed_h": leak.killed_at.map(hours),
            "kind": leak.kind.map(leakscope_model::Kind::name),
        }),
        Truth::Healthy => json!(false),
        Truth::Unknown => Value::Null,
    };
    let alarms: serde_json::Map<String, Value> = detectors()
        .into_iter()
        .zip(&outcome.seen)
        .map(|(name, seen)| (name.to_owned(), seen.alarms.iter().map(|at| hours(*at)).collect()))
        .collect();
    json!({
        "name": outcome.name,
        "group": outcome.row.group.name(),
        "source": outcome.row.source,
        "what": outcome.row.what,
        "limit_after": outcome.row.rate,
        "half": outcome.half.name(),
        "days": outcome.days,
        "leak": leak,
        "suspected": outcome.ours.suspected,
        "score_max": outcome.ours.score_max,
        "alarms_h": alarms,
    })
}
