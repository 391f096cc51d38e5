//! What is left of a daemon that was stopped: nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::alone::alone;
use super::client::Events;
use super::house::{House, until};
use super::server::{Reply, Server, rss};

/// Open files by number.
fn descriptors() -> BTreeMap<u32, PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, std::fs::read_link(entry.path()).ok()?)));
    open.filter(|(_, target)| !target.ends_with("fd")).collect()
}

/// Names of threads, but those of tokio's blocking pool and workers, which are the test's.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    let mut names: Vec<String> =
        names.map(|name| name.trim().to_owned()).filter(|name| !name.starts_with("tokio")).collect();
    names.sort();
    names
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[test]
fn nothing_is_left_of_a_daemon_that_was_stopped() {
    alone("stopping::nothing_is_left_of_a_daemon_that_was_stopped", || async {
        // Once before, so that what a process opens once is open.
        run_and_stop(true).await;
        settled(0, &threads()).await;
        let (descriptors_before, threads_before) = (descriptors(), threads());
        for unfinished in [false, true, false] {
            run_and_stop(unfinished).await;
        }
        settled(0, &threads_before).await;
        let grown: Vec<_> =
            descriptors().into_iter().filter(|(number, _)| !descriptors_before.contains_key(number)).collect();
        assert!(descriptors().len() <= descriptors_before.len(), "{grown:?}");
    });
}

/// Waits for the test's own servers to end; what is the daemon's has ended when `stop` returns.
async fn settled(n_tasks: usize, names: &[String]) {
    until("no task and no thread is left", async || (tasks() == n_tasks && threads() == names).then_some(())).await;
}

/// One daemon from start to stop, with everything that could hold it up; `unfinished`: also a request that never ends.
async fn run_and_stop(unfinished: bool) {
    let well = Server::page(rss(1_000_000)).await;
    let silent = Server::start(|_, _| Reply::Silence).await;
    let config = format!(
        "scrape_configs:\n- {{job_name: shop, scrape_interval: 200ms, static_configs: [{{targets: ['{}']}}]}}\n- {{job_name: hanging, scrape_interval: 30s, scrape_timeout: 30s, static_configs: [{{targets: ['{}'], labels: {{__scrape_interval__: 30s}}}}]}}\n",
        well.address, silent.address
    );
    let house = House::start(&config).await;
    let address = house.address();
    house.target_up("shop").await;
    let mut events = Events::open(address, None).await;
    events.next_named("services").await;
    let mut half = TcpStream::connect(address).await.unwrap();
    if unfinished {
        half.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: loc").await.unwrap();
    }
    let idle = TcpStream::connect(address).await.unwrap();
    let tasks_of_test = tasks();
    house.stop().await;
    while events.next().await.is_some() {}
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
    assert!(tasks() < tasks_of_test);
    drop((half, idle, well, silent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_can_be_opened_again_as_soon_as_its_daemon_has_stopped() {
    let mut house = House::start("local_discovery: {enabled: false}\n").await;
    for _ in 0..5 {
        let folder = house.stop().await;
        house = House::start_in(folder, "local_discovery: {enabled: false}\n").await;
    }
    house.stop().await;
}
