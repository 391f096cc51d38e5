//! The engine's state in the wire's words.

use leakscope_engine::{Engine, ServiceView, Watch};
use leakscope_model::{Signal, TargetId};
use leakscope_wire as wire;

/// Floors in a sparkline.
const SPARKLINE_POINTS: usize = 32;

/// One target.
pub(crate) fn target_dto(id: TargetId, watch: &Watch) -> wire::Target {
    let (target, health) = (&watch.target, &watch.health);
    wire::Target {
        id: id.to_string(),
        job: target.job.clone(),
        instance: target.instance.clone(),
        service: target.service.clone(),
        version: target.version.clone(),
        runtime: target.runtime.name().into(),
        labels: target.labels.clone(),
        up: health.up,
        last_scrape_at: health.last_scrape_at.map(wire::rfc3339),
        last_duration_ms: health.last_duration.map(|duration| duration.as_secs_f64() * 1_000.0),
        last_error: health.last_error.clone(),
        interval_s: target.interval.as_secs_f64(),
        signals: watch.last.iter().map(|(signal, value)| (signal.name().to_owned(), value)).collect(),
        verdict: (&watch.verdict()).into(),
        opinion: watch
            .opinion
            .as_ref()
            .map(|opinion| wire::Opinion { leak_score: opinion.leak_score, status: opinion.status.clone() }),
    }
}

/// One service; `None` when it has lost its last replica.
pub(crate) fn service_dto(view: &ServiceView<'_>) -> Option<wire::Service> {
    let (id, worst) = view.worst()?;
    Some(wire::Service {
        name: view.key.name.clone(),
        version: view.key.version.clone(),
        runtime: worst.target.runtime.name().into(),
        replicas: view.replicas.len() as u32,
        replicas_up: view.replicas.iter().filter(|(_, watch)| watch.health.up == Some(true)).count() as u32,
        verdict: (&worst.verdict()).into(),
        worst_target: id.to_string(),
        memory_bytes: worst.memory(),
        limit_bytes: worst.last.get(Signal::Limit),
        sparkline: worst.recent_floors(SPARKLINE_POINTS),
        incident: view.incident.map(|id| id.0),
    })
}

/// Services by state.
pub(crate) fn state_counts(engine: &Engine) -> wire::StateCounts {
    use leakscope_model::State;
    let mut counts = wire::StateCounts::default();
    for view in engine.services() {
        let count = match view.worst().map(|(_, watch)| watch.state()) {
            Some(State::Leaking) => &mut counts.leaking,
            Some(State::Suspect) => &mut counts.suspect,
            Some(State::Recovered) => &mut counts.recovered,
            Some(State::Steady) => &mut counts.steady,
            Some(State::TooEarly) | None => &mut counts.too_early,
        };
        *count += 1;
    }
    counts
}
