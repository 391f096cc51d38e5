//! Whether what was said of a service, and what was done to it, is right.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::load::Answer;
use crate::score::answer::location;
use crate::score::profile::case::{Case, Expected};
use crate::score::profile::evidence::{Evidence, Runtime};
use crate::score::profile::verdict::why_wrong;

/// What the table calls a service, and the job of the daemon.
pub(super) fn service_name(case: &Case) -> String {
    format!("{}-{}", case.runtime.name(), case.leak)
}

/// Whether the first suspect of a service's incident is the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Right,
    Wrong(String),
}

/// Looks at the newest incident of a service.
pub(super) fn named(case: &Case, incidents: &[Value], bodies: &[RangeInclusive<u32>]) -> Named {
    let name = service_name(case);
    let Some(incident) = incidents.iter().find(|incident| incident["service"] == name.as_str()) else {
        return if case.leaks() { Named::Wrong("no incident".to_owned()) } else { Named::Right };
    };
    if !case.leaks() {
        return Named::Wrong(format!("an incident: {}", incident["kind"].as_str().unwrap_or("of no kind")));
    }
    let Some(first) = incident["suspects"].as_array().and_then(|suspects| suspects.first()) else {
        return Named::Wrong("no suspect".to_owned());
    };
    // Tracemalloc does not see what a C library allocates; that the growth is native is all that can be known without it.
    if case.runtime == Runtime::Python && matches!(case.expected(Evidence::Tracemalloc), Expected::Nobody { .. }) {
        let native = ["[heap]", "native", "anonymous"];
        let said = first["title"].as_str().unwrap_or_default();
        return if native.iter().any(|word| said.contains(word)) {
            Named::Right
        } else {
            Named::Wrong(format!("expected native memory, found `{said}`"))
        };
    }
    // A place within the owner names it, whatever the words: a graph calls it by what it holds.
    let source = case.runtime.source();
    let is_owner =
        |(file, line): (String, u32)| source.ends_with(&file) && bodies.iter().any(|body| body.contains(&line));
    if location(first).is_some_and(is_owner) {
        return Named::Right;
    }
    // A heap dump of a JVM knows no lines, a recording does.
    let lines = case.runtime != Runtime::Java || location(first).is_some();
    match why_wrong(Some(first), case.owner, source, lines.then_some(bodies)) {
        None => Named::Right,
        Some(reason) => Named::Wrong(reason),
    }
}

/// What one capture was expected to cost and did cost.
#[derive(Debug, Clone)]
struct Taken {
    kind: String,
    heavy: bool,
    baseline: bool,
    /// Unix milliseconds.
    during: RangeInclusive<i64>,
    predicted_s: f64,
    pause_s: f64,
}

/// One service, judged.
#[derive(Debug)]
pub(super) struct Judged {
    run: usize,
    runtime: &'static str,
    leak: &'static str,
    named_after: Option<f64>,
    /// The first suspect, with its place.
    said: String,
    taken: Vec<Taken>,
    n_refused: usize,
    /// Milliseconds of answers while light captures were under way, and of all others.
    during_ms: Vec<f64>,
    otherwise_ms: Vec<f64>,
    /// Why it is wrong; nothing where it is right.
    wrong: Option<String>,
}

