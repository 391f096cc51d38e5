//! Templates of what receivers are told: checked when the configuration is read, strict about names, bounded in work and size.

use std::collections::BTreeMap;
use std::io;

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

/// Largest template, bytes. Beyond: refused.
const SOURCE_BYTES_MAX: usize = 16 << 10;
/// Largest text that a template may make, bytes. Beyond: it fails.
const RENDERED_BYTES_MAX: usize = 64 << 10;
/// Steps that a template may take. Beyond: it fails.
const FUEL: u64 = 100_000;

/// A template in the language of Jinja that was rendered once for each kind of alert when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
}

/// What is wrong with a template, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TemplateProblem {
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    pub(super) message: String,
}

/// What an alert says: the names that templates know, and what the journal of deliveries keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Story {
    /// `firing` or `resolved`.
    pub(crate) status: String,
    /// `opened`, `flapping`, `explained`, `repeated`, `resolved` or `test`.
    pub(crate) occasion: String,
    pub(crate) service: String,
    /// The incident's number.
    pub(crate) incident: u64,
    /// The incident's state.
    pub(crate) state: String,
    /// What kind of growth it is.
    pub(crate) kind: String,
    pub(crate) severity: String,
    /// The highest score it reached; 1 is the alarm boundary.
    pub(crate) score: f64,
    /// When it was opened, RFC 3339.
    pub(crate) opened_at: String,
    /// When what is told now came about, RFC 3339.
    pub(crate) at: String,
    pub(crate) n_replicas: usize,
    /// Why it came to its state.
    pub(crate) cause: String,
    /// The strongest suspect, where the evidence names one.
    pub(crate) suspect: Option<Accused>,
    /// The strongest suspects, at most five.
    pub(crate) suspects: Vec<Accused>,
    /// Labels of the alert.
    pub(crate) labels: BTreeMap<String, String>,
    /// Where to look; empty without `web.external_url`.
    pub(crate) url: String,
}

/// A suspect as alerts show it. Retaining paths stay out: their edges may hold keys of the service's own data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accused {
    pub(crate) title: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// `file:line`; empty when not known.
    pub(crate) location: String,
    pub(crate) bytes: u64,
    pub(crate) count: u64,
    /// Share of the whole growth, 0 to 1.
    pub(crate) share: f64,
    /// 0 to 1.
    pub(crate) confidence: f64,
    pub(crate) reason: String,
}

impl Template {
    /// Reads a template and renders it once for an alert of each kind, so that a name that only some alerts have is found now.
    pub(super) fn parse(source: &str) -> Result<Self, TemplateProblem> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("expected at most {SOURCE_BYTES_MAX} bytes, found {}", source.len());
            return Err(TemplateProblem { line: 1, column: 1, message });
        }
        let template = Self { source: source.to_owned() };
        for story in samples() {
            template.try_render(&story).map_err(|error| template.problem(&error))?;
        }
        Ok(template)
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text for one alert.
    ///
    /// # Errors
    /// What the template asks for and this alert does not have, or that it takes too long or makes too much.
    pub(crate) fn render(&self, story: &Story) -> Result<String, String> {
        self.try_render(story).map_err(|error| {
            let problem = self.problem(&error);
            format!("line {}, column {} of the template: {}", problem.line, problem.column, problem.message)
        })
    }

    fn try_render(&self, story: &Story) -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(true);
        let mut bounded = Bounded(Vec::new());
        let template = environment.template_from_str(&self.source)?;
        template.render_captured_to(minijinja::value::Serde(story), &mut bounded)?;
        Ok(String::from_utf8_lossy(&bounded.0).into_owned())
    }

    fn problem(&self, error: &minijinja::Error) -> TemplateProblem {
        let range = error.range().filter(|range| self.source.is_char_boundary(range.start));
        let before = range.and_then(|range| self.source.get(..range.start));
        let column = before.map_or(1, |before| before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let detail = cause.as_deref().or(error.detail()).map(|detail| format!(": {detail}")).unwrap_or_default();
        TemplateProblem { line: error.line().unwrap_or(1), column, message: format!("{}{detail}", error.kind()) }
    }
}

/// An alert that names a suspect, one that does not, and one that is over.
pub(crate) fn samples() -> [Story; 3] {
    let accused = Accused {
        title: "`Cart.add` keeps 120 MiB in 9,000 objects".into(),
        kind: "object".into(),
        name: "Cart.add".into(),
        location: "cart.js:42".into(),
        bytes: 120 << 20,
        count: 9_000,
        share: 0.9,
        confidence: 0.95,
        reason: "it grew in every step".into(),
    };
    let began = Story {
        status: "firing".into(),
        occasion: "opened".into(),
        service: "cart".into(),
        incident: 1,
        state: "open".into(),
        kind: "managed".into(),
        severity: "warning".into(),
        score: 1.5,
        opened_at: "2026-11-20T11:20:08.000Z".into(),
        at: "2026-11-20T11:20:08.000Z".into(),
        n_replicas: 1,
        cause: "`cart:8080` leaks".into(),
        ..Story::default()
    };
    let explained = Story {
        occasion: "explained".into(),
        state: "explained".into(),
        suspect: Some(accused.clone()),
        suspects: vec![accused],
        ..began.clone()
    };
    let over = Story {
        status: "resolved".into(),
        occasion: "resolved".into(),
        state: "recovered".into(),
        cause: "the growth stopped".into(),
        ..began.clone()
    };
    [began, explained, over]
}

/// What a template makes, up to its bound.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RENDERED_BYTES_MAX {
            return Err(io::Error::other(format!("the text has more than {RENDERED_BYTES_MAX} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_sees_the_story_and_nothing_else() {
        let template =
            Template::parse("{{ service }}: {% if suspect %}{{ suspect.name }}{% else %}-{% endif %}").unwrap();
        let told: Vec<String> = samples().iter().map(|story| template.render(story).unwrap()).collect();
        assert_eq!(told, ["cart: -", "cart: Cart.add", "cart: -"]);
    }

    #[test]
    fn a_bad_template_is_told_with_its_place() {
        for (source, line, column, message) in [
            ("{{ servic }}", 1, 4, "undefined value"),
            ("a\n  {{ suspect.name }}", 2, 6, "undefined value"),
            ("a\nb {% if %}", 2, 9, "syntax error"),
            ("{{ service | nosuch }}", 1, 14, "unknown filter"),
            (
                "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
                1,
                40,
                "engine ran out of fuel",
            ),
        ] {
            let problem = Template::parse(source).unwrap_err();
            assert_eq!((problem.line, problem.column), (line, column), "{source}: {problem:?}");
            assert!(problem.message.starts_with(message), "{source}: {problem:?}");
        }
    }

    #[test]
    fn what_a_template_makes_is_bounded() {
        let problem =
            Template::parse("{% for a in range(900) %}{% for b in range(90) %}xxxxxxxxxx{% endfor %}{% endfor %}");
        let message = problem.unwrap_err().message;
        assert!(message.contains("65536 bytes"), "{message}");
        assert!(Template::parse(&"x".repeat(SOURCE_BYTES_MAX + 1)).is_err());
    }
}
