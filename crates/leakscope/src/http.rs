//! A small HTTP/1.1 client for loopback: one kept connection, bounded answers. No TLS, no redirects.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes of a head. Beyond: refused.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a body. Beyond: refused.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Header fields of an answer. Beyond: refused.
const FIELDS_MAX: usize = 64;
/// How long one whole exchange may take, connecting included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    #[error("the connection to {address} broke: {source}")]
    Broken { address: String, source: io::Error },
    #[error("{address} did not answer within {} s", EXCHANGE_TIMEOUT.as_secs())]
    Late { address: String },
    #[error("what was fetched cannot be written: {0}")]
    Unwritable(io::Error),
    #[error("{address} does not speak HTTP/1.1: {what}")]
    Garbled { address: String, what: String },
}

/// One request: its method, its path, and the JSON that it carries.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    body: Option<&'a str>,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Speaks to one server and keeps its connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// `host:port`.
    address: String,
    /// Further header lines, each ending in CRLF.
    fields: String,
    connection: Option<TcpStream>,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

#[derive(Debug)]
struct Head {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    /// Bytes of the head itself.
    length: usize,
}

impl Client {
    pub(crate) fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), fields: String::new(), connection: None }
    }

    /// Sends this with every request.
    pub(crate) fn with_field(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.fields, "{name}: {value}\r\n");
        self
    }

    /// Asks for one path. A kept connection that the server has closed meanwhile is opened once more.
    ///
    /// # Errors
    /// [`HttpError`]; any status is an answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, HttpError> {
        let request = Request { method: "GET", path, body: None };
        let kept = self.connection.is_some();
        match timeout(EXCHANGE_TIMEOUT, self.exchange(request)).await {
            Ok(Err(HttpError::Broken { .. })) if kept => {
                let again = timeout(EXCHANGE_TIMEOUT, self.exchange(request)).await;
                again.unwrap_or_else(|_| Err(HttpError::Late { address: self.address.clone() }))
            }
            Ok(answer) => answer,
            Err(_) => {
                self.connection = None;
                Err(HttpError::Late { address: self.address.clone() })
            }
        }
    }

    /// Asks for something to be done, on a new connection, so that it is asked for once.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn post(&mut self, path: &str, json: &str) -> Result<Answer, HttpError> {
        self.connection = None;
        let request = Request { method: "POST", path, body: Some(json) };
        let exchange = timeout(EXCHANGE_TIMEOUT, self.exchange(request)).await;
        exchange.unwrap_or_else(|_| Err(HttpError::Late { address: self.address.clone() }))
    }

    /// Streams the body of one path, which has to say its length, and returns it; any other status than 200 is an answer in full.
    /// Each piece has the time of an exchange.
    ///
    /// # Errors
    /// [`HttpError`]; what cannot be written is [`HttpError::Unwritable`].
    pub(crate) async fn download(
        &mut self,
        path: &str,
        to: &mut impl io::Write,
    ) -> Result<Result<u64, Answer>, HttpError> {
        let address = self.address.clone();
        let late = || HttpError::Late { address: address.clone() };
        let request = Request { method: "GET", path, body: None };
        self.connection = None;
        let begun = timeout(EXCHANGE_TIMEOUT, self.begin(request)).await.map_err(|_| late())?;
        let (mut connection, mut received, head) = begun?;
        let Framing::Length(length) = head.framing else {
            return Err(self.garbled("the answer does not say its length".to_owned()));
        };
        if head.status != 200 {
            let body = self.read_body(&mut connection, received, head.framing).await?;
            return Ok(Err(Answer { status: head.status, body }));
        }
        let mut left = length;
        loop {
            received.truncate(left);
            left -= received.len();
            to.write_all(&received).map_err(HttpError::Unwritable)?;
            received.clear();
            if left == 0 {
                return Ok(Ok(length as u64));
            }
            let read = timeout(EXCHANGE_TIMEOUT, connection.read_buf(&mut received)).await.map_err(|_| late())?;
            if read.map_err(|source| HttpError::Broken { address: self.address.clone(), source })? == 0 {
                return Err(self.garbled("the answer ends early".to_owned()));
            }
        }
    }

    /// Takes the connection for the time of the exchange, so that none is kept after an error.
    async fn exchange(&mut self, request: Request<'_>) -> Result<Answer, HttpError> {
        let (mut connection, received, head) = self.begin(request).await?;
        let body = self.read_body(&mut connection, received, head.framing).await?;
        if head.keep_alive && head.framing != Framing::UntilClose {
            self.connection = Some(connection);
        }
        Ok(Answer { status: head.status, body })
    }

    /// Sends the request and reads the head; what came after it is the beginning of the body.
    async fn begin(&mut self, request: Request<'_>) -> Result<(TcpStream, Vec<u8>, Head), HttpError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let (fields, address, Request { method, path, body }) = (&self.fields, &self.address, request);
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n{fields}");
        if let Some(body) = body {
            let _ = write!(request, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        } else {
            request.push_str("\r\n");
        }
        let broken = |source| HttpError::Broken { address: self.address.clone(), source };
        connection.write_all(request.as_bytes()).await.map_err(broken)?;
        let mut received = Vec::with_capacity(4_096);
        let head = loop {
            if connection.read_buf(&mut received).await.map_err(broken)? == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(head) = parse_head(&received).map_err(|what| self.garbled(what))? {
                break head;
            }
        };
        received.drain(..head.length);
        Ok((connection, received, head))
    }

    async fn connect(&self) -> Result<TcpStream, HttpError> {
        let failed = |source| HttpError::Connect { address: self.address.clone(), source };
        let connection = TcpStream::connect(&self.address).await.map_err(failed)?;
        connection.set_nodelay(true).map_err(failed)?;
        Ok(connection)
    }

    async fn read_body(
        &self,
        connection: &mut TcpStream,
        mut received: Vec<u8>,
        framing: Framing,
    ) -> Result<Vec<u8>, HttpError> {
        loop {
            match framing {
                Framing::Length(length) if received.len() >= length => {
                    received.truncate(length);
                    return Ok(received);
                }
                Framing::Chunked => {
                    if let Some(body) = unchunked(&received).map_err(|what| self.garbled(what))? {
                        return Ok(body);
                    }
                }
                Framing::Length(_) | Framing::UntilClose => {}
            }
            if received.len() > BODY_BYTES_MAX {
                return Err(self.garbled(format!("expected at most {BODY_BYTES_MAX} bytes, found more")));
            }
            let read = connection.read_buf(&mut received).await;
            let n_read = read.map_err(|source| HttpError::Broken { address: self.address.clone(), source })?;
            match (n_read, framing) {
                (0, Framing::UntilClose) => return Ok(received),
                (0, _) => return Err(self.garbled("the answer ends early".to_owned())),
                _ => {}
            }
        }
    }

    fn garbled(&self, what: String) -> HttpError {
        HttpError::Garbled { address: self.address.clone(), what }
    }
}