impl Judged {
    #[expect(clippy::too_many_arguments, reason = "all that is known of a service comes together here, once")]
    pub(super) fn of(
        run: usize,
        case: &Case,
        named_after: Option<f64>,
        lives: bool,
        answers: &[Answer],
        incidents: &[Value],
        captures: &[Value],
        bodies: &[RangeInclusive<u32>],
    ) -> Self {
        let name = service_name(case);
        let of_service: Vec<&Value> = captures.iter().filter(|capture| capture["service"] == name.as_str()).collect();
        let taken: Vec<Taken> = of_service.iter().filter_map(|capture| taken_of(capture)).collect();
        let light = |at: i64, took: f64| {
            taken
                .iter()
                .any(|taken| !taken.heavy && *taken.during.end() >= at && *taken.during.start() <= at + took as i64)
        };
        let (during, otherwise): (Vec<Answer>, Vec<Answer>) =
            answers.iter().partition(|answer| light(answer.asked_ms, answer.took_ms));
        let ms = |answers: Vec<Answer>| answers.into_iter().map(|answer| answer.took_ms).collect();
        let first = incidents.iter().find(|incident| incident["service"] == name.as_str());
        let suspect = first.and_then(|incident| incident["suspects"].get(0));
        let said = suspect.map_or("-".to_owned(), |suspect| {
            let place = location(suspect).map_or(String::new(), |(file, line)| format!(" ({file}:{line})"));
            format!("{}{place}", suspect["title"].as_str().unwrap_or("-"))
        });
        let harmed = (!lives).then(|| "the service has ended".to_owned());
        let disturbed = || {
            let other = taken.iter().find(|taken| !taken.baseline || taken.heavy)?;
            (!case.leaks()).then(|| format!("a healthy service was captured: {}", other.kind))
        };
        let wrong = harmed.or_else(disturbed).or_else(|| match named(case, incidents, bodies) {
            Named::Right => None,
            Named::Wrong(reason) => Some(reason),
        });
        Self {
            run,
            runtime: case.runtime.name(),
            leak: case.leak,
            named_after,
            said,
            n_refused: of_service.iter().filter(|capture| capture["state"] == "refused").count(),
            taken,
            during_ms: ms(during),
            otherwise_ms: ms(otherwise),
            wrong,
        }
    }

    pub(super) fn right(&self) -> bool {
        self.wrong.is_none()
    }

    pub(super) const HEADS: [&'static str; 9] = [
        "run",
        "service",
        "leak",
        "first suspect",
        "named after",
        "captures",
        "p99 at light captures",
        "p99 otherwise",
        "right",
    ];

    /// A row under [`Self::HEADS`].
    pub(super) fn row(&self) -> Vec<String> {
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for taken in &self.taken {
            match kinds.iter_mut().find(|(kind, _)| *kind == taken.kind) {
                Some((_, n)) => *n += 1,
                None => kinds.push((&taken.kind, 1)),
            }
        }
        let mut captures: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        if self.n_refused > 0 {
            captures.push(format!("{} refused", self.n_refused));
        }
        let p99 = |ms: &[f64]| quantile(ms, 0.99).map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
        vec![
            self.run.to_string(),
            self.runtime.to_owned(),
            self.leak.to_owned(),
            self.said.replace('|', "/"),
            self.named_after.map_or("-".to_owned(), |after| format!("{after:.0} s")),
            captures.join(", "),
            p99(&self.during_ms),
            p99(&self.otherwise_ms),
            self.wrong.as_ref().map_or("yes".to_owned(), |reason| format!("NO: {reason}")),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "run": self.run, "service": self.runtime, "leak": self.leak, "said": self.said, "named_after_s": self.named_after,
            "captures": self.taken.iter().map(|taken| json!({
                "kind": taken.kind, "heavy": taken.heavy, "baseline": taken.baseline,
                "predicted_s": taken.predicted_s, "pause_s": taken.pause_s,
            })).collect::<Vec<Value>>(),
            "refused": self.n_refused, "p99_light_ms": quantile(&self.during_ms, 0.99),
            "p99_otherwise_ms": quantile(&self.otherwise_ms, 0.99), "right": self.right(), "wrong": self.wrong,
        })
    }
}

fn taken_of(capture: &Value) -> Option<Taken> {
    let moment = |key: &str| capture[key].as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    if !["stored", "failed", "expired"].contains(&capture["state"].as_str()?) {
        return None;
    }
    let kind = capture["kind"].as_str()?.to_owned();
    Some(Taken {
        heavy: ["v8-snapshot", "jvm-heap-dump", "goroutine-dump"].contains(&kind.as_str()),
        kind,
        baseline: capture["phase"] == "baseline",
        during: moment("began_at")?..=moment("ended_at")?,
        predicted_s: capture["predicted"]["pause_s"].as_f64()?,
        pause_s: capture["cost"]["pause_s"].as_f64()?,
    })
}

