//! An incident as a story, composed of what is known: nothing is asked, measured or decided here.

mod blocks;
mod html;
mod markdown;
mod steps;
mod text;

use leakscope_model::{
    Bytes, BytesPerHour, Capture, CaptureState, Incident, Interval, Lacking, Sample, Span, Timestamp, Verdict,
};
use leakscope_wire as wire;

pub(crate) use html::html;
pub(crate) use markdown::markdown;
pub(crate) use text::text;

/// Load is compared from so long before the growth.
pub(crate) const BEFORE: std::time::Duration = std::time::Duration::from_hours(1);
/// Starts of processes that are told. Beyond: the newest are.
const STARTS_MAX: usize = 20;

/// What a report is made of.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) incident: &'a Incident,
    /// Those that the incident names, oldest first.
    pub(crate) captures: Vec<&'a Capture>,
    /// Of the worst replica that is still watched.
    pub(crate) verdict: Option<Verdict>,
    /// That replica's memory limit.
    pub(crate) limit: Option<Bytes>,
    /// Every replica of the service.
    pub(crate) peers: Vec<wire::Peer>,
    /// What the incident's replicas do not give.
    pub(crate) lacking: Vec<Lacking>,
}

/// What the worst replica's samples say around the growth.
#[derive(Debug, Default)]
pub(crate) struct Around {
    /// Requests served, a counter.
    pub(crate) requests: Vec<Sample>,
    /// When its process started, in seconds since the Unix epoch.
    pub(crate) starts: Vec<Sample>,
}

/// The story, without what only samples tell.
pub(crate) fn story(facts: &Facts<'_>, now: Timestamp) -> wire::Report {
    let mut peers = facts.peers.clone();
    peers.sort_by(|a, b| b.leaks.cmp(&a.leaks).then(b.score.total_cmp(&a.score)).then(a.instance.cmp(&b.instance)));
    let mut lacking: Vec<wire::Lacking> = facts.lacking.iter().map(Into::into).collect();
    lacking.sort();
    lacking.dedup();
    wire::Report {
        written_at: wire::rfc3339(now),
        title: title(facts),
        limit_bytes: facts.limit.map(|limit| limit.0),
        incident: wire::Incident::of(facts.incident, facts.captures.iter().copied()),
        verdict: facts.verdict.as_ref().map(Into::into),
        moments: moments(facts),
        load: None,
        next_steps: steps::next(facts),
        peers,
        lacking,
    }
}

/// Adds what samples tell: processes that started, and the load before and since.
pub(crate) fn add_samples(report: &mut wire::Report, around: &Around, since: Timestamp) {
    let mut starts: Vec<f64> = around.starts.iter().map(|sample| sample.value).collect();
    starts.dedup();
    let n_dropped = starts.len().saturating_sub(STARTS_MAX);
    report.moments.extend(starts.into_iter().skip(n_dropped).map(|at| {
        moment(Timestamp::from_secs_f64(at), "start", "the process of the worst replica started".to_owned())
    }));
    report.moments.sort_by(|a, b| a.at.cmp(&b.at));
    let before = around.requests.partition_point(|sample| sample.at < since);
    let (before, after) = around.requests.split_at(before);
    report.load = rate(after).map(|since_per_s| wire::Load { before_per_s: rate(before), since_per_s });
}

/// Requests a second of a counter; a fall is a restart, which counts from zero. `None` of fewer than two samples.
fn rate(samples: &[Sample]) -> Option<f64> {
    let (first, last) = (samples.first()?, samples.last()?);
    let seconds = last.at.since(first.at).as_secs_f64();
    let served = |pair: &[Sample]| match pair {
        [a, b] if b.value >= a.value => b.value - a.value,
        [_, b] => b.value,
        _ => 0.0,
    };
    (seconds > 0.0).then(|| samples.windows(2).map(served).sum::<f64>() / seconds)
}

fn title(facts: &Facts<'_>) -> String {
    let Incident { service, kind, state, opened_at, .. } = facts.incident;
    let verb = if state.is_open() { "leaks" } else { "leaked" };
    let mut title =
        format!("{service} {verb}, {}, since {}", kind.name(), wire::rfc3339(begun(facts).unwrap_or(*opened_at)));
    if let Some(verdict) = &facts.verdict {
        let rate = verdict.growth.map(|growth| format!(": {}", growth.per_hour.mid));
        let left = verdict.time_to_limit.map(|left| format!(", {} to its limit", Span(left.mid)));
        title.extend(rate.filter(|_| state.is_open()));
        title.extend(left.filter(|_| state.is_open()));
    }
    title
}

/// When the growth began, as far as the detector's window shows.
pub(crate) fn begun(facts: &Facts<'_>) -> Option<Timestamp> {
    let since = facts.verdict.as_ref().and_then(|verdict| verdict.since)?;
    Some(since.min(facts.incident.opened_at))
}

fn moments(facts: &Facts<'_>) -> Vec<wire::Moment> {
    let mut moments: Vec<(Timestamp, &str, String)> = Vec::new();
    moments
        .extend(begun(facts).map(|at| (at, "growth", "memory began to grow, as far as the window shows".to_owned())));
    for transition in &facts.incident.transitions {
        moments.push((transition.at, "incident", format!("{}: {}", transition.to.name(), transition.cause)));
    }
    for capture in &facts.captures {
        moments.push((capture.began_at, "capture", capture_words(capture)));
    }
    // Stable: what happened at one moment keeps its order.
    moments.sort_by_key(|(at, _, _)| *at);
    moments.into_iter().map(|(at, kind, text)| moment(at, kind, text)).collect()
}

fn moment(at: Timestamp, kind: &str, text: String) -> wire::Moment {
    wire::Moment { at: wire::rfc3339(at), kind: kind.into(), text }
}

fn capture_words(capture: &Capture) -> String {
    let Capture { id, kind, phase, instance, state, note, .. } = capture;
    let outcome = match state {
        CaptureState::Refused => "refused",
        CaptureState::Running => "under way",
        CaptureState::Stored => "taken",
        CaptureState::Failed => "failed",
        CaptureState::Cancelled => "stopped",
        CaptureState::Expired => "taken, its file has expired",
    };
    let why = if note.is_empty() { String::new() } else { format!(": {note}") };
    format!("{} {} of {instance} ({}) {outcome}{why}", kind.name(), id.0, phase.name())
}

/// A rate with its interval, for people.
pub(crate) fn per_hour(growth: wire::Interval) -> String {
    let Interval { low, mid, high } =
        Interval { low: growth.low, mid: growth.mid, high: growth.high.unwrap_or(f64::INFINITY) }.map(BytesPerHour);
    format!("{mid} ({low} to {high})")
}

#[cfg(test)]
mod tests;
