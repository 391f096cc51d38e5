//! A running daemon, asked over its API.

use std::path::{Path, PathBuf};

use leakscope_wire::{
    Alert, Alerts, Capture, CaptureRequest, Captures, Evidence, Incident, Incidents, Problem, Report, Samples, Status,
    Target, Targets,
};
use serde::de::DeserializeOwned;

use crate::exit::Failure;
use crate::http::{Answer, Client, HttpError};

/// Rows asked for at once.
const PAGE_ROWS: usize = 1_000;
/// Samples asked for at once, the most that the daemon gives.
const PAGE_SAMPLES: usize = 10_000;
/// Pages of one answer. Beyond: refused, as the daemon's cursor leads in circles.
const PAGES_MAX: usize = 10_000;

/// Where a daemon listens unless it is told otherwise.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7077";
/// The variable that names another address.
pub(crate) const SERVER_VARIABLE: &str = "LEAKSCOPE_SERVER";

/// Which daemon is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Where the daemon's API is
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER, env = SERVER_VARIABLE)]
    server: String,

    /// A file with the token of `web.authorization`
    #[arg(long, value_name = "FILE", env = "LEAKSCOPE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// The API of one daemon.
#[derive(Debug)]
pub(crate) struct Remote {
    server: String,
    client: Client,
}

impl Remote {
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        Self::at(&args.server, args.token_file.as_deref())
    }

    /// The daemon at `server`, shown the token in `token_file`.
    pub(crate) fn at(server: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        let mut client = Client::new(address_of(server)?);
        if let Some(file) = token_file {
            let token = std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", file.display())))?;
            client = client.with_field("Authorization", &format!("Bearer {}", token.trim()));
        }
        Ok(Self { server: server.to_owned(), client })
    }

    /// Every target, page after page.
    pub(crate) async fn targets(&mut self) -> Result<Vec<Target>, Failure> {
        self.all("/api/v1/targets", |page: Targets| (page.targets, page.next_cursor)).await
    }

    /// Every incident, newest first.
    pub(crate) async fn incidents(&mut self) -> Result<Vec<Incident>, Failure> {
        self.all("/api/v1/incidents", |page: Incidents| (page.incidents, page.next_cursor)).await
    }

    /// The story of one incident.
    pub(crate) async fn report(&mut self, id: u64) -> Result<Report, Failure> {
        self.get(&format!("/api/v1/incidents/{id}/report")).await
    }

    /// The story of one incident as `text`, `markdown` or `html`, without what a terminal would obey.
    pub(crate) async fn report_as(&mut self, id: u64, form: &str) -> Result<String, Failure> {
        let body = self.ask(&format!("/api/v1/incidents/{id}/report?format={form}")).await?;
        let text = String::from_utf8(body).map_err(|error| self.strange(&error.to_string()))?;
        Ok(text.chars().filter(|c| *c == '\n' || !c.is_control()).collect())
    }

    /// Every attempt to take evidence, newest first.
    pub(crate) async fn captures(&mut self) -> Result<Vec<Capture>, Failure> {
        self.all("/api/v1/captures", |page: Captures| (page.captures, page.next_cursor)).await
    }

    pub(crate) async fn capture(&mut self, id: u64) -> Result<Capture, Failure> {
        self.get(&format!("/api/v1/captures/{id}")).await
    }

    /// What can be captured of a target.
    pub(crate) async fn evidence(&mut self, target: &str) -> Result<Evidence, Failure> {
        self.get(&format!("/api/v1/targets/{target}/evidence")).await
    }

    /// Asks for evidence; answers with the attempt as it is on record.
    pub(crate) async fn ask_for_capture(&mut self, request: &CaptureRequest) -> Result<Capture, Failure> {
        let json = serde_json::to_string(request).map_err(|error| Failure::inconclusive(error.to_string()))?;
        let answer = self.client.post("/api/v1/captures", &json).await.map_err(|error| unreachable_daemon(&error))?;
        let body = self.good(answer, 202)?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error.to_string()))
    }

    /// Streams one path into `to`, and returns how many bytes it has.
    pub(crate) async fn download(&mut self, path: &str, to: &mut impl std::io::Write) -> Result<u64, Failure> {
        match self.client.download(path, to).await {
            Ok(Ok(size)) => Ok(size),
            Ok(Err(answer)) => Err(self.refusal(&answer)),
            Err(HttpError::Unwritable(error)) => Err(Failure::usage(HttpError::Unwritable(error).to_string())),
            Err(error) => Err(unreachable_daemon(&error)),
        }
    }

    /// What receivers were told last, newest first.
    pub(crate) async fn alerts(&mut self) -> Result<Vec<Alert>, Failure> {
        self.get(&format!("/api/v1/alerts?limit={PAGE_ROWS}")).await.map(|page: Alerts| page.alerts)
    }

    /// How the daemon itself is.
    pub(crate) async fn status(&mut self) -> Result<Status, Failure> {
        self.get("/api/v1/status").await
    }

    /// One page of a target's samples between these Unix seconds; an empty cursor is the first page's.
    pub(crate) async fn samples(
        &mut self,
        target: &str,
        start_s: Option<f64>,
        end_s: Option<f64>,
        cursor: &str,
    ) -> Result<Samples, Failure> {
        let mut path = format!("/api/v1/samples?target={target}&limit={PAGE_SAMPLES}&cursor={cursor}");
        for (name, bound) in [("start", start_s), ("end", end_s)] {
            path.extend(bound.map(|seconds| format!("&{name}={seconds:.3}")));
        }
        let page: Samples = self.get(&path).await?;
        match &page.next_cursor {
            Some(next) if !is_cursor(next) => Err(self.strange(&format!("`{next}` is no cursor"))),
            _ => Ok(page),
        }
    }

    async fn all<P: DeserializeOwned, R>(
        &mut self,
        path: &str,
        split: impl Fn(P) -> (Vec<R>, Option<String>),
    ) -> Result<Vec<R>, Failure> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.get(&format!("{path}?limit={PAGE_ROWS}&cursor={cursor}")).await?;
            let (more, next) = split(page);
            rows.extend(more);
            match next {
                None => return Ok(rows),
                Some(next) if is_cursor(&next) => cursor = next,
                Some(next) => return Err(self.strange(&format!("`{next}` is no cursor"))),
            }
        }
        Err(self.strange("its pages do not end"))
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let body = self.ask(path).await?;
        serde_json::from_slice(&body).map_err(|error| self.strange(&error.to_string()))
    }

    async fn ask(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.client.get(path).await.map_err(|error| unreachable_daemon(&error))?;
        self.good(answer, 200)
    }

    fn good(&self, answer: Answer, status: u16) -> Result<Vec<u8>, Failure> {
        if answer.status == status { Ok(answer.body) } else { Err(self.refusal(&answer)) }
    }

    /// What another status than the good one says.
    fn refusal(&self, answer: &Answer) -> Failure {
        let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
        let detail = problem.map_or_else(|| "no further words".to_owned(), |problem| problem.detail);
        let message = format!("{} answered {}: {detail}", self.server, answer.status);
        match answer.status {
            401 | 403 => {
                Failure::usage(message).hint("name the token's file by `--token-file` or LEAKSCOPE_TOKEN_FILE")
            }
            400..500 => Failure::usage(message),
            _ => Failure::inconclusive(message),
        }
    }

    fn strange(&self, what: &str) -> Failure {
        Failure::inconclusive(format!("expected the API of leakscope at {}, found something else: {what}", self.server))
    }
}

