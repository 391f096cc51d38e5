//! One blocking GET to this machine, for commands that ask a program they started.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Until a program of this machine must have answered.
const LIMIT: Duration = Duration::from_secs(10);

/// The body of `http://127.0.0.1:PORT/PATH` when its status is 200.
pub(crate) fn get(url: &str) -> Result<String, String> {
    try_get(url).map_err(|reason| format!("`{url}`: {reason}"))
}

fn try_get(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").ok_or("expected an address that begins with `http://`")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = host.parse().map_err(|error| format!("expected IP:PORT, found `{host}`: {error}"))?;
    let answer = exchange(&address, path).map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("expected an HTTP answer, found the end before its body")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status == "200" { Ok(body.to_owned()) } else { Err(format!("status {status}: {body}")) }
}

/// HTTP/1.0, so that the end of the answer is the end of the connection.
fn exchange(address: &SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
