//! What receivers were told, and what they are to be told.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use leakscope_store::Delivery;
use leakscope_wire as wire;
use serde::Deserialize;

use super::ApiState;
use super::params::{Params, rows_of_page};
use super::problem::Problem;

/// Which deliveries.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertsQuery {
    /// How many of the newest, at most 10,000; 1,000 by default.
    limit: Option<usize>,
}

/// The newest deliveries of alerts, newest first.
#[utoipa::path(get, path = "/api/v1/alerts", params(AlertsQuery), responses((status = 200, body = wire::Alerts), (status = 400, body = wire::Problem, content_type = "application/problem+json"), (status = 500, body = wire::Problem, content_type = "application/problem+json")))]
pub(crate) async fn alerts(
    State(state): State<Arc<ApiState>>,
    query: Params<AlertsQuery>,
) -> Result<Json<wire::Alerts>, Problem> {
    let Params { value: query, path } = query;
    let limit = rows_of_page(query.limit, &path)?;
    let deliveries = state.store.deliveries(limit).map_err(|error| Problem::internal(error.to_string(), &path))?;
    Ok(Json(wire::Alerts { alerts: deliveries.iter().map(shown).collect() }))
}

/// The part of a journalled word that is shown.
#[derive(Default, Deserialize)]
struct Shown {
    #[serde(default)]
    title: String,
    #[serde(default)]
    story: Story,
}

#[derive(Default, Deserialize)]
struct Story {
    #[serde(default)]
    service: String,
    #[serde(default)]
    occasion: String,
}

fn shown(delivery: &Delivery) -> wire::Alert {
    let word: Shown = serde_json::from_str(&delivery.body).unwrap_or_default();
    let waits = delivery.delivered_at.is_none() && !delivery.given_up;
    wire::Alert {
        id: delivery.id,
        receiver: delivery.receiver.clone(),
        incident: delivery.incident.map(|incident| incident.0),
        service: word.story.service,
        occasion: word.story.occasion,
        title: word.title,
        firing: delivery.firing,
        state: if waits {
            "waiting"
        } else if delivery.given_up {
            "given-up"
        } else {
            "delivered"
        }
        .into(),
        created_at: wire::rfc3339(delivery.created_at),
        next_try_at: waits.then(|| wire::rfc3339(delivery.next_try_at)),
        attempts: delivery.attempts,
        delivered_at: delivery.delivered_at.map(wire::rfc3339),
        last_error: delivery.last_error.clone().filter(|_| delivery.delivered_at.is_none()),
    }
}
