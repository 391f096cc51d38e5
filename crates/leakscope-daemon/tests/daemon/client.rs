//! A small HTTP client: one request on one connection, and a reader of server-sent events.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long any answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.text()))
    }

    /// The body as a problem document of this status.
    pub(crate) fn problem(&self, status: u16) -> leakscope_wire::Problem {
        assert_eq!(self.status, status, "{} {}", self.head, self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem: leakscope_wire::Problem = self.json();
        assert_eq!(problem.status, status);
        assert!(problem.kind.starts_with("/problems/") && !problem.title.is_empty() && !problem.detail.is_empty());
        problem
    }
}

/// Asks once. `headers` are added to, or replace, `Host`.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_with(address, method, path, headers, "").await
}

/// As [`ask`], with a body whose length `headers` tell.
pub(crate) async fn ask_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        write!(request, "Host: {address}\r\n").unwrap();
    }
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    write!(request, "\r\n{body}").unwrap();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        received
    };
    let received = tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| panic!("no answer to {path}"));
    let end = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(received.len());
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head:?}"));
    Answer { status, head, body: received.get(end + 4..).unwrap_or_default().to_vec() }
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// A stream of events.
#[derive(Debug)]
pub(crate) struct Events {
    stream: TcpStream,
    received: Vec<u8>,
    pub(crate) status: u16,
}

impl Events {
    /// Asks in HTTP/1.0, so that the body comes without chunks.
    pub(crate) async fn open(address: SocketAddr, last_event_id: Option<&str>) -> Self {
        let resume = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /api/v1/events HTTP/1.0\r\nHost: {address}\r\n{resume}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self { stream, received: Vec::new(), status: 0 };
        let head = events.block("\r\n\r\n").await.unwrap();
        events.status = head.split(' ').nth(1).unwrap().parse().unwrap();
        events
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block("\n\n").await?;
            let field = |name: &str| {
                let lines = block.lines().filter_map(|line| line.split_once(':'));
                lines.filter(|(found, _)| *found == name).map(|(_, value)| value.trim().to_owned()).next()
            };
            // Heartbeats are comments.
            if let Some(data) = field("data") {
                let (id, name) = (field("id").unwrap_or_default(), field("event").unwrap_or_default());
                return Some(Event { id, name, data });
            }
        }
    }

    /// The next event of a name.
    pub(crate) async fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before `{name}`"));
            if event.name == name {
                return event;
            }
        }
    }

    async fn block(&mut self, end: &str) -> Option<String> {
        loop {
            let found = self.received.windows(end.len()).position(|bytes| bytes == end.as_bytes());
            if let Some(place) = found {
                let rest = self.received.split_off(place + end.len());
                let block = std::mem::replace(&mut self.received, rest);
                return Some(String::from_utf8(block).unwrap());
            }
            let read = tokio::time::timeout(TIMEOUT, self.stream.read_buf(&mut self.received));
            match read.await.expect("something within 20 s") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}
