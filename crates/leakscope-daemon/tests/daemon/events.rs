//! Live changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leakscope_wire as wire;

use super::client::Events;
use super::house::{House, until};
use super::server::{Reply, Server, response, rss};

/// Clients of live changes at once.
const SUBSCRIBERS_MAX: usize = 64;

fn config(server: &Server) -> String {
    format!(
        "scrape_configs:\n- {{job_name: shop, scrape_interval: 300ms, static_configs: [{{targets: ['{}']}}]}}\n",
        server.address
    )
}

fn services_of(data: &str) -> Vec<wire::Service> {
    let body: serde_json::Value = serde_json::from_str(data).unwrap();
    serde_json::from_value(body["services"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_within_three_seconds() {
    let up = Arc::new(AtomicBool::new(true));
    let server = {
        let up = up.clone();
        Server::start(move |_, _| {
            let well = up.load(Ordering::Relaxed);
            Reply::Keep(if well { rss(1_000_000) } else { response("500 Oops", "", b"") })
        })
        .await
    };
    let house = House::start(&config(&server)).await;
    house.target_up("shop").await;
    let mut events = Events::open(house.address(), None).await;
    assert_eq!(events.status, 200);
    up.store(false, Ordering::Relaxed);
    let told = async {
        loop {
            let event = events.next_named("services").await;
            let shop = services_of(&event.data).into_iter().find(|service| service.name == "shop");
            if shop.is_some_and(|shop| shop.replicas_up == 0) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(3), told).await.expect("a change is told within three seconds");
    let status: wire::Status = serde_json::from_str(&events.next_named("status").await.data).unwrap();
    assert_eq!(status.targets, 2, "the shop and leakscope itself");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_misses_nothing_or_is_told_to_start_anew() {
    let server = Server::page(rss(1_000_000)).await;
    let house = House::start(&config(&server)).await;
    let mut events = Events::open(house.address(), None).await;
    let first = events.next().await.unwrap();
    let mut followers = vec![events.next().await.unwrap(), events.next().await.unwrap()];
    drop(events);
    let asked = server.n_requests();
    until("something happened meanwhile", async || (server.n_requests() > asked + 3).then_some(())).await;

    let mut again = Events::open(house.address(), Some(&first.id)).await;
    let found = vec![again.next().await.unwrap(), again.next().await.unwrap()];
    assert_eq!(found, followers);
    followers.push(again.next().await.unwrap());
    assert!(followers.iter().all(|event| event.name != "reset"), "{followers:?}");

    for unknown in ["0", "999999999", "1-1", "x"] {
        let mut stranger = Events::open(house.address(), Some(unknown)).await;
        assert_eq!(stranger.next().await.unwrap().name, "reset", "{unknown}");
    }
    let folder = house.stop().await;
    let house = House::start_in(folder, &config(&server)).await;
    let mut after = Events::open(house.address(), Some(&first.id)).await;
    assert_eq!(after.next().await.unwrap().name, "reset", "another run's id means nothing");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_gone_makes_clients_start_anew() {
    let server = Server::page(rss(1_000_000)).await;
    let house = House::start(&config(&server)).await;
    house.target_up("shop").await;
    let mut events = Events::open(house.address(), None).await;
    events.next_named("services").await;
    house.write_config("local_discovery: {enabled: false}\n");
    assert_eq!(house.ask("POST", "/-/reload").await.status, 200);
    events.next_named("reset").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_too_many_is_told_to_come_later() {
    let house = House::start("local_discovery: {enabled: false}\n").await;
    let mut clients = Vec::new();
    for _ in 0..SUBSCRIBERS_MAX {
        let events = Events::open(house.address(), None).await;
        assert_eq!(events.status, 200);
        clients.push(events);
    }
    let refused = house.ask("GET", "/api/v1/events").await;
    refused.problem(503);
    assert!(refused.header("retry-after").is_some(), "{}", refused.head);
    clients.clear();
    until("there is room again", async || (Events::open(house.address(), None).await.status == 200).then_some(()))
        .await;
    house.stop().await;
}
