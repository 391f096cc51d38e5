//! From what was discovered to what is scraped: labels as Prometheus populates them, relabelling, then names. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leakscope_ingest::{Labels, relabel};
use leakscope_model::{Runtime, Target, TargetId};

use crate::config::{Scheme, ScrapeJob, ServiceName, check_address, parse_duration};

/// Labels that name a service, best first, when the configuration does not.
const SERVICE_LABELS: [&str; 7] = [
    "service",
    "service_name",
    "app.kubernetes.io/name",
    "app_kubernetes_io_name",
    "kubernetes_io_app",
    "app",
    "k8s_app",
];
/// Labels that name a version, best first.
const VERSION_LABELS: [&str; 4] =
    ["version", "service_version", "app.kubernetes.io/version", "app_kubernetes_io_version"];

/// One address that a source named, with its labels, before relabelling.
#[derive(Clone, Debug)]
pub(crate) struct Discovered {
    /// Its job.
    pub job: Arc<ScrapeJob>,
    /// `host:port`, or `host`.
    pub address: String,
    /// Labels of its group and `__meta_*` labels of its source.
    pub labels: Labels,
    /// For a process of this host: what was found out about it.
    pub local: Option<LocalOrigin>,
}

/// What is known of a target that is a process of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalOrigin {
    /// The process.
    pub pid: u32,
    /// Its runtime.
    pub runtime: Runtime,
    /// Paths that answered in a known format; empty reads the process only.
    pub paths: Vec<String>,
}

/// A target ready to be scraped.
#[derive(Clone, Debug)]
pub(crate) struct FoundTarget {
    /// What the engine watches.
    pub target: Target,
    /// How it is scraped.
    pub job: Arc<ScrapeJob>,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// `host:port`.
    pub address: String,
    /// Paths with their queries; empty reads the process only.
    pub paths: Vec<String>,
    /// The process, when it runs on this host.
    pub pid: Option<u32>,
}

#[cfg(test)]
impl FoundTarget {
    /// The first URL that is read; for a process without one, its address alone.
    pub(crate) fn url(&self) -> String {
        let path = self.paths.first().map_or("", String::as_str);
        format!("{}://{}{path}", self.scheme.name(), self.address)
    }
}

/// Relabelled labels that cannot be scraped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// `__address__` is none.
    #[error("expected `host:port` in `__address__` of job `{job}`, found `{address}`")]
    Address {
        /// The job.
        job: String,
        /// As relabelled.
        address: String,
    },
    /// `__scheme__` is none.
    #[error("expected `http` or `https` in `__scheme__` of job `{job}`, found `{scheme}`")]
    Scheme {
        /// The job.
        job: String,
        /// As relabelled.
        scheme: String,
    },
    /// An interval or timeout label is no duration, or the timeout is the longer.
    #[error(
        "expected durations in `__scrape_interval__` and `__scrape_timeout__` of job `{job}`, timeout not above interval, found `{interval}` and `{timeout}`"
    )]
    Times {
        /// The job.
        job: String,
        /// As relabelled.
        interval: String,
        /// As relabelled.
        timeout: String,
    },
}

/// Relabels one discovered address. `None`: a rule dropped it.
///
/// # Errors
/// [`ResolveError`] when the rules leave labels that cannot be scraped.
pub(crate) fn resolve(discovered: &Discovered) -> Result<Option<FoundTarget>, ResolveError> {
    let job = &discovered.job;
    let mut labels = populate(discovered);
    if !relabel(&job.relabel, &mut labels) || labels.get("__address__").is_none_or(String::is_empty) {
        return Ok(None);
    }
    let scheme = scheme_of(&labels, job)?;
    let address = address_of(&labels, job, scheme)?;
    let (interval, timeout) = times_of(&labels, job)?;
    let paths = match &discovered.local {
        Some(local) => local.paths.clone(),
        None => std::iter::once(path_of(&labels, &job.config.params)).chain(config_paths(job)).collect(),
    };
    let target = name(labels, discovered, &address, interval, timeout);
    let pid = discovered.local.as_ref().map(|local| local.pid);
    Ok(Some(FoundTarget { target, job: job.clone(), scheme, address, paths, pid }))
}