/// What holds over all services: how often it is right, what captures cost, and how well that was foretold.
pub(super) fn summary(judged: &[Judged]) -> String {
    let share = |right: usize, of: usize| format!("{right} of {of} ({:.1} %)", 100.0 * right as f64 / of.max(1) as f64);
    let (leaking, healthy): (Vec<&Judged>, Vec<&Judged>) = judged.iter().partition(|judged| judged.leak != "none");
    let right = |judged: &[&Judged]| judged.iter().filter(|judged| judged.right()).count();
    let during: Vec<f64> = judged.iter().flat_map(|judged| judged.during_ms.iter().copied()).collect();
    let otherwise: Vec<f64> = judged.iter().flat_map(|judged| judged.otherwise_ms.iter().copied()).collect();
    let heavy: Vec<&Taken> = judged.iter().flat_map(|judged| &judged.taken).filter(|taken| taken.heavy).collect();
    let foretold = heavy.iter().filter(|taken| {
        let ratio = taken.predicted_s / taken.pause_s.max(1e-3);
        (0.5..=2.0).contains(&ratio)
    });
    let mut after: Vec<f64> = leaking.iter().filter_map(|judged| judged.named_after).collect();
    after.sort_by(f64::total_cmp);
    let shown = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
    format!(
        "Leaking services with the right site first: {}. Healthy services left alone: {}. The right site stood first after {} (median). Answers at light captures: p99 {}, otherwise {}. Heavy captures whose pause was foretold within a factor of 2: {}.",
        share(right(&leaking), leaking.len()),
        share(right(&healthy), healthy.len()),
        quantile(&after, 0.5).map_or("-".to_owned(), |after| format!("{after:.0} s")),
        shown(quantile(&during, 0.99)),
        shown(quantile(&otherwise, 0.99)),
        share(foretold.count(), heavy.len()),
    )
}

fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::profile::case::CASES;

    fn case(runtime: Runtime, leak: &str) -> Case {
        *CASES.iter().find(|case| case.runtime == runtime && case.leak == leak).unwrap()
    }

    fn incident(service: &str, title: &str, line: u32) -> Value {
        let location = json!({"file": "/srv/leaks.go", "line": line, "column": null});
        let suspect =
            json!({"title": title, "name": title, "path": [], "location": location, "grew_in_every_step": true});
        json!({"service": service, "kind": "managed", "suspects": [suspect]})
    }

    #[test]
    fn the_owner_must_stand_first_with_a_line_of_its_body() {
        let case = case(Runtime::Go, "slice-retain");
        let says = |title: &str, line| named(&case, &[incident("go-slice-retain", title, line)], &[10..=20]);
        assert_eq!(says("main.keepOrderNumber", 12), Named::Right);
        assert!(matches!(says("main.keepOrderNumber", 99), Named::Wrong(_)));
        assert_eq!(says("main.orders", 12), Named::Right, "a place within the owner is the owner");
        assert!(matches!(says("main.other", 99), Named::Wrong(_)));
        assert_eq!(named(&case, &[], &[]), Named::Wrong("no incident".to_owned()));
    }

    #[test]
    fn a_healthy_service_may_have_light_baselines_only() {
        let case = case(Runtime::Go, "none");
        let capture = |kind: &str, phase: &str| {
            json!({
                "service": "go-none", "kind": kind, "phase": phase, "state": "stored", "began_at": "2026-01-01T00:00:00Z",
                "ended_at": "2026-01-01T00:00:01Z", "predicted": {"pause_s": 1.0}, "cost": {"pause_s": 1.0},
            })
        };
        let judged = |captures: &[Value]| Judged::of(1, &case, None, true, &[], &[], captures, &[]).wrong;
        assert_eq!(judged(&[capture("go-heap", "baseline")]), None);
        assert!(judged(&[capture("go-heap", "early")]).is_some());
        assert!(judged(&[capture("v8-snapshot", "baseline")]).is_some());
        assert!(
            Judged::of(1, &case, None, false, &[], &[], &[], &[]).wrong.is_some(),
            "a service that has ended is harmed"
        );
    }

    #[test]
    fn a_quantile_is_the_least_value_that_so_many_do_not_exceed() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.99), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
