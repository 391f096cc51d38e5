//! `scrape_configs`: the jobs, in Prometheus' words plus `format`, `signals`, `runtime`, `service`, `metric_prefixes` and `further_paths`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use leakscope_ingest::{Format, Mapping, RelabelConfig};
use leakscope_model::{Bytes, Runtime};

use super::global::Global;
use super::http::HttpClient;
use super::limits;
use super::reader::{Fields, Reader, found_text, words};
use super::yaml::{Node, Place, Value};
use super::{relabel, signals};

/// `http` or `https`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    const CHOICES: [(&'static str, Self); 2] = [("http", Self::Http), ("https", Self::Https)];

    /// Its name in URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The scheme of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::CHOICES.into_iter().find(|(known, _)| *known == name).map(|(_, scheme)| scheme)
    }

    /// The port of an address that names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// How a job's targets are named as services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceName {
    /// All targets are replicas of this service.
    Literal(String),
    /// The value of this label after relabelling.
    Label(String),
}

/// Targets that share labels: an element of `static_configs`, or of a file or HTTP list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Addresses, `host:port`.
    pub targets: Vec<String>,
    /// Labels of all of them.
    pub labels: BTreeMap<String, String>,
}

/// An element of `file_sd_configs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSd {
    /// Paths, absolute or from the working directory; the last element may hold `*`.
    pub files: Vec<PathBuf>,
    /// How often the files are looked for and read again, at the latest.
    pub refresh_interval: Duration,
}

/// An element of `http_sd_configs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSd {
    /// Where the list is.
    pub url: String,
    /// How often it is asked for; the server may ask for another time.
    pub refresh_interval: Duration,
    /// How the server is spoken to.
    pub http: HttpClient,
}

/// One job, with the global defaults put in.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeConfig {
    /// Its name, unique.
    pub job_name: String,
    /// How often each target is scraped.
    pub scrape_interval: Duration,
    /// How long one scrape may take; at most the interval.
    pub scrape_timeout: Duration,
    /// The path of the page.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Query parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// Labels of the page win over the target's.
    pub honor_labels: bool,
    /// Times of the page win over ours.
    pub honor_timestamps: bool,
    /// Ask for compressed pages.
    pub enable_compression: bool,
    /// How the targets are spoken to.
    pub http: HttpClient,
    /// Largest page, before and after decompression. Beyond: the scrape fails.
    pub body_size_limit: Bytes,
    /// Most samples of a page; 0 is no limit. Beyond: the scrape fails.
    pub sample_limit: u32,
    /// Fixed targets.
    pub static_configs: Vec<TargetGroup>,
    /// Targets in files.
    pub file_sd_configs: Vec<FileSd>,
    /// Targets from servers.
    pub http_sd_configs: Vec<HttpSd>,
    /// Rules for targets.
    pub relabel_configs: Vec<RelabelConfig>,
    /// Rules for samples.
    pub metric_relabel_configs: Vec<RelabelConfig>,
    /// The page's format.
    pub format: Format,
    /// Signals that the dialects would not find.
    pub signals: Vec<Mapping>,
    /// Prefixes that exporters put before every metric name.
    pub metric_prefixes: Vec<String>,
    /// Further pages of the same target, path and query: what `metrics_path` does not tell is taken from them.
    pub further_paths: Vec<String>,
    /// The targets' runtime, where it is known better than pages tell.
    pub runtime: Option<Runtime>,
    /// How services are named.
    pub service: Option<ServiceName>,
}

/// The names of runtimes.
pub(super) const RUNTIMES: [(&str, Runtime); 6] = [
    ("go", Runtime::Go),
    ("node", Runtime::Node),
    ("jvm", Runtime::Jvm),
    ("python", Runtime::Python),
    ("dotnet", Runtime::DotNet),
    ("native", Runtime::Native),
];

/// The runtime of a name.
pub(crate) fn runtime_of(name: &str) -> Option<Runtime> {
    RUNTIMES.into_iter().find(|(known, _)| *known == name).map(|(_, runtime)| runtime)
}

