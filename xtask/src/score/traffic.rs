//! Work for a living service while captures of it are taken, at so many requests each.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::process::POLL;
use crate::record::http;
use crate::record::service::Service;

/// Work requests that were answered when a capture is taken. The first fills what a healthy service fills.
pub(super) const AT_REQUESTS: [u64; 3] = [300, 900, 1500];
/// Clients that ask at the same time, and how long each rests between two questions: about a hundred requests a second.
const N_CLIENTS: u64 = 3;
const REST: Duration = Duration::from_millis(25);
/// Users that come again and again, so that the sessions of a healthy service do not grow.
const N_USERS: u64 = 40;
/// Until a service has answered that many requests, or has written its capture.
const LIMIT: Duration = Duration::from_mins(3);

/// Drives a service and calls `take` with the number of the capture, from 0, whenever as many requests as [`AT_REQUESTS`] says were
/// answered. The work goes on meanwhile.
pub(super) fn under_traffic(
    service: &mut Service,
    mut take: impl FnMut(&mut Service, usize) -> Result<(), String>,
) -> Result<(), String> {
    let traffic = Traffic::default();
    let address = service.address;
    thread::scope(|scope| {
        for client in 0..N_CLIENTS {
            let traffic = &traffic;
            scope.spawn(move || traffic.drive(address, client));
        }
        let taken = AT_REQUESTS.into_iter().enumerate().try_for_each(|(n, n_requests)| {
            wait(service, &format!("{n_requests} requests"), || {
                traffic.n_answered.load(Ordering::Relaxed) >= n_requests
            })?;
            take(service, n)
        });
        traffic.over.store(true, Ordering::Relaxed);
        taken
    })
}

/// Waits for a condition as long as the service lives.
pub(super) fn wait(service: &mut Service, what: &str, mut reached: impl FnMut() -> bool) -> Result<(), String> {
    let began = clock::now();
    while !reached() {
        if !service.runs() {
            return Err(format!("the service ended before {what}"));
        }
        if began.elapsed() > LIMIT {
            return Err(format!("waited {LIMIT:?} for {what} in vain"));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// What the clients share.
#[derive(Debug, Default)]
struct Traffic {
    n_answered: AtomicU64,
    over: AtomicBool,
}

impl Traffic {
    /// Asks until it is over. A request that fails is not counted: a service that hangs is seen by who waits for the count.
    fn drive(&self, address: SocketAddr, client: u64) {
        let mut user = client;
        while !self.over.load(Ordering::Relaxed) {
            let answered = http::get(address, &format!("/work?user=user-{}", user % N_USERS)).is_ok();
            self.n_answered.fetch_add(u64::from(answered), Ordering::Relaxed);
            user += N_CLIENTS;
            thread::sleep(REST);
        }
    }
}
