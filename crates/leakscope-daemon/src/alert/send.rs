//! One try to tell one receiver, and what its answer means for the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leakscope_model::Timestamp;
use lettre::AsyncTransport as _;
use reqwest::{Response, StatusCode, header};

use super::word::{Word, cut};
use super::{alertmanager, email, pagerduty, slack, webhook};
use crate::config::{Alerting, Integration, Sink};
use crate::tls::client_config;
use crate::{clock, http};

/// How much of a refusal is kept, characters.
const ANSWER_CHARS_MAX: usize = 200;
/// How much of a refusal is read, bytes.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// One address of one way to tell a receiver.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    /// The receiver's name.
    pub(super) receiver: String,
    pub(super) integration: Integration,
    /// Which of Alertmanager's addresses.
    address: usize,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The receiver took it.
    Taken(String),
    /// It did not, and another try may help; not before the given time.
    Later(String, Option<Duration>),
    /// It will not.
    Never(String),
    /// It was sent, but nobody saw an answer.
    Unseen(String),
}

/// Every outlet of a configuration, by the name that the journal knows it by.
pub(super) fn outlets(alerting: &Alerting) -> BTreeMap<String, Outlet> {
    let mut outlets = BTreeMap::new();
    for receiver in &alerting.receivers {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for integration in &receiver.integrations {
            let kind = integration.sink.name();
            let index = counts.entry(kind).or_default();
            let n_addresses = if let Sink::Alertmanager(urls) = &integration.sink { urls.len() } else { 1 };
            for address in 0..n_addresses {
                let further = if address == 0 { String::new() } else { format!(".urls[{address}]") };
                let name = format!("{}/{kind}[{index}]{further}", receiver.name);
                let outlet = Outlet { receiver: receiver.name.clone(), integration: integration.clone(), address };
                outlets.insert(name, outlet);
            }
            *index += 1;
        }
    }
    outlets
}

impl Outlet {
    /// Whether it groups and repeats by itself.
    pub(super) fn is_alertmanager(&self) -> bool {
        matches!(self.integration.sink, Sink::Alertmanager(_))
    }

    pub(super) fn hears_watchdog(&self) -> bool {
        matches!(self.integration.sink, Sink::Alertmanager(_) | Sink::Webhook(_))
    }

    /// Whether it knows what it was told before: by labels, by key, or by the id of a message. Slack does not.
    pub(super) fn deduplicates(&self) -> bool {
        !matches!(self.integration.sink, Sink::Slack { .. })
    }

    /// Tells these words, all of one service, oldest first. `id` is the same at every try of the same words.
    pub(super) async fn send(&self, words: &[Word], id: &str, external_url: &str, now: Timestamp) -> Outcome {
        let outcome = match &self.integration.sink {
            Sink::Email(mail) => self.send_mail(mail, words, id, now).await,
            Sink::PagerDuty { routing_key, url, severity } => match routing_key.read() {
                Err(error) => Outcome::Later(error.with_source(), None),
                Ok(key) => {
                    let mut last = Outcome::Taken(String::new());
                    for word in words {
                        last = self.post(url, pagerduty::payload(word, &key, *severity), id).await;
                        if !matches!(last, Outcome::Taken(_)) {
                            break;
                        }
                    }
                    last
                }
            },
            Sink::Alertmanager(urls) => {
                let base = urls.get(self.address).map_or("", String::as_str);
                self.post(&format!("{base}/api/v2/alerts"), alertmanager::payload(words, now), id).await
            }
            Sink::Webhook(url) => match url.read() {
                Err(error) => Outcome::Later(error.with_source(), None),
                Ok(url) => self.post(url.expose(), webhook::payload(&self.receiver, words, external_url), id).await,
            },
            Sink::Slack { api_url, channel } => match api_url.read() {
                Err(error) => Outcome::Later(error.with_source(), None),
                Ok(url) => self.post(url.expose(), slack::payload(words, channel.as_deref()), id).await,
            },
        };
        match outcome {
            // A second try would be told twice; see docs/alerts.md.
            Outcome::Unseen(reason) if !self.deduplicates() => Outcome::Never(unseen(&reason)),
            Outcome::Unseen(reason) => Outcome::Later(reason, None),
            other => other,
        }
    }

