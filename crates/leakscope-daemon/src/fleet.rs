//! The fleet: turns what discovery finds into targets for the engine and endpoints for the scraper, and reloads the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use leakscope_engine::Event;
use leakscope_model::{Runtime, Target, TargetId};
use rustls::ClientConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::alert::Notifier;
use crate::api::{FleetStatus, ReloadRequest};
use crate::capture::{HttpAccess, Subject};
use crate::config::{Config, Scheme, ScrapeJob};
use crate::daemon::keep;
use crate::discovery::{Discovery, FetchRequest, FetchResponse, FoundTarget, Snapshot};
use crate::keeper::Chore;
use crate::scrape::{Endpoint, EndpointTls, Order, fetch};
use crate::telemetry::Telemetry;
use crate::tls::client_config;
use crate::{clock, collector, http};

/// How often sources of targets are looked at; each has its own interval above this.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long a server of targets may take, whatever `scrape_timeout` is: all other sources wait for it meanwhile.
const FETCH_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// The job and service under which leakscope watches itself.
const OWN_JOB: &str = "leakscope";

/// Everyone who has to know of a change in the fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) orders: Sender<Order>,
    pub(crate) evidence: tokio::sync::mpsc::UnboundedSender<collector::Order>,
    pub(crate) events: Sender<Vec<Event>>,
    pub(crate) chores: Sender<Chore>,
    pub(crate) notifier: Notifier,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) status: watch::Sender<FleetStatus>,
}

impl Fleet {
    /// Follows the sources of targets, and reloads on request and on SIGHUP, until `stop`.
    pub(crate) async fn run(
        self,
        mut config: Config,
        mut reloads: mpsc::Receiver<ReloadRequest>,
        mut stop: watch::Receiver<bool>,
    ) {
        let started = config.clone();
        let mut discovery = Discovery::new(&config);
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut looks = tokio::time::interval(POLL_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // A look that hangs is given up for a reload: the new configuration may have done away with its cause.
            let answer = tokio::select! {
                biased;
                _ = stop.changed() => return,
                Some(answer) = reloads.recv() => Some(answer),
                () = next_hangup(&mut hangup) => None,
                snapshot = look(&mut looks, &mut discovery) => {
                    if let Some(snapshot) = snapshot {
                        self.apply(&config, needs_restart(&started, &config), snapshot);
                    }
                    continue;
                }
            };
            let outcome = self.load();
            if let Some(answer) = answer {
                // Whoever asked may have left.
                let _ = answer.send(outcome.as_ref().map(|_| ()).map_err(Clone::clone));
            }
            if let Ok(new) = outcome {
                let _ = self.chores.send(Chore::Keep(keep(&new)));
                self.notifier.reload(&new);
                discovery = Discovery::new(&new);
                config = new;
                looks.reset_immediately();
            }
        }
    }

    /// Reads the configuration again. A bad one is told, counted and shown; the old one goes on.
    fn load(&self) -> Result<Config, String> {
        let Some(file) = &self.config_file else {
            return Err("leakscope runs without a configuration file; start it with `--config.file`".into());
        };
        let outcome = Config::load(file).map_err(|errors| errors.to_string());
        self.telemetry.reload_successful.set(i64::from(outcome.is_ok()));
        match &outcome {
            Ok(_) => {
                self.telemetry.reload_at.set(clock::now().as_millis() / 1_000);
                tracing::info!(file = %file.display(), "the configuration was reloaded");
            }
            Err(error) => tracing::error!(file = %file.display(), %error, "the configuration was not reloaded"),
        }
        self.status.send_modify(|status| {
            status.reloaded = Some(outcome.is_ok());
            status.error = outcome.as_ref().err().cloned();
        });
        outcome
    }

