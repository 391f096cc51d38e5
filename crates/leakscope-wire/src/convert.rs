//! Model to wire. The boilerplate buys the freedom to rename inside.

use std::time::Duration;

use leakscope_model as model;

use crate::{
    Capture, CaptureCost, Finding, Fit, Frame, Incident, Interval, Lacking, Location, PathStep, Suspect, Transition,
    Verdict, rfc3339,
};

impl From<&model::Verdict> for Verdict {
    fn from(verdict: &model::Verdict) -> Self {
        Self {
            state: verdict.state.name().into(),
            score: finite(verdict.score),
            kind: verdict.kind.name().into(),
            signal: verdict.signal.map(|signal| signal.name().into()),
            growth_bytes_per_hour: verdict.growth.map(|growth| growth.per_hour.map(|rate| rate.0).into()),
            growth_bytes_per_request: verdict
                .growth
                .and_then(|growth| growth.per_request)
                .map(|growth| growth.map(|rate| rate.0).into()),
            time_to_limit_s: verdict.time_to_limit.map(interval_of_durations),
            since: verdict.since.map(rfc3339),
            fit: verdict.fit.map(Into::into),
            reasons: verdict.reasons.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<model::Interval<f64>> for Interval {
    fn from(interval: model::Interval<f64>) -> Self {
        Self {
            low: finite(interval.low),
            mid: finite(interval.mid),
            high: interval.high.is_finite().then_some(interval.high),
        }
    }
}

impl From<model::Fit> for Fit {
    fn from(fit: model::Fit) -> Self {
        Self {
            from_ms: fit.from.as_millis(),
            to_ms: fit.to.as_millis(),
            level: finite(fit.level),
            per_hour: fit.per_hour.into(),
        }
    }
}

/// An unbounded end is [`Duration::MAX`] in the model and `null` here.
fn interval_of_durations(interval: model::Interval<Duration>) -> Interval {
    Interval {
        low: interval.low.as_secs_f64(),
        mid: interval.mid.as_secs_f64(),
        high: (interval.high != Duration::MAX).then_some(interval.high.as_secs_f64()),
    }
}

/// JSON has no NaN and no infinity.
fn finite(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) }
}

impl Incident {
    /// An incident with the captures it names.
    pub fn of<'a>(incident: &model::Incident, captures: impl Iterator<Item = &'a model::Capture>) -> Self {
        Self {
            id: incident.id.0,
            service: incident.service.clone(),
            targets: incident.targets.iter().map(ToString::to_string).collect(),
            state: incident.state.name().into(),
            kind: incident.kind.name().into(),
            score: finite(incident.score),
            opened_at: rfc3339(incident.opened_at),
            transitions: incident.transitions.iter().map(Into::into).collect(),
            captures: captures.map(Into::into).collect(),
            suspects: incident.suspects.iter().map(Into::into).collect(),
        }
    }
}

impl From<&model::Transition> for Transition {
    fn from(transition: &model::Transition) -> Self {
        Self { at: rfc3339(transition.at), to: transition.to.name().into(), cause: transition.cause.clone() }
    }
}

impl From<&model::Capture> for Capture {
    fn from(capture: &model::Capture) -> Self {
        Self {
            id: capture.id.0,
            kind: capture.kind.name().into(),
            target: capture.target.to_string(),
            service: capture.service.clone(),
            instance: capture.instance.clone(),
            phase: capture.phase.name().into(),
            incident: capture.incident.map(|incident| incident.0),
            state: capture.state.name().into(),
            began_at: rfc3339(capture.began_at),
            ended_at: capture.ended_at.map(rfc3339),
            predicted: capture.predicted.into(),
            cost: capture.cost.map(Into::into),
            digest: capture.digest.clone(),
            redacted: capture.redacted,
            note: capture.note.clone(),
        }
    }
}

impl From<model::Cost> for CaptureCost {
    fn from(cost: model::Cost) -> Self {
        Self {
            duration_s: cost.duration.as_secs_f64(),
            pause_s: cost.pause.as_secs_f64(),
            memory_bytes: cost.memory.0,
            size_bytes: cost.size.0,
        }
    }
}

impl From<&model::Lacking> for Lacking {
    fn from(lacking: &model::Lacking) -> Self {
        let model::Lacking { kind, reason, remedy } = lacking;
        Self { kind: kind.name().into(), reason: reason.clone(), remedy: remedy.clone() }
    }
}

impl From<&model::Finding> for Finding {
    fn from(finding: &model::Finding) -> Self {
        Self {
            suspect: (&finding.suspect).into(),
            identity: finding.identity.clone().unwrap_or_default(),
            growth_bytes: finding.growth_bytes,
            growth_count: finding.growth_count,
            grew_in_every_step: finding.grew_in_every_step,
            growth_error_bytes: None,
            growth_bytes_per_hour: None,
            growth_bytes_per_request: None,
        }
    }
}

impl From<&model::Suspect> for Suspect {
    fn from(suspect: &model::Suspect) -> Self {
        Self {
            title: suspect.title.clone(),
            kind: suspect.kind.clone(),
            name: suspect.name.clone(),
            bytes: suspect.bytes,
            count: suspect.count,
            share: finite(suspect.share),
            path: suspect.path.iter().map(Into::into).collect(),
            stack: suspect.stack.iter().map(Into::into).collect(),
            location: suspect.location.as_ref().map(Into::into),
            confidence: finite(suspect.confidence),
            reason: suspect.reason.clone(),
        }
    }
}

impl From<&model::PathStep> for PathStep {
    fn from(step: &model::PathStep) -> Self {
        Self { edge: step.edge.clone(), name: step.name.clone(), id: step.id }
    }
}

impl From<&model::Frame> for Frame {
    fn from(frame: &model::Frame) -> Self {
        Self { function: frame.function.clone(), file: frame.file.clone(), line: frame.line }
    }
}

impl From<&model::Location> for Location {
    fn from(location: &model::Location) -> Self {
        Self { file: location.file.clone(), line: location.line, column: location.column }
    }
}

impl Finding {
    /// The finding that these captures gave, oldest first.
    pub fn into_model(self, captures: &[model::CaptureId]) -> model::Finding {
        let steps = u32::try_from(captures.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let confirmations = match (self.grew_in_every_step, self.growth_bytes) {
            (Some(true), _) => steps,
            (_, Some(growth)) if growth > 0 => steps.min(1),
            _ => 0,
        };
        model::Finding {
            suspect: self.suspect.into(),
            identity: Some(self.identity).filter(|identity| !identity.is_empty()),
            growth_bytes: self.growth_bytes,
            growth_count: self.growth_count,
            grew_in_every_step: self.grew_in_every_step,
            captures: captures.to_vec(),
            confirmations,
        }
    }
}

impl From<Suspect> for model::Suspect {
    fn from(suspect: Suspect) -> Self {
        let Suspect { title, kind, name, bytes, count, share, path, stack, location, confidence, reason } = suspect;
        Self {
            title,
            kind,
            name,
            bytes,
            count,
            share,
            path: path.into_iter().map(|PathStep { edge, name, id }| model::PathStep { edge, name, id }).collect(),
            stack: stack
                .into_iter()
                .map(|Frame { function, file, line }| model::Frame { function, file, line })
                .collect(),
            location: location.map(|Location { file, line, column }| model::Location { file, line, column }),
            confidence,
            reason,
        }
    }
}
