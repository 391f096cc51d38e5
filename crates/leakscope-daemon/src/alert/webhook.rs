//! The generic webhook: what Alertmanager sends to webhooks, schema version 4, so that every receiver for it works.
//!
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.

use std::collections::BTreeMap;

use leakscope_model::Timestamp;
use leakscope_wire::rfc3339;
use serde::Serialize;

use super::word::{Word, annotations};

/// What stands for no time, as Go writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert<'a>>,
    group_labels: BTreeMap<String, String>,
    common_labels: BTreeMap<String, String>,
    common_annotations: BTreeMap<String, String>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: &'a BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

/// The body of a request to `receiver`; `words` are of one service.
pub(super) fn payload(receiver: &str, words: &[Word], external_url: &str) -> String {
    let firing = words.iter().any(|word| word.firing);
    let group_labels: BTreeMap<String, String> = group_of(words);
    let labels: Vec<BTreeMap<String, String>> = words.iter().map(|word| word.story.labels.clone()).collect();
    let notes =
        words.iter().map(|word| annotations(word).into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    let matchers: Vec<String> = group_labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let message = Message {
        receiver,
        status: status(firing),
        alerts: words.iter().map(alert).collect(),
        common_labels: common(labels),
        common_annotations: common(notes.collect()),
        external_url,
        version: "4",
        group_key: format!("{{}}:{{{}}}", matchers.join(", ")),
        group_labels,
        truncated_alerts: 0,
    };
    serde_json::to_string(&message).unwrap_or_default()
}

fn alert(word: &Word) -> Alert<'_> {
    Alert {
        status: status(word.firing),
        labels: &word.story.labels,
        annotations: annotations(word),
        starts_at: rfc3339(Timestamp::from_millis(word.started_ms)),
        ends_at: word.ended_ms.map_or_else(|| NEVER.to_owned(), |ended| rfc3339(Timestamp::from_millis(ended))),
        generator_url: &word.story.url,
        fingerprint: fingerprint(&word.story.labels),
    }
}

fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

/// Alerts are grouped by `alertname` and `service`.
fn group_of(words: &[Word]) -> BTreeMap<String, String> {
    let labels = words.first().map(|word| &word.story.labels);
    let of = |name: &str| Some((name.to_owned(), labels?.get(name)?.clone()));
    [of("alertname"), of("service")].into_iter().flatten().collect()
}

/// What all of them have.
fn common(mut all: Vec<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut common = all.pop().unwrap_or_default();
    common.retain(|name, value| all.iter().all(|other| other.get(name) == Some(value)));
    common
}

/// Alertmanager's own name of a set of labels: FNV-1a, 64 bits, over names and values in order, each ended by 255.
pub(super) fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
