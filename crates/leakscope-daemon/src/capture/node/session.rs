//! One connection to an inspector: the Chrome DevTools protocol over a WebSocket. A call at a time; messages are bounded.
//!
//! Source: `https://chromedevtools.github.io/devtools-protocol/v8/HeapProfiler`.

use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes, protocol::WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::capture::CaptureError;

/// Most bytes of one message: a sampling profile comes in one, snapshots in pieces of at most 600 kB. Beyond: the capture fails.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// A connection to an inspector.
#[derive(Debug)]
pub(super) struct Session {
    socket: WebSocketStream<TcpStream>,
    /// What is spoken with, for messages.
    from: String,
    last_id: u64,
    /// Whether an answer is on its way.
    waiting: bool,
}

/// What an answer or an event begins with.
#[derive(Deserialize)]
struct Head {
    id: Option<u64>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

#[derive(Deserialize)]
struct Evaluated<T> {
    result: Remote<T>,
}

#[derive(Deserialize)]
struct Remote<T> {
    value: T,
}

/// What came back of a call.
#[derive(Debug)]
pub(super) enum Reply {
    /// The whole message, with `result` in it.
    Done { id: u64, text: Utf8Bytes },
    /// The inspector refuses, with its reason.
    Refused(String),
}

impl Session {
    /// Connects to the isolate `id` of an inspector.
    ///
    /// # Errors
    /// [`CaptureError::Broken`].
    pub(super) async fn connect(address: SocketAddr, id: &str) -> Result<Self, CaptureError> {
        let from = format!("the inspector at {address}");
        let broken = |source| CaptureError::Broken { from: from.clone(), source };
        let stream = TcpStream::connect(address).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let url = format!("ws://{address}/{id}");
        let connected = client_async_with_config(url, stream, Some(config)).await;
        let (socket, _) = connected.map_err(|error| broken(io_error(error)))?;
        Ok(Self { socket, from, last_id: 0, waiting: false })
    }

    /// Calls a method; events on the way go to `on_event`, as text.
    ///
    /// # Errors
    /// [`CaptureError::Broken`], [`CaptureError::Unexpected`] for a message that is no JSON, and those of `on_event`.
    pub(super) async fn call(
        &mut self,
        method: &str,
        parameters: Value,
        on_event: &mut (dyn FnMut(&str) -> Result<(), CaptureError> + Send),
    ) -> Result<Reply, CaptureError> {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({"id": id, "method": method, "params": parameters}).to_string();
        self.waiting = true;
        self.socket.send(Message::text(request)).await.map_err(|error| self.broken(error))?;
        loop {
            let text = self.message().await?;
            let head: Head = self.parsed(&text, "a message of the inspector protocol")?;
            match head {
                Head { id: Some(answered), error } if answered == id => {
                    self.waiting = false;
                    return Ok(error.map_or(Reply::Done { id, text }, |failure| Reply::Refused(failure.message)));
                }
                Head { id: Some(_), .. } => {}
                Head { id: None, .. } => on_event(&text)?,
            }
        }
    }

    /// Calls a method that must succeed, with the type of its result.
    ///
    /// # Errors
    /// As [`Self::call`], and [`CaptureError::Unexpected`] when it is refused.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, CaptureError> {
        let reply = self.call(method, parameters, &mut |_| Ok(())).await?;
        let text = self.done(method, reply)?.1;
        Ok(self.parsed::<Answer<T>>(&text, method)?.result)
    }

    /// The answer of a call that must succeed.
    ///
    /// # Errors
    /// [`CaptureError::Unexpected`] when it is refused.
    pub(super) fn done(&self, method: &'static str, reply: Reply) -> Result<(u64, Utf8Bytes), CaptureError> {
        match reply {
            Reply::Done { id, text } => Ok((id, text)),
            Reply::Refused(found) => Err(self.unexpected(method, found)),
        }
    }

    /// Evaluates an expression that returns plain values; `require` is within its reach.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn evaluate<T: DeserializeOwned>(&mut self, expression: &str) -> Result<T, CaptureError> {
        let parameters = json!({
            "expression": expression, "includeCommandLineAPI": true, "returnByValue": true, "silent": true,
        });
        let evaluated: Evaluated<T> = self.ask("Runtime.evaluate", parameters).await?;
        Ok(evaluated.result.value)
    }

    /// Whether an answer is on its way, because the wait for it was cut off.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Hears the answer that is on its way, and says goodbye. Of processes whose connection was cut in the middle of a snapshot a few ended
    /// without a word (Node.js 20).
    pub(super) async fn drain(mut self) {
        while self.waiting {
            let Ok(text) = self.message().await else { return };
            let answers = |head: Head| head.id == Some(self.last_id);
            // Pieces of a snapshot are events, which begin so, and are not looked into.
            self.waiting = text.starts_with(r#"{"method":"#) || !serde_json::from_str(&text).is_ok_and(answers);
        }
        self.close().await;
    }

    /// Says goodbye, and waits until the inspector has heard.
    pub(super) async fn close(mut self) {
        // Whatever fails here ends the connection as well.
        if self.socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = self.socket.next().await {}
        }
    }

    pub(super) fn unexpected(&self, expected: &'static str, found: impl Into<String>) -> CaptureError {
        CaptureError::Unexpected { from: self.from.clone(), expected, found: found.into() }
    }

    /// The next message; pings are answered on the way.
    async fn message(&mut self) -> Result<Utf8Bytes, CaptureError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(_))) | None => return Err(self.broken(Error::ConnectionClosed)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.broken(error)),
            }
        }
    }

    /// A message as a type; what it holds is never repeated in an error.
    fn parsed<T: DeserializeOwned>(&self, text: &str, expected: &'static str) -> Result<T, CaptureError> {
        serde_json::from_str(text).map_err(|error| {
            self.unexpected(expected, format!("{} bytes that are not, at column {}", text.len(), error.column()))
        })
    }

    fn broken(&self, error: Error) -> CaptureError {
        CaptureError::Broken { from: self.from.clone(), source: io_error(error) }
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::UnexpectedEof.into(),
        other => io::Error::other(other.to_string()),
    }
}
