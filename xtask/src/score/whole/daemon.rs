//! A real `leakscope serve` over a list of services, asked over its API as any client would.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::http;
use crate::process::{Running, wait_for};

/// Until it must serve.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running daemon.
pub(super) struct Daemon {
    running: Running,
    url: String,
}

impl Daemon {
    /// Starts it in a folder of its own, with a job for each service.
    pub(super) fn start(binary: &Path, folder: &Path, services: &[(String, SocketAddr)]) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("`{}` not writable: {error}", folder.display());
        let file = folder.join("leakscope.yaml");
        std::fs::write(&file, configuration(services)).map_err(failed)?;
        let log = std::fs::File::create(folder.join("leakscope.log")).map_err(failed)?;
        let address = free_address()?;
        let mut running = Running::start(
            "leakscope serve",
            Command::new(binary)
                .arg("serve")
                .arg("--config.file")
                .arg(&file)
                .arg("--storage.path")
                .arg(folder.join("data"))
                .args(["--web.listen-address", &address.to_string()])
                .stdout(Stdio::null())
                .stderr(log),
        )?;
        let url = format!("http://{address}");
        let ready = format!("{url}/-/ready");
        wait_for("leakscope", START_LIMIT, &mut running, || http::get(&ready).ok())?;
        Ok(Self { running, url })
    }

    pub(super) fn still_runs(&mut self) -> Result<(), String> {
        self.running.still_runs()
    }

    /// Every incident.
    pub(super) fn incidents(&self) -> Result<Vec<Value>, String> {
        self.list("incidents")
    }

    /// Every attempt to take evidence.
    pub(super) fn captures(&self) -> Result<Vec<Value>, String> {
        self.list("captures")
    }

    fn list(&self, name: &str) -> Result<Vec<Value>, String> {
        let body = http::get(&format!("{}/api/v1/{name}?limit=10000", self.url))?;
        let mut answer: Value = serde_json::from_str(&body).map_err(|error| format!("`{name}`: no JSON: {error}"))?;
        match answer[name].take() {
            Value::Array(rows) => Ok(rows),
            other => Err(format!("expected a list of {name}, found `{other}`")),
        }
    }

    /// Ends it.
    pub(super) fn stop(mut self) -> Result<(), String> {
        self.running.stop().map(|_| ()).map_err(|error| format!("leakscope not observable: {error}"))
    }
}

/// A port that is free now; the daemon takes it a moment later.
fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("no free port: {error}"))
}

/// One job a service, scraped every second; a second counts as a minute, and so does the time between captures.
fn configuration(services: &[(String, SocketAddr)]) -> String {
    let mut yaml = "global: {scrape_interval: 1s}\ndetection: {time_scale: 60}\ncapture:\n  heavy: true\n  heavy_per_target_per_day: 6\n  light_per_service_per_hour: 200\n  node: {open_inspector: true}\nscrape_configs:\n".to_owned();
    for (name, address) in services {
        // Writing to a string does not fail.
        let _ = write!(
            yaml,
            "  - job_name: {name}\n    further_paths: [/status/memory]\n    static_configs:\n      - targets: [\"{address}\"]\n        labels: {{service: {name}}}\n"
        );
    }
    yaml
}
