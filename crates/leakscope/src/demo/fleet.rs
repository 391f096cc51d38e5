//! The running services and their load. Every process dies with us: its standard input ends when we do, whatever ends us.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::prepare::Program;
use super::runtime::DemoRuntime;
use crate::http::Client;

/// How long a service may take to listen. A virtual machine on a busy host takes its time.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a service may take to end after its standard input did; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Different users that the load names.
const USERS: u64 = 97;
/// The pause after a request that got no answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What every service gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Bytes that a leaking service keeps of each request.
    pub(crate) rate: u64,
    /// Requests a second to each service.
    pub(crate) rps: u32,
}

/// One running service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) runtime: DemoRuntime,
    /// The leak that it has.
    pub(crate) leak: Option<&'static str>,
    /// `host:port`.
    pub(crate) address: String,
    process: Child,
}

/// All running services. Dropping it kills them.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    /// Healthy and leaking ones of each runtime, in the order of the runtimes.
    pub(crate) services: Vec<Service>,
    /// Runtimes whose services do not start, with the reason.
    pub(crate) failed: Vec<(DemoRuntime, String)>,
    load: JoinSet<()>,
}

/// The one line that a service prints once it listens.
#[derive(Debug, Deserialize)]
struct StartLine {
    listening: String,
}

impl Fleet {
    /// Starts a healthy and a leaking service of each program, all at the same time. What they print goes to files in `logs`.
    pub(crate) async fn start(programs: &[(DemoRuntime, Program)], load: Load, logs: &Path) -> Self {
        let mut fleet = Self::default();
        let mut starting = Vec::new();
        for (runtime, program) in programs {
            for leak in [None, Some(runtime.leak())] {
                starting.push((*runtime, Service::spawn(*runtime, program, leak, load, logs)));
            }
        }
        for (runtime, spawned) in starting {
            let started = match spawned {
                Ok((service, log)) => service.listen(&log).await,
                Err(reason) => Err(reason),
            };
            match started {
                Ok(service) => fleet.services.push(service),
                Err(reason) if fleet.failed.iter().all(|(failed, _)| *failed != runtime) => {
                    fleet.failed.push((runtime, reason));
                }
                Err(_) => {}
            }
        }
        let failed: Vec<DemoRuntime> = fleet.failed.iter().map(|(runtime, _)| *runtime).collect();
        fleet.services.retain(|service| !failed.contains(&service.runtime));
        fleet
    }

    /// Gives every service its load until the fleet is dropped.
    pub(crate) fn drive(&mut self, load: Load) {
        for service in &self.services {
            self.load.spawn(drive(service.address.clone(), load.rps));
        }
    }

    /// Services that have ended by themselves.
    pub(crate) fn ended(&mut self) -> Vec<&'static str> {
        let ended = |service: &mut Service| matches!(service.process.try_wait(), Ok(Some(_))).then_some(service.name);
        self.services.iter_mut().filter_map(ended).collect()
    }

    /// Ends every service and waits for it.
    pub(crate) async fn stop(mut self) {
        self.load.shutdown().await;
        for service in &mut self.services {
            drop(service.process.stdin.take());
        }
        for service in &mut self.services {
            if timeout(STOP_TIMEOUT, service.process.wait()).await.is_err() {
                // It has ended in between, or it ends now.
                let _ = service.process.kill().await;
            }
        }
    }
}

impl Service {
    fn spawn(
        runtime: DemoRuntime,
        program: &Program,
        leak: Option<&'static str>,
        load: Load,
        logs: &Path,
    ) -> Result<(Self, PathBuf), String> {
        let name = if leak.is_some() { runtime.leaking_name() } else { runtime.healthy_name() };
        let log = logs.join(format!("{name}.log"));
        let cannot = |error: io::Error| format!("`{}` does not start: {error}", program.path.display());
        let process = Command::new(&program.path)
            .args(&program.arguments)
            .args(["--exit-with-stdin", "--port", "0", "--leak", leak.unwrap_or("none")])
            .args(["--rate", &load.rate.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(cannot)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        Ok((Self { name, runtime, leak, address: String::new(), process }, log))
    }

    /// Waits until it listens.
    async fn listen(mut self, log: &Path) -> Result<Self, String> {
        let Some(stdout) = self.process.stdout.take() else { return Err("it has no standard output".to_owned()) };
        let mut lines = BufReader::new(stdout).lines();
        let first = match timeout(START_TIMEOUT, lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(_) => return Err(format!("`{}` ended before it listened{}", self.name, last_words(log))),
            Err(_) => return Err(format!("`{}` did not listen within {} s", self.name, START_TIMEOUT.as_secs())),
        };
        let start: StartLine =
            serde_json::from_str(&first).map_err(|error| format!("`{}` said `{first}`: {error}", self.name))?;
        start.listening.strip_prefix("http://").unwrap_or(&start.listening).clone_into(&mut self.address);
        // Read to its end, so that a service that says more is never blocked.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(self)
    }
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map_or_else(String::new, |line| format!(": {}", line.trim()))
}

/// A constant load on one kept connection. A service that has ended gets a try a second.
async fn drive(address: String, rps: u32) {
    let mut client = Client::new(address);
    let mut ticks = interval(Duration::from_secs(1) / rps.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        ticks.tick().await;
        if client.get(&format!("/work?user=user-{}", number % USERS)).await.is_err() {
            sleep(PAUSE).await;
        }
    }
}
