//! What every probe is told, what it answers and how it fails: the contract between probes and the collector.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use leakscope_model::{Bytes, Lacking, Means, Runtime, TargetId, Timestamp};
use rustls::ClientConfig;

use crate::config::{Auth, Capture, HttpClient, Scheme};
use crate::{http, proc};

/// All that a probe needs to know of one target.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Which target.
    pub(crate) target: TargetId,
    /// Its address, for messages.
    pub(crate) instance: String,
    /// Its runtime, as far as known.
    pub(crate) runtime: Runtime,
    /// Its process, where it runs on this host.
    pub(crate) pid: Option<u32>,
    /// Its HTTP server with the job's authentication, where it has one.
    pub(crate) http: Option<HttpAccess>,
    /// What the configuration allows, and where services serve their profiles.
    pub(crate) settings: Arc<Capture>,
}

/// What a runtime's survey says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// What it gives, cheapest first.
    pub(crate) means: Vec<Means>,
    /// What it does not give, with the one change that would enable it.
    pub(crate) lacking: Vec<Lacking>,
    /// Live heap, as far as it tells.
    pub(crate) heap: Option<Bytes>,
    /// Goroutines, threads or tasks.
    pub(crate) tasks: Option<u64>,
}

impl Found {
    /// With what another probe found of the same target.
    pub(crate) fn join(&mut self, other: Self) {
        self.means.extend(other.means);
        self.lacking.extend(other.lacking);
        self.heap = self.heap.or(other.heap);
        self.tasks = self.tasks.or(other.tasks);
    }
}

/// What a probe says of evidence that it has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Whether it only started to record, so that only later captures can be compared.
    pub(crate) armed: bool,
    /// When the process started, where the evidence or the probe tells.
    pub(crate) process_started_at: Option<Timestamp>,
}

/// Why there is no evidence. Each says what was expected and what was found; none holds a byte of the heap.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    /// The way to it is closed today.
    #[error("{0}")]
    Unavailable(String),
    /// The target answered something else.
    #[error("expected {expected} from {from}, found {found}")]
    Unexpected { from: String, expected: &'static str, found: String },
    /// The target or the connection broke off.
    #[error("{from} broke off: {source}")]
    Broken { from: String, source: io::Error },
    /// The target is gone.
    #[error("the process ended during the capture")]
    Died,
    /// More than may be kept.
    #[error("the evidence has more than {} bytes, which is all that it may have", .0.0)]
    TooLarge(Bytes),
    /// The disk refuses.
    #[error("the evidence could not be written: {0}")]
    Disk(io::Error),
    /// Not done by the deadline.
    #[error("not done within {:.0} s", .0.as_secs_f64())]
    Late(Duration),
    /// Somebody stopped it.
    #[error("stopped")]
    Cancelled,
}

impl CaptureError {
    /// That the process ended, where that is why a connection broke off.
    pub(crate) fn or_died(self, subject: &Subject) -> Self {
        match (self, subject.pid) {
            (Self::Broken { .. }, Some(pid)) if !proc::is_alive(pid) => Self::Died,
            (error, _) => error,
        }
    }
}

/// Where evidence goes: the store's file with a bound on its size. A write that passes the bound fails with [`CaptureError::TooLarge`].
pub(crate) struct Output<'a> {
    file: &'a mut (dyn io::Write + Send),
    written: Bytes,
    size_max: Bytes,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("written", &self.written)
            .field("size_max", &self.size_max)
            .finish_non_exhaustive()
    }
}

impl<'a> Output<'a> {
    pub(crate) fn new(file: &'a mut (dyn io::Write + Send), size_max: Bytes) -> Self {
        Self { file, written: Bytes(0), size_max }
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// [`CaptureError::TooLarge`] beyond the bound, [`CaptureError::Disk`] when the disk refuses.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CaptureError> {
        self.written.0 += bytes.len() as u64;
        if self.written > self.size_max {
            return Err(CaptureError::TooLarge(self.size_max));
        }
        self.file.write_all(bytes).map_err(CaptureError::Disk)
    }

    /// Bytes so far.
    pub(crate) fn written(&self) -> Bytes {
        self.written
    }
}

/// An HTTP server with the authentication of its job.
#[derive(Clone, Debug)]
pub(crate) struct HttpAccess {
    client: reqwest::Client,
    /// `http://host:port`.
    base: String,
    auth: Auth,
    /// A path that the service serves, with its query.
    page: Option<String>,
}

