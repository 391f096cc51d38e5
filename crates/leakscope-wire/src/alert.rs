//! What receivers were told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The newest deliveries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alerts {
    /// Newest first.
    pub alerts: Vec<Alert>,
}

/// One thing that one receiver is to be told, or was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its number in the journal.
    pub id: u64,
    /// The receiver and the way to it: `ops/slack[0]`.
    pub receiver: String,
    /// The incident that it tells of.
    pub incident: Option<u64>,
    /// The service that leaks.
    pub service: String,
    /// `opened`, `flapping`, `explained`, `repeated` or `resolved`.
    pub occasion: String,
    /// The line that says it all.
    pub title: String,
    /// Whether the alert stands, or is over.
    pub firing: bool,
    /// `waiting`, `delivered` or `given-up`.
    pub state: String,
    /// When it was decided, RFC 3339.
    pub created_at: String,
    /// When it is tried next, RFC 3339; `null` when it is not tried any more.
    pub next_try_at: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When the receiver took it, RFC 3339.
    pub delivered_at: Option<String>,
    /// Why the last try failed.
    pub last_error: Option<String>,
}
