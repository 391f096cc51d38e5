//! `alerting.receivers`: Alertmanager, webhooks, Slack, `PagerDuty` and e-mail, each with its address, secrets and words.

use std::time::Duration;

use lettre::message::{Mailbox, Mailboxes};

use super::alerting::{Severity, template};
use super::http::{HttpClient, Tls, read_tls};
use super::reader::{At, Fields, Reader, found_text, words};
use super::secret::{REDACTED, Secret, Sourced};
use super::template::Template;

/// How long one delivery may take when the configuration does not say.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where `PagerDuty` takes events.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// The port on which mail is taken by TLS from the first byte (RFC 8314).
const SMTPS_PORT: u16 = 465;

/// Someone who is told, by one or several ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its name; routes refer to it.
    pub name: String,
    /// How it is told.
    pub integrations: Vec<Integration>,
}

/// One way to tell a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Integration {
    /// Which, and where.
    pub sink: Sink,
    /// Whether it is told when an incident is over.
    pub send_resolved: bool,
    /// Authentication and TLS; of mail only TLS.
    pub http: HttpClient,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// In place of `alerting.title`.
    pub title: Option<Template>,
    /// In place of `alerting.text`.
    pub text: Option<Template>,
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq)]
pub enum Sink {
    /// Every Alertmanager of a cluster, by the addresses before `/api/v2/alerts`.
    Alertmanager(Vec<String>),
    /// Alertmanager's webhook schema, version 4. The address may hold a token.
    Webhook(Sourced<Secret>),
    /// An incoming webhook of Slack, whose address is the secret.
    Slack {
        /// The address.
        api_url: Sourced<Secret>,
        /// In place of the webhook's own channel.
        channel: Option<String>,
    },
    /// Events v2.
    PagerDuty {
        /// The key of an integration.
        routing_key: Sourced<Secret>,
        /// Where events are taken.
        url: String,
        /// In place of `alerting.severity`.
        severity: Option<Severity>,
    },
    /// A mail server.
    Email(Box<Email>),
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// To whom.
    pub to: Vec<Mailbox>,
    /// From whom.
    pub from: Mailbox,
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that we greet with; this host's without it.
    pub hello: Option<String>,
    /// How the connection is secured.
    pub encryption: Encryption,
    /// User and password.
    pub auth: Option<(String, Sourced<Secret>)>,
}

/// How a connection to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// In the clear until STARTTLS, which the server must know.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all.
    None,
}

impl Encryption {
    const CHOICES: [(&'static str, Self); 3] = [("starttls", Self::StartTls), ("tls", Self::Tls), ("none", Self::None)];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Tls => "tls",
            Self::None => "none",
        }
    }
}

impl Sink {
    /// Its name in messages and in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Alertmanager(_) => "alertmanager",
            Self::Webhook(_) => "webhook",
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Email(_) => "email",
        }
    }

    /// Every file that it names, with the key that names it.
    pub fn files(&self) -> Option<(&'static str, &std::path::Path)> {
        let (key, secret) = match self {
            Self::Alertmanager(_) => return None,
            Self::Webhook(url) => ("url_file", url),
            Self::Slack { api_url, .. } => ("api_url_file", api_url),
            Self::PagerDuty { routing_key, .. } => ("routing_key_file", routing_key),
            Self::Email(email) => ("auth_password_file", &email.auth.as_ref()?.1),
        };
        Some((key, secret.file()?))
    }
}

impl Receiver {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let name = reader.text(fields, "name").map(|text| text.value).filter(|name| !name.is_empty());
        let mut integrations = Vec::new();
        integrations
            .extend(reader.list(fields, "alertmanager_configs", |r, f| Integration::read(r, f, read_alertmanager)));
        integrations.extend(reader.list(fields, "webhook_configs", |r, f| Integration::read(r, f, read_webhook)));
        integrations.extend(reader.list(fields, "slack_configs", |r, f| Integration::read(r, f, read_slack)));
        integrations.extend(reader.list(fields, "pagerduty_configs", |r, f| Integration::read(r, f, read_pagerduty)));
        integrations.extend(reader.list(fields, "email_configs", read_email));
        if name.is_none() {
            reader.error(fields.place, format!("`{}` needs `name`", fields.path), None, None);
        }
        Some(Self { name: name?, integrations })
    }

    /// Whether one of its ways is for alerts that are told again and again.
    pub(crate) fn hears_watchdog(&self) -> bool {
        self.integrations.iter().any(|one| matches!(one.sink, Sink::Alertmanager(_) | Sink::Webhook(_)))
    }
}

impl Integration {
    fn read(
        reader: &mut Reader<'_>,
        fields: &mut Fields<'_>,
        sink: impl FnOnce(&mut Reader<'_>, &mut Fields<'_>) -> Option<Sink>,
    ) -> Option<Self> {
        let sink = sink(reader, fields);
        let http = reader.section(fields, "http_config", |reader, fields| {
            let http = HttpClient::read(reader, fields);
            if fields.has("follow_redirects") {
                reader.without_effect(fields, "follow_redirects", "alerts go where the configuration says only");
            }
            http
        });
        Self::with(reader, fields, sink, http.unwrap_or_default())
    }

    fn with(reader: &mut Reader<'_>, fields: &mut Fields<'_>, sink: Option<Sink>, http: HttpClient) -> Option<Self> {
        let timeout = reader.duration(fields, "timeout").map_or(TIMEOUT, |at| at.value);
        let send_resolved = reader.boolean(fields, "send_resolved").unwrap_or(true);
        let (title, text) = (template(reader, fields, "title"), template(reader, fields, "text"));
        Some(Self { sink: sink?, send_resolved, http, timeout: timeout.max(Duration::from_secs(1)), title, text })
    }
}

