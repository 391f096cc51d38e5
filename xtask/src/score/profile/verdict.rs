//! Whether what `leakscope diff` says of three profiles is right.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::case::{Case, Expected};
use super::evidence::Evidence;
use crate::score::answer::{location, said};

/// A suspect with at least this confidence is one that someone would act on.
pub(in crate::score) const CONFIDENCE_MIN: f64 = 0.5;

/// What was said of a case and what is true.
#[derive(Debug)]
pub(super) struct Verdict {
    case: Case,
    evidence: Evidence,
    /// Bytes of the last profile.
    n_bytes: u64,
    /// The first suspect, if there is any.
    title: Option<String>,
    /// `leaks.go:57`.
    location: Option<String>,
    growth_bytes: Option<i64>,
    confidence: Option<f64>,
    /// Titles of all suspects with their confidences.
    said: Vec<String>,
    /// Why it is wrong; nothing where it is right.
    wrong: Option<String>,
}

impl Verdict {
    /// Judges the answer, the JSON of `leakscope diff`. `bodies`: lines of the source within which a location is right.
    pub(super) fn of(
        case: Case,
        evidence: Evidence,
        n_bytes: u64,
        answer: &Value,
        bodies: &[RangeInclusive<u32>],
    ) -> Self {
        let suspects: &[Value] = answer["suspects"].as_array().map_or(&[], Vec::as_slice);
        let first = suspects.first();
        let wrong = match case.expected(evidence) {
            Expected::Nobody { .. } => suspects
                .iter()
                .find(|suspect| confidence(suspect).is_none_or(|confidence| confidence >= CONFIDENCE_MIN))
                .map(|suspect| format!("suspect with confidence {:.2}", confidence(suspect).unwrap_or(f64::NAN))),
            Expected::Owner(names) => {
                let bodies = if evidence.has_lines() { Some(bodies) } else { None };
                why_wrong(first, names, case.runtime.source(), bodies)
            }
            Expected::Less { names, .. } => why_wrong(first, names, case.runtime.source(), None),
        };
        Self {
            case,
            evidence,
            n_bytes,
            title: first.and_then(|first| first["title"].as_str()).map(str::to_owned),
            location: first.and_then(location).map(|(file, line)| format!("{file}:{line}")),
            growth_bytes: first.and_then(|first| first["growth_bytes"].as_i64()),
            confidence: first.and_then(confidence),
            said: suspects.iter().map(summary).collect(),
            wrong,
        }
    }

    /// A case of which there is no answer.
    pub(super) fn failed(case: Case, evidence: Evidence, n_bytes: u64, reason: String) -> Self {
        let (title, location, growth_bytes, confidence) = (None, None, None, None);
        Self { case, evidence, n_bytes, title, location, growth_bytes, confidence, said: vec![], wrong: Some(reason) }
    }

    pub(super) fn right(&self) -> bool {
        self.wrong.is_none()
    }

    pub(super) const HEADS: [&'static str; 9] =
        ["service", "leak", "evidence", "file", "expected", "first suspect", "growth", "confidence", "right"];

    /// A row under [`Self::HEADS`].
    pub(super) fn row(&self) -> Vec<String> {
        let suspect = match (&self.title, &self.location) {
            (Some(title), Some(location)) => format!("{title} ({location})"),
            (Some(title), None) => title.clone(),
            _ => "-".to_owned(),
        };
        vec![
            self.case.runtime.name().to_owned(),
            self.case.leak.to_owned(),
            self.evidence.name().to_owned(),
            format!("{:.1} kB", self.n_bytes as f64 / 1e3),
            self.expected_shown(),
            // A title may name what bars would end.
            suspect.replace('|', "/"),
            self.growth_bytes.map_or("-".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6)),
            self.confidence.map_or("-".to_owned(), |confidence| format!("{confidence:.2}")),
            self.wrong.as_ref().map_or("yes".to_owned(), |reason| format!("NO: {reason}")),
        ]
    }

    fn expected_shown(&self) -> String {
        match self.case.expected(self.evidence) {
            Expected::Owner(names) => names.replace('|', " or "),
            Expected::Less { names, .. } => format!("{} (see below)", names.replace('|', " or ")),
            Expected::Nobody { why: "" } => "nobody".to_owned(),
            Expected::Nobody { .. } => "nobody (see below)".to_owned(),
        }
    }

    /// What the row alone does not tell: why less is expected, and what was said where nobody is.
    pub(super) fn note(&self) -> Option<String> {
        let of = format!("{}, {}", self.case.name(), self.evidence.name());
        match self.case.expected(self.evidence) {
            Expected::Owner(_) => None,
            Expected::Less { why, .. } => Some(format!("{of}: {why}.")),
            Expected::Nobody { why } if self.said.is_empty() && why.is_empty() => None,
            Expected::Nobody { why } => {
                let said = if self.said.is_empty() { "no suspect".to_owned() } else { self.said.join("; ") };
                let why = if why.is_empty() { String::new() } else { format!("{why}; ") };
                Some(format!("{of}: {why}said: {said}."))
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "service": self.case.runtime.name(), "leak": self.case.leak, "evidence": self.evidence.name(),
            "file_bytes": self.n_bytes, "expected": self.expected_shown(), "title": self.title, "location": self.location,
            "growth_bytes": self.growth_bytes, "confidence": self.confidence, "suspects": self.said,
            "right": self.right(), "wrong": self.wrong,
        })
    }
}