    /// A POST of JSON. No URL stands in an outcome: it may be a secret.
    async fn post(&self, url: &str, body: String, id: &str) -> Outcome {
        let tls = match url.starts_with("https://").then(|| client_config(&self.integration.http.tls)).transpose() {
            Ok(tls) => tls,
            Err(reason) => return Outcome::Later(reason, None),
        };
        let client = match http::client(tls.as_ref().map(Arc::clone).as_ref()) {
            Ok(client) => client,
            Err(reason) => return Outcome::Later(reason, None),
        };
        let request = client
            .post(url)
            .timeout(self.integration.timeout)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", id)
            .body(body);
        let request = match http::authorize(request, &self.integration.http.auth) {
            Ok(request) => request,
            Err(error) => return Outcome::Later(error.with_source(), None),
        };
        match request.send().await {
            Ok(response) => judge(response).await,
            Err(error) if error.is_connect() => Outcome::Later(http::reason(&error), None),
            Err(error) if error.is_builder() => Outcome::Never("expected a URL from `http://` or `https://`".into()),
            Err(error) => Outcome::Unseen(http::reason(&error)),
        }
    }

    async fn send_mail(&self, mail: &crate::config::Email, words: &[Word], id: &str, now: Timestamp) -> Outcome {
        let timeout = self.integration.timeout;
        let made = email::message(mail, words, id, now)
            .and_then(|message| Ok((message, email::transport(mail, &self.integration.http.tls, timeout)?)));
        let (message, transport) = match made {
            Ok(made) => made,
            Err(reason) => return Outcome::Later(reason, None),
        };
        // lettre's own limit is for each read and write; this one is for all of them.
        match tokio::time::timeout(timeout * 3, transport.send(message)).await {
            Err(_) => Outcome::Unseen("no answer in time".into()),
            Ok(Ok(answer)) => {
                Outcome::Taken(format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" ")))
            }
            Ok(Err(error)) if error.is_permanent() => Outcome::Never(with_causes(&error)),
            Ok(Err(error)) => Outcome::Later(with_causes(&error), None),
        }
    }
}

/// What is noted of a try whose answer nobody saw, where another one would be told twice.
pub(super) fn unseen(reason: &str) -> String {
    format!("it was sent, but no answer was seen ({reason}); not sent again, since it would be shown twice")
}

/// Of RFC 9110: 2xx took it; 408, 425, 429 and 5xx may take it later; the rest will not.
async fn judge(mut response: Response) -> Outcome {
    let status = response.status();
    let wait = response.headers().get(header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    let mut answer = Vec::new();
    while answer.len() < ANSWER_BYTES_MAX
        && let Ok(Some(piece)) = response.chunk().await
    {
        answer.extend_from_slice(&piece);
    }
    let answer: String = String::from_utf8_lossy(&answer).chars().filter(|c| !c.is_control()).collect();
    let answer = cut(answer.trim(), ANSWER_CHARS_MAX);
    if status.is_success() {
        return Outcome::Taken(if answer.is_empty() { status.to_string() } else { format!("{status}: {answer}") });
    }
    let refusal = format!("expected status 2xx, found {status}{}{answer}", if answer.is_empty() { "" } else { ": " });
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || passing.contains(&status) {
        return Outcome::Later(refusal, wait);
    }
    Outcome::Never(refusal)
}

/// Seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    Some(Timestamp::from_millis(at.as_millisecond()).since(clock::now()))
}

/// An error with its innermost cause.
fn with_causes(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    cut(&text.chars().filter(|c| !c.is_control()).collect::<String>(), ANSWER_CHARS_MAX)
}
