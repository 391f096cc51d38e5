//! The section `alerting`: who is told of which incident, when, and in which words. The shape and words are Alertmanager's.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use super::quantity::show_duration;
use super::reader::{Fields, Reader, found_text, words};
use super::receiver::Receiver;
use super::scrape::read_labels;
use super::sections::last_line;
use super::template::Template;
use super::yaml::{Node, Value};

/// Bytes that one compiled matcher may take. Beyond: refused.
const MATCHER_BYTES_MAX: usize = 1 << 20;

/// `alerting`: who is told, when, and in which words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// Everyone who can be told.
    pub receivers: Vec<Receiver>,
    /// Who is told of what; `None` without receivers.
    pub route: Option<Route>,
    /// How bad a leak is said to be.
    pub severity: Severity,
    /// The line that says it all; ours without it.
    pub title: Option<Template>,
    /// What is said below it; ours without it.
    pub text: Option<Template>,
    /// When an incident that opens and recovers is no longer told each time.
    pub flapping: Flapping,
    /// Who is told that leakscope is alive.
    pub watchdog: Option<Watchdog>,
}

/// How bad it is, in the words of `PagerDuty`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// Somebody must act now.
    Critical,
    /// Something fails.
    Error,
    /// Something will fail.
    #[default]
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    pub(super) const CHOICES: [(&'static str, Self); 4] = [
        (Self::Critical.name(), Self::Critical),
        (Self::Error.name(), Self::Error),
        (Self::Warning.name(), Self::Warning),
        (Self::Info.name(), Self::Info),
    ];

    /// Its name in configurations and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// Who is told of alerts with certain labels. What a child does not say it has of its parent.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The receiver's name.
    pub receiver: String,
    /// All must match; none matches everything.
    pub matchers: Vec<Matcher>,
    /// Whether later siblings are asked too.
    pub continues: bool,
    /// How long the first word of a service waits for others.
    pub group_wait: Duration,
    /// How long after a message of a service the next one waits.
    pub group_interval: Duration,
    /// How long after the last word what still leaks is told again.
    pub repeat_interval: Duration,
    /// Asked first, in their order; this route is for what none of them takes.
    pub routes: Vec<Route>,
}

/// A condition on one label; a label that is not there is empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub operator: &'static str,
    /// The text or regular expression as it was written.
    pub value: String,
    pattern: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.operator, &self.value) == (&other.label, other.operator, &other.value)
    }
}

/// `alerting.flapping`: how many openings in which time are told one by one, and how long an end then has to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// Openings that are told one by one.
    pub openings: u32,
    /// In which time they are counted.
    pub window: Duration,
    /// How long it has to be quiet before it is told to be over.
    pub quiet: Duration,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { openings: 3, window: Duration::from_hours(6), quiet: Duration::from_hours(1) }
    }
}

/// `alerting.watchdog`: an alert that always fires, so that its absence tells that leakscope is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// The receiver's name; only its Alertmanagers and webhooks are told.
    pub receiver: String,
    /// How often.
    pub interval: Duration,
}

/// Least time between two words of one thing: below it receivers refuse.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How often the watchdog is told when the configuration does not say.
const WATCHDOG_INTERVAL: Duration = Duration::from_mins(1);

impl Alerting {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let receivers = reader.list(fields, "receivers", Receiver::read);
        let names: Vec<String> = receivers.iter().map(|receiver| receiver.name.clone()).collect();
        refuse_doubles(reader, fields, &names);
        let route = read_root_route(reader, fields, &names);
        let watchdog = read_watchdog(reader, fields, &receivers, route.as_ref());
        Self {
            severity: reader.choice(fields, "severity", &Severity::CHOICES).map(|at| at.value).unwrap_or_default(),
            title: template(reader, fields, "title"),
            text: template(reader, fields, "text"),
            flapping: reader.section(fields, "flapping", Flapping::read).unwrap_or_default(),
            receivers,
            route,
            watchdog,
        }
    }

    /// Least time between two repeats of any route: how often the engine has to say that something still leaks.
    pub fn repeat_interval(&self) -> Duration {
        fn least(route: &Route) -> Duration {
            route.routes.iter().map(least).chain([route.repeat_interval]).min().unwrap_or(route.repeat_interval)
        }
        self.route.as_ref().map_or(Duration::from_hours(4), least)
    }

    /// A receiver by its name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }
}

fn refuse_doubles(reader: &mut Reader<'_>, fields: &Fields<'_>, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|earlier| earlier == name) {
            let message = format!("receiver `{name}` stands twice in `{}`", fields.path_of("receivers"));
            reader.error(fields.key_place("receivers"), message, None, None);
        }
    }
}