/// The labels that rules see.
fn populate(discovered: &Discovered) -> Labels {
    let config = &discovered.job.config;
    let mut labels = Labels::new();
    labels.insert("job".to_owned(), config.job_name.clone());
    labels.insert("__scheme__".to_owned(), config.scheme.name().to_owned());
    labels.insert("__metrics_path__".to_owned(), config.metrics_path.clone());
    labels.insert("__scrape_interval__".to_owned(), crate::config::show_duration(config.scrape_interval));
    labels.insert("__scrape_timeout__".to_owned(), crate::config::show_duration(config.scrape_timeout));
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            labels.insert(format!("__param_{name}"), first.clone());
        }
    }
    labels.extend(discovered.labels.clone());
    labels.insert("__address__".to_owned(), discovered.address.clone());
    labels
}

fn scheme_of(labels: &Labels, job: &ScrapeJob) -> Result<Scheme, ResolveError> {
    let scheme = labels.get("__scheme__").map_or("", String::as_str);
    Scheme::from_name(scheme)
        .ok_or_else(|| ResolveError::Scheme { job: job.config.job_name.clone(), scheme: scheme.to_owned() })
}

/// The address with a port.
fn address_of(labels: &Labels, job: &ScrapeJob, scheme: Scheme) -> Result<String, ResolveError> {
    let address = labels.get("__address__").map_or("", String::as_str);
    if check_address(address).is_err() {
        return Err(ResolveError::Address { job: job.config.job_name.clone(), address: address.to_owned() });
    }
    let host_end = address.rfind(']').unwrap_or(0);
    let has_port = address.get(host_end..).is_some_and(|rest| rest.contains(':'));
    Ok(if has_port { address.to_owned() } else { format!("{address}:{}", scheme.default_port()) })
}

fn times_of(labels: &Labels, job: &ScrapeJob) -> Result<(Duration, Duration), ResolveError> {
    let text = |name: &str| labels.get(name).map_or("", String::as_str);
    let (interval, timeout) = (text("__scrape_interval__"), text("__scrape_timeout__"));
    match (parse_duration(interval), parse_duration(timeout)) {
        (Some(interval), Some(timeout)) if !timeout.is_zero() && timeout <= interval => Ok((interval, timeout)),
        _ => Err(ResolveError::Times {
            job: job.config.job_name.clone(),
            interval: interval.to_owned(),
            timeout: timeout.to_owned(),
        }),
    }
}

/// Path and query: `__metrics_path__`, `__param_*`, and the further values of `params`, which no label can hold.
fn path_of(labels: &Labels, params: &BTreeMap<String, Vec<String>>) -> String {
    let mut path =
        labels.get("__metrics_path__").filter(|path| !path.is_empty()).cloned().unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    // A rule can put anything here; what would break the request line is encoded.
    let mut path = encode(&path, b"/?=&%:;,@!$'()*+~._-");
    let mut separator = if path.contains('?') { '&' } else { '?' };
    let firsts = labels.iter().filter_map(|(name, value)| Some((name.strip_prefix("__param_")?, value)));
    let further =
        params.iter().flat_map(|(name, values)| values.iter().skip(1).map(move |value| (name.as_str(), value)));
    for (name, value) in firsts.chain(further) {
        path.push(separator);
        path.push_str(&encode(name, b"~._-"));
        path.push('=');
        path.push_str(&encode(value, b"~._-"));
        separator = '&';
    }
    path
}

/// `further_paths`, made absolute.
fn config_paths(job: &ScrapeJob) -> impl Iterator<Item = String> + '_ {
    let paths = job.config.further_paths.iter();
    paths.map(|path| encode(&format!("/{}", path.trim_start_matches('/')), b"/?=&%:;,@!$'()*+~._-"))
}

