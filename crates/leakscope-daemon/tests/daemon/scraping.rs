//! What a scrape brings from a page that is well.

use leakscope_wire as wire;

use super::house::{House, until};
use super::server::{Reply, Server, json, response, rss, text};

const PAGE: &str = "\
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 52428800
# TYPE go_memstats_heap_inuse_bytes gauge
go_memstats_heap_inuse_bytes 20971520
# TYPE go_goroutines gauge
go_goroutines 12
go_info{version=\"go1.22\"} 1
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_read_again_and_again_on_one_connection() {
    let server = Server::page(text(PAGE)).await;
    let house = House::start(&format!(
        "scrape_configs:\n- {{job_name: shop, scrape_interval: 1s, static_configs: [{{targets: ['{}'], labels: {{service: shop, version: '7'}}}}]}}\n",
        server.address
    ))
    .await;
    until("the page was asked for four times", async || (server.n_requests() >= 4).then_some(())).await;
    assert_eq!(server.n_connections(), 1);
    let request = &server.requests()[3];
    assert!(request.starts_with("GET /metrics HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nHost: {}\r\n", server.address)), "{request}");

    let target = house.target_up("shop").await;
    let one: wire::Target = house.get(&format!("/api/v1/targets/{}", target.id)).await;
    assert_eq!((one.runtime.as_str(), one.service.as_str(), one.version.as_deref()), ("go", "shop", Some("7")));
    assert_eq!(one.instance, server.address.to_string());
    assert_eq!((one.signals["rss"], one.signals["tasks"]), (52_428_800.0, 12.0), "{one:#?}");
    assert_eq!((one.last_error, one.interval_s), (None, 1.0));
    assert!(one.last_scrape_at.is_some() && one.last_duration_ms.is_some_and(|ms| ms < 1_000.0));
    let points = house.series(&one.id, "rss", "").await;
    assert!(points.len() >= 3 && points.iter().all(|(_, value)| *value == 52_428_800.0), "{points:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_for_drawing_keeps_its_extremes() {
    let server = Server::start(|_, n| {
        Reply::Keep(rss(match n {
            13 => 900_000_000,
            17 => 1_000_000,
            n => 50_000_000 + n as u64,
        }))
    })
    .await;
    let house = House::start(&format!(
        "scrape_configs:\n- {{job_name: spiky, scrape_interval: 50ms, static_configs: [{{targets: ['{}']}}]}}\n",
        server.address
    ))
    .await;
    until("there are 60 samples", async || (server.n_requests() >= 60).then_some(())).await;
    let target = house.target_up("spiky").await;
    let all = house.series(&target.id, "rss", "").await;
    let drawn = house.series(&target.id, "rss", "&points=12").await;
    assert!(all.len() > 40 && drawn.len() <= 12, "{} of {}", drawn.len(), all.len());
    for extreme in [900_000_000.0, 1_000_000.0] {
        assert!(drawn.iter().any(|(_, value)| *value == extreme), "{extreme} is not in {drawn:?}");
    }
    assert!(drawn.is_sorted_by(|a, b| a.0 < b.0) && all.is_sorted_by(|a, b| a.0 < b.0));
    let (start, end) = (all[5].0, all[9].0);
    let range = format!("&start={}&end={}", start as f64 / 1e3, end as f64 / 1e3);
    assert_eq!(house.series(&target.id, "rss", &range).await, all[5..=9]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_s_words_reach_the_page() {
    let server = Server::page(text(PAGE)).await;
    let house = House::start(&format!(
        "global: {{scrape_interval: 200ms}}\nscrape_configs:\n\
         - {{job_name: asked, metrics_path: /probe, params: {{module: [http 2xx], target: ['a&b']}}, honor_labels: true, static_configs: [{{targets: ['{0}']}}]}}\n\
         - {{job_name: dropping, static_configs: [{{targets: ['{0}']}}], metric_relabel_configs: [{{source_labels: [__name__], regex: 'process_resident.*', action: drop}}]}}\n\
         - {{job_name: limited, sample_limit: 2, static_configs: [{{targets: ['{0}']}}]}}\n",
        server.address
    ))
    .await;
    house.target_up("asked").await;
    let asked = server.requests().into_iter().find(|head| head.contains("/probe")).unwrap();
    assert!(asked.starts_with("GET /probe?module=http%202xx&target=a%26b HTTP/1.1\r\n"), "{asked}");
    let dropping = house.target_up("dropping").await;
    assert_eq!((dropping.signals.get("rss"), dropping.signals.get("tasks")), (None, Some(&12.0)));
    house.target_failing("limited", "expected at most 2 samples (`sample_limit`)").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_pages_are_one_target_and_one_that_fails_is_told_beside_the_readings() {
    let server = Server::start(|head, _| match head.split(' ').nth(1) {
        Some("/metrics") => Reply::Keep(text("process_resident_memory_bytes 1000000\n")),
        Some("/status/memory") => Reply::Keep(json(r#"{"memory_usage": 7, "heap_size": 400000, "requests_total": 9}"#)),
        Some("/hangs") => Reply::Silence,
        _ => Reply::Keep(response("503 Service Unavailable", "", b"later")),
    })
    .await;
    let house = House::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 700ms}}\nscrape_configs:\n\
         - {{job_name: whole, further_paths: [/status/memory], static_configs: [{{targets: ['{0}']}}]}}\n\
         - {{job_name: partly, further_paths: [/status/memory, /nothing], static_configs: [{{targets: ['{0}']}}]}}\n\
         - {{job_name: hanging, further_paths: [/status/memory, /hangs], static_configs: [{{targets: ['{0}']}}]}}\n\
         - {{job_name: none, metrics_path: /nothing, further_paths: [/never], static_configs: [{{targets: ['{0}']}}]}}\n",
        server.address
    ))
    .await;
    for (job, error) in [
        ("whole", None),
        ("partly", Some("expected status 200, found 503")),
        ("hanging", Some("no answer within 0.7 s")),
    ] {
        let target = house.target_up(job).await;
        assert_eq!(target.signals["rss"], 1_000_000.0, "the first page's value wins: {target:#?}");
        assert_eq!((target.signals["heap_used"], target.signals["requests"]), (400_000.0, 9.0), "{target:#?}");
        match (error, &target.last_error) {
            (None, found) => assert_eq!(*found, None),
            (Some(error), found) => assert!(found.as_deref().is_some_and(|found| found.contains(error)), "{found:?}"),
        }
    }
    house.target_failing("none", "expected status 200, found 503").await;
    house.stop().await;
}
