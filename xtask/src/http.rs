//! One blocking request to this machine, for commands that ask a program they started.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Until a program of this machine must have answered.
const LIMIT: Duration = Duration::from_secs(10);

/// The body of `http://127.0.0.1:PORT/PATH` when its status is 2xx.
pub(crate) fn get(url: &str) -> Result<String, String> {
    get_within(url, LIMIT)
}

/// As [`get`], for answers that take their time.
pub(crate) fn get_within(url: &str, limit: Duration) -> Result<String, String> {
    exchange("GET", url, None, limit).map_err(|reason| format!("`{url}`: {reason}"))
}

/// Sends a file and takes the answer.
pub(crate) fn post_file(url: &str, file: &Path, limit: Duration) -> Result<String, String> {
    exchange("POST", url, Some(file), limit).map_err(|reason| format!("`{url}`: {reason}"))
}

fn exchange(method: &str, url: &str, file: Option<&Path>, limit: Duration) -> Result<String, String> {
    let rest = url.strip_prefix("http://").ok_or("expected an address that begins with `http://`")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = host.parse().map_err(|error| format!("expected IP:PORT, found `{host}`: {error}"))?;
    let answer = send(&address, method, path, file, limit).map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("expected an HTTP answer, found the end before its body")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status.starts_with('2') { Ok(body.to_owned()) } else { Err(format!("status {status}: {body}")) }
}

/// HTTP/1.0, so that the end of the answer is the end of the connection.
fn send(address: &SocketAddr, method: &str, path: &str, file: Option<&Path>, limit: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(address, LIMIT)?;
    stream.set_read_timeout(Some(limit))?;
    write!(stream, "{method} /{path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n")?;
    match file {
        None => stream.write_all(b"\r\n")?,
        Some(file) => {
            let mut file = File::open(file)?;
            write!(stream, "Content-Length: {}\r\n\r\n", file.metadata()?.len())?;
            io::copy(&mut file, &mut stream)?;
        }
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