/// Percent-encodes all but letters, digits and `kept`.
fn encode(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase();
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

/// Names the target by its final labels.
fn name(mut labels: Labels, discovered: &Discovered, address: &str, interval: Duration, timeout: Duration) -> Target {
    let config = &discovered.job.config;
    let job = labels.remove("job").filter(|job| !job.is_empty()).unwrap_or_else(|| config.job_name.clone());
    let instance = labels.remove("instance").filter(|name| !name.is_empty()).unwrap_or_else(|| address.to_owned());
    let first = |labels: &Labels, names: &[&str]| {
        names.iter().find_map(|name| labels.get(*name)).filter(|value| !value.is_empty()).cloned()
    };
    let service = match &config.service {
        Some(ServiceName::Literal(name)) => Some(name.clone()),
        Some(ServiceName::Label(label)) => first(&labels, &[label.as_str()]),
        None => first(&labels, &SERVICE_LABELS),
    };
    let version = first(&labels, &VERSION_LABELS);
    let labelled_runtime = labels.get("runtime").and_then(|name| crate::config::runtime_of(name));
    let local_runtime = discovered.local.as_ref().map(|local| local.runtime);
    let runtime = config.runtime.or(labelled_runtime).or(local_runtime).unwrap_or_default();
    labels.retain(|name, value| {
        !name.starts_with("__") && !matches!(name.as_str(), "service" | "version") && !value.is_empty()
    });
    Target {
        id: TargetId::of(&job, &instance, ""),
        service: service.unwrap_or_else(|| job.clone()),
        job,
        instance,
        version,
        labels: labels.into_iter().collect::<BTreeMap<_, _>>(),
        runtime,
        interval,
        timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn only(job: &str) -> Result<Option<FoundTarget>, ResolveError> {
        let config = Config::parse(&format!("scrape_configs:\n- {job}\n"), "x.yaml", &|_| None).unwrap();
        let job = config.jobs[0].clone();
        let group = job.config.static_configs[0].clone();
        resolve(&Discovered { job, address: group.targets[0].clone(), labels: group.labels, local: None })
    }

    #[test]
    fn names_come_from_labels_and_fall_back_to_the_job() {
        for (job, service, version, instance) in [
            ("{job_name: a, static_configs: [{targets: ['h:1']}]}", "a", None, "h:1"),
            ("{job_name: a, static_configs: [{targets: ['h']}]}", "a", None, "h:80"),
            ("{job_name: a, scheme: https, static_configs: [{targets: ['[::1]']}]}", "a", None, "[::1]:443"),
            (
                "{job_name: a, service: s, static_configs: [{targets: ['h:1'], labels: {service: x, version: v}}]}",
                "s",
                Some("v"),
                "h:1",
            ),
            (
                "{job_name: a, service: {label: team}, static_configs: [{targets: ['h:1'], labels: {team: x}}]}",
                "x",
                None,
                "h:1",
            ),
            ("{job_name: a, static_configs: [{targets: ['h:1'], labels: {app: x, instance: i}}]}", "x", None, "i"),
        ] {
            let found = only(job).unwrap().unwrap();
            assert_eq!((found.target.service.as_str(), found.target.version.as_deref()), (service, version), "{job}");
            assert_eq!(found.target.instance, instance, "{job}");
        }
    }

    #[test]
    fn rules_rewrite_the_address_the_path_and_the_parameters() {
        let found = only(
            "{job_name: probe, metrics_path: /probe, params: {module: [http 2xx]}, static_configs: [{targets: [shop]}], relabel_configs: [\
             {source_labels: [__address__], target_label: __param_target}, {target_label: __address__, replacement: 'prober:9115'}, \
             {source_labels: [__param_target], target_label: instance}, {target_label: __scrape_interval__, replacement: 30s}]}",
        )
        .unwrap()
        .unwrap();
        assert_eq!(found.url(), "http://prober:9115/probe?module=http%202xx&target=shop");
        assert_eq!(found.target.instance, "shop");
        let several =
            only("{job_name: a, params: {match: [x, 'y z']}, static_configs: [{targets: ['h:1']}]}").unwrap().unwrap();
        assert_eq!(several.url(), "http://h:1/metrics?match=x&match=y%20z");
        assert_eq!(found.target.interval, Duration::from_secs(30));
        assert_eq!(found.target.labels, BTreeMap::new());
    }

    #[test]
    fn what_rules_drop_or_break_is_told_apart() {
        let with = |rule: &str| {
            only(&format!("{{job_name: a, static_configs: [{{targets: ['h:1']}}], relabel_configs: [{rule}]}}"))
        };
        assert!(matches!(with("{source_labels: [__address__], regex: 'h:.*', action: drop}"), Ok(None)));
        assert!(matches!(with("{target_label: __scheme__, replacement: ftp}"), Err(ResolveError::Scheme { .. })));
        assert!(matches!(with("{target_label: __address__, replacement: 'a/b'}"), Err(ResolveError::Address { .. })));
        assert!(matches!(with("{target_label: __scrape_timeout__, replacement: 1h}"), Err(ResolveError::Times { .. })));
    }
}
