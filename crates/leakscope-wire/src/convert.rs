//! Model to wire. The boilerplate buys the freedom to rename inside.

use std::time::Duration;

use leakscope_model as model;

use crate::{Capture, Fit, Frame, Incident, Interval, Location, PathStep, Suspect, Transition, Verdict, rfc3339};

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

impl From<&model::Incident> for Incident {
    fn from(incident: &model::Incident) -> Self {
        Self {
            id: incident.id.0,
            service: incident.service.clone(),
            targets: incident.targets.iter().map(ToString::to_string).collect(),
            state: incident.state.name().into(),
            kind: incident.kind.name().into(),
            score: finite(incident.score),
            opened_at: rfc3339(incident.opened_at),
            transitions: incident.transitions.iter().map(Into::into).collect(),
            captures: incident.captures.iter().map(Into::into).collect(),
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
        Self { id: capture.id.0, kind: capture.kind.clone(), target: capture.target.to_string() }
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
