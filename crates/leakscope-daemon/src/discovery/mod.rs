//! Where targets come from: the configuration, files, servers and this host. [`Discovery::poll`] does what is due and says what is there; it knows no HTTP client (that is an argument) and no clock.

mod doctor;
mod facts;
mod http_sd;
mod local;
mod names;
mod probe;
mod procfs;
mod static_and_file;
mod target;

pub(crate) use doctor::diagnose;
pub use doctor::{Finding, Status};
pub(crate) use facts::gather;
pub(crate) use local::Blind;
pub(crate) use target::{Discovered, FoundTarget, resolve};

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use leakscope_model::{Runtime, Timestamp};

use crate::config::{Config, ScrapeJob};
use http_sd::HttpList;
use local::Local;
use static_and_file::{FileLists, static_targets};

/// What a process under `proc` (`/proc`) runs on, as its files tell.
pub(crate) fn runtime_of(proc: &Path, pid: u32) -> Runtime {
    procfs::identify(proc, pid).runtime
}

/// Most targets of one daemon. Beyond: the later ones are left out and it is said.
const TARGETS_MAX: usize = 100_000;

/// One GET that discovery needs. Authentication, TLS, redirects, timeout and the limit of the body are those of `job`.
#[derive(Clone, Debug)]
pub(crate) struct FetchRequest {
    /// How to ask.
    pub job: Arc<ScrapeJob>,
    /// `host:port`.
    pub address: String,
    /// Path and query.
    pub path: String,
}

/// The answer to a [`FetchRequest`], whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchResponse {
    /// The status.
    pub status: u16,
    /// Header fields as received.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl FetchResponse {
    /// The first header field of a name, in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A source whose list is old, or a target that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceError {
    /// The job.
    pub job: String,
    /// The file, URL or address.
    pub source: String,
    /// What is wrong.
    pub reason: String,
}

/// Everything that is to be watched now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The targets, each identity once, in the order of the jobs.
    pub targets: Vec<FoundTarget>,
    /// How many were dropped by `relabel_configs`.
    pub n_dropped: usize,
    /// Sources that failed, and targets that cannot be made.
    pub errors: Vec<SourceError>,
    /// What this host does not let us see.
    pub blind: Vec<Blind>,
}

/// Follows every source of targets of one configuration.
#[derive(Debug)]
pub(crate) struct Discovery {
    jobs: Vec<Arc<ScrapeJob>>,
    files: Vec<FileLists>,
    lists: Vec<HttpList>,
    local: Option<Local>,
    /// Whether anything changed since the last snapshot was given out; outlives a poll that is given up.
    changed: bool,
}

impl Discovery {
    /// For a configuration; nothing is read yet.
    pub(crate) fn new(config: &Config) -> Self {
        let local = &config.local_discovery;
        Self {
            jobs: config.jobs.clone(),
            files: config.jobs.iter().flat_map(FileLists::of_job).collect(),
            lists: config.jobs.iter().flat_map(|job| HttpList::of_job(job, &config.global)).collect(),
            local: local.enabled.then(|| Local::new(local.clone(), ScrapeJob::local(&config.global))),
            changed: true,
        }
    }

    /// Does what is due at `now`, to be called about every second; `Some` when the targets, errors or blind spots may have changed, and at the first call. Files are read here; a server that hangs holds it up for as long as `fetch` waits. May be given up at any point: what was found by then is told by the next call, what was not is done again.
    pub(crate) async fn poll<F, R>(&mut self, now: Timestamp, fetch: F) -> Option<Snapshot>
    where
        F: Fn(FetchRequest) -> R,
        R: Future<Output = Result<FetchResponse, String>>,
    {
        for list in &mut self.files {
            self.changed |= list.poll(now);
        }
        let polls = self.lists.iter_mut().map(|list| list.poll(now, &fetch));
        futures_util::future::join_all(polls).await;
        if let Some(local) = &mut self.local {
            local.poll(now, &fetch).await;
        }
        let mut changed = std::mem::take(&mut self.changed);
        for list in &mut self.lists {
            changed |= std::mem::take(&mut list.changed);
        }
        if let Some(local) = &mut self.local {
            changed |= local.take_changed();
        }
        changed.then(|| self.snapshot())
    }

