//! What a restart keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leakscope_wire as wire;

use super::house::{House, until};
use super::server::{Reply, Server, rss};

/// Two minutes of the detector's clock at each scrape.
const CONFIG: &str = "detection: {time_scale: 1200}\nscrape_configs:\n- {job_name: leaky, scrape_interval: 100ms, static_configs: [{targets: ['ADDRESS']}]}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_series_incidents_and_detector_states() {
    let grown = Arc::new(AtomicU64::new(0));
    let server = {
        let grown = grown.clone();
        // 2 MiB at each scrape; nothing while the daemon is away.
        Server::start(move |_, _| Reply::Keep(rss((100 << 20) + (grown.fetch_add(1, Ordering::Relaxed) << 21)))).await
    };
    let config = CONFIG.replace("ADDRESS", &server.address.to_string());
    let house = House::start(&config).await;
    let before = house.target_when("leaky", "leaking", |target| target.verdict.state == "leaking").await;
    let incidents = until("the incident is there", async || {
        let page: wire::Incidents = house.get("/api/v1/incidents?state=open").await;
        (!page.incidents.is_empty()).then_some(page.incidents)
    })
    .await;
    assert_eq!((incidents.len(), incidents[0].service.as_str()), (1, "leaky"));
    assert_eq!(incidents[0].targets, std::slice::from_ref(&before.id));
    let points = house.series(&before.id, "rss", "").await;
    let folder = house.stop().await;

    let seen = server.n_requests();
    let house = House::start_in(folder, &config).await;
    let after: wire::Incidents = house.get("/api/v1/incidents?state=open").await;
    assert_eq!(after.incidents, incidents);
    let target = house.target_up("leaky").await;
    assert!(server.n_requests() - seen < 10, "it was judged anew");
    assert_eq!((target.id.as_str(), target.verdict.state.as_str()), (before.id.as_str(), "leaking"), "{target:#?}");
    let kept = house.series(&before.id, "rss", "").await;
    assert_eq!(kept[..points.len()], points, "the samples of the first run come first");
    house.stop().await;
}
