//! The configuration that is in force, as YAML: defaults put in, variables put in, secrets as `<secret>`.

mod alerting;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use leakscope_ingest::{Mapping, RelabelConfig, Source};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::http::{Auth, HttpClient, Tls};
use super::quantity::{show_duration, show_size};
use super::scrape::{ScrapeConfig, ServiceName, TargetGroup};
use super::secret::{REDACTED, Secret, Sourced};
use super::sections::Pattern;
use super::{Config, Global};

/// A YAML value whose keys keep their order.
enum Yaml {
    Text(String),
    Whole(u64),
    Number(f64),
    Bool(bool),
    List(Vec<Yaml>),
    Mapping(Vec<(String, Yaml)>),
}

impl Serialize for Yaml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Whole(number) => serializer.serialize_u64(*number),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Mapping(entries) => {
                let mut mapping = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    mapping.serialize_entry(key, value)?;
                }
                mapping.end()
            }
        }
    }
}

impl Config {
    /// The configuration in force, as YAML that [`Config::parse`] reads back; secrets are `<secret>`.
    pub fn effective_yaml(&self) -> String {
        let jobs = self.jobs.iter().map(|job| of_job(&job.config)).collect();
        let root = mapping([
            ("global", of_global(&self.global)),
            ("scrape_config_files", texts(self.scrape_config_files.iter().map(|path| path.display().to_string()))),
            ("scrape_configs", Yaml::List(jobs)),
            ("local_discovery", self.of_local_discovery()),
            ("storage", self.of_storage()),
            ("detection", self.of_detection()),
            ("capture", self.of_capture()),
            ("alerting", alerting::of_alerting(&self.alerting)),
            ("web", self.of_web()),
        ]);
        serde_saphyr::to_string(&root).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    fn of_local_discovery(&self) -> Yaml {
        let local = &self.local_discovery;
        mapping([
            ("enabled", Yaml::Bool(local.enabled)),
            ("interval", of_duration(local.interval)),
            ("probe", Yaml::Bool(local.probe)),
            ("include", of_patterns(&local.include)),
            ("exclude", of_patterns(&local.exclude)),
            ("ports", Yaml::List(local.ports.iter().map(|port| Yaml::Whole(u64::from(*port))).collect())),
        ])
    }

    fn of_storage(&self) -> Yaml {
        let size = Yaml::Text(show_size(self.storage.retention_size));
        let retention = mapping([("time", of_duration(self.storage.retention_time)), ("size", size)]);
        mapping([("path", of_path(&self.storage.path)), ("retention", retention)])
    }

    fn of_detection(&self) -> Yaml {
        mapping([
            ("time_scale", Yaml::Number(self.detection.time_scale)),
            ("false_alarms_per_1000_service_days", Yaml::Number(self.detection.false_alarms_per_1000_service_days)),
        ])
    }

    fn of_capture(&self) -> Yaml {
        let capture = &self.capture;
        let size = |bytes| Yaml::Text(show_size(bytes));
        mapping([
            ("light", Yaml::Bool(capture.light)),
            ("heavy", Yaml::Bool(capture.heavy)),
            ("interval", of_duration(capture.interval)),
            ("headroom", Yaml::Number(capture.headroom)),
            ("heavy_per_target_per_day", Yaml::Whole(u64::from(capture.heavy_per_target_per_day))),
            ("light_per_service_per_hour", Yaml::Whole(u64::from(capture.light_per_service_per_hour))),
            ("size_max", size(capture.size_max)),
            ("analysis_memory", size(capture.analysis_memory)),
            ("analysis_workers", Yaml::Whole(u64::from(capture.analysis_workers))),
            ("redact", Yaml::Bool(capture.redact)),
            (
                "retention",
                mapping([("time", of_duration(capture.retention_time)), ("size", size(capture.retention_size))]),
            ),
            (
                "node",
                mapping([
                    ("open_inspector", Yaml::Bool(capture.node.open_inspector)),
                    ("sampling_interval", size(capture.node.sampling_interval)),
                ]),
            ),
            (
                "go",
                mapping([
                    ("path", of_text(&capture.go.path)),
                    ("gc", Yaml::Bool(capture.go.gc)),
                    ("read_memory", Yaml::Bool(capture.go.read_memory)),
                ]),
            ),
            (
                "jvm",
                mapping([
                    ("attach", Yaml::Bool(capture.jvm.attach)),
                    ("actuator_path", of_text(&capture.jvm.actuator_path)),
                    ("jolokia_path", of_text(&capture.jvm.jolokia_path)),
                ]),
            ),
            (
                "python",
                mapping([
                    ("path", of_text(&capture.python.path)),
                    ("remote_exec", Yaml::Bool(capture.python.remote_exec)),
                ]),
            ),
            ("native", mapping([("path", of_text(&capture.native.path))])),
        ])
    }

    fn of_web(&self) -> Yaml {
        let web = &self.web;
        let mut entries = vec![("listen_address", Yaml::Text(web.listen_address.to_string()))];
        entries.extend(web.external_url.as_ref().map(|url| ("external_url", of_text(url))));
        entries.extend(web.config_file.as_ref().map(|path| ("config_file", of_path(path))));
        if let Some(token) = &web.token {
            entries.push(("authorization", mapping([of_secret("credentials", "credentials_file", token)])));
        }
        entries.push(("allow_unauthenticated_non_loopback", Yaml::Bool(web.allow_unauthenticated_non_loopback)));
        mapping(entries)
    }
}

fn of_global(global: &Global) -> Yaml {
    mapping([
        ("scrape_interval", of_duration(global.scrape_interval)),
        ("scrape_timeout", of_duration(global.scrape_timeout)),
        ("external_labels", of_labels(&global.external_labels)),
        ("body_size_limit", Yaml::Text(show_size(global.body_size_limit))),
        ("sample_limit", Yaml::Whole(u64::from(global.sample_limit))),
    ])
}

fn of_job(job: &ScrapeConfig) -> Yaml {
    let mut entries = vec![
        ("job_name", of_text(&job.job_name)),
        ("scrape_interval", of_duration(job.scrape_interval)),
        ("scrape_timeout", of_duration(job.scrape_timeout)),
        ("metrics_path", of_text(&job.metrics_path)),
        ("scheme", Yaml::Text(job.scheme.name().to_owned())),
        ("honor_labels", Yaml::Bool(job.honor_labels)),
        ("honor_timestamps", Yaml::Bool(job.honor_timestamps)),
        ("enable_compression", Yaml::Bool(job.enable_compression)),
        ("body_size_limit", Yaml::Text(show_size(job.body_size_limit))),
        ("sample_limit", Yaml::Whole(u64::from(job.sample_limit))),
        ("format", Yaml::Text(job.format.name().to_owned())),
    ];
    if !job.params.is_empty() {
        let params = job.params.iter().map(|(name, values)| (name.clone(), texts(values.iter().map(escape))));
        entries.push(("params", Yaml::Mapping(params.collect())));
    }
    entries.extend(of_client(&job.http));
    entries.extend(job.runtime.map(|runtime| ("runtime", Yaml::Text(runtime.name().to_owned()))));
    entries.extend(job.service.as_ref().map(|service| ("service", of_service(service))));
    if !job.further_paths.is_empty() {
        entries.push(("further_paths", texts(job.further_paths.iter().map(escape))));
    }
    if !job.metric_prefixes.is_empty() {
        entries.push(("metric_prefixes", texts(job.metric_prefixes.iter().map(escape))));
    }
    if !job.signals.is_empty() {
        let signals = job.signals.iter().map(|mapping| (mapping.signal.name().to_owned(), of_mapping(mapping)));
        entries.push(("signals", Yaml::Mapping(signals.collect())));
    }
    add_list(&mut entries, "static_configs", &job.static_configs, of_group);
    add_list(&mut entries, "file_sd_configs", &job.file_sd_configs, |sd| {
        let files = texts(sd.files.iter().map(|path| escape(path.display().to_string())));
        mapping([("files", files), ("refresh_interval", of_duration(sd.refresh_interval))])
    });
    add_list(&mut entries, "http_sd_configs", &job.http_sd_configs, |sd| {
        let mut entries = vec![("url", of_text(&sd.url)), ("refresh_interval", of_duration(sd.refresh_interval))];
        entries.extend(of_client(&sd.http));
        mapping(entries)
    });
    add_list(&mut entries, "relabel_configs", &job.relabel_configs, of_rule);
    add_list(&mut entries, "metric_relabel_configs", &job.metric_relabel_configs, of_rule);
    mapping(entries)
}

fn add_list<T>(entries: &mut Vec<(&'static str, Yaml)>, key: &'static str, items: &[T], show: impl Fn(&T) -> Yaml) {
    if !items.is_empty() {
        entries.push((key, Yaml::List(items.iter().map(show).collect())));
    }
}

fn of_group(group: &TargetGroup) -> Yaml {
    mapping([("targets", texts(group.targets.iter().map(escape))), ("labels", of_labels(&group.labels))])
}

fn of_client(http: &HttpClient) -> Vec<(&'static str, Yaml)> {
    let mut entries = Vec::new();
    match &http.auth {
        Auth::None => {}
        Auth::Basic { username, password } => {
            let mut basic = vec![of_sourced("username", "username_file", username)];
            basic.extend(password.as_ref().map(|password| of_secret("password", "password_file", password)));
            entries.push(("basic_auth", mapping(basic)));
        }
        Auth::Header { scheme, credentials } => {
            let credentials = of_secret("credentials", "credentials_file", credentials);
            entries.push(("authorization", mapping([("type", of_text(scheme)), credentials])));
        }
    }
    if http.tls != Tls::default() {
        entries.push(("tls_config", of_tls(&http.tls)));
    }
    entries.push(("follow_redirects", Yaml::Bool(http.follow_redirects)));
    entries
}

fn of_tls(tls: &Tls) -> Yaml {
    let mut entries = Vec::new();
    entries.extend(tls.ca.as_ref().map(|ca| of_sourced("ca", "ca_file", ca)));
    if let Some(identity) = &tls.identity {
        entries.push(of_sourced("cert", "cert_file", &identity.cert));
        entries.push(of_secret("key", "key_file", &identity.key));
    }
    entries.extend(tls.server_name.as_ref().map(|name| ("server_name", of_text(name))));
    entries.push(("insecure_skip_verify", Yaml::Bool(tls.insecure_skip_verify)));
    entries.push(("min_version", Yaml::Text(tls.min_version.name().to_owned())));
    mapping(entries)
}

fn of_service(service: &ServiceName) -> Yaml {
    match service {
        ServiceName::Literal(name) => of_text(name),
        ServiceName::Label(label) => mapping([("label", of_text(label))]),
    }
}

fn of_mapping(signal: &Mapping) -> Yaml {
    let mut entries = Vec::new();
    match &signal.source {
        Source::Pointer(pointer) => entries.push(("pointer", Yaml::Text(pointer.clone()))),
        Source::Selector { css, pattern } => {
            entries.push(("selector", Yaml::Text(css.clone())));
            entries.extend(pattern.as_ref().map(|pattern| ("pattern", Yaml::Text(pattern.clone()))));
        }
        Source::Metric { name, labels } => {
            entries.push(("metric", of_text(name)));
            entries.push(("labels", of_labels(&labels.iter().cloned().collect())));
        }
    }
    entries.extend(
        super::signals::unit_name(signal.signal, signal.factor).map(|unit| ("unit", Yaml::Text(unit.to_owned()))),
    );
    mapping(entries)
}

fn of_rule(rule: &RelabelConfig) -> Yaml {
    let as_written = |text: &String| Yaml::Text(text.clone());
    let mut entries = Vec::new();
    if !rule.source_labels.is_empty() {
        entries.push(("source_labels", texts(rule.source_labels.iter().map(escape))));
    }
    entries.extend(rule.separator.as_ref().map(|text| ("separator", as_written(text))));
    entries.extend(rule.regex.as_ref().map(|text| ("regex", as_written(text))));
    entries.extend(rule.modulus.map(|modulus| ("modulus", Yaml::Whole(modulus))));
    entries.extend(rule.target_label.as_ref().map(|text| ("target_label", as_written(text))));
    entries.extend(rule.replacement.as_ref().map(|text| ("replacement", as_written(text))));
    entries.push(("action", Yaml::Text(rule.action.name().to_owned())));
    mapping(entries)
}

fn of_secret(key: &'static str, file_key: &'static str, secret: &Sourced<Secret>) -> (&'static str, Yaml) {
    match secret {
        Sourced::Inline(_) => (key, Yaml::Text(REDACTED.to_owned())),
        Sourced::File(path) => (file_key, of_path(path)),
    }
}

fn of_sourced(key: &'static str, file_key: &'static str, text: &Sourced<String>) -> (&'static str, Yaml) {
    match text {
        Sourced::Inline(text) => (key, of_text(text)),
        Sourced::File(path) => (file_key, of_path(path)),
    }
}

fn mapping(entries: impl IntoIterator<Item = (&'static str, Yaml)>) -> Yaml {
    Yaml::Mapping(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn texts(items: impl Iterator<Item = String>) -> Yaml {
    Yaml::List(items.map(Yaml::Text).collect())
}

fn of_labels(labels: &BTreeMap<String, String>) -> Yaml {
    Yaml::Mapping(labels.iter().map(|(name, value)| (name.clone(), of_text(value))).collect())
}

fn of_patterns(patterns: &[Pattern]) -> Yaml {
    texts(patterns.iter().map(|pattern| pattern.0.as_str().to_owned()))
}

fn of_text(text: &str) -> Yaml {
    Yaml::Text(escape(text))
}

fn of_path(path: &Path) -> Yaml {
    of_text(&path.display().to_string())
}

fn of_duration(duration: Duration) -> Yaml {
    Yaml::Text(show_duration(duration))
}

/// Dollars that would be read as a variable or an escape, doubled.
fn escape(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        escaped.push(c);
        if c == '$' && matches!(chars.peek(), Some('$' | '{')) {
            escaped.push('$');
        }
    }
    escaped
}