/// A job with the place of its name.
pub(super) struct PlacedJob {
    pub(super) job: ScrapeConfig,
    pub(super) name_place: Place,
}

impl PlacedJob {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>, global: &Global) -> Option<Self> {
        let name = reader.text(fields, "job_name");
        let missing = !fields.has("job_name");
        let job = ScrapeConfig::read(reader, fields, global, name.as_ref().map_or("", |name| &name.value));
        if missing {
            reader.error(fields.place, format!("`{}` needs `job_name`", fields.path), None, None);
        }
        let name = name?;
        if name.value.trim().is_empty() {
            reader.error(
                name.place,
                format!("expected a name for `{}.job_name`, found an empty text", fields.path),
                None,
                None,
            );
            return None;
        }
        Some(Self { job, name_place: name.place })
    }
}

impl ScrapeConfig {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>, global: &Global, job_name: &str) -> Self {
        let (scrape_interval, scrape_timeout) = read_times(reader, fields, global);
        let format = reader.choice(fields, "format", &Format::ALL.map(|format| (format.name(), format)));
        Self {
            job_name: job_name.to_owned(),
            scrape_interval,
            scrape_timeout,
            metrics_path: read_path(reader, fields),
            scheme: reader.choice(fields, "scheme", &Scheme::CHOICES).map(|at| at.value).unwrap_or_default(),
            params: read_params(reader, fields),
            honor_labels: read_honor_labels(reader, fields),
            honor_timestamps: reader.boolean(fields, "honor_timestamps").unwrap_or(true),
            enable_compression: reader.boolean(fields, "enable_compression").unwrap_or(true),
            http: HttpClient::read(reader, fields),
            body_size_limit: limits::body_size(reader, fields).unwrap_or(global.body_size_limit),
            sample_limit: limits::samples(reader, fields).unwrap_or(global.sample_limit),
            static_configs: read_static(reader, fields),
            file_sd_configs: reader
                .list(fields, "file_sd_configs", |reader, fields| Some(read_file_sd(reader, fields))),
            http_sd_configs: reader.list(fields, "http_sd_configs", read_http_sd),
            relabel_configs: relabel::read(reader, fields, "relabel_configs"),
            metric_relabel_configs: relabel::read(reader, fields, "metric_relabel_configs"),
            format: format.map(|at| at.value).unwrap_or_default(),
            signals: signals::read(reader, fields),
            metric_prefixes: read_texts(reader, fields, "metric_prefixes"),
            further_paths: read_further_paths(reader, fields),
            runtime: reader.choice(fields, "runtime", &RUNTIMES).map(|at| at.value),
            service: read_service(reader, fields),
        }
    }
}

