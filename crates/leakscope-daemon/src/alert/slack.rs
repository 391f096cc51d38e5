//! Slack, by an incoming webhook: Block Kit within its limits, every text escaped.
//!
//! Source: <https://docs.slack.dev/reference/block-kit/blocks> and <https://docs.slack.dev/messaging/formatting-message-text>.

use serde_json::{Value, json};

use super::word::{Word, cut};

/// Longest header, characters.
const HEADER_CHARS_MAX: usize = 150;
/// Longest text of a section, characters.
const SECTION_CHARS_MAX: usize = 3_000;
/// Alerts of one message: of its 50 blocks each takes at most four.
const ALERTS_MAX: usize = 12;

/// The body of a request; `channel` in place of the webhook's own.
pub(super) fn payload(words: &[Word], channel: Option<&str>) -> String {
    let mut blocks = Vec::new();
    for word in words.iter().take(ALERTS_MAX) {
        blocks.extend(blocks_of(word));
    }
    if words.len() > ALERTS_MAX {
        blocks.push(context(&format!("and {} more", words.len() - ALERTS_MAX)));
    }
    let titles: Vec<&str> = words.iter().map(|word| word.title.as_str()).collect();
    let mut message = json!({ "text": cut(&escape(&titles.join("; ")), SECTION_CHARS_MAX), "blocks": blocks });
    if let (Some(channel), Some(fields)) = (channel, message.as_object_mut()) {
        fields.insert("channel".into(), channel.into());
    }
    message.to_string()
}

fn blocks_of(word: &Word) -> Vec<Value> {
    let state = if word.firing { "Firing" } else { "Resolved" };
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&format!("{state}: {}", word.title), HEADER_CHARS_MAX), "emoji": false },
    })];
    if !word.text.is_empty() {
        let text = cut_escaped(&word.text, SECTION_CHARS_MAX);
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } }));
    }
    let story = &word.story;
    blocks.push(context(&format!("{} · severity {} · {}", story.occasion, story.severity, story.at)));
    if !story.url.is_empty() && story.url.len() <= 3_000 {
        blocks.push(json!({ "type": "actions", "elements": [{
            "type": "button",
            "text": { "type": "plain_text", "text": "Open in leakscope" },
            "url": story.url,
        }] }));
    }
    blocks
}

fn context(text: &str) -> Value {
    json!({ "type": "context", "elements": [{ "type": "plain_text", "text": cut(text, SECTION_CHARS_MAX), "emoji": false }] })
}

/// Slack's three characters of control: without them nobody can be mentioned and no link can be made.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escaped and cut, never within an escape.
fn cut_escaped(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    let mut n_chars = 0;
    for c in text.chars() {
        let escaped = escape(c.encode_utf8(&mut [0; 4]));
        n_chars += escaped.chars().count();
        if n_chars >= chars_max {
            shown.push('…');
            return shown;
        }
        shown.push_str(&escaped);
    }
    shown
}
