//! How one target is reached.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leakscope_model::TargetId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::error::ScrapeError;
use crate::config::{Auth, Scheme, ScrapeJob, Secret, Sourced, Tls};
use crate::tls::server_name;

/// How one target is reached: everything that can be made ahead of a scrape.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) target: TargetId,
    pub(crate) job: Arc<ScrapeJob>,
    /// `host:port`, for messages and the `Host` field.
    pub(crate) address: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Paths with their query; their pages are merged, the first one's values win. None: only the process is read.
    pub(crate) paths: Vec<String>,
    pub(crate) tls: EndpointTls,
    /// The process behind it, when it runs on this host.
    pub(crate) pid: Option<u32>,
    /// How long one scrape may take.
    pub(crate) timeout: Duration,
}

/// Whether and how a connection is encrypted.
#[derive(Clone, Debug)]
pub(crate) enum EndpointTls {
    Plain,
    Tls(Arc<ClientConfig>, ServerName<'static>),
    /// The configuration cannot be used; every scrape says why.
    Unusable(String),
}

impl EndpointTls {
    pub(crate) fn new(config: Result<Arc<ClientConfig>, String>, tls: &Tls, address: &str) -> Self {
        let name = server_name(tls, split_address(address).0);
        match (config, name) {
            (Ok(config), Ok(name)) => Self::Tls(config, name),
            (Err(reason), _) | (_, Err(reason)) => Self::Unusable(reason),
        }
    }
}

fn split_address(address: &str) -> (&str, u16) {
    address.rsplit_once(':').map_or((address, 0), |(host, port)| (host, port.parse().unwrap_or(0)))
}

impl Endpoint {
    pub(crate) fn new(
        target: TargetId,
        job: Arc<ScrapeJob>,
        address: &str,
        paths: Vec<String>,
        tls: EndpointTls,
        pid: Option<u32>,
    ) -> Self {
        let (host, port) = split_address(address);
        let timeout = job.config.scrape_timeout;
        Self { target, job, address: address.into(), host: host.into(), port, paths, tls, pid, timeout }
    }

    /// The request for one path. Secrets are spelt out here and nowhere else; those in files are read at each request, so that they can be rotated.
    pub(crate) fn request(&self, path: &str) -> Result<Vec<u8>, ScrapeError> {
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: leakscope/{}\r\nAccept: {}\r\nAccept-Encoding: {}\r\n",
            self.address,
            env!("CARGO_PKG_VERSION"),
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.8,application/json;q=0.6,*/*;q=0.1",
            if self.job.config.enable_compression && !self.is_loopback() { "zstd, gzip" } else { "identity" },
        );
        match &self.job.config.http.auth {
            Auth::None => {}
            Auth::Basic { username, password } => {
                let password = password.as_ref().map(Sourced::<Secret>::read).transpose()?;
                let pair = format!("{}:{}", username.read()?, password.as_ref().map_or("", |secret| secret.expose()));
                one_line(&pair)?;
                request.push_str("Authorization: Basic ");
                request.push_str(&STANDARD.encode(pair));
                request.push_str("\r\n");
            }
            Auth::Header { scheme, credentials } => {
                let credentials = credentials.read()?;
                one_line(credentials.expose())?;
                for part in ["Authorization: ", scheme, " ", credentials.expose(), "\r\n"] {
                    request.push_str(part);
                }
            }
        }
        request.push_str("\r\n");
        Ok(request.into_bytes())
    }

    /// Whether a connection to `other` can go on for this one: to the same address, in the same way.
    pub(crate) fn shares_connections_with(&self, other: &Self) -> bool {
        let same_way = match (&self.tls, &other.tls) {
            (EndpointTls::Plain, EndpointTls::Plain) => true,
            // Certificates are read anew with each configuration, and a job belongs to one.
            (EndpointTls::Tls(..), EndpointTls::Tls(..)) => Arc::ptr_eq(&self.job, &other.job),
            (EndpointTls::Plain | EndpointTls::Tls(..) | EndpointTls::Unusable(_), _) => false,
        };
        same_way && self.address == other.address
    }

    pub(crate) fn scheme(&self) -> Scheme {
        match self.tls {
            EndpointTls::Plain => Scheme::Http,
            EndpointTls::Tls(..) | EndpointTls::Unusable(_) => Scheme::Https,
        }
    }

    /// Whose signatures are accepted, in words.
    pub(crate) fn authorities(&self) -> String {
        match &self.job.config.http.tls.ca {
            Some(Sourced::File(file)) => format!("`{}`", file.display()),
            Some(Sourced::Inline(_)) => "`tls_config.ca`".into(),
            None => "this system".into(),
        }
    }

    /// Compression costs both ends more than the loopback device does.
    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A line end in a secret would begin a header field of its own.
fn one_line(secret: &str) -> Result<(), ScrapeError> {
    if secret.chars().any(char::is_control) { Err(ScrapeError::Unsendable) } else { Ok(()) }
}
