//! What is told of an incident: made once of the engine's notice, kept in the journal as it is, rendered anew for each try.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use leakscope_engine::{Notice, Occasion};
use leakscope_model::{Finding, Incident, Timestamp};
use leakscope_wire::rfc3339;
use serde::{Deserialize, Serialize};

use crate::config::{Accused, Alerting, Story, Template};

/// The name under which leaks are alerted.
pub(super) const ALERTNAME: &str = "MemoryLeak";
/// The name of the alert that always fires.
pub(super) const WATCHDOG: &str = "LeakscopeWatchdog";
/// Suspects that an alert shows. More are left to the page.
const SUSPECTS_MAX: usize = 5;
/// Longest text of one suspect, characters. Beyond: cut.
const FACT_CHARS_MAX: usize = 400;

/// One alert as it is told to one receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Word {
    /// [`Notice::key`]: a receiver is told each word once.
    pub(super) key: String,
    pub(super) firing: bool,
    /// When the leak began that is told of, milliseconds since the epoch.
    pub(super) started_ms: i64,
    /// When it was over.
    pub(super) ended_ms: Option<i64>,
    /// Stays the same over an incident's life.
    pub(super) dedup: String,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) story: Story,
}

/// What every alert of one leakscope has in common.
#[derive(Clone, Debug, Default)]
pub(super) struct House {
    /// `global.external_labels`.
    pub(super) labels: BTreeMap<String, String>,
    /// `web.external_url` without its last slash; empty without one.
    pub(super) url: String,
    /// `alerting.severity`.
    pub(super) severity: &'static str,
}

impl Word {
    /// The word of a notice, without title and text.
    pub(super) fn of(notice: &Notice, house: &House) -> Self {
        let incident = &notice.incident;
        let suspects: Vec<Accused> = incident.suspects.iter().take(SUSPECTS_MAX).map(accused).collect();
        let story = Story {
            status: if notice.firing { "firing" } else { "resolved" }.into(),
            occasion: notice.occasion.name().into(),
            service: incident.service.clone(),
            incident: incident.id.0,
            state: incident.state.name().into(),
            kind: incident.kind.name().into(),
            severity: house.severity.into(),
            score: if incident.score.is_finite() { incident.score } else { 0.0 },
            opened_at: rfc3339(incident.opened_at),
            at: rfc3339(notice.at),
            n_replicas: incident.targets.len(),
            cause: incident.transitions.last().map(|last| cut(&last.cause, FACT_CHARS_MAX)).unwrap_or_default(),
            suspect: suspects.first().cloned(),
            suspects,
            labels: labels(incident, house),
            url: page(&house.url, &incident.service),
        };
        Self {
            key: notice.key.clone(),
            firing: notice.firing,
            started_ms: began(incident).as_millis(),
            ended_ms: (!notice.firing).then_some(notice.at.as_millis()),
            dedup: dedup(incident),
            title: String::new(),
            text: String::new(),
            story,
        }
    }

    /// With title and text; a template that fails at this alert gives way to ours, and says so.
    pub(super) fn worded(mut self, title: Option<&Template>, text: Option<&Template>) -> Self {
        let mut failed = Vec::new();
        let mut render = |template: Option<&Template>, ours: String| match template.map(|one| one.render(&self.story)) {
            None => ours,
            Some(Ok(text)) => text,
            Some(Err(reason)) => {
                tracing::warn!(reason, "a template of an alert failed; it is told in our words");
                failed.push(reason);
                ours
            }
        };
        let title = render(title, default_title(&self.story));
        let mut text = render(text, default_text(&self.story));
        for reason in failed {
            let _ = write!(text, "\n(the configured template failed: {reason})");
        }
        // One line, and no character that could end a header or a field.
        self.title =
            title.split(char::is_control).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let kept: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        kept.trim().clone_into(&mut self.text);
        self
    }

    /// What `alert test` sends: an alert that tells that it is none.
    pub(crate) fn test(
        alerting: &Alerting,
        house_labels: &BTreeMap<String, String>,
        now: Timestamp,
        firing: bool,
    ) -> Self {
        let [mut story, _, _] = crate::config::samples();
        story.status = if firing { "firing" } else { "resolved" }.into();
        story.occasion = "test".into();
        story.service = "leakscope-test".into();
        story.incident = 0;
        story.severity = alerting.severity.name().into();
        story.opened_at = rfc3339(now);
        story.at = rfc3339(now);
        story.cause = "this is a test by `leakscope alert test`; nothing leaks".into();
        let house = House { labels: house_labels.clone(), severity: alerting.severity.name(), ..House::default() };
        story.labels = labels_of("leakscope-test", 0, &house);
        Self {
            key: format!("test/{}", now.as_millis()),
            firing,
            started_ms: now.as_millis(),
            ended_ms: (!firing).then_some(now.as_millis()),
            dedup: format!("leakscope/test/{}", now.as_millis()),
            title: String::new(),
            text: String::new(),
            story,
        }
    }

    /// The alert that always fires.
    pub(super) fn watchdog(house: &House, now: Timestamp) -> Self {
        let mut labels = external(house);
        labels.insert("alertname".into(), WATCHDOG.into());
        labels.insert("severity".into(), "none".into());
        let story = Story {
            status: "firing".into(),
            occasion: "watchdog".into(),
            severity: "none".into(),
            at: rfc3339(now),
            labels,
            url: house.url.clone(),
            ..Story::default()
        };
        Self {
            key: format!("watchdog/{}", now.as_millis()),
            firing: true,
            started_ms: now.as_millis(),
            ended_ms: None,
            dedup: "leakscope/watchdog".into(),
            title: "leakscope is alive".into(),
            text: "This alert always fires. When it stays away, leakscope is dead or cannot reach you.".into(),
            story,
        }
    }
}

