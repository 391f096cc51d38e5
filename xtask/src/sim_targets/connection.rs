//! One connection to a simulated target: reads requests, writes the answers its target's manner calls for.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;

use super::faults::{Manner, manner};
use super::pages::{self, Page, Pages};
use super::{Mood, Served};

/// What the null receiver says.
const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Bytes of a flood.
const FLOOD_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// Bytes written to one connection before another has its turn.
const TURN_BYTES: u64 = 1024 * 1024;

/// Bytes of a request's head; more is refused.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What a connection still has to write.
#[derive(Debug)]
enum Writing {
    Nothing,
    /// The rest of an answer from `at` on; whether it counts as a scrape, and whether the end of it ends the connection.
    Answer {
        bytes: Arc<[u8]>,
        at: usize,
        counts: bool,
        closes: bool,
    },
    /// Filler until `left` bytes are out.
    Flood {
        left: u64,
    },
    /// The rest of an answer, one byte a second.
    Drip {
        bytes: Arc<[u8]>,
        at: usize,
        last: Duration,
    },
    /// Never anything.
    Hang,
}

/// What became of an advance.
#[derive(Debug)]
pub(super) enum Progress {
    /// The socket will say when there is more to do.
    Waiting,
    /// There is more to do and others come first.
    Unfinished,
    /// The control connection asks this.
    Asked(String),
    Closed,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The target it belongs to; none for the control connection.
    target: Option<usize>,
    request: Vec<u8>,
    /// Bytes of a request's body still to be thrown away, and the request that waits for that.
    body_left: usize,
    taken: Option<Request>,
    writing: Writing,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, target: Option<usize>) -> Self {
        Self { stream, target, request: Vec::new(), body_left: 0, taken: None, writing: Writing::Nothing }
    }

    pub(super) fn is_dripping(&self) -> bool {
        matches!(self.writing, Writing::Drip { .. })
    }

    /// Queues an answer to the control connection.
    pub(super) fn answer(&mut self, bytes: Arc<[u8]>) {
        // The counts are asked for over HTTP/1.0, where the end of the connection is the end of the answer.
        let closes = !bytes.starts_with(NO_CONTENT);
        self.writing = Writing::Answer { bytes, at: 0, counts: false, closes };
    }

    /// Reads and writes until the socket would block, a turn is over, or the control connection asks something.
    pub(super) fn advance(
        &mut self,
        now: Duration,
        mood: Mood,
        pages: &mut Pages,
        served: &mut Served,
    ) -> io::Result<Progress> {
        let open = self.read()?;
        loop {
            match self.write(now, served)? {
                Written::All => {}
                Written::Blocked => return Ok(if open { Progress::Waiting } else { Progress::Closed }),
                Written::TurnOver => return Ok(Progress::Unfinished),
                Written::Ends => return Ok(Progress::Closed),
            }
            let Some(request) = self.next_request() else {
                return Ok(if open { Progress::Waiting } else { Progress::Closed });
            };
            match self.target {
                None => {
                    served.received += u64::from(request.body_bytes > 0);
                    return Ok(Progress::Asked(request.path));
                }
                Some(target) => self.writing = answer_to(&request, target, now, mood, pages),
            }
        }
    }

    /// Takes what the socket has; false at its end.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(n_bytes) => self.keep(buffer.get(..n_bytes).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.request.len() > HEAD_BYTES_MAX && head_end(&self.request).is_none() {
                return Err(io::Error::new(ErrorKind::InvalidData, "the head of a request is too long"));
            }
        }
    }

    /// Appends bytes to the request, past the body that nobody wants.
    fn keep(&mut self, bytes: &[u8]) {
        let thrown_away = self.body_left.min(bytes.len());
        self.body_left -= thrown_away;
        self.request.extend_from_slice(bytes.get(thrown_away..).unwrap_or_default());
    }

    fn next_request(&mut self) -> Option<Request> {
        if self.taken.is_none() {
            let end = head_end(&self.request)?;
            let request = Request::of_head(self.request.get(..end)?);
            let rest = self.request.split_off(end);
            self.request.clear();
            self.body_left = request.body_bytes;
            self.taken = Some(request);
            self.keep(&rest);
        }
        if self.body_left > 0 { None } else { self.taken.take() }
    }

    fn write(&mut self, now: Duration, served: &mut Served) -> io::Result<Written> {
        match &mut self.writing {
            Writing::Nothing => Ok(Written::All),
            Writing::Hang => Ok(Written::Blocked),
            Writing::Answer { bytes, at, counts, closes } => {
                let n_bytes = write_some(&mut self.stream, bytes.get(*at..).unwrap_or_default())?;
                *at += n_bytes;
                served.bytes += n_bytes as u64;
                if *at < bytes.len() {
                    return Ok(Written::Blocked);
                }
                served.scrapes += u64::from(*counts);
                let ends = *closes;
                self.writing = Writing::Nothing;
                Ok(if ends { Written::Ends } else { Written::All })
            }
            Writing::Flood { left } => {
                let before = *left;
                while *left > 0 && before - *left < TURN_BYTES {
                    let want = FILLER.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let n_bytes = write_some(&mut self.stream, FILLER.get(..want).unwrap_or_default())?;
                    *left -= n_bytes as u64;
                    served.bytes += n_bytes as u64;
                    if n_bytes < want {
                        return Ok(Written::Blocked);
                    }
                }
                Ok(if *left == 0 { Written::Ends } else { Written::TurnOver })
            }
            Writing::Drip { bytes, at, last } => {
                if now.saturating_sub(*last) >= super::DRIP {
                    *at += write_some(&mut self.stream, bytes.get(*at..=*at).unwrap_or_default())?;
                    *last = now;
                }
                Ok(if *at < bytes.len() { Written::Blocked } else { Written::Ends })
            }
        }
    }
}

