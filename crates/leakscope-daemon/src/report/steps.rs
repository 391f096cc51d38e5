//! What would confirm or refute a finding, the first step first.

use leakscope_model::{Capture, CaptureState, Finding, IncidentState, Weight};

use super::Facts;

/// Comparisons in which a site must have grown, one after the other, to be sure.
const CONFIRMATIONS: u32 = 2;

pub(super) fn next(facts: &Facts<'_>) -> Vec<String> {
    match facts.incident.state {
        IncidentState::Recovered => {
            return vec!["nothing: the growth stopped, and the service is watched for a relapse".to_owned()];
        }
        IncidentState::Verified | IncidentState::Closed => return Vec::new(),
        IncidentState::Open | IncidentState::Gathered | IncidentState::Explained | IncidentState::Acknowledged => {}
    }
    let mut steps = Vec::new();
    match facts.incident.suspects.first() {
        Some(finding) => steps.push(of_finding(finding)),
        None => steps.push(without_finding(facts)),
    }
    let refused = facts.captures.iter().rev().find(|capture| capture.state == CaptureState::Refused);
    steps.extend(refused.filter(|capture| !is_taken(facts, capture)).map(|capture| of_refused(capture)));
    for lacking in facts.lacking.iter().filter(|lacking| !lacking.remedy.is_empty()) {
        steps.push(format!("for {}: {} ({})", lacking.kind.name(), lacking.remedy, lacking.reason));
    }
    steps
}

fn of_finding(finding: &Finding) -> String {
    let place = finding.suspect.location.as_ref().map(|place| format!(" at {}:{}", place.file, place.line));
    let site = format!("{}{}", finding.suspect.name, place.unwrap_or_default());
    if finding.confirmations >= CONFIRMATIONS {
        let n = finding.confirmations;
        return format!(
            "change {site}: it grew in {n} comparisons; the incident is verified once a new process stays level"
        );
    }
    let missing = CONFIRMATIONS - finding.confirmations;
    format!("{missing} more comparison{} in which {site} grows", if missing == 1 { "" } else { "s" })
}

fn without_finding(facts: &Facts<'_>) -> String {
    let taken: Vec<&&Capture> = facts.captures.iter().filter(|capture| capture.state == CaptureState::Stored).collect();
    let target = facts.incident.targets.first().map(ToString::to_string).unwrap_or_default();
    match taken.last() {
        None => format!("evidence: `leakscope capture {target}` takes the lightest that the replica gives"),
        Some(capture) if taken.iter().filter(|other| other.kind == capture.kind).count() == 1 => {
            let kind = capture.kind.name();
            format!(
                "a second {kind} of the same process, some minutes later under the same load: what grew in between is the leak"
            )
        }
        Some(_) => format!(
            "another capture of another kind: what was compared shows nothing that grows; `leakscope capture {target} --kind` names one"
        ),
    }
}

fn of_refused(capture: &Capture) -> String {
    let heavy = match capture.kind.weight() {
        Weight::Heavy => "a heavy capture, ",
        Weight::Light => "",
    };
    format!("{} of {}, {heavy}which was refused: {}", capture.kind.name(), capture.instance, capture.note)
}

/// Whether one of that kind was had after all.
fn is_taken(facts: &Facts<'_>, refused: &Capture) -> bool {
    facts.captures.iter().any(|capture| capture.kind == refused.kind && capture.state == CaptureState::Stored)
}
