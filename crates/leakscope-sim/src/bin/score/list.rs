//! Each wrong verdict of our detector: false alarms with their reasons, misses with what was said last.

use std::fmt::Write as _;

use leakscope_model::Verdict;
use leakscope_sim::labelled::Truth;

use crate::run::Outcome;

/// A text of all false alarms, alarms before an onset, and misses.
pub(crate) fn wrong(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for outcome in outcomes {
        let Some(seen) = outcome.seen.first() else { continue };
        let onset = match &outcome.truth {
            Truth::Leaks(leak) => Some(leak.onset),
            Truth::Healthy | Truth::Unknown => None,
        };
        for (at, verdict) in seen.alarms.iter().zip(&outcome.ours.at_alarms) {
            let hours = at.hours_since(outcome.begin);
            match onset {
                None => {
                    head(&mut out, outcome, &format!("false alarm at {hours:.2} h"));
                    reasons(&mut out, verdict);
                }
                Some(onset) if *at < onset => {
                    let early = onset.hours_since(*at);
                    head(&mut out, outcome, &format!("alarm at {hours:.2} h, {early:.2} h before the onset"));
                    reasons(&mut out, verdict);
                }
                Some(_) => {}
            }
        }
        let found = onset.is_none_or(|onset| seen.stood_at_onset || seen.alarms.iter().any(|at| *at >= onset));
        if !found {
            head(&mut out, outcome, &format!("missed; highest score {:.2}, last said:", outcome.ours.score_max));
            reasons(&mut out, &outcome.ours.last);
        }
    }
    out
}

fn head(out: &mut String, outcome: &Outcome, what: &str) {
    let _ = writeln!(
        out,
        "[{} {}, {}] {}: {what}",
        outcome.row.group.name(),
        outcome.row.source,
        outcome.half.name(),
        outcome.name
    );
}

fn reasons(out: &mut String, verdict: &Verdict) {
    let signal = verdict.signal.map_or("-", |signal| signal.name());
    let _ = writeln!(out, "    {} {:.2}, {}, {signal}", verdict.state, verdict.score, verdict.kind);
    for reason in &verdict.reasons {
        let _ = writeln!(out, "    {reason}");
    }
}
