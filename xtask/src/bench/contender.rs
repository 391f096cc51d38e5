//! The programs that are measured: how each is configured for the same targets and started.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{Running, fresh_folder, on_path, printed_by};

/// Series of the full page that a watcher of memory wants; peers are told by relabelling, leakscope knows.
const WANTED: &str = "process_(cpu_seconds_total|resident_memory_bytes|virtual_memory_bytes|start_time_seconds|open_fds)|go_goroutines|go_threads|go_memstats_(alloc_bytes|heap_.*|sys_bytes|next_gc_bytes)|go_gc_duration_seconds_count|http_requests_total";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    Leakscope,
    Prometheus,
    Vmagent,
}

/// Which page of the targets is scraped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Small,
    Full,
    Json,
}

impl Page {
    pub(super) const ALL: [Self; 3] = [Self::Small, Self::Full, Self::Json];

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Small => "25 series",
            Self::Full => "800 series",
            Self::Json => "JSON status",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Small => "/metrics",
            Self::Full => "/metrics/full",
            Self::Json => "/status/memory",
        }
    }
}

/// One run's targets and how they are scraped.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) page: Page,
    pub(super) interval: Duration,
    pub(super) targets: Vec<SocketAddr>,
    /// Where a remote write ends in nothing.
    pub(super) null_receiver: String,
    /// Where configuration and data of the contender go.
    pub(super) folder: PathBuf,
    /// The binary of leakscope.
    pub(super) leakscope: PathBuf,
}

impl Contender {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leakscope => "leakscope",
            Self::Prometheus => "prometheus",
            Self::Vmagent => "vmagent",
        }
    }

    pub(super) fn named(name: &str) -> Result<Self, String> {
        let all = [Self::Leakscope, Self::Prometheus, Self::Vmagent];
        let found = all.into_iter().find(|contender| contender.name() == name);
        found.ok_or_else(|| format!("contender `{name}` not known (known contenders: leakscope, prometheus, vmagent)"))
    }

    /// Why it cannot take part on this machine.
    pub(super) fn missing(self, leakscope: &Path) -> Option<String> {
        match self {
            Self::Leakscope => (!leakscope.is_file()).then(|| format!("`{}` is not built", leakscope.display())),
            Self::Prometheus => {
                on_path("prometheus").is_none().then(|| "not on PATH: apt-get install prometheus".to_owned())
            }
            Self::Vmagent => {
                on_path("vmagent").is_none().then(|| "not on PATH: apt-get install victoria-metrics".to_owned())
            }
        }
    }

    /// Its version as it says itself, in one line.
    pub(super) fn version(self, leakscope: &Path) -> String {
        let program = if self == Self::Leakscope { leakscope.to_string_lossy() } else { self.name().into() };
        let debian = match self {
            Self::Leakscope => None,
            Self::Prometheus => debian_version("prometheus"),
            Self::Vmagent => debian_version("victoria-metrics"),
        };
        let printed = debian.or_else(|| printed_by(&program, &["--version"])).unwrap_or_default();
        format!("{} {}", self.name(), printed.lines().next().unwrap_or_default().trim_start_matches("leakscope "))
    }

    /// Whether it can read the page at all.
    pub(super) fn reads(self, page: Page) -> bool {
        self == Self::Leakscope || page != Page::Json
    }

    pub(super) fn start(self, plan: &Plan) -> Result<Running, String> {
        fresh_folder(&plan.folder)?;
        let file = plan.folder.join("config.yml");
        std::fs::write(&file, self.configuration(plan))
            .map_err(|error| format!("`{}` not writable: {error}", file.display()))?;
        let log =
            std::fs::File::create(plan.folder.join("log.txt")).map_err(|error| format!("log not writable: {error}"))?;
        let mut command = self.command(plan, &file);
        command.stdout(Stdio::null()).stderr(log);
        Running::start(self.name(), &mut command)
    }

    fn command(self, plan: &Plan, file: &Path) -> Command {
        let (file, data) = (file.display(), plan.folder.join("data"));
        let data = data.display();
        let (program, arguments) = match self {
            Self::Leakscope => (
                plan.leakscope.as_os_str(),
                format!("serve --config.file={file} --storage.path={data} --web.listen-address=127.0.0.1:0"),
            ),
            Self::Prometheus => (
                "prometheus".as_ref(),
                format!(
                    "--config.file={file} --storage.tsdb.path={data} --web.listen-address=127.0.0.1:0 --log.level=warn"
                ),
            ),
            Self::Vmagent => (
                "vmagent".as_ref(),
                format!(
                    "-promscrape.config={file} -remoteWrite.url={} -remoteWrite.tmpDataPath={data} -httpListenAddr=127.0.0.1:0 -loggerLevel=WARN",
                    plan.null_receiver
                ),
            ),
        };
        let mut command = Command::new(program);
        command.args(arguments.split(' '));
        command
    }

    fn configuration(self, plan: &Plan) -> String {
        let seconds = plan.interval.as_secs();
        let mut text = format!(
            "global:\n  scrape_interval: {seconds}s\n  scrape_timeout: {seconds}s\nscrape_configs:\n  - job_name: bench\n    metrics_path: {}\n",
            plan.page.path()
        );
        if plan.page == Page::Full && self != Self::Leakscope {
            let _ = writeln!(
                text,
                "    metric_relabel_configs:\n      - source_labels: [__name__]\n        regex: {WANTED}\n        action: keep"
            );
        }
        text.push_str("    static_configs:\n      - targets:\n");
        for target in &plan.targets {
            let _ = writeln!(text, "          - '{target}'");
        }
        text
    }
}

fn debian_version(package: &str) -> Option<String> {
    printed_by("dpkg-query", &["-W", "-f", "${Version}", package]).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_keep_only_what_is_wanted_of_the_full_page() {
        let plan = |page| Plan {
            page,
            interval: Duration::from_secs(5),
            targets: vec![SocketAddr::from(([127, 1, 0, 1], 80))],
            null_receiver: String::new(),
            folder: PathBuf::new(),
            leakscope: PathBuf::new(),
        };
        let small = "global:\n  scrape_interval: 5s\n  scrape_timeout: 5s\nscrape_configs:\n  - job_name: bench\n    metrics_path: /metrics\n    static_configs:\n      - targets:\n          - '127.1.0.1:80'\n";
        assert_eq!(Contender::Prometheus.configuration(&plan(Page::Small)), small);
        assert!(Contender::Vmagent.configuration(&plan(Page::Full)).contains("action: keep"));
        assert!(!Contender::Leakscope.configuration(&plan(Page::Full)).contains("action: keep"));
    }
}
