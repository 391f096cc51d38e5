//! What every probe is told, what it answers and how it fails: the contract between probes and the collector.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use leakscope_model::{Bytes, Lacking, Means, Runtime, TargetId, Timestamp};
use rustls::ClientConfig;

use crate::config::{Auth, Capture, HttpClient, Scheme, Secret, Sourced};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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

/// What a probe says of evidence that it has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Whether it only started to record, so that growth shows from the next capture on.
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
    #[error("not done within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// Somebody stopped it.
    #[error("stopped")]
    Cancelled,
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

/// An HTTP server with the authentication of its job. Redirects are not followed, proxies are not used: only what is configured is asked.
#[derive(Clone, Debug)]
pub(crate) struct HttpAccess {
    client: reqwest::Client,
    /// `http://host:port`.
    base: String,
    auth: Auth,
}

impl HttpAccess {
    /// `tls` is what the job's `tls_config` means; needed for `https` only.
    ///
    /// # Errors
    /// Why no client can be made, as a sentence.
    pub(crate) fn new(
        scheme: Scheme,
        address: &str,
        http: &HttpClient,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, String> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("leakscope/", env!("CARGO_PKG_VERSION")));
        let config = tls.map_or_else(plain, |config| Ok((**config).clone()))?;
        let client = builder.tls_backend_preconfigured(config).build().map_err(|error| error.to_string())?;
        Ok(Self { client, base: format!("{}://{address}", scheme.name()), auth: http.auth.clone() })
    }

    /// `http://host:port`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A GET of a path with its query, authenticated; secrets in files are read at each request.
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
        let unreadable = |error: crate::config::SecretError| CaptureError::Unavailable(error.to_string());
        Ok(match &self.auth {
            Auth::None => request,
            Auth::Basic { username, password } => {
                let password = password.as_ref().map(Sourced::<Secret>::read).transpose().map_err(unreadable)?;
                request
                    .basic_auth(username.read().map_err(unreadable)?, password.map(|secret| secret.expose().to_owned()))
            }
            Auth::Header { scheme, credentials } => {
                let credentials = credentials.read().map_err(unreadable)?;
                request.header(reqwest::header::AUTHORIZATION, format!("{scheme} {}", credentials.expose()))
            }
        })
    }

    /// Streams the body of a path into `output`.
    ///
    /// # Errors
    /// [`CaptureError::Unexpected`] for another status than 200, [`CaptureError::Broken`] when the connection breaks, and those of [`Output::write`].
    pub(crate) async fn stream(&self, path: &str, output: &mut Output<'_>) -> Result<(), CaptureError> {
        let from = || format!("`{}{path}`", self.base);
        let mut response = self.get(path)?.send().await.map_err(|error| broken(from(), &error))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(CaptureError::Unexpected {
                from: from(),
                expected: "status 200",
                found: response.status().to_string(),
            });
        }
        while let Some(piece) = response.chunk().await.map_err(|error| broken(from(), &error))? {
            output.write(&piece)?;
        }
        Ok(())
    }
}

/// An error of the client with its cause, without the URL's query.
fn broken(from: String, error: &reqwest::Error) -> CaptureError {
    let mut reason = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        reason = error.to_string();
        cause = error.source();
    }
    CaptureError::Broken { from, source: io::Error::other(reason) }
}

/// A TLS configuration for servers that are asked without TLS: reqwest wants one all the same.
fn plain() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}