impl HttpAccess {
    /// Asks with a client of its own. `tls` is what the job's `tls_config` means; needed for `https` only.
    ///
    /// # Errors
    /// Why no client can be made, as a sentence.
    pub(crate) fn new(
        scheme: Scheme,
        address: &str,
        config: &HttpClient,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, String> {
        Ok(Self::with(http::client(tls)?, scheme, address, config))
    }

    /// Asks with a client that targets share.
    pub(crate) fn with(client: reqwest::Client, scheme: Scheme, address: &str, config: &HttpClient) -> Self {
        Self { client, base: format!("{}://{address}", scheme.name()), auth: config.auth.clone(), page: None }
    }

    /// With a path that the service serves, with its query.
    pub(crate) fn with_page(self, page: Option<String>) -> Self {
        Self { page, ..self }
    }

    /// A path that the service serves, with its query: whether and how fast it answers tells how the service fares.
    pub(crate) fn page(&self) -> Option<&str> {
        self.page.as_deref()
    }

    /// Its port, when it is on this host's loopback.
    pub(crate) fn loopback_port(&self) -> Option<u16> {
        let (host, port) = self.base.split_once("://")?.1.rsplit_once(':')?;
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        port.parse().ok().filter(|_| loopback)
    }

    /// `http://host:port`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A GET of a path with its query, authenticated.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when a secret cannot be read.
    pub(crate) fn get(&self, path: &str) -> Result<reqwest::RequestBuilder, CaptureError> {
        self.request(reqwest::Method::GET, path)
    }

    /// A POST of a path, as [`Self::get`].
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn post(&self, path: &str) -> Result<reqwest::RequestBuilder, CaptureError> {
        self.request(reqwest::Method::POST, path)
    }

    fn request(&self, method: reqwest::Method, path: &str) -> Result<reqwest::RequestBuilder, CaptureError> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        http::authorize(request, &self.auth).map_err(|error| CaptureError::Unavailable(error.to_string()))
    }

    /// Streams the body of a path into `output` when it begins as it must: a page that asks for a login is no evidence.
    ///
    /// # Errors
    /// [`CaptureError::Unexpected`] for another status than 200 or another body, of which nothing is written;
    /// [`CaptureError::Broken`] when the connection breaks, and those of [`Output::write`].
    pub(crate) async fn stream_known(
        &self,
        path: &str,
        known: &Known,
        output: &mut Output<'_>,
    ) -> Result<(), CaptureError> {
        let from = format!("`{}{path}`", self.base);
        let unexpected = |expected, found| CaptureError::Unexpected { from: from.clone(), expected, found };
        let mut response = self.get(path)?.send().await.map_err(|error| self.broken(path, &error))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(unexpected("status 200", response.status().to_string()));
        }
        let mut start = Vec::new();
        let mut at_end = false;
        while start.len() < KNOWN_BYTES && !at_end {
            let piece = response.chunk().await.map_err(|error| self.broken(path, &error))?;
            at_end = piece.is_none();
            start.extend_from_slice(&piece.unwrap_or_default());
        }
        if !(known.begins)(&start) {
            return Err(unexpected(known.what, format!("{} of something else", kind_of(&response))));
        }
        output.write(&start)?;
        while let Some(piece) = response.chunk().await.map_err(|error| self.broken(path, &error))? {
            output.write(&piece)?;
        }
        Ok(())
    }

    /// The status, the header and the first bytes of what a path answers; beyond `bytes_max` nothing is read.
    ///
    /// # Errors
    /// [`CaptureError::Broken`] when the connection breaks, and those of [`Self::get`].
    pub(crate) async fn peek(&self, path: &str, bytes_max: usize) -> Result<Answer, CaptureError> {
        let mut response = self.get(path)?.send().await.map_err(|error| self.broken(path, &error))?;
        let mut start = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.broken(path, &error))? {
            let room = bytes_max - start.len();
            start.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() >= room {
                break;
            }
        }
        Ok(Answer { status: response.status(), headers: response.headers().clone(), start })
    }

    fn broken(&self, path: &str, error: &reqwest::Error) -> CaptureError {
        CaptureError::Broken { from: format!("`{}{path}`", self.base), source: io::Error::other(http::reason(error)) }
    }
}

/// Bytes that are there before a body is looked at, unless it is shorter.
const KNOWN_BYTES: usize = 64;

/// How a body begins that is what was asked for.
pub(crate) struct Known {
    /// What it is, for messages.
    pub(crate) what: &'static str,
    /// Whether it begins like that: told [`KNOWN_BYTES`] or more, fewer of a shorter body.
    pub(crate) begins: fn(&[u8]) -> bool,
}

/// What a path answers, as far as it was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: reqwest::StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) start: Vec<u8>,
}

/// The content type of an answer, for messages: never its content.
fn kind_of(response: &reqwest::Response) -> String {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    format!("`{}`", kind.unwrap_or("no content type").chars().take(80).collect::<String>())
}