/// The head, once it is complete.
fn parse_head(received: &[u8]) -> Result<Option<Head>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let length = match answer.parse(received) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if received.len() <= HEAD_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(format!("expected a head of {HEAD_BYTES_MAX} bytes, found more")),
        Err(error) => return Err(error.to_string()),
    };
    let mut framing = Framing::UntilClose;
    let mut keep_alive = answer.version == Some(1);
    for field in answer.headers.iter() {
        let value = String::from_utf8_lossy(field.value).to_ascii_lowercase();
        if field.name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
            framing = Framing::Length(value.trim().parse().map_err(|_| format!("content-length is `{value}`"))?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") && value.contains("chunked") {
            framing = Framing::Chunked;
        } else if field.name.eq_ignore_ascii_case("connection") {
            keep_alive &= !value.contains("close");
        }
    }
    Ok(Some(Head { status: answer.code.unwrap_or(0), framing, keep_alive, length }))
}

/// The body behind its chunks, once it is complete; trailers are dropped.
fn unchunked(mut received: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let (at, length) = match httparse::parse_chunk_size(received) {
            Ok(httparse::Status::Complete((at, length))) => (at, length),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("expected the size of a chunk".to_owned()),
        };
        let rest = received.get(at..).unwrap_or_default();
        if length == 0 {
            let ended = rest.starts_with(b"\r\n") || rest.windows(4).any(|end| end == b"\r\n\r\n");
            return Ok(ended.then_some(body));
        }
        let end = usize::try_from(length).ok().and_then(|length| length.checked_add(2));
        let end = end.filter(|end| *end <= BODY_BYTES_MAX).ok_or("expected a smaller chunk")?;
        let Some(chunk) = rest.get(..end) else { return Ok(None) };
        body.extend(chunk.iter().take(end - 2));
        received = rest.get(end..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_when_all_are_there() {
        let whole = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n";
        assert_eq!(unchunked(whole), Ok(Some(b"hello!".to_vec())));
        for end in 0..whole.len() {
            assert_eq!(unchunked(&whole[..end]), Ok(None), "first {end} bytes");
        }
        assert!(unchunked(b"zz\r\n").is_err());
        assert!(unchunked(b"ffffffffffffffff\r\n").is_err());
    }

    #[test]
    fn the_head_says_how_the_body_ends() {
        let framing = |fields: &str| {
            let head = parse_head(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes()).unwrap().unwrap();
            (head.framing, head.keep_alive)
        };
        assert_eq!(framing("Content-Length: 3\r\n"), (Framing::Length(3), true));
        assert_eq!(framing("transfer-encoding: chunked\r\ncontent-length: 3\r\n"), (Framing::Chunked, true));
        assert_eq!(framing("Connection: close\r\n"), (Framing::UntilClose, false));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nConte").unwrap().is_none());
        assert!(parse_head(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
