//! A leak is told to a receiver, once, whatever becomes of leakscope meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use leakscope_wire as wire;
use serde_json::Value;

use super::house::{House, until};
use super::server::{Reply, Server, rss};

/// Two minutes of the detector's clock at each scrape.
const CONFIG: &str = "\
detection: {time_scale: 1200}
scrape_configs:
- {job_name: leaky, scrape_interval: 100ms, static_configs: [{targets: ['TARGET']}]}
alerting:
  receivers: [{name: ops, webhook_configs: [{url: 'RECEIVER'}]}]
  route: {receiver: ops, group_wait: 0s, group_interval: 1s}
  watchdog: {interval: 1s}
";

type Bodies = Arc<Mutex<Vec<Value>>>;

/// A receiver that takes everything, its address, and what it took.
async fn receiver() -> (String, Bodies) {
    let bodies = Bodies::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let take = async |State(bodies): State<Bodies>, body: String| {
        bodies.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    };
    let router = axum::Router::new().fallback(take).with_state(bodies.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, bodies)
}

/// The alerts that were taken, as what, since when and until when; the watchdog's left out, and how often that came.
fn taken(bodies: &Bodies) -> (Vec<[String; 3]>, usize) {
    let bodies = bodies.lock().unwrap();
    let (watchdog, leaks): (Vec<&Value>, Vec<&Value>) =
        bodies.iter().partition(|body| body["alerts"][0]["labels"]["alertname"] == "LeakscopeWatchdog");
    let word = |body: &Value| {
        let alert = &body["alerts"][0];
        [&alert["annotations"]["occasion"], &alert["startsAt"], &alert["endsAt"]]
            .map(|text| text.as_str().unwrap().to_owned())
    };
    (leaks.into_iter().map(word).collect(), watchdog.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_is_told_once_over_a_restart() {
    let grown = Arc::new(AtomicU64::new(0));
    let server = {
        let grown = grown.clone();
        Server::start(move |_, _| Reply::Keep(rss((100 << 20) + (grown.fetch_add(1, Ordering::Relaxed) << 21)))).await
    };
    let (url, bodies) = receiver().await;
    let config = CONFIG.replace("TARGET", &server.address.to_string()).replace("RECEIVER", &url);
    let house = House::start(&config).await;
    until("the leak is told", async || taken(&bodies).0.first().filter(|word| word[0] == "opened").map(drop)).await;
    let delivered = until("the journal knows", async || {
        let page: wire::Alerts = house.get("/api/v1/alerts").await;
        page.alerts.into_iter().find(|alert| alert.occasion == "opened" && alert.state == "delivered")
    })
    .await;
    assert_eq!(
        (delivered.receiver.as_str(), delivered.service.as_str(), delivered.attempts),
        ("ops/webhook[0]", "leaky", 1)
    );
    assert_eq!(delivered.title, "leaky leaks memory");

    let house = House::start_in(house.stop().await, &config).await;
    let (_, seen) = taken(&bodies);
    until("two rounds have passed", async || (taken(&bodies).1 >= seen + 3).then_some(())).await;
    // The growth that paused with us may be told to be over, but no word is told twice.
    let words = taken(&bodies).0;
    let distinct: BTreeSet<&[String; 3]> = words.iter().collect();
    assert_eq!(distinct.len(), words.len(), "{words:#?}");
    house.stop().await;
}