/// The root; with a single receiver it may be left out.
fn read_root_route(reader: &mut Reader<'_>, fields: &mut Fields<'_>, names: &[String]) -> Option<Route> {
    let defaults = Route {
        receiver: names.first().cloned().unwrap_or_default(),
        matchers: Vec::new(),
        continues: false,
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_mins(5),
        repeat_interval: Duration::from_hours(4),
        routes: Vec::new(),
    };
    let mut named = false;
    let read = reader.section(fields, "route", |reader, fields| {
        named = fields.has("receiver");
        for key in ["matchers", "match", "match_re", "continue"].into_iter().filter(|key| fields.has(key)) {
            let message = format!("`{}` cannot stand in the root, which takes everything", fields.path_of(key));
            reader.error(fields.key_place(key), message, None, Some("put it into an element of `routes`".to_owned()));
        }
        Route::read(reader, fields, &defaults, names)
    });
    if names.len() > 1 && !named {
        let message = format!("`{}` needs `receiver`, since there are several", fields.path_of("route"));
        reader.error(fields.key_place("route"), message, Some(list(names)), None);
    }
    if names.is_empty() {
        return None;
    }
    Some(read.unwrap_or(defaults))
}

impl Route {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>, parent: &Self, names: &[String]) -> Self {
        let mut matchers = Vec::new();
        for (node, path) in reader.items(fields, "matchers") {
            matchers.extend(Matcher::read(reader, node, &path));
        }
        for (key, operator) in [("match", "="), ("match_re", "=~")] {
            for (label, value) in read_labels(reader, fields, key) {
                match Matcher::new(label, operator, value) {
                    Ok(matcher) => matchers.push(matcher),
                    Err(reason) => {
                        let message = format!("expected regular expressions for `{}`: {reason}", fields.path_of(key));
                        reader.error(fields.key_place(key), message, None, None);
                    }
                }
            }
        }
        let mut route = Self {
            receiver: receiver_name(reader, fields, names).unwrap_or_else(|| parent.receiver.clone()),
            matchers,
            continues: reader.boolean(fields, "continue").unwrap_or(false),
            group_wait: reader.duration(fields, "group_wait").map_or(parent.group_wait, |at| at.value),
            group_interval: interval(reader, fields, "group_interval").unwrap_or(parent.group_interval),
            repeat_interval: interval(reader, fields, "repeat_interval").unwrap_or(parent.repeat_interval),
            routes: Vec::new(),
        };
        route.routes = reader.list(fields, "routes", |reader, fields| Some(Self::read(reader, fields, &route, names)));
        route
    }

    /// The routes that take an alert with these labels: the deepest on each way down, this one when no child does.
    pub fn takers<'a>(&'a self, labels: &BTreeMap<String, String>) -> Vec<&'a Self> {
        if !self.matchers.iter().all(|matcher| matcher.matches(labels)) {
            return Vec::new();
        }
        let mut takers = Vec::new();
        for child in &self.routes {
            let taken = child.takers(labels);
            let stop = !taken.is_empty() && !child.continues;
            takers.extend(taken);
            if stop {
                break;
            }
        }
        if takers.is_empty() { vec![self] } else { takers }
    }
}

impl Matcher {
    fn new(label: String, operator: &'static str, value: String) -> Result<Self, String> {
        let pattern = operator
            .ends_with('~')
            .then(|| regex::RegexBuilder::new(&format!("^(?:{value})$")).size_limit(MATCHER_BYTES_MAX).build());
        let pattern = pattern.transpose().map_err(|error| last_line(&error.to_string()))?;
        Ok(Self { label, operator, value, pattern })
    }

    /// `service="cart"`, `service=~"cart.*"`, with or without quotation marks and blanks.
    fn read(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Self> {
        let text = reader.raw_text_of(node, path)?;
        let what = "a matcher such as `service=~\"cart.*\"`";
        let at = text.value.find(['=', '!']).unwrap_or(text.value.len());
        let (label, rest) = text.value.split_at(at);
        let found =
            ["=~", "!~", "!=", "="].into_iter().find_map(|operator| Some((operator, rest.strip_prefix(operator)?)));
        let Some((operator, value)) = found.filter(|_| !label.trim().is_empty()) else {
            reader.expected(what, node, path, None);
            return None;
        };
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        match Self::new(label.trim().to_owned(), operator, value.to_owned()) {
            Ok(matcher) => Some(matcher),
            Err(reason) => {
                let message = format!("expected {what} for `{path}`, found {}: {reason}", found_text(&text.written));
                reader.error(text.place, message, None, None);
                None
            }
        }
    }

    /// Whether these labels fulfil it.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let found = labels.get(&self.label).map_or("", String::as_str);
        let equal = self.pattern.as_ref().map_or(self.value == found, |pattern| pattern.is_match(found));
        equal != self.operator.starts_with('!')
    }
}

impl Flapping {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Self::default();
        let openings = reader.count(fields, "openings");
        let least = openings.and_then(|at| u32::try_from(at.value).ok()).filter(|openings| *openings > 0);
        if let Some(at) = openings.filter(|_| least.is_none()) {
            let message = format!("`{}` cannot be {}", fields.path_of("openings"), at.value);
            reader.error(at.place, message, Some("1 and more".to_owned()), None);
        }
        Self {
            openings: least.unwrap_or(defaults.openings),
            window: interval(reader, fields, "window").unwrap_or(defaults.window),
            quiet: interval(reader, fields, "quiet").unwrap_or(defaults.quiet),
        }
    }
}