/// When the leak began that the incident is in now: its last opening.
fn began(incident: &Incident) -> Timestamp {
    let mut began = incident.opened_at;
    let mut leaks = false;
    for transition in &incident.transitions {
        if transition.to.is_open() && !leaks {
            began = transition.at;
        }
        leaks = transition.to.is_open();
    }
    began
}

/// Labels name an alert: none of them may change while the incident lives, so no number and no kind is among them.
fn labels(incident: &Incident, house: &House) -> BTreeMap<String, String> {
    labels_of(&incident.service, incident.id.0, house)
}

fn labels_of(service: &str, incident: u64, house: &House) -> BTreeMap<String, String> {
    let mut labels = external(house);
    labels.insert("alertname".into(), ALERTNAME.into());
    labels.insert("service".into(), service.into());
    labels.insert("severity".into(), house.severity.into());
    labels.insert("incident".into(), incident.to_string());
    labels
}

/// External labels, with names that Alertmanager takes.
fn external(house: &House) -> BTreeMap<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |name: &str| -> String {
        let name: String = name.chars().map(|c| if legal(c) { c } else { '_' }).collect();
        if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
    };
    house.labels.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (name(key), value.clone())).collect()
}

fn dedup(incident: &Incident) -> String {
    let service = cut(&incident.service, 180);
    format!("leakscope/{service}/{}/{}", incident.id, incident.opened_at.as_millis())
}

fn page(url: &str, service: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let mut shown = format!("{url}/#/service/");
    for byte in service.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            shown.push(char::from(byte));
        } else {
            let _ = write!(shown, "%{byte:02X}");
        }
    }
    shown
}

fn accused(finding: &Finding) -> Accused {
    let suspect = &finding.suspect;
    let location = suspect.location.as_ref().map(|place| format!("{}:{}", place.file, place.line));
    Accused {
        title: cut(&suspect.title, FACT_CHARS_MAX),
        kind: suspect.kind.clone(),
        name: cut(&suspect.name, FACT_CHARS_MAX),
        location: cut(&location.unwrap_or_default(), FACT_CHARS_MAX),
        bytes: suspect.bytes,
        count: suspect.count,
        share: suspect.share,
        confidence: suspect.confidence,
        reason: cut(&suspect.reason, FACT_CHARS_MAX),
    }
}

fn default_title(story: &Story) -> String {
    let what = match story.kind.as_str() {
        "tasks" => "goroutines, threads or tasks",
        "descriptors" => "file descriptors",
        _ => "memory",
    };
    match story.occasion.as_str() {
        "test" => "A test of leakscope's alerts".to_owned(),
        "resolved" => format!("{} no longer leaks {what}", story.service),
        "flapping" => format!("{} leaks {what} on and off", story.service),
        "repeated" => format!("{} still leaks {what}", story.service),
        _ => match &story.suspect {
            Some(suspect) => format!("{} leaks {what}: {}", story.service, suspect.name),
            None => format!("{} leaks {what}", story.service),
        },
    }
}

fn default_text(story: &Story) -> String {
    let mut lines = vec![story.cause.clone()];
    if let Some(suspect) = &story.suspect {
        let place = if suspect.location.is_empty() { String::new() } else { format!(" ({})", suspect.location) };
        lines.push(format!("Suspect: {}{place}, confidence {:.0} %", suspect.title, suspect.confidence * 100.0));
        lines.push(suspect.reason.clone());
    }
    if story.incident != 0 {
        let replicas =
            if story.n_replicas == 1 { "1 replica".to_owned() } else { format!("{} replicas", story.n_replicas) };
        lines.push(format!(
            "Incident {} since {}: {replicas}, score {:.2}",
            story.incident, story.opened_at, story.score
        ));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// What stands beside an alert in Alertmanager and webhooks: all that may change, and every number.
pub(super) fn annotations(word: &Word) -> BTreeMap<&'static str, String> {
    let story = &word.story;
    let mut annotations = BTreeMap::from([("summary", word.title.clone()), ("description", word.text.clone())]);
    if story.occasion != "watchdog" {
        annotations.insert("kind", story.kind.clone());
        annotations.insert("state", story.state.clone());
        annotations.insert("occasion", story.occasion.clone());
        annotations.insert("score", format!("{:.2}", story.score));
        annotations.insert("replicas", story.n_replicas.to_string());
        annotations.insert("opened_at", story.opened_at.clone());
    }
    if let Some(suspect) = &story.suspect {
        annotations.insert("suspect", suspect.title.clone());
        annotations.insert("site", suspect.name.clone());
        annotations.insert("location", suspect.location.clone());
        annotations.insert("confidence", format!("{:.2}", suspect.confidence));
    }
    annotations.retain(|_, value| !value.is_empty());
    annotations
}

/// At most so many characters; what is cut ends in an ellipsis.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Whether a notice of this kind adds to what Alertmanager knows: it repeats by itself what it is sent again and again.
pub(super) fn is_news_to_alertmanager(occasion: Occasion) -> bool {
    occasion != Occasion::Repeated
}
