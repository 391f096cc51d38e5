//! Alertmanager, API version 2: `POST /api/v2/alerts`, a list of alerts. It groups, repeats and deduplicates by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::Timestamp;
use leakscope_wire::rfc3339;
use serde::Serialize;

use super::word::{Word, annotations};

/// How often what fires is sent again.
pub(super) const RESEND_EVERY: Duration = Duration::from_mins(1);
/// How long Alertmanager takes an alert for firing without hearing of it again: four times that, as Prometheus does.
const STANDS_FOR: Duration = Duration::from_mins(4);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostableAlert<'a> {
    labels: &'a BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
}

/// The body of a request.
pub(super) fn payload(words: &[Word], now: Timestamp) -> String {
    let alerts: Vec<PostableAlert<'_>> = words.iter().map(|word| alert(word, now)).collect();
    serde_json::to_string(&alerts).unwrap_or_default()
}

fn alert(word: &Word, now: Timestamp) -> PostableAlert<'_> {
    let ends_at = word.ended_ms.map_or(now.plus(STANDS_FOR), |ended| Timestamp::from_millis(ended).min(now));
    PostableAlert {
        labels: &word.story.labels,
        annotations: annotations(word),
        starts_at: rfc3339(Timestamp::from_millis(word.started_ms).min(ends_at)),
        ends_at: rfc3339(ends_at),
        generator_url: &word.story.url,
    }
}
