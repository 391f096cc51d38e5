//! A daemon with a folder of its own, and waiting for what it does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use leakscope_daemon::config::Config;
use leakscope_daemon::{Daemon, Settings};
use leakscope_wire as wire;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::client::{Answer, ask};

/// How long a condition may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon.
pub(crate) struct House {
    daemon: Daemon,
    folder: TempDir,
}

impl House {
    /// Starts with this configuration in a new folder.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config).await
    }

    /// Starts with this configuration in the folder that an earlier one left.
    pub(crate) async fn start_in(folder: TempDir, config: &str) -> Self {
        std::fs::write(folder.path().join("leakscope.yaml"), config).unwrap();
        let settings = settings(&folder);
        let daemon = Daemon::start(settings).await.unwrap();
        Self { daemon, folder }
    }

    /// Stops, and hands back the folder.
    pub(crate) async fn stop(self) -> TempDir {
        self.daemon.stop().await;
        self.folder
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the configuration's file, for a reload.
    pub(crate) fn write_config(&self, config: &str) {
        std::fs::write(self.path("leakscope.yaml"), config).unwrap();
    }

    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        ask(self.address(), method, path, &[]).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.ask("GET", path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The targets of a job.
    pub(crate) async fn targets(&self, job: &str) -> Vec<wire::Target> {
        self.get::<wire::Targets>(&format!("/api/v1/targets?job={job}")).await.targets
    }

    /// The only target of a job, once it is what is wanted.
    pub(crate) async fn target_when(
        &self,
        job: &str,
        what: &str,
        wanted: impl Fn(&wire::Target) -> bool,
    ) -> wire::Target {
        let mut last = None;
        let found = soon(async || {
            last = self.targets(job).await.pop();
            last.clone().filter(&wanted)
        });
        found.await.unwrap_or_else(|| panic!("`{job}` is not {what}: {last:#?}"))
    }

    /// The only target of a job, once it answers.
    pub(crate) async fn target_up(&self, job: &str) -> wire::Target {
        self.target_when(job, "up", |target| target.up == Some(true)).await
    }

    /// The only target of a job, once its page shows this error.
    pub(crate) async fn target_failing(&self, job: &str, error: &str) -> wire::Target {
        let fails = |target: &wire::Target| target.last_error.as_deref().is_some_and(|found| found.contains(error));
        let target = self.target_when(job, error, fails).await;
        assert_eq!(target.up, Some(false), "{target:#?}");
        target
    }

    /// Samples of one signal of a target.
    pub(crate) async fn series(&self, target: &str, signal: &str, more: &str) -> Vec<(i64, f64)> {
        let path = format!("/api/v1/series?target={target}&signal={signal}{more}");
        let mut set: wire::SeriesSet = self.get(&path).await;
        set.series.pop().map(|series| series.points).unwrap_or_default()
    }
}

/// What the daemon is started with: the folder's configuration and store, a free port.
pub(crate) fn settings(folder: &TempDir) -> Settings {
    let file = folder.path().join("leakscope.yaml");
    let config = Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    Settings {
        config,
        config_file: Some(file),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        storage_path: Some(folder.path().join("data")),
        allow_unauthenticated_non_loopback: false,
        time_scale: None,
        program: None,
    }
}

/// What `look` finds, asked again and again; `None` when it never does.
async fn soon<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            // poll: `look` finds something
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.ok()
}

/// What `look` finds, asked again and again.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    soon(look).await.unwrap_or_else(|| panic!("waited in vain until {what}"))
}
