//! When receivers are told of an incident: once it opens, when it is explained, again after a while, and when it is over.

use std::time::Duration;

/// When receivers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// How long after the last word receivers are told again of what still leaks.
    pub repeat_interval: Duration,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self { repeat_interval: Duration::from_hours(4) }
    }
}

/// What receivers were told last, by incident.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {}
