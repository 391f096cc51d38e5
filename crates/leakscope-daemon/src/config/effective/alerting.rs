//! The section `alerting` as it is in force.

use super::{Yaml, add_list, mapping, of_client, of_duration, of_secret, of_text, of_tls, texts};
use crate::config::alerting::{Alerting, Route};
use crate::config::http::{HttpClient, Tls};
use crate::config::receiver::{Integration, Receiver, Sink};

/// Keys of the ways to tell a receiver, in the order in which they are read.
const KEYS: [(&str, &str); 5] = [
    ("alertmanager", "alertmanager_configs"),
    ("webhook", "webhook_configs"),
    ("slack", "slack_configs"),
    ("pagerduty", "pagerduty_configs"),
    ("email", "email_configs"),
];

pub(super) fn of_alerting(alerting: &Alerting) -> Yaml {
    let mut entries = Vec::new();
    add_list(&mut entries, "receivers", &alerting.receivers, of_receiver);
    entries.extend(alerting.route.as_ref().map(|route| ("route", of_route(route, true))));
    entries.push(("severity", Yaml::Text(alerting.severity.name().to_owned())));
    // Templates are read as they are written, so that no dollar is doubled here.
    entries.extend(alerting.title.as_ref().map(|title| ("title", Yaml::Text(title.source().to_owned()))));
    entries.extend(alerting.text.as_ref().map(|text| ("text", Yaml::Text(text.source().to_owned()))));
    let flapping = &alerting.flapping;
    entries.push((
        "flapping",
        mapping([
            ("openings", Yaml::Whole(u64::from(flapping.openings))),
            ("window", of_duration(flapping.window)),
            ("quiet", of_duration(flapping.quiet)),
        ]),
    ));
    entries.extend(alerting.watchdog.as_ref().map(|watchdog| {
        let receiver = ("receiver", of_text(&watchdog.receiver));
        ("watchdog", mapping([receiver, ("interval", of_duration(watchdog.interval))]))
    }));
    mapping(entries)
}

fn of_receiver(receiver: &Receiver) -> Yaml {
    let mut entries = vec![("name", of_text(&receiver.name))];
    for (name, key) in KEYS {
        let of_kind: Vec<&Integration> = receiver.integrations.iter().filter(|one| one.sink.name() == name).collect();
        add_list(&mut entries, key, &of_kind, |one| of_integration(one));
    }
    mapping(entries)
}

fn of_integration(one: &Integration) -> Yaml {
    let mut entries = of_sink(&one.sink);
    if matches!(one.sink, Sink::Email(_)) {
        if one.http.tls != Tls::default() {
            entries.push(("tls_config", of_tls(&one.http.tls)));
        }
    } else if one.http != HttpClient::default() {
        let mut client = of_client(&one.http);
        client.retain(|(key, _)| *key != "follow_redirects");
        entries.push(("http_config", mapping(client)));
    }
    entries.push(("timeout", of_duration(one.timeout)));
    entries.push(("send_resolved", Yaml::Bool(one.send_resolved)));
    entries.extend(one.title.as_ref().map(|title| ("title", Yaml::Text(title.source().to_owned()))));
    entries.extend(one.text.as_ref().map(|text| ("text", Yaml::Text(text.source().to_owned()))));
    mapping(entries)
}

fn of_sink(sink: &Sink) -> Vec<(&'static str, Yaml)> {
    match sink {
        Sink::Alertmanager(urls) => vec![("urls", texts(urls.iter().map(super::escape)))],
        Sink::Webhook(url) => vec![of_secret("url", "url_file", url)],
        Sink::Slack { api_url, channel } => {
            let mut entries = vec![of_secret("api_url", "api_url_file", api_url)];
            entries.extend(channel.as_ref().map(|channel| ("channel", of_text(channel))));
            entries
        }
        Sink::PagerDuty { routing_key, url, severity } => {
            let mut entries = vec![of_secret("routing_key", "routing_key_file", routing_key), ("url", of_text(url))];
            entries.extend(severity.map(|severity| ("severity", Yaml::Text(severity.name().to_owned()))));
            entries
        }
        Sink::Email(email) => {
            let to: Vec<String> = email.to.iter().map(ToString::to_string).collect();
            let host = if email.host.contains(':') { format!("[{}]", email.host) } else { email.host.clone() };
            let mut entries = vec![
                ("to", of_text(&to.join(", "))),
                ("from", of_text(&email.from.to_string())),
                ("smarthost", of_text(&format!("{host}:{}", email.port))),
                ("encryption", Yaml::Text(email.encryption.name().to_owned())),
            ];
            entries.extend(email.hello.as_ref().map(|hello| ("hello", of_text(hello))));
            if let Some((user, password)) = &email.auth {
                entries.push(("auth_username", of_text(user)));
                entries.push(of_secret("auth_password", "auth_password_file", password));
            }
            entries
        }
    }
}

fn of_route(route: &Route, root: bool) -> Yaml {
    let mut entries = vec![("receiver", of_text(&route.receiver))];
    add_list(&mut entries, "matchers", &route.matchers, |matcher| {
        Yaml::Text(format!("{}{}\"{}\"", matcher.label, matcher.operator, matcher.value))
    });
    if !root {
        entries.push(("continue", Yaml::Bool(route.continues)));
    }
    entries.push(("group_wait", of_duration(route.group_wait)));
    entries.push(("group_interval", of_duration(route.group_interval)));
    entries.push(("repeat_interval", of_duration(route.repeat_interval)));
    add_list(&mut entries, "routes", &route.routes, |child| of_route(child, false));
    mapping(entries)
}
