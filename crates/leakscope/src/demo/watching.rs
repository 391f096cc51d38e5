//! The daemon of the demo: a real one in this process, with a real configuration file and a store that is thrown away.

use std::fmt::{self, Write};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leakscope_daemon::config::Config;
use leakscope_daemon::{Daemon, Settings, StartError};
use leakscope_engine::{Engine, Watch};
use leakscope_model::{State, Suspect, Timestamp};
use leakscope_wire::{Location, Verdict};

use serde::Serialize;

use super::fleet::Service;
use super::runtime::DemoRuntime;
use crate::exit::Failure;
use crate::output;

/// The status contract that every example service answers beside its runtime's own `/metrics`; both pages make one target.
const STATUS_PATH: &str = "/status/memory";

/// The services are ours, and small: all evidence may be taken of them.
const CAPTURE: &str = "capture:\n  heavy: true\n  light_per_service_per_hour: 200\n  node: {open_inspector: true}\n";

/// A service as the daemon sees it now.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    pub(crate) runtime: DemoRuntime,
    pub(crate) leak: Option<&'static str>,
    /// Bytes.
    pub(crate) memory: Option<f64>,
    pub(crate) state: State,
    pub(crate) verdict: Verdict,
    /// Real seconds from the start of the demo's clock to the first alarm.
    pub(crate) first_alarm_s: Option<f64>,
    /// What holds the bytes, once evidence says so.
    pub(crate) suspect: Option<Named>,
}

impl Seen {
    /// Whether a leaking service leaks now, or a healthy one was never said to.
    pub(crate) fn judged_right(&self) -> bool {
        match self.leak {
            Some(_) => self.state == State::Leaking,
            None => self.first_alarm_s.is_none(),
        }
    }
}

/// What holds the bytes of a service that leaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Named {
    title: String,
    /// Where in the source, where the evidence knows it.
    location: Option<Location>,
}

impl Named {
    fn of(suspect: &Suspect) -> Self {
        Self { title: suspect.title.clone(), location: suspect.location.as_ref().map(Into::into) }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        let Some(Location { file, line, .. }) = &self.location else { return Ok(()) };
        write!(f, " ({}:{line})", file.rsplit('/').next().unwrap_or(file))
    }
}

/// A daemon that watches the demo's services.
#[derive(Debug)]
pub(crate) struct Watching {
    daemon: Daemon,
    engine: Arc<Mutex<Engine>>,
    services: Vec<(&'static str, DemoRuntime, Option<&'static str>)>,
    began_at: Timestamp,
}

impl Watching {
    /// Starts the daemon on `listen`, or on any free port where that one is taken, and the demo's clock.
    pub(crate) async fn start(
        services: &[Service],
        listen: SocketAddr,
        folder: &Path,
        time_scale: f64,
    ) -> Result<Self, Failure> {
        let file = folder.join("leakscope.yaml");
        let cannot = |error| Failure::usage(format!("`{}` cannot be written: {error}", file.display()));
        fs::write(&file, configuration(services)).map_err(cannot)?;
        let config = Config::load(&file).map_err(|errors| Failure::usage(errors.to_string()))?;
        let settings = |listen| Settings {
            config: config.clone(),
            config_file: Some(file.clone()),
            listen: Some(listen),
            storage_path: Some(folder.join("data")),
            allow_unauthenticated_non_loopback: false,
            time_scale: Some(time_scale),
            program: None,
        };
        let daemon = match Daemon::start(settings(listen)).await {
            Err(StartError::Listen { address, source }) => {
                output::note(&format!("cannot listen on {address} ({source}): taking a free port"));
                Daemon::start(settings(SocketAddr::new(listen.ip(), 0))).await
            }
            started => started,
        };
        let daemon = daemon.map_err(|error| Failure::inconclusive(error.to_string()))?;
        let services = services.iter().map(|service| (service.name, service.runtime, service.leak)).collect();
        Ok(Self { engine: daemon.engine(), daemon, services, began_at: wall_clock() })
    }

    /// The page's address.
    pub(crate) fn url(&self) -> String {
        self.daemon.url()
    }

    /// Every service as it is seen now, in the order of the fleet.
    pub(crate) fn look(&self) -> Vec<Seen> {
        let engine = lock(&self.engine);
        let watch_of = |name: &str| engine.watches().map(|(_, watch)| watch).find(|watch| watch.target.job == name);
        let suspect_of = |name: &str| {
            let incident = engine.incidents().rev().find(|incident| incident.service == name)?;
            incident.suspects.first().map(|finding| Named::of(&finding.suspect))
        };
        self.services
            .iter()
            .map(|(name, runtime, leak)| {
                let watch = watch_of(name);
                let verdict = watch.map(Watch::verdict).unwrap_or_default();
                let first_alarm_at = watch.and_then(|watch| watch.first_alarm_at);
                Seen {
                    name,
                    runtime: *runtime,
                    leak: *leak,
                    memory: watch.and_then(Watch::memory),
                    state: verdict.state,
                    verdict: Verdict::from(&verdict),
                    first_alarm_s: first_alarm_at.map(|at| at.since(self.began_at).as_secs_f64()),
                    suspect: suspect_of(name),
                }
            })
            .collect()
    }

    /// Stops the daemon.
    pub(crate) async fn stop(self) {
        self.daemon.stop().await;
    }
}

/// The engine's data stays whole even when a thread that held it has panicked.
fn lock(engine: &Mutex<Engine>) -> MutexGuard<'_, Engine> {
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The moment that the daemon's own clock shows, for comparing with the moments of its verdicts.
fn wall_clock() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the demo's clock begins at a moment of the daemon's real clock")]
    let now = std::time::SystemTime::now();
    let since_epoch = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.plus(since_epoch)
}

/// One job a service, scraped every second.
fn configuration(services: &[Service]) -> String {
    let mut yaml = format!("global:\n  scrape_interval: 1s\n{CAPTURE}scrape_configs:\n");
    for Service { name, runtime, address, .. } in services {
        let configured = runtime.configured();
        // Names and addresses are our own and need no quoting beyond this.
        let _ = write!(
            yaml,
            "  - job_name: {name}\n    further_paths: [{STATUS_PATH}]\n    runtime: {configured}\n    static_configs:\n      \
             - targets: [\"{address}\"]\n        labels:\n          service: {name}\n          runtime: {configured}\n"
        );
    }
    yaml
}
