//! Thousands of simulated targets in one process of their own: `cargo xtask sim-targets`. Each has its own loopback
//! address, so that a contender keeps one connection to each, as it would to real ones. Counts what it served.

mod connection;
mod faults;
mod pages;
mod simulator;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use self::connection::{Connection, Progress};
use self::pages::Pages;
pub(crate) use self::simulator::Simulator;
use crate::Outcome;
use crate::args::Args;
use crate::clock;

/// Targets per third number of the address: 127.1.0.1 to 127.1.0.250, then 127.1.1.1.
const PER_BLOCK: usize = 250;

/// Targets that the address scheme has room for.
const TARGETS_MAX: usize = 50_000;

/// How often connections that answer drop by drop are looked at.
const DRIP: Duration = Duration::from_secs(1);

/// Ports tried until one is free on every target's address.
const PORTS_TRIED: usize = 8;

/// The address of the target with this number.
pub(crate) fn address_of(target: usize, port: u16) -> SocketAddr {
    let (block, last) = (target / PER_BLOCK, target % PER_BLOCK + 1);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, block as u8, last as u8)), port)
}

/// Which behaviour the targets show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Every request is answered well.
    Honest,
    /// Some hang, lie, flood or flip their format, and take turns in it.
    Faulty,
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut args = Args::new(arguments);
    let n_targets = args.counts("--targets", &[100])?.first().copied().unwrap_or(100);
    let mood = if args.switch("--faults") { Mood::Faulty } else { Mood::Honest };
    args.finish()?;
    if n_targets > TARGETS_MAX {
        return Err(format!("expected at most {TARGETS_MAX} targets, found {n_targets}"));
    }
    let mut server = Server::bind(n_targets, mood).map_err(|error| format!("targets not bound: {error}"))?;
    println!("ready {} {}", server.port, server.control_port);
    io::stdout().flush().map_err(|error| format!("output closed: {error}"))?;
    server.serve().map_err(|error| format!("targets ended: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// What the targets have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Served {
    /// Whole answers written.
    scrapes: u64,
    /// Bytes written, of whole answers and others.
    bytes: u64,
    /// Connections accepted.
    accepted: u64,
    /// Requests with bodies taken by the null receiver.
    received: u64,
    /// Connections open now.
    open: u64,
}

/// The listeners, the control listener behind them, and the connections. Tokens: targets first, then the control
/// listener, then connections.
struct Server {
    poll: Poll,
    listeners: Vec<TcpListener>,
    port: u16,
    control_port: u16,
    connections: BTreeMap<usize, Connection>,
    next_token: usize,
    pages: Pages,
    served: Served,
    mood: Mood,
    started: Instant,
    /// Connections that stopped of their own will and go on in the next round.
    unfinished: Vec<usize>,
}

impl Server {
    fn bind(n_targets: usize, mood: Mood) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listeners = bind_all(n_targets)?;
        let port = listeners.first().map_or(Ok(0), |listener| listener.local_addr().map(|address| address.port()))?;
        let control = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let control_port = control.local_addr()?.port();
        listeners.push(control);
        for (index, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(listener, Token(index), Interest::READABLE)?;
        }
        Ok(Self {
            poll,
            next_token: listeners.len(),
            listeners,
            port,
            control_port,
            connections: BTreeMap::new(),
            pages: Pages::default(),
            served: Served::default(),
            mood,
            started: clock::now(),
            unfinished: Vec::new(),
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let wait = if self.unfinished.is_empty() { DRIP } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for token in std::mem::take(&mut self.unfinished) {
                self.advance(token);
            }
            for event in &events {
                self.take(event);
            }
            if events.is_empty() {
                self.drip();
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let Token(token) = event.token();
        if token < self.listeners.len() {
            self.accept(token);
        } else {
            self.advance(token);
        }
    }

    fn accept(&mut self, listener: usize) {
        let Some(socket) = self.listeners.get(listener) else { return };
        let mut accepted = Vec::new();
        while let Ok((stream, _)) = socket.accept() {
            accepted.push(stream);
        }
        let is_control = listener + 1 == self.listeners.len();
        for mut stream in accepted {
            let token = self.next_token;
            self.next_token += 1;
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, Token(token), interest).is_ok() {
                let _ = stream.set_nodelay(true);
                self.connections.insert(token, Connection::new(stream, (!is_control).then_some(listener)));
                self.served.accepted += u64::from(!is_control);
            }
        }
    }

    fn advance(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        self.served.open = 0;
        let now = self.started.elapsed();
        let progress = connection.advance(now, self.mood, &mut self.pages, &mut self.served);
        match progress {
            Ok(Progress::Waiting) => {}
            Ok(Progress::Unfinished) => self.unfinished.push(token),
            Ok(Progress::Asked(question)) => {
                self.served.open = self.connections.len() as u64;
                let answer = connection::control_answer(&question, &self.served);
                if let Some(connection) = self.connections.get_mut(&token) {
                    connection.answer(answer);
                    self.unfinished.push(token);
                }
            }
            Ok(Progress::Closed) | Err(_) => {
                self.connections.remove(&token);
            }
        }
    }

    /// One more byte to everyone who is kept waiting on purpose.
    fn drip(&mut self) {
        let dripping = self.connections.iter().filter(|(_, connection)| connection.is_dripping());
        self.unfinished.extend(dripping.map(|(token, _)| *token));
    }
}

/// One listener per target, all on the same port.
fn bind_all(n_targets: usize) -> io::Result<Vec<TcpListener>> {
    let mut last_error = io::Error::other("no targets");
    for _ in 0..PORTS_TRIED {
        let first = TcpListener::bind(address_of(0, 0))?;
        let port = first.local_addr()?.port();
        let rest: io::Result<Vec<TcpListener>> =
            (1..n_targets).map(|target| TcpListener::bind(address_of(target, port))).collect();
        match rest {
            Ok(rest) => return Ok(std::iter::once(first).chain(rest).collect()),
            Err(error) if error.kind() == ErrorKind::AddrInUse => last_error = error,
            Err(error) => return Err(error),
        }
    }
    Err(last_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_own_loopback_address() {
        assert_eq!(address_of(0, 80).to_string(), "127.1.0.1:80");
        assert_eq!(address_of(249, 80).to_string(), "127.1.0.250:80");
        assert_eq!(address_of(250, 80).to_string(), "127.1.1.1:80");
        assert_eq!(address_of(TARGETS_MAX - 1, 80).to_string(), "127.1.199.250:80");
    }
}
