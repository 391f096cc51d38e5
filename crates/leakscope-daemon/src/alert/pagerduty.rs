//! `PagerDuty`, Events API version 2: one incident there for one incident here, by its key.
//!
//! Source: <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>.

use leakscope_model::Timestamp;
use leakscope_wire::rfc3339;
use serde_json::json;

use super::word::{Word, annotations, cut};
use crate::config::{Secret, Severity};

/// Longest summary, characters.
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Longest key, characters.
const DEDUP_CHARS_MAX: usize = 255;

/// The body of a request.
pub(super) fn payload(word: &Word, routing_key: &Secret, severity: Option<Severity>) -> String {
    let story = &word.story;
    let mut event = json!({
        "routing_key": routing_key.expose(),
        "event_action": if word.firing { "trigger" } else { "resolve" },
        "dedup_key": cut(&word.dedup, DEDUP_CHARS_MAX),
        "client": "leakscope",
    });
    let Some(fields) = event.as_object_mut() else { return String::new() };
    if word.firing {
        let severity = match severity {
            Some(severity) => severity.name(),
            None => &story.severity,
        };
        fields.insert(
            "payload".into(),
            json!({
                "summary": cut(&word.title, SUMMARY_CHARS_MAX),
                "source": story.service,
                "severity": severity,
                "timestamp": rfc3339(Timestamp::from_millis(word.started_ms)),
                "component": story.service,
                "class": "memory leak",
                "custom_details": annotations(word),
            }),
        );
    }
    if !story.url.is_empty() {
        fields.insert("client_url".into(), story.url.clone().into());
        fields.insert("links".into(), json!([{ "href": story.url, "text": "Open in leakscope" }]));
    }
    event.to_string()
}
