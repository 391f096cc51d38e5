//! Services: the replicas that share a name and a version, judged by the worst.

use leakscope_model::{IncidentId, TargetId};

use crate::watch::Watch;

/// What makes a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Its name.
    pub name: String,
    /// Its version, where known.
    pub version: Option<String>,
}

impl ServiceKey {
    pub(crate) fn of(watch: &Watch) -> Self {
        Self { name: watch.target.service.clone(), version: watch.target.version.clone() }
    }
}

/// A service with its replicas, for showing.
#[derive(Clone, Debug)]
pub struct ServiceView<'a> {
    /// What makes it.
    pub key: &'a ServiceKey,
    /// Its replicas by id; never empty.
    pub replicas: Vec<(TargetId, &'a Watch)>,
    /// Its open or recovered incident.
    pub incident: Option<IncidentId>,
}

impl<'a> ServiceView<'a> {
    /// The worst replica: by state, then score, then the smaller id.
    pub fn worst(&self) -> Option<(TargetId, &'a Watch)> {
        let mut worst: Option<(TargetId, &'a Watch)> = None;
        for (id, watch) in &self.replicas {
            let worse = worst.is_none_or(|(_, other)| {
                (watch.state(), watch.score()).partial_cmp(&(other.state(), other.score()))
                    == Some(std::cmp::Ordering::Greater)
            });
            if worse {
                worst = Some((*id, watch));
            }
        }
        worst
    }

    /// Counts up with every change of a replica that a person could see.
    pub fn revision(&self) -> u64 {
        self.replicas.iter().map(|(_, watch)| watch.revision).max().unwrap_or(0)
    }
}
