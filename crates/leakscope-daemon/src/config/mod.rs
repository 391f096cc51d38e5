//! The configuration: YAML in Prometheus' shape and words, read once into types. All problems are told at once, each with file, line and column; no secret is ever shown.
//!
//! [`Config::parse`] is pure; only [`Config::load`], [`check`] and the reading of secrets' files touch the disk.

mod alerting;
mod capture;
mod check;
mod compile;
mod effective;
mod env;
mod global;
mod groups;
mod http;
mod limits;
mod load;
mod problem;
mod quantity;
mod reader;
mod receiver;
mod relabel;
mod scrape;
mod secret;
mod sections;
mod signals;
mod template;
#[cfg(test)]
mod tests;
mod web_file;
mod yaml;

pub use alerting::{Alerting, Flapping, Matcher, Route, Severity, Watchdog};
pub use capture::{Capture, GoCapture, JvmCapture, NativeCapture, NodeCapture, PythonCapture};
pub use check::{JobReport, Report, check};
pub use compile::{LOCAL_JOB, ScrapeJob};
pub use global::Global;
pub(crate) use groups::{parse_json, parse_target_file};
pub use http::{Auth, ClientIdentity, HttpClient, Tls, TlsVersion};
pub(crate) use load::{glob, read_text};
pub use problem::{ConfigErrors, Problem};
pub(crate) use quantity::{parse_duration, show_duration};
pub use reader::Env;
pub use receiver::{Email, Encryption, Integration, Receiver, Sink};
pub use scrape::{FileSd, HttpSd, Scheme, ScrapeConfig, ServiceName, TargetGroup};
pub(crate) use scrape::{check_address, runtime_of};
pub use secret::{REDACTED, Secret, SecretError, Sourced};
pub use sections::{Detection, LocalDiscovery, Pattern, Storage, Web, parse_listen_address};
pub use template::Template;
pub(crate) use template::{Accused, Story, samples};
pub use web_file::{ClientAuth, WebFile, WebTls};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use problem::Source;
use reader::{Fields, Reader};
use scrape::{PlacedJob, Seen, read_group};
use yaml::{Node, Place};

/// Most jobs of one configuration. Beyond: refused.
const JOBS_MAX: usize = 10_000;

/// A whole configuration, defaults put in.
#[derive(Clone, Debug)]
pub struct Config {
    /// What holds for every job.
    pub global: Global,
    /// Patterns of further files with `scrape_configs`.
    pub scrape_config_files: Vec<PathBuf>,
    /// The jobs, in the order of the files.
    pub jobs: Vec<Arc<ScrapeJob>>,
    /// Processes of this host.
    pub local_discovery: LocalDiscovery,
    /// Where samples go.
    pub storage: Storage,
    /// How verdicts are reached.
    pub detection: Detection,
    /// What evidence may be taken.
    pub capture: Arc<Capture>,
    /// Who is told, when, and in which words.
    pub alerting: Arc<Alerting>,
    /// The API and the page.
    pub web: Web,
    /// What is suspicious but allowed.
    pub warnings: Vec<Problem>,
}

impl Default for Config {
    /// What an empty file means: the processes of this host.
    fn default() -> Self {
        Self {
            global: Global::default(),
            scrape_config_files: Vec::new(),
            jobs: Vec::new(),
            local_discovery: LocalDiscovery::default(),
            storage: Storage::default(),
            detection: Detection::default(),
            capture: Arc::new(Capture::default()),
            alerting: Arc::new(Alerting::default()),
            web: Web::default(),
            warnings: Vec::new(),
        }
    }
}

/// A further file that `scrape_config_files` names, or why there is none.
pub(crate) struct Included {
    pub(crate) name: String,
    pub(crate) text: Result<String, Box<Problem>>,
}

impl Config {
    /// Reads a configuration. Pure: `file_name` is for messages and for the folder of relative paths, `env` gives the variables; files of `scrape_config_files` are not read.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem there is.
    pub fn parse(text: &str, file_name: &str, env: Env<'_>) -> Result<Self, ConfigErrors> {
        Self::parse_with(text, file_name, env, |_| Vec::new())
    }

    /// As [`Config::parse`]; `include` gets the patterns of `scrape_config_files` and returns the files.
    pub(crate) fn parse_with(
        text: &str,
        file_name: &str,
        env: Env<'_>,
        include: impl FnOnce(&[PathBuf]) -> Vec<Included>,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(env);
        let mut config = Self::default();
        let mut placed = Vec::new();
        let mut local_says_itself = false;
        if let Some(root) = read_yaml(&mut reader, file_name, text) {
            reader.mapping(&root, "", |reader, fields| {
                local_says_itself = read_root(reader, fields, &mut config, &mut placed);
            });
        }
        let mut unreadable = Vec::new();
        for file in include(&config.scrape_config_files) {
            match file.text {
                Ok(text) => read_included(&mut reader, &file.name, &text, &config.global, &mut placed),
                Err(problem) => unreadable.push(*problem),
            }
        }
        refuse_duplicates(&mut reader, &placed);
        config.jobs = compile_jobs(&mut reader, placed);
        if !local_says_itself {
            config.local_discovery.enabled = config.jobs.is_empty();
        }
        finish(reader, unreadable, config)
    }
}

