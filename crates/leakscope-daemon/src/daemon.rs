//! The daemon: opens the store, takes up what the last run left, starts the threads, serves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leakscope_engine::{AlertPolicy, CapturePolicy, Engine, EngineConfig, Restored, Tuning};
use leakscope_model::{Signal, TargetId, Timestamp};
use leakscope_store::{Retention, Store, StoreError};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::api::{self, Access, ApiState, FleetStatus, Live, ReloadRequest, Severable, TlsListener};
use crate::clock;
use crate::config::{Alerting, Capture, Config, ConfigErrors, Flapping, Secret, Sourced, Web, WebFile};
use crate::fleet::Fleet;
use crate::keeper::Keep;
use crate::sync::lock;
use crate::threads::Threads;

/// What a daemon is started with.
#[derive(Debug)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The file to read again on reload; without one a reload is refused.
    pub config_file: Option<PathBuf>,
    /// In place of `web.listen_address`.
    pub listen: Option<SocketAddr>,
    /// In place of `storage.path`.
    pub storage_path: Option<PathBuf>,
    /// Serve other hosts without authentication, whatever `web` says.
    pub allow_unauthenticated_non_loopback: bool,
    /// How much faster the detector's clock runs than the real one; in place of `detection.time_scale`.
    pub time_scale: Option<f64>,
    /// The leakscope binary that captures are analysed by, in processes of its own; the running program without it.
    pub program: Option<PathBuf>,
}

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address would be open to everyone.
    #[error("`{address}` is open to other hosts without authentication; {hint}")]
    Open {
        /// The address.
        address: SocketAddr,
        /// What to do.
        hint: &'static str,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `web.config_file` cannot be used.
    #[error(transparent)]
    WebFile(#[from] ConfigErrors),
    /// TLS or a secret of `web` cannot be used.
    #[error("{0}")]
    Web(String),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<ApiState>,
    stop: watch::Sender<bool>,
    /// Ends connections whose requests do not end by themselves.
    sever: watch::Sender<bool>,
    threads: Threads,
    server: tokio::task::JoinHandle<()>,
    /// They end by themselves on `stop`.
    tasks: Vec<tokio::task::JoinHandle<()>>,
    reload: mpsc::Sender<ReloadRequest>,
}

/// How long open requests may take to end at a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// Reload requests that wait. Full: further ones wait to be sent.
const RELOADS: usize = 8;

impl Daemon {
    /// Starts everything. Must be called within a tokio runtime, which goes on serving.
    ///
    /// # Errors
    /// [`StartError`]: nothing was left running.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let config = &settings.config;
        let (listen, access, tls) = admit(&settings)?;
        let storage = settings.storage_path.clone().unwrap_or_else(|| config.storage.path.clone());
        let store = Arc::new(Store::open(&storage)?);
        let (listener, address) = bind(listen).await?;
        let engine_config = engine_config(&settings);
        let false_alarms = config.detection.false_alarms_per_1000_service_days;
        let engine = Arc::new(Mutex::new(Engine::new(engine_config, restore(&store, engine_config, clock::now())?)));
        let threads = Threads::start(&settings, &store, &engine)?;
        let Threads { telemetry, events, chores, notifier, .. } = &threads;

        let (stop, stopped) = watch::channel(false);
        let (reload, reloads) = mpsc::channel(RELOADS);
        let reloaded = settings.config_file.as_ref().map(|_| true);
        let (status, fleet_status) = watch::channel(FleetStatus { reloaded, ..FleetStatus::default() });
        let started_at = clock::now();
        let state = Arc::new(ApiState {
            engine,
            store,
            telemetry: telemetry.clone(),
            live: Arc::new(Live::new(started_at, telemetry.clone())),
            reload: reload.clone(),
            fleet: fleet_status,
            started_at,
            false_alarms,
            access,
            events: events.clone(),
        });
        let fleet = Fleet {
            config_file: settings.config_file,
            orders: threads.orders.clone(),
            evidence: threads.evidence.clone(),
            events: events.clone(),
            chores: chores.clone(),
            notifier: notifier.clone(),
            telemetry: telemetry.clone(),
            status,
        };
        let fleet = tokio::spawn(fleet.run(settings.config, reloads, stopped.clone()));
        let publisher = tokio::spawn(api::publish_changes(state.clone(), stopped.clone()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (sever, severed) = watch::channel(false);
        let server = serve(listener, tls, state.clone(), stopped, severed)?;
        let tasks = vec![fleet, publisher];
        Ok(Self { address, scheme, state, stop, sever, threads, server, tasks, reload })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The page's address.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The engine, for looking at. Lock it shortly: the loop waits meanwhile.
    pub fn engine(&self) -> Arc<Mutex<Engine>> {
        self.state.engine.clone()
    }

    /// Reads the configuration file again; the error says why the old one goes on.
    ///
    /// # Errors
    /// Why the configuration cannot be used.
    pub async fn reload(&self) -> Result<(), String> {
        let (answer, outcome) = tokio::sync::oneshot::channel();
        let stopping = || "leakscope is stopping".to_owned();
        self.reload.send(answer).await.map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())?
    }

    /// Stops: open requests end, detectors and samples are written, threads join.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.state.live.stop();
        if tokio::time::timeout(DRAIN_TIMEOUT, &mut self.server).await.is_err() {
            tracing::warn!("requests were still open when leakscope stopped");
            self.sever.send_replace(true);
            let _ = self.server.await;
        }
        for task in self.tasks {
            // A panic there was printed.
            let _ = task.await;
        }
        let threads = self.threads;
        let _ = tokio::task::spawn_blocking(move || threads.stop()).await;
    }
}

type ServerTls = Option<Arc<rustls::ServerConfig>>;

/// Where to listen, who may ask, and with which certificate.
fn admit(settings: &Settings) -> Result<(SocketAddr, Access, ServerTls), StartError> {
    let web = Web {
        listen_address: settings.listen.unwrap_or(settings.config.web.listen_address),
        allow_unauthenticated_non_loopback: settings.allow_unauthenticated_non_loopback
            || settings.config.web.allow_unauthenticated_non_loopback,
        ..settings.config.web.clone()
    };
    let file = web.config_file.as_deref().map(WebFile::load).transpose()?.unwrap_or_default();
    let guarded = web.token.is_some() || !file.basic_auth_users.is_empty() || web.allow_unauthenticated_non_loopback;
    if !guarded && !web.listen_address.ip().is_loopback() {
        let hint =
            "set `web.authorization`, or users in `web.config_file`, or `--web.allow-unauthenticated-non-loopback`";
        return Err(StartError::Open { address: web.listen_address, hint });
    }
    let token = web
        .token
        .as_ref()
        .map(Sourced::<Secret>::read)
        .transpose()
        .map_err(|error| StartError::Web(error.to_string()))?;
    let tls = file.tls.as_ref().map(api::server_config).transpose().map_err(StartError::Web)?;
    let host = web.external_url.as_deref().and_then(host_of).map(str::to_owned);
    Ok((web.listen_address, Access::new(token, file.basic_auth_users, host), tls))
}

/// A listener, and the address it got.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', ':']).next().filter(|host| !host.is_empty())
}