/// Why a first suspect is not the owner, one of the names between bars. Without `bodies`, any location is right.
pub(in crate::score) fn why_wrong(
    first: Option<&Value>,
    names: &str,
    source: &str,
    bodies: Option<&[RangeInclusive<u32>]>,
) -> Option<String> {
    let Some(suspect) = first else { return Some("no suspect".to_owned()) };
    let said = said(suspect);
    if !names.split('|').any(|name| said.contains(name)) {
        return Some(format!("neither title nor path names {}", names.replace('|', " or ")));
    }
    if suspect["grew_in_every_step"].as_bool() == Some(false) {
        return Some("did not grow in every step".to_owned());
    }
    let bodies = bodies?;
    let file_wanted = source.rsplit('/').next().unwrap_or(source);
    let shown: Vec<String> = bodies.iter().map(|body| format!("{}-{}", body.start(), body.end())).collect();
    let wanted = format!("expected {file_wanted} lines {}", shown.join(" or "));
    match location(suspect) {
        None => Some(format!("no location, {wanted}")),
        Some((file, line)) if file == file_wanted && bodies.iter().any(|body| body.contains(&line)) => None,
        Some(_) => Some(wanted),
    }
}

fn confidence(suspect: &Value) -> Option<f64> {
    suspect["confidence"].as_f64()
}

fn summary(suspect: &Value) -> String {
    format!(
        "{} (confidence {:.2})",
        suspect["title"].as_str().unwrap_or("no title"),
        confidence(suspect).unwrap_or(f64::NAN)
    )
}

#[cfg(test)]
mod tests {
    use super::super::case::CASES;
    use super::super::evidence::Runtime;
    use super::*;

    fn verdict(runtime: Runtime, leak: &str, evidence: Evidence, suspects: &Value) -> Verdict {
        let case = CASES.iter().find(|case| case.runtime == runtime && case.leak == leak).unwrap();
        Verdict::of(*case, evidence, 1_000, &json!({ "suspects": suspects }), &[10..=20])
    }

    fn suspect(title: &str, line: u32, confidence: f64) -> Value {
        json!({
            "title": title, "name": title, "path": [], "confidence": confidence, "growth_bytes": 5, "grew_in_every_step": true,
            "location": {"file": "/srv/leaks.go", "line": line, "column": null},
        })
    }

    #[test]
    fn the_first_suspect_must_name_the_owner_and_a_line_of_its_body() {
        let says = |suspect: Value| verdict(Runtime::Go, "slice-retain", Evidence::GoHeap, &json!([suspect])).wrong;
        assert_eq!(says(suspect("main.keepOrderNumber", 10, 0.9)), None);
        assert_eq!(says(suspect("main.keepOrderNumber", 21, 0.9)).as_deref(), Some("expected leaks.go lines 10-20"));
        assert_eq!(
            says(suspect("main.touched", 10, 0.9)).as_deref(),
            Some("neither title nor path names keepOrderNumber")
        );
    }

    #[test]
    fn of_what_leaks_not_only_somebody_is_expected() {
        let none = verdict(Runtime::Go, "slice-retain", Evidence::GoHeap, &json!([]));
        assert_eq!(none.wrong.as_deref(), Some("no suspect"));
    }

    #[test]
    fn of_a_healthy_service_a_suspect_may_not_be_likely_and_is_told_anyway() {
        let says = |confidence| {
            let suspects = json!([suspect("a", 1, 0.1), suspect("b", 1, confidence)]);
            verdict(Runtime::Go, "none", Evidence::GoHeap, &suspects)
        };
        assert_eq!(says(0.49).wrong, None);
        assert_eq!(says(0.5).wrong.as_deref(), Some("suspect with confidence 0.50"));
        assert_eq!(
            says(0.3).note().as_deref(),
            Some("go none, heap pprof: said: a (confidence 0.10); b (confidence 0.30).")
        );
    }

    #[test]
    fn what_a_format_cannot_know_is_told_with_its_reason() {
        let none = verdict(Runtime::Python, "native-buffer", Evidence::Tracemalloc, &json!([]));
        assert_eq!((none.right(), none.row()[4].as_str()), (true, "nobody (see below)"));
        assert!(none.note().unwrap().contains("not those of a C library"));
        let buffer = json!([suspect("java.nio.DirectByteBuffer", 1, 0.9)]);
        let buffer = verdict(Runtime::Java, "native-buffer", Evidence::ClassHistogram, &buffer);
        assert_eq!((buffer.right(), buffer.row()[4].as_str()), (true, "DirectByteBuffer (see below)"));
    }
}
