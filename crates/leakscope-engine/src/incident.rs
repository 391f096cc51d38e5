//! Incidents: opened when a replica of a service leaks, recovered when none does any more, verified and closed when it stays so.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::{Incident, IncidentId, IncidentState, TargetId, Timestamp, Transition, Verdict};

use crate::suspects;

/// That a recovered incident is over is verified after this time without a relapse, on the detector's clock.
const VERIFY_AFTER: Duration = Duration::from_hours(6);
/// A recovered incident closes after this time without a relapse, on the detector's clock.
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

    /// The service's incident, where it goes on.
    pub(crate) fn open(&self, service: &str) -> Option<&Incident> {
        self.living(service).and_then(|id| self.get(id)).filter(|incident| incident.state.is_open())
    }

    /// Changes an incident, and returns it as it is then.
    pub(crate) fn update(&mut self, id: IncidentId, change: impl FnOnce(&mut Incident)) -> Option<Incident> {
        let incident = self.incidents.get_mut(&id)?;
        change(incident);
        Some(incident.clone())
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
        let id = self.living(service).unwrap_or_else(|| self.begin(now, service, verdict));
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
        // Another replica of a service that is known to leak takes nothing back of what is known.
        if reopened || incident.transitions.is_empty() {
            incident.state = IncidentState::Open;
            incident.kind = verdict.kind;
        }
        let reason = verdict.reasons.first().map(ToString::to_string).unwrap_or_default();
        incident.transitions.push(Transition {
            at: now,
            to: incident.state,
            cause: format!("`{instance}` leaks: {reason}"),
        });
        Some(incident.clone())
    }

    fn begin(&mut self, now: Timestamp, service: &str, verdict: &Verdict) -> IncidentId {
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

    /// Verifies what has been recovered for six hours, and closes what has been for a day. `elapsed` measures on the detector's clock.
    pub(crate) fn age(&mut self, now: Timestamp, elapsed: impl Fn(Timestamp, Timestamp) -> Duration) -> Vec<Incident> {
        let mut changed = Vec::new();
        let incidents = &mut self.incidents;
        self.living.retain(|_, id| {
            let Some(incident) = incidents.get_mut(id) else { return false };
            let (to, cause) = match (incident.state, elapsed(recovered_at(incident), now)) {
                (IncidentState::Recovered | IncidentState::Verified, quiet) if quiet >= CLOSE_AFTER => {
                    (IncidentState::Closed, "no replica leaked for a day")
                }
                (IncidentState::Recovered, quiet) if quiet >= VERIFY_AFTER => {
                    (IncidentState::Verified, "no replica leaked for six hours")
                }
                _ => return true,
            };
            incident.state = to;
            incident.transitions.push(Transition { at: now, to, cause: cause.into() });
            changed.push(incident.clone());
            to != IncidentState::Closed
        });
        changed
    }
}

/// When it recovered last.
fn recovered_at(incident: &Incident) -> Timestamp {
    let last = incident.transitions.iter().rev().find(|transition| transition.to == IncidentState::Recovered);
    last.map_or(incident.opened_at, |transition| transition.at)
}

/// Whether there is nothing more to learn: a site is named, and was confirmed since the service leaks.
pub(crate) fn is_settled(incident: &Incident) -> bool {
    let first = incident.suspects.first();
    let explained = incident.transitions.iter().rev().take_while(|transition| transition.to.is_open());
    explained.into_iter().any(|transition| transition.to == IncidentState::Explained)
        && first.is_some_and(|first| suspects::explains(first) && first.confirmations >= suspects::CONFIRMED)
}