/// Cursors are plain words; anything else would need escaping and is no cursor.
fn is_cursor(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn unreachable_daemon(error: &HttpError) -> Failure {
    let hint = "is `leakscope serve` running? `--server` or LEAKSCOPE_SERVER names another address";
    Failure::inconclusive(error.to_string()).hint(hint)
}

/// `host:port` of `http://host[:port][/]`.
fn address_of(server: &str) -> Result<String, Failure> {
    let wrong =
        || Failure::usage(format!("expected a URL such as `http://127.0.0.1:7077` for the server, found `{server}`"));
    if server.starts_with("https://") {
        return Err(wrong().hint("TLS is not spoken here: ask on the daemon's own host, or through a tunnel"));
    }
    let address = server.strip_prefix("http://").unwrap_or(server).trim_end_matches('/');
    if address.is_empty() || address.contains(['/', '@', ' ', '?', '#']) || address.chars().any(char::is_control) {
        return Err(wrong());
    }
    let host = address.rsplit_once(']').map_or(address, |(_, port)| port);
    Ok(if host.contains(':') { address.to_owned() } else { format!("{address}:80") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_people_write_them() {
        let address = |server| address_of(server).ok();
        assert_eq!(address("http://127.0.0.1:7077/"), Some("127.0.0.1:7077".into()));
        assert_eq!(address("localhost:7077"), Some("localhost:7077".into()));
        assert_eq!(address("http://shop"), Some("shop:80".into()));
        assert_eq!(address("http://[::1]:7077"), Some("[::1]:7077".into()));
        assert_eq!(address("http://[::1]"), Some("[::1]:80".into()));
        for wrong in ["https://shop", "http://", "http://a/b", "ftp://a:1/"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
