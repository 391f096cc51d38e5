//! `leakscope alert test`: one alert that says that it is a test, sent now and to one receiver, with what was sent and what was answered.

use leakscope_model::Timestamp;

use super::send::{Outcome, outlets};
use super::word::Word;
use crate::clock;
use crate::config::Config;

/// What became of a test by one way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// The way, as the journal names it: `ops/slack[0]`.
    pub outlet: String,
    /// The line that was sent.
    pub title: String,
    /// What the receiver answered.
    ///
    /// # Errors
    /// Why it did not take the alert.
    pub answer: Result<String, String>,
}

/// Why there was no test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    /// No such receiver.
    #[error("receiver `{name}` is not in the configuration; there is {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// It has no way to be told.
    #[error(
        "receiver `{0}` has no `alertmanager_configs`, `webhook_configs`, `slack_configs`, `pagerduty_configs` or `email_configs`"
    )]
    Mute(String),
}

/// Sends a test to one receiver and, to those that are told so, that it is over.
///
/// # Errors
/// [`TestError`] when the configuration has no such receiver, or no way to tell it.
pub async fn test_receiver(config: &Config, name: &str) -> Result<Vec<TestReport>, TestError> {
    let alerting = &config.alerting;
    if alerting.receiver(name).is_none() {
        let names: Vec<String> = alerting.receivers.iter().map(|receiver| format!("`{}`", receiver.name)).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(TestError::Unknown { name: name.to_owned(), known });
    }
    let now = clock::now();
    let url = config.web.external_url.as_deref().unwrap_or_default().trim_end_matches('/').to_owned();
    let mut reports = Vec::new();
    for (outlet_name, outlet) in outlets(alerting).into_iter().filter(|(_, outlet)| outlet.receiver == name) {
        let one = &outlet.integration;
        let title = one.title.as_ref().or(alerting.title.as_ref());
        let text = one.text.as_ref().or(alerting.text.as_ref());
        let labels = &config.global.external_labels;
        let word = Word::test(alerting, labels, now, true).worded(title, text);
        let told = outlet.send(std::slice::from_ref(&word), &word.key, &url, now).await;
        let mut answer = answer_of(told);
        if answer.is_ok() && one.send_resolved {
            let over =
                Word { dedup: word.dedup.clone(), ..Word::test(alerting, labels, now, false).worded(title, text) };
            answer = answer_of(outlet.send(&[over], &format!("{}/over", word.key), &url, later(now)).await);
        }
        reports.push(TestReport { outlet: outlet_name, title: word.title, answer });
    }
    if reports.is_empty() { Err(TestError::Mute(name.to_owned())) } else { Ok(reports) }
}

/// The end lies after the beginning.
fn later(now: Timestamp) -> Timestamp {
    now.plus(std::time::Duration::from_millis(1))
}

fn answer_of(outcome: Outcome) -> Result<String, String> {
    match outcome {
        Outcome::Taken(answer) => Ok(answer),
        Outcome::Later(reason, _) | Outcome::Never(reason) | Outcome::Unseen(reason) => Err(reason),
    }
}
