//! What each kind of receiver is sent, against `fixtures/alerts`. `UPDATE_EXPECTED=1` rewrites them.

use std::collections::BTreeMap;
use std::path::Path;

use leakscope_engine::{Notice, Occasion};
use leakscope_model::{
    Finding, Incident, IncidentId, IncidentState, Kind, Location, Suspect, TargetId, Timestamp, Transition,
};
use serde_json::Value;

use super::word::{House, Word};
use super::{alertmanager, email, pagerduty, slack, webhook};
use crate::config::{Config, Secret, Severity, Sink};

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_795_173_600_000 + secs * 1_000)
}

/// An incident of `service` with these states, one minute after the other.
pub(super) fn incident(id: u64, service: &str, states: &[IncidentState]) -> Incident {
    let transition = |(minute, state): (usize, &IncidentState)| Transition {
        at: at(60 * minute as i64),
        to: *state,
        cause: format!("`{service}:8080` leaks: live heap grew <fast> & \"steadily\""),
    };
    Incident {
        id: IncidentId(id),
        service: service.into(),
        targets: vec![TargetId::of("shop", "cart:8080", "")],
        state: *states.last().unwrap(),
        kind: Kind::Managed,
        score: 1.2345,
        opened_at: at(0),
        transitions: states.iter().enumerate().map(transition).collect(),
        captures: Vec::new(),
        suspects: Vec::new(),
    }
}

pub(super) fn explained(mut incident: Incident) -> Incident {
    incident.suspects = vec![Finding {
        suspect: Suspect {
            title: "`Cart.add` keeps 120 MiB <in> 9,000 objects".into(),
            kind: "object".into(),
            name: "Cart.add".into(),
            bytes: 120 << 20,
            count: 9_000,
            share: 0.9,
            path: Vec::new(),
            stack: Vec::new(),
            location: Some(Location { file: "cart.js".into(), line: 42, column: None }),
            confidence: 0.95,
            reason: "it grew in every step".into(),
        },
        identity: None,
        growth_bytes: None,
        growth_count: None,
        grew_in_every_step: Some(true),
        captures: Vec::new(),
        confirmations: 2,
    }];
    incident
}

pub(super) fn notice(incident: &Incident, occasion: Occasion) -> Notice {
    let at = incident.transitions.last().unwrap().at;
    let key = format!("{}/{}/{}", incident.id, occasion.name(), at.as_millis());
    Notice { incident: incident.clone(), firing: occasion != Occasion::Resolved, occasion, at, key }
}

fn words() -> [Word; 2] {
    let house = House {
        labels: BTreeMap::from([("cluster".into(), "eu1".into()), ("data-center".into(), "a".into())]),
        url: "https://leakscope.example.org".into(),
        severity: "warning",
    };
    let states = [IncidentState::Open, IncidentState::Explained];
    let named = notice(&explained(incident(7, "cart & co", &states)), Occasion::Explained);
    let states = [IncidentState::Open, IncidentState::Recovered];
    let over = notice(&incident(8, "cart & co", &states), Occasion::Resolved);
    [named, over].map(|notice| Word::of(&notice, &house).worded(None, None))
}

fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/alerts").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{}:\n{found}", path.display());
}

fn compare_json(name: &str, body: &str) {
    let value: Value = serde_json::from_str(body).unwrap();
    compare(name, &format!("{}\n", serde_json::to_string_pretty(&value).unwrap()));
}

#[test]
fn every_receiver_is_sent_what_its_documentation_asks_for() {
    let words = words();
    compare_json("alertmanager.json", &alertmanager::payload(&words, at(600)));
    compare_json("webhook.json", &webhook::payload("ops", &words, "https://leakscope.example.org"));
    compare_json("slack.json", &slack::payload(&words, Some("#memory")));
    let key = Secret::new("hunter2");
    compare_json("pagerduty-trigger.json", &pagerduty::payload(&words[0], &key, Some(Severity::Critical)));
    compare_json("pagerduty-resolve.json", &pagerduty::payload(&words[1], &key, None));
}

#[test]
fn no_label_is_a_number_that_changes_and_every_annotation_is_a_text() {
    let house = House { severity: "warning", ..House::default() };
    let mut changed = incident(7, "cart", &[IncidentState::Open]);
    let labels = |incident: &Incident| Word::of(&notice(incident, Occasion::Opened), &house).story.labels;
    let before = labels(&changed);
    changed.score = 9.0;
    changed.kind = Kind::Fragmentation;
    changed.targets.clear();
    assert_eq!(labels(&changed), before);
}