fn serve(
    listener: TcpListener,
    tls: ServerTls,
    state: Arc<ApiState>,
    mut stopped: watch::Receiver<bool>,
    severed: watch::Receiver<bool>,
) -> Result<tokio::task::JoinHandle<()>, StartError> {
    let router = api::router(state);
    let stop = async move {
        // An error means that the daemon was dropped: stop too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let failed = |error: std::io::Error| tracing::error!(%error, "the API stopped");
    Ok(match tls {
        None => tokio::spawn(async move {
            let listener = Severable::new(listener, severed);
            axum::serve(listener, router).with_graceful_shutdown(stop).await.unwrap_or_else(failed);
        }),
        Some(config) => {
            let listener = TlsListener::new(listener, config).map_err(StartError::Thread)?;
            let listener = Severable::new(listener, severed);
            tokio::spawn(async move {
                axum::serve(listener, router).with_graceful_shutdown(stop).await.unwrap_or_else(failed);
            })
        }
    })
}

/// How the engine decides, as the configuration says.
fn engine_config(settings: &Settings) -> EngineConfig {
    let config = &settings.config;
    let false_alarms = config.detection.false_alarms_per_1000_service_days;
    EngineConfig {
        time_scale: settings.time_scale.unwrap_or(config.detection.time_scale),
        tuning: Tuning::for_false_alarms(false_alarms),
        alert: alert_policy(&config.alerting),
        capture: capture_policy(&config.capture),
        ..EngineConfig::default()
    }
}

/// What evidence may be taken, as the configuration says.
fn capture_policy(capture: &Capture) -> CapturePolicy {
    CapturePolicy {
        light: capture.light,
        heavy: capture.heavy,
        headroom: capture.headroom,
        heavy_per_target_per_day: capture.heavy_per_target_per_day,
        light_per_service_per_hour: capture.light_per_service_per_hour,
        size_max: capture.size_max,
        analysis_memory: capture.analysis_memory,
        spacing: capture.interval,
        ..CapturePolicy::default()
    }
}

/// When receivers are told, as the configuration says.
fn alert_policy(alerting: &Alerting) -> AlertPolicy {
    let Flapping { openings, window, quiet } = alerting.flapping;
    AlertPolicy {
        repeat_interval: alerting.repeat_interval(),
        flap_openings: openings,
        flap_window: window,
        flap_quiet: quiet,
    }
}

pub(crate) fn keep(config: &Config) -> Keep {
    let retention = Retention {
        samples_age_max: config.storage.retention_time,
        incidents_age_max: INCIDENTS_AGE_MAX,
        size_max: Some(config.storage.retention_size),
    };
    Keep { retention, captures: (config.capture.retention_time, config.capture.retention_size) }
}

/// Closed incidents are small and worth more than samples: they stay a year.
const INCIDENTS_AGE_MAX: Duration = Duration::from_hours(365 * 24);

/// How far back a detector without a saved state is shown what the store holds. Beyond: it starts with the rest.
const REPLAYED_MAX: Duration = Duration::from_hours(24);

/// Detectors as they were saved, and what the store holds beyond that. After a crash that is everything of targets that were new.
fn restore(store: &Store, config: EngineConfig, now: Timestamp) -> Result<Restored, StoreError> {
    let mut restored = Restored::new(store.incidents()?).with_captures(store.captures()?);
    let mut seen_until: BTreeMap<TargetId, Timestamp> = BTreeMap::new();
    for (target, at, state) in store.checkpoints()? {
        match restored.add_detector(target, &state) {
            Ok(()) => drop(seen_until.insert(target, at)),
            Err(error) => tracing::warn!(%target, %error, "a detector starts anew"),
        }
    }
    for known in store.targets()? {
        let target = known.target.id;
        let since = seen_until.get(&target).copied().unwrap_or(now.minus(REPLAYED_MAX));
        let columns = store.range(target, &Signal::ALL, since.plus(Duration::from_millis(1)), now)?;
        for (index, at) in columns.at.iter().enumerate() {
            restored.replay(target, *at, config.time_scale, &columns.readings(index));
        }
    }
    Ok(restored)
}

impl Daemon {
    /// How many targets there are, and how many of them answered.
    pub fn targets(&self) -> (usize, usize) {
        let engine = lock(&self.state.engine);
        let up = engine.watches().filter(|(_, watch)| watch.health.up == Some(true)).count();
        (engine.watches().count(), up)
    }
}

#[cfg(test)]
mod tests {
    use leakscope_engine::Event;
    use leakscope_model::{Readings, Runtime, Target};

    use super::*;

    /// A target that grew for four hours, a sample every minute, and was never saved.
    #[test]
    fn a_detector_that_was_never_saved_is_shown_what_the_store_holds() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let id = TargetId::of("shop", "a:1", "");
        let target = Target {
            id,
            job: "shop".into(),
            instance: "a:1".into(),
            service: "shop".into(),
            version: None,
            labels: BTreeMap::new(),
            runtime: Runtime::Unknown,
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(10),
        };
        let began = Timestamp::from_millis(1_700_000_000_000);
        store.remember_target(&target, began).unwrap();
        let mut now = began;
        for minute in 0..240_u32 {
            let mut readings = Readings::default();
            readings.set(Signal::Rss, 1e8 + 3e6 * f64::from(minute));
            now = began.plus(Duration::from_secs(60 * u64::from(minute)));
            store.append(id, now, &readings);
        }
        let mut engine = Engine::new(EngineConfig::default(), restore(&store, EngineConfig::default(), now).unwrap());
        engine.handle(now, Event::TargetsSeen(vec![target]), &mut Vec::new());
        assert_eq!(engine.watch(id).unwrap().state(), leakscope_model::State::Leaking);
    }
}