/// Lines of a page that never ends.
const FILLER: &[u8] = &[b'#'; 64 * 1024];

enum Written {
    All,
    Blocked,
    TurnOver,
    /// The connection is to be closed.
    Ends,
}

/// Writes until the socket would block; how many bytes went out.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut n_written = 0;
    while let Some(rest) = bytes.get(n_written..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(n_bytes) => n_written += n_bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_written)
}

/// What is wanted of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    path: String,
    body_bytes: usize,
}

impl Request {
    fn of_head(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let path = head.split_whitespace().nth(1).unwrap_or("/").to_owned();
        let length = head.lines().filter_map(|line| line.split_once(':'));
        let body_bytes = length
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .find_map(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0);
        Self { path, body_bytes }
    }
}

/// Just behind the empty line that ends a head.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn answer_to(request: &Request, target: usize, now: Duration, mood: Mood, pages: &mut Pages) -> Writing {
    let second = now.as_secs();
    let page = match request.path.split('?').next() {
        Some("/metrics/full") => Page::Full,
        Some("/status/memory") => Page::Status,
        _ => Page::Small,
    };
    let whole = |bytes| Writing::Answer { bytes, at: 0, counts: true, closes: false };
    let refused = |bytes, closes| Writing::Answer { bytes, at: 0, counts: false, closes };
    match manner(target, now, mood) {
        Manner::Well => whole(pages.answer(page, target, second)),
        Manner::Hang => Writing::Hang,
        Manner::Noise => refused(pages::with_head("200 OK", pages::TEXT, &noise(target as u64 + second)), false),
        Manner::Flood => Writing::Flood { left: FLOOD_BYTES },
        Manner::Flip => {
            whole(pages.answer(if second.is_multiple_of(2) { Page::Small } else { Page::Status }, target, second))
        }
        Manner::Drip => Writing::Drip { bytes: pages.answer(page, target, second), at: 0, last: now },
        Manner::Cut => {
            let bytes = pages.answer(page, target, second);
            refused(bytes.get(..bytes.len() / 2).unwrap_or_default().into(), true)
        }
        Manner::Circle => {
            refused(b"HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\n\r\n".as_slice().into(), false)
        }
    }
}

/// 4 KiB without any meaning (xorshift).
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..4_096).map(|_| next()).collect()
}

/// `/counts` as JSON; anything else is a null receiver that takes what it is sent.
pub(super) fn control_answer(path: &str, served: &Served) -> Arc<[u8]> {
    if path != "/counts" {
        return NO_CONTENT.into();
    }
    let Served { scrapes, bytes, accepted, received, open } = served;
    let body = format!(
        "{{\"scrapes\":{scrapes},\"bytes\":{bytes},\"accepted\":{accepted},\"received\":{received},\"open\":{open}}}"
    );
    pages::with_head("200 OK", pages::JSON, body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_path_and_the_length_of_its_body() {
        let head = b"POST /write HTTP/1.1\r\nHost: a\r\ncontent-length: 42\r\n\r\n";
        assert_eq!(Request::of_head(head), Request { path: "/write".to_owned(), body_bytes: 42 });
        assert_eq!(head_end(head), Some(head.len()));
        assert_eq!(head_end(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_hanging_target_writes_nothing_and_a_good_one_a_whole_page() {
        let request = Request { path: "/metrics".to_owned(), body_bytes: 0 };
        let answer = |target, mood| answer_to(&request, target, Duration::ZERO, mood, &mut Pages::default());
        assert!(matches!(answer(1, Mood::Faulty), Writing::Answer { counts: true, closes: false, .. }));
        let hangs = (10..100).find(|target| manner(*target, Duration::ZERO, Mood::Faulty) == Manner::Hang);
        assert!(matches!(answer(hangs.unwrap(), Mood::Faulty), Writing::Hang));
    }
}