fn read_honor_labels(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> bool {
    let honor = reader.boolean(fields, "honor_labels").unwrap_or(false);
    if honor {
        reader.without_effect(fields, "honor_labels", "labels of a target come from discovery and `relabel_configs`");
    }
    honor
}

/// Interval and timeout; a timeout that was not written is cut to the interval.
fn read_times(reader: &mut Reader<'_>, fields: &mut Fields<'_>, global: &Global) -> (Duration, Duration) {
    let interval = limits::interval(reader, fields, "scrape_interval").map_or(global.scrape_interval, |at| at.value);
    let timeout = limits::interval(reader, fields, "scrape_timeout");
    if let Some(timeout) = &timeout
        && timeout.value > interval
    {
        limits::timeout_too_long(reader, fields, timeout, interval);
    }
    (interval, timeout.map_or(global.scrape_timeout, |at| at.value).min(interval))
}

fn read_path(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> String {
    let Some(path) = reader.text(fields, "metrics_path") else { return "/metrics".to_owned() };
    if !is_request_path(&path.value) || path.value.contains('?') {
        let at = fields.path_of("metrics_path");
        let message = format!("expected a path from `/` for `{at}`, found {}", found_text(&path.written));
        let hint = path.value.contains('?').then(|| "query parameters stand under `params`".to_owned());
        reader.error(path.place, message, None, hint);
    }
    path.value
}

fn read_further_paths(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Vec<String> {
    let items = reader.items(fields, "further_paths");
    let mut paths = Vec::new();
    for (node, at) in items {
        let Some(path) = reader.text_of(node, &at) else { continue };
        if is_request_path(&path.value) {
            paths.push(path.value);
        } else {
            let message = format!("expected a path from `/` for `{at}`, found {}", found_text(&path.written));
            reader.error(path.place, message, None, None);
        }
    }
    paths
}

/// Whether a text can stand in a request line: nothing may end it early.
fn is_request_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains('#') && !path.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn read_params(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> BTreeMap<String, Vec<String>> {
    let mut params = BTreeMap::new();
    let Some(node) = fields.take("params") else { return params };
    let path = fields.path_of("params");
    let Value::Mapping(entries) = &node.value else {
        reader.expected("a mapping of lists", node, &path, Some("write `params: {name: [value]}`"));
        return params;
    };
    for (key, value) in entries {
        let path = format!("{path}.{}", key.text);
        params.insert(key.text.clone(), texts_of(reader, value, &path));
    }
    params
}

/// A list of texts, or one text.
fn texts_of(reader: &mut Reader<'_>, node: &Node, path: &str) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| reader.text_of(item, path)).map(|at| at.value).collect(),
        Value::Scalar { .. } => reader.text_of(node, path).map(|at| at.value).into_iter().collect(),
        Value::Mapping(_) => {
            reader.expected("a list of texts", node, path, None);
            Vec::new()
        }
    }
}

fn read_texts(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> Vec<String> {
    let items = reader.items(fields, key);
    items.into_iter().filter_map(|(node, path)| reader.text_of(node, &path)).map(|at| at.value).collect()
}

fn read_static(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Vec<TargetGroup> {
    let mut seen = Seen::new();
    reader.list(fields, "static_configs", |reader, fields| Some(read_group(reader, fields, &mut seen)))
}

/// Where each target with its labels stood first.
pub(super) type Seen = BTreeMap<(String, BTreeMap<String, String>), Place>;

/// One element of `static_configs` or of a list of targets.
pub(super) fn read_group(reader: &mut Reader<'_>, fields: &mut Fields<'_>, seen: &mut Seen) -> TargetGroup {
    let items = reader.items(fields, "targets");
    if !fields.has("targets") {
        reader.error(fields.place, format!("`{}` needs `targets`", fields.path), None, None);
    }
    let labels = read_labels(reader, fields, "labels");
    let mut targets = Vec::new();
    for (node, path) in items {
        let Some(target) = reader.text_of(node, &path) else { continue };
        if let Err(hint) = check_address(&target.value) {
            let message = format!("expected `host:port` for `{path}`, found {}", found_text(&target.written));
            reader.error(target.place, message, None, Some(hint.to_owned()));
            continue;
        }
        if let Some(first) = seen.insert((target.value.clone(), labels.clone()), target.place) {
            let message = format!("target `{}` stands twice in this job, first at line {}", target.written, first.line);
            reader.warn(target.place, message, Some("it is scraped once".to_owned()));
        }
        targets.push(target.value);
    }
    TargetGroup { targets, labels }
}

/// Whether `address` can be an address of a target: `host`, `host:port` or `[v6]:port`.
///
/// # Errors
/// What to do about it.
pub(crate) fn check_address(address: &str) -> Result<(), &'static str> {
    if address.contains("://") {
        return Err("leave the scheme away and set `scheme` of the job");
    }
    if address.contains('/') {
        return Err("set the path by `metrics_path` of the job");
    }
    if address.contains('@') {
        return Err("set user and password by `basic_auth` of the job");
    }
    if address.is_empty() || address.len() > 300 || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("for instance `shop.example.org:8080`");
    }
    let port = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return Err("an IPv6 address stands in brackets: `[::1]:8080`"),
        Some(Some((_, ""))) => None,
        Some(Some((_, rest))) => Some(rest.strip_prefix(':').unwrap_or("")),
        None if address.matches(':').count() > 1 => return Err("an IPv6 address stands in brackets: `[::1]:8080`"),
        None => address.split_once(':').map(|(_, port)| port),
    };
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        Some(_) => Err("a port is a number from 1 to 65535"),
    }
}

/// A mapping of label names to texts.
pub(super) fn read_labels(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    key: &'static str,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(node) = fields.take(key) else { return labels };
    let path = fields.path_of(key);
    let Value::Mapping(entries) = &node.value else {
        reader.expected("a mapping of labels", node, &path, None);
        return labels;
    };
    for (key, value) in entries {
        let path = format!("{path}.{}", key.text);
        if key.text.is_empty() || key.text.chars().any(char::is_control) {
            reader.error(key.place, format!("expected the name of a label in `{path}`"), None, None);
        } else if let Some(text) = reader.text_of(value, &path) {
            labels.insert(key.text.clone(), text.value);
        }
    }
    labels
}

fn read_file_sd(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> FileSd {
    let items = reader.items(fields, "files");
    if items.is_empty() {
        reader.error(fields.place, format!("`{}` needs `files`", fields.path), None, None);
    }
    let mut files = Vec::new();
    for (node, path) in items {
        let Some(text) = reader.text_of(node, &path) else { continue };
        let folder = text.value.rsplit_once('/').map_or("", |(folder, _)| folder);
        let known = [".json", ".yml", ".yaml"].iter().any(|end| text.value.ends_with(end));
        if folder.contains('*') {
            let message =
                format!("expected `*` in the last element of `{path}` only, found {}", found_text(&text.written));
            reader.error(text.place, message, None, None);
        } else if !known {
            let message =
                format!("expected a name of a list of targets for `{path}`, found {}", found_text(&text.written));
            reader.error(text.place, message, Some(words(&["*.json", "*.yml", "*.yaml"])), None);
        } else {
            files.push(reader.resolve(text.place, &text.value));
        }
    }
    let refresh_interval = limits::interval(reader, fields, "refresh_interval");
    FileSd { files, refresh_interval: refresh_interval.map_or(Duration::from_mins(5), |at| at.value) }
}

fn read_http_sd(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<HttpSd> {
    let url = reader.text(fields, "url");
    if !fields.has("url") {
        reader.error(fields.place, format!("`{}` needs `url`", fields.path), None, None);
    }
    let refresh_interval = limits::interval(reader, fields, "refresh_interval");
    let http = HttpClient::read(reader, fields);
    let url = url?;
    let rest = url.value.strip_prefix("http://").or_else(|| url.value.strip_prefix("https://"));
    let host = rest.map_or("", |rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if url.value.split('?').next().is_some_and(|before| before.contains('@')) {
        // The text is not repeated: it holds a password.
        let message = format!("expected `{}` without user and password", fields.path_of("url"));
        reader.error(url.place, message, None, Some("write `basic_auth` beside `url`".to_owned()));
        return None;
    }
    if host.is_empty() || url.value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = format!(
            "expected a URL from `http://` or `https://` for `{}`, found {}",
            fields.path_of("url"),
            found_text(&url.written)
        );
        reader.error(url.place, message, None, None);
        return None;
    }
    let refresh_interval = refresh_interval.map_or(Duration::from_mins(1), |at| at.value);
    Some(HttpSd { url: url.value, refresh_interval, http })
}

fn read_service(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<ServiceName> {
    let node = fields.take("service")?;
    let path = fields.path_of("service");
    if let Value::Mapping(_) = node.value {
        return reader
            .mapping(node, &path, |reader, fields| {
                let label = reader.text(fields, "label");
                if !fields.has("label") {
                    reader.error(fields.place, format!("`{path}` needs `label`"), None, None);
                }
                label.map(|at| ServiceName::Label(at.value))
            })
            .flatten();
    }
    let text = reader.text_of(node, &path)?;
    Some(ServiceName::Literal(text.value))
}
