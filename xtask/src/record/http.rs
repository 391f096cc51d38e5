//! One short exchange with a service of this machine; a recorder asks a few times a second and keeps no connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Until a service must have answered; a full collection on a busy machine takes seconds.
const LIMIT: Duration = Duration::from_secs(15);

pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    exchange(address, "GET", path)
}

pub(crate) fn post(address: SocketAddr, path: &str) -> io::Result<String> {
    exchange(address, "POST", path)
}

/// HTTP/1.0, so that the end of the answer is the end of the connection.
fn exchange(address: SocketAddr, method: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let answer = String::from_utf8_lossy(&bytes);
    let unexpected = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("`{path}`: {what}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| unexpected("the answer ends before its body"))?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status.starts_with('2') { Ok(body.to_owned()) } else { Err(unexpected(&format!("status {status}: {body}"))) }
}
