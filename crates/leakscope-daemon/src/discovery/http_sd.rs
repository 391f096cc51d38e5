//! `http_sd_configs`: lists of targets from a server: GET, status 200, `application/json`. The last good list is kept when the server fails.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use leakscope_model::Timestamp;

use super::static_and_file::of_groups;
use super::{Discovered, FetchRequest, FetchResponse, SourceError};
use crate::config::{Global, ScrapeJob, TargetGroup, parse_json};

/// Shortest time between two questions, whatever the server's header asks for.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Longest time between two questions, whatever the server's header asks for.
const REFRESH_INTERVAL_MAX: Duration = Duration::from_hours(24);

/// One element of `http_sd_configs`, followed.
#[derive(Debug)]
pub(super) struct HttpList {
    job: Arc<ScrapeJob>,
    url: String,
    request: FetchRequest,
    refresh_interval: Duration,
    /// What the server last asked for.
    asked_interval: Option<Duration>,
    asked_at: Option<Timestamp>,
    groups: Vec<TargetGroup>,
    error: Option<String>,
    /// Whether the list or the error changed since this was last taken.
    pub(super) changed: bool,
}

impl HttpList {
    pub(super) fn of_job(job: &Arc<ScrapeJob>, global: &Global) -> Vec<Self> {
        let of_source = |source: &crate::config::HttpSd| Self {
            job: job.clone(),
            url: source.url.clone(),
            request: request_of(&source.url, ScrapeJob::of_list(source, global)),
            refresh_interval: source.refresh_interval,
            asked_interval: None,
            asked_at: None,
            groups: Vec::new(),
            error: None,
            changed: false,
        };
        job.config.http_sd_configs.iter().map(of_source).collect()
    }

    /// Asks the server if it is time to. Given up, it has not asked.
    pub(super) async fn poll<F, R>(&mut self, now: Timestamp, fetch: &F)
    where
        F: Fn(FetchRequest) -> R,
        R: Future<Output = Result<FetchResponse, String>>,
    {
        let interval = self.asked_interval.unwrap_or(self.refresh_interval);
        if self.asked_at.is_some_and(|last| now.since(last) < interval && now >= last) {
            return;
        }
        let answer = fetch(self.request.clone()).await;
        self.asked_at = Some(now);
        match answer.and_then(|response| self.read(&response)) {
            Ok(groups) => {
                self.changed |= groups != self.groups || self.error.is_some();
                (self.groups, self.error) = (groups, None);
            }
            Err(reason) => {
                let reason = format!("{reason}; the last good list is kept");
                self.changed |= self.error.as_ref() != Some(&reason);
                self.error = Some(reason);
            }
        }
    }

    fn read(&mut self, response: &FetchResponse) -> Result<Vec<TargetGroup>, String> {
        if response.status != 200 {
            return Err(format!("expected status 200, found {}", response.status));
        }
        let kind = response.header("content-type").unwrap_or("none");
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            let kind: String = kind.chars().take(60).collect();
            return Err(format!("expected content type `application/json`, found `{}`", kind.escape_debug()));
        }
        let asked =
            response.header("x-prometheus-refresh-interval-seconds").and_then(|text| text.trim().parse::<f64>().ok());
        let asked = asked.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        self.asked_interval = asked.map(|asked| asked.clamp(REFRESH_INTERVAL_MIN, REFRESH_INTERVAL_MAX));
        parse_json(&response.body, &self.url).map_err(|problem| problem.message)
    }

    pub(super) fn targets(&self) -> Vec<Discovered> {
        of_groups(&self.job, &self.groups, Some(("__meta_url", &self.url)))
    }

    pub(super) fn error(&self) -> Option<SourceError> {
        let (job, source) = (self.job.config.job_name.clone(), self.url.clone());
        self.error.clone().map(|reason| SourceError { job, source, reason })
    }
}

/// Address and path of a URL that the configuration has checked.
fn request_of(url: &str, job: Arc<ScrapeJob>) -> FetchRequest {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let has_port = host.get(host.rfind(']').unwrap_or(0)..).is_some_and(|rest| rest.contains(':'));
    let address = if has_port { host.to_owned() } else { format!("{host}:{}", job.config.scheme.default_port()) };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    FetchRequest { job, address, path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn list() -> HttpList {
        let text =
            "scrape_configs:\n- job_name: a\n  http_sd_configs: [{url: 'https://sd.example/targets?env=prod'}]\n";
        let config = Config::parse(text, "x.yaml", &|_| None).unwrap();
        HttpList::of_job(&config.jobs[0], &config.global).remove(0)
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> FetchResponse {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        FetchResponse { status, headers, body: body.as_bytes().to_vec() }
    }

    const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");

    #[tokio::test]
    async fn a_failing_server_keeps_the_last_good_list() {
        let mut list = list();
        let mut now = Timestamp::from_millis(1_000_000);
        let good = r#"[{"targets": ["h:1"]}]"#;
        list.poll(now, &|_| std::future::ready(Ok(answer(200, &[JSON], good)))).await;
        assert!(list.changed);
        for (bad, reason) in [
            (Ok(answer(500, &[JSON], good)), "expected status 200, found 500"),
            (
                Ok(answer(200, &[("content-type", "text/html")], good)),
                "expected content type `application/json`, found `text/html`",
            ),
            (Ok(answer(200, &[JSON], "{}")), "expected a JSON list of `{targets, labels}`"),
            (Err("connection refused".to_owned()), "connection refused"),
        ] {
            now = now.plus(Duration::from_mins(1));
            list.poll(now, &|_| std::future::ready(bad.clone())).await;
            let found = list.error().unwrap().reason;
            assert!(found.starts_with(reason) && found.ends_with("; the last good list is kept"), "{found}");
            assert_eq!(list.targets()[0].address, "h:1");
        }
        now = now.plus(Duration::from_mins(1));
        list.poll(now, &|_| std::future::ready(Ok(answer(200, &[JSON], "[]")))).await;
        assert!(list.targets().is_empty() && list.error().is_none());
    }

    #[tokio::test]
    async fn the_server_says_when_to_ask_again() {
        let mut list = list();
        let now = Timestamp::from_millis(1_000_000);
        let asking = |request: FetchRequest| {
            assert_eq!((request.address.as_str(), request.path.as_str()), ("sd.example:443", "/targets?env=prod"));
            std::future::ready(Ok(answer(200, &[JSON, ("X-Prometheus-Refresh-Interval-Seconds", "7")], "[]")))
        };
        list.poll(now, &asking).await;
        let silent = |_| -> std::future::Ready<Result<FetchResponse, String>> { panic!("asked too early") };
        list.poll(now.plus(Duration::from_secs(6)), &silent).await;
        assert_eq!(list.asked_at, Some(now));
        list.poll(now.plus(Duration::from_secs(7)), &asking).await;
        assert_eq!(list.asked_at, Some(now.plus(Duration::from_secs(7))));
    }
}
