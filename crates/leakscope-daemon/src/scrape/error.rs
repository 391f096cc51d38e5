//! Why a scrape failed.

use std::time::Duration;

use leakscope_ingest::IngestError;

use crate::config::SecretError;

/// Why a scrape failed. The text is what a person sees on the target's page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScrapeError {
    #[error("cannot resolve `{host}`: {source}")]
    Resolve { host: String, source: std::io::Error },
    #[error("cannot connect to `{address}`: {source}")]
    Connect { address: String, source: std::io::Error },
    #[error("TLS with `{address}` failed: {source}")]
    Tls { address: String, source: std::io::Error },
    #[error("expected a certificate of `{address}` signed by an authority of {authorities}, found another's")]
    Foreign { address: String, authorities: String },
    #[error("{reason}")]
    TlsConfig { reason: String },
    #[error("{}", .0.with_source())]
    Secret(#[from] SecretError),
    #[error("expected user names and credentials of one line, found a control character")]
    Unsendable,
    #[error("the connection broke: {0}")]
    Broken(std::io::Error),
    #[error("expected a response, found the end of the connection after {received} bytes")]
    Closed { received: u64 },
    #[error("expected an HTTP/1 response, found something else: {reason}")]
    NotHttp { reason: String },
    #[error("expected status 200, found {status}")]
    Status { status: u16 },
    #[error("expected a redirect to the same host, found one to `{location}`; it was not followed")]
    ForeignRedirect { location: String },
    #[error("expected at most {limit} redirects, found more")]
    TooManyRedirects { limit: u32 },
    #[error("expected a body of at most {limit} bytes, found more (`body_size_limit`)")]
    TooLarge { limit: u64 },
    #[error("expected encoding `identity`, `gzip` or `zstd`, found `{found}`")]
    Encoding { found: String },
    #[error("expected {encoding} data, found something else: {source}")]
    Decode { encoding: &'static str, source: std::io::Error },
    #[error("no answer within {}", show(*.0))]
    TimedOut(Duration),
    #[error("{0}")]
    Page(#[from] IngestError),
    #[error("process {pid} is gone")]
    ProcessGone { pid: u32 },
}

fn show(timeout: Duration) -> String {
    format!("{} s (`scrape_timeout`)", timeout.as_secs_f64())
}