    /// What is known now, without looking again.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.errors.extend(self.files.iter().flat_map(FileLists::errors));
        snapshot.errors.extend(self.lists.iter().filter_map(HttpList::error));
        let mut seen = BTreeSet::new();
        let fixed = self.jobs.iter().flat_map(static_targets);
        let listed =
            self.files.iter().flat_map(FileLists::targets).chain(self.lists.iter().flat_map(HttpList::targets));
        let local = self.local.iter().flat_map(Local::targets);
        for discovered in fixed.chain(listed).chain(local) {
            match resolve(&discovered) {
                Ok(None) => snapshot.n_dropped += 1,
                Ok(Some(_)) if snapshot.targets.len() >= TARGETS_MAX => {
                    snapshot.errors.push(too_many(&discovered));
                    break;
                }
                // The same identity twice is one target; the first source wins.
                Ok(Some(found)) if seen.insert(found.target.id) => snapshot.targets.push(found),
                Ok(Some(_)) => {}
                Err(error) => snapshot.errors.push(SourceError {
                    job: discovered.job.config.job_name.clone(),
                    source: discovered.address.clone(),
                    reason: error.to_string(),
                }),
            }
        }
        snapshot.blind = self.local.as_ref().map(|local| local.blind().to_vec()).unwrap_or_default();
        snapshot
    }
}

fn too_many(discovered: &Discovered) -> SourceError {
    SourceError {
        job: discovered.job.config.job_name.clone(),
        source: discovered.address.clone(),
        reason: format!("expected at most {TARGETS_MAX} targets, found more; this and later ones are left out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_sources_become_one_list_with_each_target_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), r#"[{"targets": ["h:1", "h:2"]}]"#).unwrap();
        let text = format!(
            "scrape_configs:\n- job_name: a\n  static_configs: [{{targets: ['h:1', 'dropped:1']}}]\n  file_sd_configs: [{{files: ['{}/*.json']}}]\n  http_sd_configs: [{{url: 'http://sd/'}}]\n  relabel_configs: [{{source_labels: [__address__], regex: 'dropped.*', action: drop}}]\n",
            folder.path().display()
        );
        let config = Config::parse(&text, "x.yaml", &|_| None).unwrap();
        let mut discovery = Discovery::new(&config);
        let fetch = |_: FetchRequest| {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            std::future::ready(Ok(FetchResponse { status: 200, headers, body: br#"[{"targets": ["h:3"]}]"#.to_vec() }))
        };
        let now = Timestamp::from_millis(1_000_000);
        let snapshot = discovery.poll(now, fetch).await.unwrap();
        let urls: Vec<String> = snapshot.targets.iter().map(FoundTarget::url).collect();
        assert_eq!(urls, ["http://h:1/metrics", "http://h:2/metrics", "http://h:3/metrics"]);
        assert_eq!((snapshot.n_dropped, snapshot.errors), (1, Vec::new()));
        assert!(discovery.poll(now, fetch).await.is_none(), "nothing is due and nothing changed");
    }

    #[tokio::test]
    async fn a_poll_that_is_given_up_loses_nothing() {
        let text = "scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['h:1']}]\n  http_sd_configs: [{url: 'http://sd/'}]\n";
        let config = Config::parse(text, "x.yaml", &|_| None).unwrap();
        let mut discovery = Discovery::new(&config);
        let now = Timestamp::from_millis(1_000_000);
        let asked = tokio::sync::Notify::new();
        let hanging = |_: FetchRequest| {
            asked.notify_one();
            std::future::pending::<Result<FetchResponse, String>>()
        };
        tokio::select! {
            _ = discovery.poll(now, hanging) => panic!("the server never answers"),
            () = asked.notified() => {}
        }
        let fetch = |_: FetchRequest| {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            std::future::ready(Ok(FetchResponse { status: 200, headers, body: br#"[{"targets": ["h:2"]}]"#.to_vec() }))
        };
        let snapshot = discovery.poll(now, fetch).await.unwrap();
        let urls: Vec<String> = snapshot.targets.iter().map(FoundTarget::url).collect();
        assert_eq!(urls, ["http://h:1/metrics", "http://h:2/metrics"]);
    }
}
