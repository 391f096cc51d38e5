//! Incidents: opened when a replica of a service leaks, recovered when none does any more, closed when it stays so.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{Incident, IncidentId, IncidentState, TargetId, Timestamp, Transition, Verdict};

/// A recovered incident closes after this time without a relapse.
const CLOSE_AFTER: Duration = Duration::from_hours(24);
/// Incidents kept in memory; the oldest closed ones are left to the store.
const KEPT: usize = 10_000;

/// All incidents, and which is the living one of each service.
#[derive(Clone, Debug, Default)]
pub(crate) struct IncidentBook {
    incidents: BTreeMap<IncidentId, Incident>,
    living: BTreeMap<String, IncidentId>,
}

impl IncidentBook {
    pub(crate) fn restore(incidents: Vec<Incident>) -> Self {
        let mut book = Self::default();
        for incident in incidents {
            if incident.state != IncidentState::Closed {
                book.living.insert(incident.service.clone(), incident.id);
            }
            book.incidents.insert(incident.id, incident);
        }
        book
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.incidents.values()
    }

    pub(crate) fn get(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    pub(crate) fn living(&self, service: &str) -> Option<IncidentId> {
        self.living.get(service).copied()
    }

    /// A replica leaks: opens an incident, reopens one, or adds the replica to it. Returns what changed.
    pub(crate) fn leaks(
        &mut self,
        now: Timestamp,
        service: &str,
        target: TargetId,
        instance: &str,
        verdict: &Verdict,
    ) -> Option<Incident> {
        let id = self.living(service).unwrap_or_else(|| self.open(now, service, verdict));
        let incident = self.incidents.get_mut(&id)?;
        let known = incident.targets.binary_search(&target).err();
        if let Some(place) = known {
            incident.targets.insert(place, target);
        }
        let reopened = !incident.state.is_open();
        if known.is_none() && !reopened && !incident.transitions.is_empty() {
            return None;
        }
        incident.score = incident.score.max(verdict.score);
        incident.state = IncidentState::Open;
        incident.kind = verdict.kind;
        let reason = verdict.reasons.first().map(ToString::to_string).unwrap_or_default();
        incident.transitions.push(Transition {
            at: now,
            to: IncidentState::Open,
            cause: format!("`{instance}` leaks: {reason}"),
        });
        Some(incident.clone())
    }

    fn open(&mut self, now: Timestamp, service: &str, verdict: &Verdict) -> IncidentId {
        let id = IncidentId(self.incidents.last_key_value().map_or(0, |(id, _)| id.0) + 1);
        self.living.insert(service.into(), id);
        let incident = Incident {
            id,
            service: service.into(),
            targets: Vec::new(),
            state: IncidentState::Open,
            kind: verdict.kind,
            score: verdict.score,
            opened_at: now,
            transitions: Vec::new(),
            captures: Vec::new(),
            suspects: Vec::new(),
        };
        self.incidents.insert(id, incident);
        self.forget_oldest();
        id
    }

    fn forget_oldest(&mut self) {
        while self.incidents.len() > KEPT {
            let oldest = self.incidents.iter().find(|(_, incident)| incident.state == IncidentState::Closed);
            let Some(id) = oldest.map(|(id, _)| *id) else { return };
            self.incidents.remove(&id);
        }
    }

    /// No replica of the service leaks any more.
    pub(crate) fn recovered(&mut self, now: Timestamp, service: &str, cause: &str) -> Option<Incident> {
        let id = self.living(service)?;
        let incident = self.incidents.get_mut(&id).filter(|incident| incident.state.is_open())?;
        incident.state = IncidentState::Recovered;
        incident.transitions.push(Transition { at: now, to: IncidentState::Recovered, cause: cause.into() });
        Some(incident.clone())
    }

    /// Closes what has been recovered for a day. `elapsed` measures on the detector's clock.
    pub(crate) fn close_old(
        &mut self,
        now: Timestamp,
        elapsed: impl Fn(Timestamp, Timestamp) -> Duration,
    ) -> Vec<Incident> {
        let mut closed = Vec::new();
        let incidents = &mut self.incidents;
        self.living.retain(|_, id| {
            let Some(incident) = incidents.get_mut(id) else { return false };
            let recovered_at = incident.transitions.last().map_or(incident.opened_at, |last| last.at);
            if incident.state != IncidentState::Recovered || elapsed(recovered_at, now) < CLOSE_AFTER {
                return true;
            }
            incident.state = IncidentState::Closed;
            incident.transitions.push(Transition {
                at: now,
                to: IncidentState::Closed,
                cause: "no replica leaked for a day".into(),
            });
            closed.push(incident.clone());
            false
        });
        closed
    }
}