fn read_watchdog(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    receivers: &[Receiver],
    route: Option<&Route>,
) -> Option<Watchdog> {
    let node = fields.take("watchdog")?;
    let names: Vec<String> = receivers.iter().map(|receiver| receiver.name.clone()).collect();
    let default = Watchdog {
        receiver: route.map(|route| route.receiver.clone()).unwrap_or_default(),
        interval: WATCHDOG_INTERVAL,
    };
    let watchdog = if matches!(node.value, Value::Mapping(_)) {
        reader.section(fields, "watchdog", |reader, fields| Watchdog {
            receiver: receiver_name(reader, fields, &names).unwrap_or(default.receiver),
            interval: interval(reader, fields, "interval").unwrap_or(default.interval),
        })?
    } else {
        reader.boolean(fields, "watchdog").filter(|wanted| *wanted).map(|_| default)?
    };
    let heard = receivers.iter().any(|receiver| receiver.name == watchdog.receiver && receiver.hears_watchdog());
    if !heard {
        let message = format!(
            "`{}` needs a receiver with `alertmanager_configs` or `webhook_configs`",
            fields.path_of("watchdog")
        );
        reader.error(node.place, message, None, None);
    }
    heard.then_some(watchdog)
}

fn receiver_name(reader: &mut Reader<'_>, fields: &mut Fields<'_>, names: &[String]) -> Option<String> {
    let text = reader.text(fields, "receiver")?;
    if names.contains(&text.value) {
        return Some(text.value);
    }
    let message = format!("`{}` does not know {}", fields.path_of("receiver"), found_text(&text.written));
    reader.error(text.place, message, Some(list(names)), None);
    None
}

fn list(names: &[String]) -> String {
    words(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn interval(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> Option<Duration> {
    let found = reader.duration(fields, key)?;
    if found.value >= INTERVAL_MIN {
        return Some(found.value);
    }
    let message = format!("`{}` cannot be {}", fields.path_of(key), show_duration(found.value));
    reader.error(found.place, message, Some("1s and more".to_owned()), None);
    None
}

/// A template, taken as written: `$` has no meaning in it.
pub(super) fn template(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> Option<Template> {
    let text = reader.raw_text(fields, key)?;
    match Template::parse(&text.value) {
        Ok(template) => Some(template),
        Err(problem) => {
            let (line, column) = (problem.line, problem.column);
            let path = fields.path_of(key);
            let message = format!("line {line}, column {column} of the template `{path}`: {}", problem.message);
            reader.error(text.place, message, None, Some("docs/alerts.md lists the names".to_owned()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(operator: &'static str, value: &str, service: &str) -> bool {
        let labels = BTreeMap::from([("service".to_owned(), service.to_owned())]);
        Matcher::new("service".into(), operator, value.into()).unwrap().matches(&labels)
    }

    #[test]
    fn matchers_are_anchored_and_a_missing_label_is_empty() {
        for (operator, value, service, expected) in [
            ("=", "cart", "cart", true),
            ("=", "car", "cart", false),
            ("!=", "cart", "cart", false),
            ("!=", "", "cart", true),
            ("=~", "car.", "cart", true),
            ("=~", "ca", "cart", false),
            ("!~", "ca", "cart", true),
            ("=~", "a|cart", "cart", true),
        ] {
            assert_eq!(matches(operator, value, service), expected, "{operator} {value} {service}");
        }
        assert!(Matcher::new("team".into(), "=", String::new()).unwrap().matches(&BTreeMap::new()));
    }

    #[test]
    fn the_deepest_route_takes_an_alert_and_continue_asks_further() {
        let text = "alerting:\n  receivers: [{name: all}, {name: cart}, {name: deep}, {name: log}]\n  route:\n    receiver: all\n    routes:\n    - {receiver: log, matchers: ['service=~\"c.*\"'], continue: true}\n    - receiver: cart\n      match: {service: cart}\n      group_wait: 1s\n      routes: [{receiver: deep, matchers: [severity=critical]}]\n    - {receiver: deep}\n";
        let config = super::super::Config::parse(text, "x.yaml", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        let root = config.alerting.route.clone().unwrap();
        let takers = |service: &str, severity: &str| -> Vec<String> {
            let labels = [("service", service), ("severity", severity)];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            root.takers(&labels).into_iter().map(|route| route.receiver.clone()).collect()
        };
        assert_eq!(takers("cart", "warning"), ["log", "cart"]);
        assert_eq!(takers("cart", "critical"), ["log", "deep"]);
        assert_eq!(takers("shop", "warning"), ["deep"]);
        let waits: Vec<Duration> = root.routes.iter().map(|route| route.group_wait).collect();
        assert_eq!(waits, [30, 1, 30].map(Duration::from_secs));
        assert_eq!(root.routes[1].routes[0].group_wait, Duration::from_secs(1));
    }
}