    fn apply(&self, config: &Config, mut problems: Vec<String>, snapshot: Snapshot) {
        problems.extend(
            snapshot.errors.iter().map(|error| format!("job `{}`, `{}`: {}", error.job, error.source, error.reason)),
        );
        problems.extend(snapshot.blind.iter().map(|blind| {
            format!("process {} (`{}`) cannot be seen: {}; {}", blind.pid, blind.name, blind.why, blind.remedy)
        }));
        for problem in &problems {
            tracing::warn!("{problem}");
        }
        self.status.send_modify(|status| status.problems = problems);
        let mut tls = TlsConfigs::default();
        let mut clients = BTreeMap::new();
        let (mut targets, mut endpoints, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
        for found in snapshot.targets {
            let endpoint = endpoint_of(&found, &mut tls);
            subjects.push(Arc::new(subject_of(&found, &endpoint, &mut clients, config)));
            endpoints.push(Arc::new(endpoint));
            targets.push(found.target);
        }
        let (target, endpoint) = ourselves(config);
        endpoints.push(Arc::new(endpoint));
        targets.push(target);
        tracing::info!(targets = targets.len(), "targets changed");
        // ORDER: scraper and collector know a target before the engine can ask for it.
        let _ = self.orders.send(Order::Endpoints(endpoints));
        let _ = self.evidence.send(collector::Order::Subjects(subjects));
        let _ = self.events.send(vec![Event::TargetsSeen(targets)]);
    }
}

/// What evidence can be taken with of all targets that one look finds, each with its service.
pub(crate) async fn subjects_of(config: &Config) -> Vec<(String, Subject)> {
    let snapshot = Discovery::new(config).poll(clock::now(), fetch_for_discovery).await.unwrap_or_default();
    let (mut tls, mut clients) = (TlsConfigs::default(), BTreeMap::new());
    let found = snapshot.targets.into_iter().map(|found| {
        let endpoint = endpoint_of(&found, &mut tls);
        let subject = subject_of(&found, &endpoint, &mut clients, config);
        (found.target.service, subject)
    });
    found.collect()
}

/// Waits until it is time to, and looks at the sources of targets.
async fn look(looks: &mut tokio::time::Interval, discovery: &mut Discovery) -> Option<Snapshot> {
    looks.tick().await;
    discovery.poll(clock::now(), fetch_for_discovery).await
}

/// What a reload cannot change while leakscope runs.
fn needs_restart(started: &Config, now: &Config) -> Vec<String> {
    let changed = [
        ("web", started.web != now.web),
        ("storage.path", started.storage.path != now.storage.path),
        ("detection", started.detection != now.detection),
        ("capture", started.capture != now.capture),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed
        .map(|(key, _)| {
            format!("`{key}` of the configuration changed; it takes effect when leakscope is started again")
        })
        .collect()
}

async fn next_hangup(hangup: &mut Option<tokio::signal::unix::Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

async fn fetch_for_discovery(request: FetchRequest) -> Result<FetchResponse, String> {
    let tls = match request.job.config.scheme {
        Scheme::Http => EndpointTls::Plain,
        Scheme::Https => TlsConfigs::default().of(&request.job, &request.address),
    };
    let timeout = request.job.config.scrape_timeout.min(FETCH_TIMEOUT_MAX);
    let endpoint = Endpoint::new(TargetId::default(), request.job, &request.address, Vec::new(), tls, None);
    match tokio::time::timeout(timeout, fetch(&endpoint, &request.path)).await {
        Ok(Ok((status, headers, body))) => Ok(FetchResponse { status, headers, body }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", timeout.as_secs_f64())),
    }
}

fn endpoint_of(found: &FoundTarget, tls: &mut TlsConfigs) -> Endpoint {
    // A rule may have changed the job's scheme for this target.
    let tls = match found.scheme {
        Scheme::Http => EndpointTls::Plain,
        Scheme::Https => tls.of(&found.job, &found.address),
    };
    let (target, job) = (&found.target, found.job.clone());
    let endpoint = Endpoint::new(target.id, job, &found.address, found.paths.clone(), tls, found.pid);
    Endpoint { timeout: target.timeout, ..endpoint }
}

/// What evidence of a target is taken with. Targets share the client of their job.
fn subject_of(
    found: &FoundTarget,
    endpoint: &Endpoint,
    clients: &mut BTreeMap<String, Result<reqwest::Client, String>>,
    config: &Config,
) -> Subject {
    let (tls, key) = match &endpoint.tls {
        EndpointTls::Plain => (Ok(None), String::new()),
        EndpointTls::Tls(config, _) => (Ok(Some(config)), found.job.config.job_name.clone()),
        EndpointTls::Unusable(reason) => (Err(reason.clone()), found.job.config.job_name.clone()),
    };
    let client = clients.entry(key).or_insert_with(|| http::client(tls?)).clone();
    let with = |client| HttpAccess::with(client, found.scheme, &found.address, &found.job.config.http);
    // A job whose TLS cannot be used says so at every scrape; evidence is then taken without HTTP.
    let http = client.ok().filter(|_| !found.paths.is_empty()).map(with);
    Subject {
        target: found.target.id,
        instance: found.target.instance.clone(),
        runtime: found.target.runtime,
        pid: found.pid,
        http: http.map(|http| http.with_page(found.paths.first().cloned())),
        settings: config.capture.clone(),
    }
}

/// Client configurations by job: certificates are read once for thousands of targets.
#[derive(Default)]
struct TlsConfigs(BTreeMap<String, Result<Arc<ClientConfig>, String>>);

impl TlsConfigs {
    fn of(&mut self, job: &ScrapeJob, address: &str) -> EndpointTls {
        let tls = &job.config.http.tls;
        let config = self.0.entry(job.config.job_name.clone()).or_insert_with(|| client_config(tls));
        EndpointTls::new(config.clone(), tls, address)
    }
}

/// leakscope watches itself as it watches everyone: by its process.
fn ourselves(config: &Config) -> (Target, Endpoint) {
    let job = ScrapeJob::local(&config.global);
    let instance = "self".to_owned();
    let target = Target {
        id: TargetId::of(OWN_JOB, &instance, ""),
        job: OWN_JOB.into(),
        instance: instance.clone(),
        service: OWN_JOB.into(),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        labels: BTreeMap::new(),
        runtime: Runtime::Native,
        interval: config.global.scrape_interval,
        timeout: config.global.scrape_timeout,
    };
    let endpoint =
        Endpoint::new(target.id, job, "127.0.0.1:0", Vec::new(), EndpointTls::Plain, Some(std::process::id()));
    (target, endpoint)
}
