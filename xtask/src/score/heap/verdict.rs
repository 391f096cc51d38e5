//! Whether what `leakscope diff` says of a case is right.

use serde_json::{Value, json};

use super::case::Case;
use crate::score::answer::{location, said};

/// Of the growth of a healthy service, the greatest share that a suspect may have.
const HEALTHY_SHARE_MAX: f64 = 0.05;

/// What was said of a case and what is true.
#[derive(Debug)]
pub(super) struct Verdict {
    case: Case,
    /// Where the first suspect was made: `server.js:233`.
    location: Option<String>,
    title: Option<String>,
    share: Option<f64>,
    /// Why it is wrong; nothing where it is right.
    wrong: Option<String>,
}

impl Verdict {
    /// Judges the answer, the JSON of `leakscope diff`. `lines`: those of the source that are right.
    pub(super) fn of(case: Case, answer: &Value, lines: &[u32]) -> Self {
        let suspects: &[Value] = answer["suspects"].as_array().map_or(&[], Vec::as_slice);
        let first = suspects.first();
        let share = |suspect: &Value| suspect["share"].as_f64();
        let wrong = match first {
            None if case.leaks() => Some("no suspect".to_owned()),
            Some(first) if case.leaks() => why_wrong(&case, first, lines),
            _ => suspects.iter().find(|suspect| share(suspect).is_none_or(|share| share > HEALTHY_SHARE_MAX)).map(
                |suspect| format!("suspect with {:.0} % of the growth", 100.0 * share(suspect).unwrap_or(f64::NAN)),
            ),
        };
        Self {
            case,
            location: first.and_then(location).map(|(file, line)| format!("{file}:{line}")),
            title: first.and_then(|first| first["title"].as_str()).map(str::to_owned),
            share: first.and_then(share),
            wrong,
        }
    }

    /// A case of which there is no answer.
    pub(super) fn failed(case: Case, reason: String) -> Self {
        Self { case, location: None, title: None, share: None, wrong: Some(reason) }
    }

    pub(super) fn right(&self) -> bool {
        self.wrong.is_none()
    }

    pub(super) const HEADS: [&'static str; 7] =
        ["service", "leak", "expected owner", "first suspect", "location", "share", "right"];

    /// A row under [`Self::HEADS`].
    pub(super) fn row(&self) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            self.case.runtime.name().to_owned(),
            self.case.leak.to_owned(),
            self.case.owner_shown(),
            text(&self.title),
            text(&self.location),
            self.share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share)),
            self.wrong.as_ref().map_or("yes".to_owned(), |reason| format!("NO: {reason}")),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "service": self.case.runtime.name(), "leak": self.case.leak, "expected_owner": self.case.owner,
            "title": self.title, "location": self.location, "share": self.share, "right": self.right(), "wrong": self.wrong,
        })
    }
}

fn why_wrong(case: &Case, suspect: &Value, lines: &[u32]) -> Option<String> {
    let said = said(suspect);
    let missing = case.owner.iter().find(|words| !words.split('|').any(|word| said.contains(word)));
    if let Some(words) = missing {
        return Some(format!("neither title nor path names {}", words.replace('|', " or ")));
    }
    if suspect["grew_in_every_step"].as_bool() == Some(false) {
        return Some("did not grow in every step".to_owned());
    }
    if lines.is_empty() {
        return None;
    }
    let shown = lines.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
    match location(suspect) {
        None => Some(format!("no location, expected line {shown}")),
        Some((file, line)) if file != "server.js" || !lines.contains(&line) => {
            Some(format!("expected server.js line {shown}"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::{CASES, Runtime};
    use super::*;

    fn case(leak: &str) -> Case {
        *CASES.iter().find(|case| case.runtime == Runtime::Node && case.leak == leak).unwrap()
    }

    fn wrong(leak: &str, answer: &Value) -> Option<String> {
        Verdict::of(case(leak), answer, if leak == "none" { &[] } else { &[233, 238] }).wrong
    }

    fn suspect(title: &str, line: u32, share: f64) -> Value {
        json!({
            "title": title, "name": "Object", "share": share, "path": [{"edge": "sessions", "name": "SessionStore", "id": 5}],
            "location": {"file": "/srv/app/server.js", "line": line, "column": 3}, "grew_in_every_step": true,
        })
    }

    #[test]
    fn the_first_suspect_must_name_owner_and_line() {
        let says = |suspect: Value| wrong("session-map", &json!({"suspects": [suspect]}));
        assert_eq!(says(suspect("a Map grows", 238, 0.9)), None);
        assert_eq!(says(suspect("a Map grows", 239, 0.9)).as_deref(), Some("expected server.js line 233 or 238"));
        let mut nowhere = suspect("a Map grows", 238, 0.9);
        nowhere["location"] = Value::Null;
        assert_eq!(says(nowhere).as_deref(), Some("no location, expected line 233 or 238"));
        let mut still = suspect("a Map grows", 238, 0.9);
        still["grew_in_every_step"] = json!(false);
        assert_eq!(says(still).as_deref(), Some("did not grow in every step"));
        assert_eq!(wrong("session-map", &json!({"suspects": []})).as_deref(), Some("no suspect"));
        let another = wrong("descriptor", &json!({"suspects": [suspect("a Map grows", 238, 0.9)]}));
        assert_eq!(another.as_deref(), Some("neither title nor path names lostConnections"));
    }

    #[test]
    fn of_a_healthy_service_no_suspect_has_much_of_the_growth() {
        let says = |shares: &[f64]| {
            let suspects: Vec<Value> = shares.iter().map(|share| suspect("x", 1, *share)).collect();
            wrong("none", &json!({ "suspects": suspects }))
        };
        assert_eq!(says(&[]), None);
        assert_eq!(says(&[0.05, 0.01]), None);
        assert_eq!(says(&[0.05, 0.4]).as_deref(), Some("suspect with 40 % of the growth"));
    }
}