/// Parses one file and makes it known to messages; YAML that is none becomes a problem.
fn read_yaml(reader: &mut Reader<'_>, name: &str, text: &str) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = reader.sources.len();
    reader.sources.push(Source::new(name, text));
    let mut problems = Vec::new();
    let parsed = yaml::parse(text, file, &mut problems);
    for problem in problems {
        reader.error(problem.place, problem.message, None, problem.hint);
    }
    match parsed {
        Ok(root) => root.filter(|root| !root.is_null()),
        Err(problem) => {
            reader.error(problem.place, problem.message, None, problem.hint);
            None
        }
    }
}

/// Reads the root of the main file; `true` when `local_discovery` says itself whether it is enabled.
fn read_root(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    config: &mut Config,
    placed: &mut Vec<PlacedJob>,
) -> bool {
    config.global = reader.section(fields, "global", Global::read).unwrap_or_default();
    for (node, path) in reader.items(fields, "scrape_config_files") {
        if let Some(text) = reader.text_of(node, &path) {
            config.scrape_config_files.push(reader.resolve(text.place, &text.value));
        }
    }
    read_jobs(reader, fields, &config.global, placed);
    let local = reader.section(fields, "local_discovery", LocalDiscovery::read);
    config.storage = reader.section(fields, "storage", Storage::read).unwrap_or_default();
    config.detection = reader.section(fields, "detection", Detection::read).unwrap_or_default();
    config.capture = Arc::new(reader.section(fields, "capture", Capture::read).unwrap_or_default());
    config.alerting = Arc::new(reader.section(fields, "alerting", Alerting::read).unwrap_or_default());
    config.web = reader.section(fields, "web", Web::read).unwrap_or_default();
    let Some((local, says_itself)) = local else { return false };
    config.local_discovery = local;
    says_itself
}

fn read_jobs(reader: &mut Reader<'_>, fields: &mut Fields<'_>, global: &Global, placed: &mut Vec<PlacedJob>) {
    placed.extend(reader.list(fields, "scrape_configs", |reader, fields| PlacedJob::read(reader, fields, global)));
}

/// Reads a file of `scrape_config_files`: jobs and nothing else.
fn read_included(reader: &mut Reader<'_>, name: &str, text: &str, global: &Global, placed: &mut Vec<PlacedJob>) {
    if let Some(root) = read_yaml(reader, name, text) {
        reader.mapping(&root, "", |reader, fields| read_jobs(reader, fields, global, placed));
    }
}

/// A list of targets in YAML, as files of `file_sd_configs` hold them; texts are taken as written. Pure.
///
/// # Errors
/// The first problem.
pub(crate) fn read_groups(text: &str, file_name: &str) -> Result<Vec<TargetGroup>, Box<Problem>> {
    let mut reader = Reader::verbatim();
    let mut groups = Vec::new();
    if let Some(root) = read_yaml(&mut reader, file_name, text) {
        if let yaml::Value::List(items) = &root.value {
            let mut seen = Seen::new();
            for (index, item) in items.iter().enumerate() {
                let read = |reader: &mut Reader<'_>, fields: &mut Fields<'_>| read_group(reader, fields, &mut seen);
                groups.extend(reader.mapping(item, &format!("[{index}]"), read));
            }
        } else {
            reader.expected("a list of `{targets, labels}`", &root, "", None);
        }
    }
    match reader.errors.into_iter().next() {
        Some((_, problem)) => Err(Box::new(problem)),
        None => Ok(groups),
    }
}

fn refuse_duplicates(reader: &mut Reader<'_>, placed: &[PlacedJob]) {
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    for PlacedJob { job, name_place } in placed {
        if let Some(first) = seen.insert(&job.job_name, *name_place) {
            let file = reader.sources.get(first.file).map_or("", |source| source.name.as_str());
            let message = format!("job `{}` stands twice, first at {file}:{}", job.job_name, first.line);
            reader.error(*name_place, message, None, None);
        } else if job.job_name == LOCAL_JOB {
            let message = format!("job name `{LOCAL_JOB}` is kept for the processes of this host");
            reader.error(*name_place, message, None, None);
        }
    }
    if let Some(one_too_many) = placed.get(JOBS_MAX) {
        reader.error(one_too_many.name_place, format!("expected at most {JOBS_MAX} jobs, found more"), None, None);
    }
}

fn compile_jobs(reader: &mut Reader<'_>, placed: Vec<PlacedJob>) -> Vec<Arc<ScrapeJob>> {
    let mut jobs = Vec::with_capacity(placed.len());
    for PlacedJob { job, name_place } in placed.into_iter().take(JOBS_MAX) {
        match ScrapeJob::compile(job) {
            Ok(job) => jobs.push(job),
            // Each mapping and rule has compiled alone before, so this is unusual; it still gets a place.
            Err(error) => reader.error(name_place, error.to_string(), None, None),
        }
    }
    jobs
}

/// The configuration with its warnings, or everything that is wrong in the order of the files.
fn finish(mut reader: Reader<'_>, unreadable: Vec<Problem>, mut config: Config) -> Result<Config, ConfigErrors> {
    let in_order = |place: &Place| (place.file, place.line, place.column);
    reader.errors.sort_by_key(|(place, _)| in_order(place));
    reader.warnings.sort_by_key(|(place, _)| in_order(place));
    let n_more = reader.n_more();
    if reader.errors.is_empty() && unreadable.is_empty() {
        config.warnings = reader.warnings.into_iter().map(|(_, problem)| problem).collect();
        return Ok(config);
    }
    let problems = reader.errors.into_iter().map(|(_, problem)| problem).chain(unreadable).collect();
    Err(ConfigErrors { problems, n_more })
}
