//! `check config FILE`: what a configuration says, and what is wrong or suspicious in it, without starting anything.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::groups::parse_target_file;
use super::load::{glob, has_star};
use super::problem::{ConfigErrors, Problem};
use super::{Config, HttpClient, ScrapeConfig, WebFile};

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file that was checked.
    pub file: String,
    /// The jobs; empty when the file could not be read.
    pub jobs: Vec<JobReport>,
    /// What is suspicious.
    pub warnings: Vec<Problem>,
    /// What is wrong; the daemon would not start with it, or refuse the reload.
    pub errors: Option<ConfigErrors>,
}

/// One job of a checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// Its name.
    pub name: String,
    /// Targets of `static_configs`, each once.
    pub n_static_targets: usize,
    /// Targets in the files of `file_sd_configs` as they are now.
    pub n_file_targets: usize,
    /// Servers of `http_sd_configs`; they are not asked.
    pub n_http_sources: usize,
}

/// Checks the configuration at `path`: reads it, the files that it includes, its lists of targets and `web.config_file`, and looks whether the files of secrets and certificates are there.
pub fn check(path: &Path) -> Report {
    let file = path.display().to_string();
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(errors) => return Report { file, jobs: Vec::new(), warnings: Vec::new(), errors: Some(errors) },
    };
    let mut found = Found { warnings: config.warnings.clone(), errors: Vec::new() };
    let jobs = config.jobs.iter().map(|job| check_job(&job.config, &mut found)).collect();
    for receiver in &config.alerting.receivers {
        for one in &receiver.integrations {
            let place = format!("receiver `{}`", receiver.name);
            for (key, path) in one.http.files().into_iter().chain(one.sink.files()) {
                check_file(&place, key, path, &mut found);
            }
        }
    }
    if let Some(token) = config.web.token.as_ref().and_then(|token| token.file()) {
        check_file(&file, "web.authorization.credentials_file", token, &mut found);
    }
    if let Some(Err(errors)) = config.web.config_file.as_deref().map(WebFile::load) {
        found.errors.extend(errors.problems);
    }
    let errors = (!found.errors.is_empty()).then_some(ConfigErrors { problems: found.errors, n_more: 0 });
    Report { file, jobs, warnings: found.warnings, errors }
}

struct Found {
    warnings: Vec<Problem>,
    errors: Vec<Problem>,
}

fn check_job(job: &ScrapeConfig, found: &mut Found) -> JobReport {
    check_client(&job.job_name, &job.http, found);
    for source in &job.http_sd_configs {
        check_client(&job.job_name, &source.http, found);
    }
    let targets: BTreeSet<_> = job
        .static_configs
        .iter()
        .flat_map(|group| group.targets.iter().map(move |target| (target, &group.labels)))
        .collect();
    let patterns = job.file_sd_configs.iter().flat_map(|source| &source.files);
    let n_file_targets = patterns.map(|pattern| count_targets(&job.job_name, pattern, found)).sum();
    if job.static_configs.is_empty() && job.file_sd_configs.is_empty() && job.http_sd_configs.is_empty() {
        let message = "this job has no targets: no `static_configs`, `file_sd_configs` or `http_sd_configs`";
        found.warnings.push(Problem::of_file(format!("job `{}`", job.job_name), message));
    }
    let n_http_sources = job.http_sd_configs.len();
    JobReport { name: job.job_name.clone(), n_static_targets: targets.len(), n_file_targets, n_http_sources }
}

fn check_client(job_name: &str, http: &HttpClient, found: &mut Found) {
    for (key, path) in http.files() {
        check_file(&format!("job `{job_name}`"), key, path, found);
    }
}

fn check_file(file: &str, key: &str, path: &Path, found: &mut Found) {
    if let Err(error) = std::fs::File::open(path) {
        let message = format!("cannot read `{}` of `{key}`: {error}", path.display());
        found.errors.push(Problem::of_file(file, message));
    }
}

/// How many targets the files of one pattern hold now.
fn count_targets(job_name: &str, pattern: &Path, found: &mut Found) -> usize {
    let paths = match glob(pattern) {
        Ok(paths) => paths,
        Err(problem) => {
            found.errors.push(*problem);
            return 0;
        }
    };
    if paths.is_empty() {
        let what = if has_star(pattern) { "no file matches this pattern yet" } else { "this file is not there yet" };
        let message = format!("{what}: `{}` of `file_sd_configs`", pattern.display());
        found.warnings.push(Problem::of_file(format!("job `{job_name}`"), message));
    }
    let mut n_targets = 0;
    for path in paths {
        let name = path.display().to_string();
        match super::load::read_text(&path).and_then(|text| parse_target_file(&text, &name)) {
            Ok(groups) => n_targets += groups.iter().map(|group| group.targets.len()).sum::<usize>(),
            Err(problem) => found.errors.push(*problem),
        }
    }
    n_targets
}

impl Report {
    /// Whether the daemon would take it.
    pub fn is_ok(&self) -> bool {
        self.errors.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            warning.render("warning", f)?;
            writeln!(f)?;
        }
        if let Some(errors) = &self.errors {
            let n_errors = errors.problems.len() + errors.n_more;
            return write!(f, "{errors}\n{}: {n_errors} problem{}\n", self.file, if n_errors == 1 { "" } else { "s" });
        }
        for job in &self.jobs {
            let mut sources = vec![format!("{} static", job.n_static_targets)];
            if job.n_file_targets > 0 {
                sources.push(format!("{} in files", job.n_file_targets));
            }
            if job.n_http_sources > 0 {
                sources.push(format!("{} from HTTP, not asked", job.n_http_sources));
            }
            writeln!(f, "job `{}`: targets: {}", job.name, sources.join(", "))?;
        }
        let n_jobs = self.jobs.len();
        writeln!(f, "{}: ok ({n_jobs} job{})", self.file, if n_jobs == 1 { "" } else { "s" })
    }
}