fn read_alertmanager(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Sink> {
    let items = reader.items(fields, "urls");
    if items.is_empty() {
        reader.error(fields.place, format!("`{}` needs `urls`", fields.path), None, None);
    }
    let mut urls = Vec::new();
    for (node, path) in items {
        let Some(text) = reader.text_of(node, &path) else { continue };
        let url = text.value.trim_end_matches('/').trim_end_matches("/api/v2/alerts").to_owned();
        match check_url(&url) {
            Ok(()) => urls.push(url),
            Err(what) => reader.expected(what, node, &path, None),
        }
    }
    (!urls.is_empty()).then_some(Sink::Alertmanager(urls))
}

fn read_webhook(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Sink> {
    secret_url(reader, fields, "url", "url_file").map(Sink::Webhook)
}

fn read_slack(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Sink> {
    let channel = reader.text(fields, "channel").map(|text| text.value);
    let api_url = secret_url(reader, fields, "api_url", "api_url_file")?;
    Some(Sink::Slack { api_url, channel })
}

fn read_pagerduty(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Sink> {
    let url = reader.text(fields, "url");
    if let Some(text) = &url
        && let Err(what) = check_url(&text.value)
    {
        let message = format!("expected {what} for `{}`, found {}", fields.path_of("url"), found_text(&text.written));
        reader.error(text.place, message, None, None);
    }
    let severity = reader.choice(fields, "severity", &Severity::CHOICES).map(|at| at.value);
    let routing_key = needed_secret(reader, fields, "routing_key", "routing_key_file")?.value;
    Some(Sink::PagerDuty {
        routing_key,
        url: url.map_or_else(|| PAGERDUTY_URL.to_owned(), |text| text.value),
        severity,
    })
}

/// An address that may hold a secret and is never shown.
fn secret_url(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<Sourced<Secret>> {
    let found = needed_secret(reader, fields, key, file_key)?;
    // A shown configuration reads back, with its secrets hidden.
    if let Sourced::Inline(url) = &found.value
        && url.expose() != REDACTED
        && let Err(what) = check_url(url.expose())
    {
        reader.error(found.place, format!("expected {what} for `{}`", fields.path_of(key)), None, None);
    }
    Some(found.value)
}

fn needed_secret(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<At<Sourced<Secret>>> {
    let found = reader.secret(fields, key, file_key);
    if found.is_none() && !fields.has(key) && !fields.has(file_key) {
        reader.error(fields.place, format!("`{}` needs `{key}` or `{file_key}`", fields.path), None, None);
    }
    found
}

/// Whether it is a URL that a client would ask; else what was expected.
fn check_url(url: &str) -> Result<(), &'static str> {
    match reqwest::Url::parse(url) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("a URL without user and password, which stand in `http_config.basic_auth`")
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        Ok(_) | Err(_) => Err("a URL from `http://` or `https://`"),
    }
}

fn read_email(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Integration> {
    let to = reader.scalar(fields, "to", "addresses such as `a@b.c, d@e.f`", |text| {
        text.parse::<Mailboxes>()
            .ok()
            .map(|all| all.into_iter().collect::<Vec<Mailbox>>())
            .filter(|all| !all.is_empty())
    });
    let from = reader.scalar(fields, "from", "an address such as `leakscope@example.org`", |text| text.parse().ok());
    let smarthost = reader.scalar(fields, "smarthost", "a server such as `mail.example.org:587`", |text| {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']);
        let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_'));
        (plain && !host.is_empty()).then_some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
    });
    for key in ["to", "from", "smarthost"].into_iter().filter(|key| !fields.has(key)) {
        reader.error(fields.place, format!("`{}` needs `{key}`", fields.path), None, None);
    }
    let hello = reader.scalar(fields, "hello", "a host name", |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
    });
    let encryption = reader.choice(fields, "encryption", &Encryption::CHOICES).map(|at| at.value);
    let auth = read_auth(reader, fields);
    let tls: Tls = reader.section(fields, "tls_config", read_tls).unwrap_or_default();
    let sink = match (to, from, smarthost) {
        (Some(to), Some(from), Some(At { value: (host, port), .. })) => {
            let usual = if port == SMTPS_PORT { Encryption::Tls } else { Encryption::StartTls };
            let encryption = encryption.unwrap_or(usual);
            let hello = hello.map(|at| at.value);
            warn_of_open_password(reader, fields, encryption, auth.is_some());
            let email = Email { to: to.value, from: from.value, host, port, hello, encryption, auth };
            Some(Sink::Email(Box::new(email)))
        }
        _ => None,
    };
    Integration::with(reader, fields, sink, HttpClient { tls, ..HttpClient::default() })
}

fn read_auth(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<(String, Sourced<Secret>)> {
    let user = reader.text(fields, "auth_username").map(|text| text.value);
    let password = reader.secret(fields, "auth_password", "auth_password_file").map(|at| at.value);
    if user.is_some() != password.is_some() {
        let needs = words(&["auth_username", "auth_password", "auth_password_file"]);
        let message = format!("`{}` needs a user and a password, or none of them", fields.path);
        reader.error(fields.place, message, Some(needs), None);
    }
    user.zip(password)
}

fn warn_of_open_password(reader: &mut Reader<'_>, fields: &Fields<'_>, encryption: Encryption, password: bool) {
    if password && encryption == Encryption::None {
        let message = format!("the password of `{}` is sent in the clear", fields.path);
        let hint = "write `encryption: starttls` or `tls`";
        reader.warn(fields.key_place("encryption"), message, Some(hint.to_owned()));
    }
}
