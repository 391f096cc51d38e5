//! One short exchange with a service of this machine; a recorder asks a few times a second and keeps no connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Until a service must have answered; a full collection on a busy machine takes seconds.
const LIMIT: Duration = Duration::from_secs(15);

pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    get_bytes(address, path).map(text)
}

/// As [`get`], for answers that are no text.
pub(crate) fn get_bytes(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    exchange(address, "GET", path)
}

pub(crate) fn post(address: SocketAddr, path: &str) -> io::Result<String> {
    exchange(address, "POST", path).map(text)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// HTTP/1.0, so that the end of the answer is the end of the connection.
fn exchange(address: SocketAddr, method: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let unexpected = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("`{path}`: {what}"));
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| unexpected("the answer ends before its body"))?;
    let body = bytes.split_off(end + 4);
    let status = text(bytes).split_whitespace().nth(1).unwrap_or_default().to_owned();
    if status.starts_with('2') { Ok(body) } else { Err(unexpected(&format!("status {status}: {}", text(body)))) }
}
