//! Asks processes that were found on this host for pages we know: GET, on loopback, on their own ports, and nothing that could change them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use leakscope_ingest::{PageReader, actuator};
use leakscope_model::Runtime;

use super::{FetchRequest, FetchResponse};
use crate::config::ScrapeJob;

/// How long one probe may take. Beyond: the port is left alone.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two rounds of probes of one process that answered nothing we know.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_mins(10);
/// Most ports of one process that are asked.
const PORTS_MAX: usize = 8;
/// Ports whose protocols are not HTTP: asking would only leave an error in their logs.
const OTHER_PROTOCOLS: [u16; 22] = [
    21, 22, 23, 25, 53, 110, 111, 143, 389, 465, 587, 993, 995, 1433, 1521, 2049, 3306, 5432, 5672, 6379, 11211, 27017,
];

/// How an answer to a path is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recognise {
    /// As a page that holds a reading.
    Readings,
    /// As the service's own opinion on its memory.
    Opinion,
    /// As Spring's index of metrics; each has a path of its own.
    ActuatorIndex,
    /// As Jolokia's version; beans have paths of their own.
    Jolokia,
}

/// A path to try, and what it must answer.
#[derive(Clone, Copy, Debug)]
struct Probe {
    path: &'static str,
    recognise: Recognise,
    /// Worth asking even if another path has answered: it tells more.
    adds: bool,
}

/// What is tried, in this order.
const PROBES: [Probe; 9] = [
    Probe { path: "/metrics", recognise: Recognise::Readings, adds: false },
    Probe { path: "/status/memory", recognise: Recognise::Readings, adds: true },
    Probe { path: "/actuator/prometheus", recognise: Recognise::Readings, adds: false },
    Probe { path: "/debug/vars", recognise: Recognise::Readings, adds: false },
    Probe { path: "/q/metrics", recognise: Recognise::Readings, adds: false },
    Probe { path: "/actuator/metrics", recognise: Recognise::ActuatorIndex, adds: false },
    Probe { path: "/jolokia/version", recognise: Recognise::Jolokia, adds: false },
    Probe { path: "/api/memory_usage", recognise: Recognise::Readings, adds: false },
    Probe { path: "/api/leak_indicators", recognise: Recognise::Opinion, adds: true },
];

/// What Jolokia is asked for by GET.
const JOLOKIA_PATHS: [&str; 4] = [
    "/jolokia/read/java.lang:type=Memory",
    "/jolokia/read/java.lang:type=MemoryPool,name=*",
    "/jolokia/read/java.lang:type=Threading/ThreadCount",
    "/jolokia/read/java.lang:type=Runtime/StartTime",
];

/// What a process answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// `host:port`.
    pub(super) address: String,
    /// Paths to read at every scrape.
    pub(super) paths: Vec<String>,
    /// The runtime that its pages give away.
    pub(super) runtime: Option<Runtime>,
}

/// Asks the addresses of one process, and returns the first that answers in a format we know.
pub(super) async fn probe<F, R>(job: &Arc<ScrapeJob>, addresses: &[(String, u16)], fetch: &F) -> Option<Answered>
where
    F: Fn(FetchRequest) -> R,
    R: Future<Output = Result<FetchResponse, String>>,
{
    let http = addresses.iter().filter(|(_, port)| !OTHER_PROTOCOLS.contains(port));
    for (address, _) in http.take(PORTS_MAX) {
        if let Some(answered) = probe_address(job, address, fetch).await {
            return Some(answered);
        }
    }
    None
}

async fn probe_address<F, R>(job: &Arc<ScrapeJob>, address: &str, fetch: &F) -> Option<Answered>
where
    F: Fn(FetchRequest) -> R,
    R: Future<Output = Result<FetchResponse, String>>,
{
    let mut answered = Answered { address: address.to_owned(), paths: Vec::new(), runtime: None };
    for probe in PROBES {
        if !probe.adds && !answered.paths.is_empty() {
            continue;
        }
        let request = FetchRequest { job: job.clone(), address: address.to_owned(), path: probe.path.to_owned() };
        // No HTTP is spoken here, or not now: further paths would not fare better.
        let Ok(Ok(response)) = tokio::time::timeout(PROBE_TIMEOUT, fetch(request)).await else { break };
        if response.status == 200 {
            recognise(probe, &response, job, &mut answered);
        }
    }
    (!answered.paths.is_empty()).then_some(answered)
}

