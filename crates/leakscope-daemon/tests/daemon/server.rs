//! Targets: tiny TCP servers that answer with raw bytes, well or badly.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// How a server answers one request.
pub(crate) enum Reply {
    /// These bytes; the connection stays.
    Keep(Vec<u8>),
    /// These bytes and the end.
    Close(Vec<u8>),
    /// These bytes, then one byte after the other, slowly.
    Drip(Vec<u8>),
    /// These bytes, then the others so often; the connection stays.
    Repeat(Vec<u8>, Vec<u8>, u64),
    /// Nothing.
    Silence,
}

/// Bytes in between of a slow body.
const DRIP_INTERVAL: Duration = Duration::from_millis(50);

/// What a server has seen.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

/// A server, gone when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answering = dyn Fn(&str, usize) -> Reply + Send + Sync;

impl Server {
    /// Answers by `answer`, which gets the request's head and how many came before it.
    pub(crate) async fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(Arc::new(answer), None).await
    }

    /// The same over TLS.
    pub(crate) async fn start_tls(
        config: Arc<rustls::ServerConfig>,
        answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Arc::new(answer), Some(TlsAcceptor::from(config))).await
    }

    /// The same page for every request.
    pub(crate) async fn page(page: Vec<u8>) -> Self {
        Self::start(move |_, _| Reply::Keep(page.clone())).await
    }

    async fn serve(answer: Arc<Answering>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let task = {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    seen.connections.fetch_add(1, Ordering::Relaxed);
                    let (seen, answer, tls) = (seen.clone(), answer.clone(), tls.clone());
                    connections.spawn(async move {
                        match tls {
                            None => talk(stream, &seen, &*answer).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    talk(stream, &seen, &*answer).await;
                                }
                            }
                        }
                    });
                    while connections.try_join_next().is_some() {}
                }
            })
        };
        Self { address, seen, task }
    }

    pub(crate) fn n_connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen, answer: &Answering) {
    let mut received = Vec::new();
    loop {
        let Some(head) = head(&mut stream, &mut received).await else { return };
        let before = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(head.clone());
            requests.len() - 1
        };
        let sent = match answer(&head, before) {
            Reply::Keep(bytes) => stream.write_all(&bytes).await.and(Ok(true)),
            Reply::Close(bytes) => stream.write_all(&bytes).await.and(Ok(false)),
            Reply::Drip(bytes) => drip(&mut stream, &bytes).await.and(Ok(false)),
            Reply::Repeat(bytes, again, times) => repeat(&mut stream, &bytes, &again, times).await.and(Ok(true)),
            Reply::Silence => std::future::pending().await,
        };
        if !matches!(sent, Ok(true)) {
            // The other end may be gone already.
            let _ = stream.shutdown().await;
            return;
        }
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            let head = std::mem::replace(received, rest);
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        if stream.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), start: &[u8]) -> std::io::Result<()> {
    stream.write_all(start).await?;
    let mut ticks = tokio::time::interval(DRIP_INTERVAL);
    loop {
        ticks.tick().await;
        stream.write_all(b"#").await?;
        stream.flush().await?;
    }
}

async fn repeat(stream: &mut (impl AsyncWrite + Unpin), start: &[u8], again: &[u8], times: u64) -> std::io::Result<()> {
    stream.write_all(start).await?;
    for _ in 0..times {
        stream.write_all(again).await?;
    }
    stream.flush().await
}

/// A response with these header lines (each ends with a line end) and this body, its length told.
pub(crate) fn response(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A page in Prometheus' text format.
pub(crate) fn text(body: &str) -> Vec<u8> {
    response("200 OK", "Content-Type: text/plain; version=0.0.4\r\n", body.as_bytes())
}

/// A page in JSON.
pub(crate) fn json(body: &str) -> Vec<u8> {
    response("200 OK", "Content-Type: application/json\r\n", body.as_bytes())
}

/// A page with a resident set of so many bytes.
pub(crate) fn rss(bytes: u64) -> Vec<u8> {
    text(&format!("# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {bytes}\n"))
}
