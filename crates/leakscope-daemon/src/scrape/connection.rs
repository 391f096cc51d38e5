//! One connection to one target: plain or TLS, read through one buffer that all connections of a thread share.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::endpoint::{Endpoint, EndpointTls};
use super::error::ScrapeError;

/// The shared buffer, bytes: one read takes at most this much.
const BUFFER_BYTES: usize = 128 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
}

/// A connection that can be kept for the next scrape.
#[derive(Debug)]
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, ScrapeError> {
        let stream = connect(endpoint).await?;
        // Requests are one small packet; waiting for more only delays them. A socket that refuses the option still works.
        let _ = stream.set_nodelay(true);
        let (config, name) = match &endpoint.tls {
            EndpointTls::Plain => return Ok(Self::Plain(stream)),
            EndpointTls::Unusable(reason) => return Err(ScrapeError::TlsConfig { reason: reason.clone() }),
            EndpointTls::Tls(config, name) => (config, name),
        };
        let connector = tokio_rustls::TlsConnector::from(config.clone());
        let stream =
            connector.connect(name.clone(), stream).await.map_err(|source| handshake_error(endpoint, source))?;
        Ok(Self::Tls(Box::new(stream)))
    }

    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(request).await,
            Self::Tls(stream) => {
                stream.write_all(request).await?;
                stream.flush().await
            }
        }
    }

    /// Waits for bytes and hands them to `take` while they lie in the shared buffer; an empty slice is the end.
    pub(crate) async fn receive<T>(&mut self, mut take: impl FnMut(&[u8]) -> T) -> io::Result<T> {
        poll_fn(|context| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                ready!(self.poll_read(context, &mut read))?;
                Poll::Ready(Ok(take(read.filled())))
            })
        })
        .await
    }

    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

/// Why there is no TLS; a certificate that nobody known has signed names who should have.
fn handshake_error(endpoint: &Endpoint, source: io::Error) -> ScrapeError {
    use rustls::CertificateError::{BadSignature, UnknownIssuer};
    let address = endpoint.address.clone();
    match source.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature)) => {
            ScrapeError::Foreign { address, authorities: endpoint.authorities() }
        }
        _ => ScrapeError::Tls { address, source },
    }
}

/// Every address of the host in turn, until one answers.
async fn connect(endpoint: &Endpoint) -> Result<TcpStream, ScrapeError> {
    let refused = |source| ScrapeError::Connect { address: endpoint.address.clone(), source };
    if let Ok(ip) = endpoint.host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return TcpStream::connect(SocketAddr::new(ip, endpoint.port)).await.map_err(refused);
    }
    let addresses = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|source| ScrapeError::Resolve { host: endpoint.host.clone(), source })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(refused(last))
}