#[test]
fn slack_is_never_sent_more_than_it_takes_and_nobody_is_mentioned() {
    let mut long = incident(1, &"<!channel> ".repeat(100), &[IncidentState::Open]);
    long.transitions[0].cause = "<@U1>&".repeat(2_000);
    let word = Word::of(&notice(&long, Occasion::Opened), &House::default());
    let word = Word { text: "<!here> ".repeat(1_000), ..word.worded(None, None) };
    let message: Value = serde_json::from_str(&slack::payload(&vec![word; 60], None)).unwrap();
    let blocks = message["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50, "{}", blocks.len());
    for block in blocks {
        let text = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str()).unwrap();
        let (most, markup) = match block["type"].as_str().unwrap() {
            "header" => (150, false),
            "section" => (3_000, true),
            _ => (3_000, false),
        };
        assert!(text.chars().count() <= most, "{}", text.len());
        assert!(!markup || !text.contains('<'), "{text}");
    }
    assert!(!message["text"].as_str().unwrap().contains('<'));
}

#[test]
fn a_key_of_pagerduty_is_the_same_over_an_incidents_life_and_never_too_long() {
    let of = |service: &str, occasion, states: &[IncidentState]| {
        let word = Word::of(&notice(&incident(3, service, states), occasion), &House::default()).worded(None, None);
        let event: Value = serde_json::from_str(&pagerduty::payload(&word, &Secret::new("k"), None)).unwrap();
        (event["dedup_key"].as_str().unwrap().to_owned(), event["event_action"].as_str().unwrap().to_owned())
    };
    let long = "s".repeat(2_000);
    let (opened, trigger) = of(&long, Occasion::Opened, &[IncidentState::Open]);
    let (over, resolve) = of(&long, Occasion::Resolved, &[IncidentState::Open, IncidentState::Recovered]);
    assert_eq!((&opened, trigger.as_str(), resolve.as_str()), (&over, "trigger", "resolve"));
    assert!(opened.chars().count() <= 255);
}

fn mail_settings() -> crate::config::Email {
    let text = "alerting: {receivers: [{name: a, email_configs: [{to: 'Ops <ops@example.org>, dev@example.org', from: leakscope@example.org, smarthost: 'mail:25'}]}]}";
    let config = Config::parse(text, "x.yaml", &|_| None).unwrap();
    match &config.alerting.receivers[0].integrations[0].sink {
        Sink::Email(email) => (**email).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mail_has_a_text_and_a_page_and_the_same_id_at_every_try() {
    let mail = |id: &str| {
        let message = email::message(&mail_settings(), &words(), id, at(600)).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    };
    let one = mail("leakscope-1-2");
    let boundary = one.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    compare("email.txt", &one.replace(&boundary, "BOUNDARY").replace("\r\n", "\n"));
    let id = |mail: &str| mail.lines().find(|line| line.starts_with("Message-ID")).unwrap().to_owned();
    assert_eq!(id(&one), id(&mail("leakscope-1-2")));
    assert_ne!(id(&one), id(&mail("leakscope-1-3")));
}

#[test]
fn no_text_of_a_service_becomes_a_header_of_a_mail() {
    let evil = incident(1, "cart\r\nBcc: all@example.org\r\n\r\n<script>", &[IncidentState::Open]);
    let word = Word::of(&notice(&evil, Occasion::Opened), &House::default()).worded(None, None);
    let message = email::message(&mail_settings(), &[word], "id\r\nBcc: x@y.z", at(0)).unwrap();
    let text = String::from_utf8(message.formatted()).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    let (_, html) = text.split_once("text/html").unwrap();
    assert!(!html.contains("<script>"), "{html}");
}

#[test]
fn a_template_that_fails_at_one_alert_gives_way_to_our_words() {
    let text = "alerting:\n  title: '{% if incident > 100 %}{{ suspect.name }}{% endif %}x'\n";
    let config = Config::parse(text, "x.yaml", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    let told = |id| {
        let notice = notice(&incident(id, "cart", &[IncidentState::Open]), Occasion::Opened);
        Word::of(&notice, &House::default()).worded(config.alerting.title.as_ref(), None)
    };
    assert_eq!(told(1).title, "x");
    assert_eq!(told(101).title, "cart leaks memory");
    assert!(told(101).text.contains("the configured template failed: line 1, column"), "{}", told(101).text);
}