/// Adds to `answered` what the response is recognised as.
fn recognise(probe: Probe, response: &FetchResponse, job: &ScrapeJob, answered: &mut Answered) {
    match probe.recognise {
        Recognise::ActuatorIndex => {
            if let Ok(paths) = actuator::wanted_paths(&response.body) {
                answered.paths.extend(paths.into_iter().map(|path| format!("{}/{path}", probe.path)));
                answered.runtime = Some(Runtime::Jvm);
            }
        }
        Recognise::Jolokia => {
            let body = String::from_utf8_lossy(&response.body);
            if body.contains("\"agent\"") && body.contains("\"protocol\"") {
                answered.paths.extend(JOLOKIA_PATHS.map(str::to_owned));
                answered.runtime = Some(Runtime::Jvm);
            }
        }
        Recognise::Readings | Recognise::Opinion => {
            let mut reader = PageReader::new(job.page.clone(), response.header("content-type"), job.limits);
            let Ok(page) = reader.feed(&response.body).and_then(|()| reader.finish()) else { return };
            let known = match probe.recognise {
                Recognise::Opinion => page.opinion.is_some() && !answered.paths.is_empty(),
                _ => !page.own.is_empty(),
            };
            if known {
                answered.paths.push(probe.path.to_owned());
                answered.runtime = answered.runtime.or(page.runtime);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::config::Global;

    const PROMETHEUS: &str = "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 1e6\n";

    /// What a service with these pages is found to answer, and which paths it was asked for.
    async fn ask(pages: &[(&str, &str, &str)]) -> (Option<Answered>, Vec<String>) {
        let asked = Mutex::new(Vec::new());
        let fetch = |request: FetchRequest| {
            asked.lock().unwrap().push(request.path.clone());
            let page = pages.iter().find(|(path, ..)| *path == request.path);
            let (status, kind, body) =
                page.map_or((404, "text/html", "<html>404</html>"), |(_, kind, body)| (200, *kind, *body));
            let headers = vec![("content-type".to_owned(), kind.to_owned())];
            std::future::ready(Ok(FetchResponse { status, headers, body: body.as_bytes().to_vec() }))
        };
        let job = ScrapeJob::local(&Global::default());
        let answered =
            probe(&job, &[("127.0.0.1:22".to_owned(), 22), ("127.0.0.1:8080".to_owned(), 8080)], &fetch).await;
        (answered, asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn known_pages_are_recognised_by_their_content() {
        let status = r#"{"memory_usage": 1000000, "heap_size": 500000}"#;
        for (pages, paths) in [
            (vec![("/metrics", "text/plain", PROMETHEUS)], vec!["/metrics"]),
            (
                vec![("/metrics", "text/plain", PROMETHEUS), ("/status/memory", "application/json", status)],
                vec!["/metrics", "/status/memory"],
            ),
            (
                vec![(
                    "/debug/vars",
                    "application/json",
                    r#"{"cmdline": ["x"], "memstats": {"HeapAlloc": 5, "Sys": 9}}"#,
                )],
                vec!["/debug/vars"],
            ),
            (
                vec![("/actuator/metrics", "application/json", r#"{"names": ["jvm.memory.used"]}"#)],
                vec!["/actuator/metrics/jvm.memory.used?tag=area:heap"],
            ),
        ] {
            let (answered, _) = ask(&pages).await;
            let answered = answered.unwrap();
            assert_eq!(answered.address, "127.0.0.1:8080");
            assert_eq!(answered.paths, paths);
        }
    }

    #[tokio::test]
    async fn a_page_for_every_path_is_not_taken_for_metrics() {
        let page = "<html><body>Welcome</body></html>";
        let pages: Vec<_> = PROBES.iter().map(|probe| (probe.path, "text/html", page)).collect();
        let (answered, asked) = ask(&pages).await;
        assert_eq!(answered, None);
        assert_eq!(asked.len(), PROBES.len(), "each path once, on the one port that may speak HTTP");
    }

    #[tokio::test]
    async fn a_port_that_does_not_answer_is_asked_once() {
        let n_asked = Mutex::new(0);
        let fetch = |_| {
            *n_asked.lock().unwrap() += 1;
            std::future::ready(Err::<FetchResponse, _>("connection refused".to_owned()))
        };
        let job = ScrapeJob::local(&Global::default());
        assert_eq!(probe(&job, &[("127.0.0.1:8080".to_owned(), 8080)], &fetch).await, None);
        assert_eq!(*n_asked.lock().unwrap(), 1);
    }
}
