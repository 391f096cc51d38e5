//! The API's shapes: what is answered, and how it refuses.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use leakscope_ingest::{Format, Limits, PageConfig, PageReader, PageSpec};
use leakscope_model::Signal;
use leakscope_wire as wire;
use serde_json::Value;

use super::client::Answer;
use super::house::{House, until};
use super::server::{Reply, Server, rss, text};

/// Three services of two replicas each.
async fn fleet() -> (House, Server) {
    let server = Server::page(rss(1_000_000)).await;
    let mut config = "global: {scrape_interval: 500ms}\nscrape_configs:\n".to_owned();
    for job in ["cart", "shop", "stock"] {
        write!(config, "- job_name: {job}\n  static_configs:\n").unwrap();
        for instance in ["a", "b"] {
            writeln!(config, "  - {{targets: ['{}'], labels: {{instance: {instance}}}}}", server.address).unwrap();
        }
    }
    let house = House::start(&config).await;
    until("all are up", async || {
        let status: wire::Status = house.get("/api/v1/status").await;
        (status.targets_up == 7).then_some(())
    })
    .await;
    (house, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_is_paged_and_filtered() {
    let (house, _server) = fleet().await;
    let mut names = Vec::new();
    let mut path = "/api/v1/targets?limit=3".to_owned();
    loop {
        let page: wire::Targets = house.get(&path).await;
        assert!(page.targets.len() <= 3);
        names.extend(page.targets.into_iter().map(|target| format!("{}/{}", target.job, target.instance)));
        let Some(cursor) = page.next_cursor else { break };
        path = format!("/api/v1/targets?limit=3&cursor={cursor}");
    }
    assert_eq!(names, ["cart/a", "cart/b", "leakscope/self", "shop/a", "shop/b", "stock/a", "stock/b"]);
    let n_targets =
        async |query: &str| house.get::<wire::Targets>(&format!("/api/v1/targets?{query}")).await.targets.len();
    assert_eq!(n_targets("service=shop").await, 2);
    assert_eq!(n_targets("up=true").await, 7);
    assert_eq!(n_targets("up=false").await, 0);
    assert_eq!(n_targets("state=too_early&job=cart").await, 2);

    let page: wire::Services = house.get("/api/v1/services?name=o&limit=2").await;
    assert_eq!(page.services.len(), 2, "leakscope, shop, stock");
    assert!(page.next_cursor.is_some());
    let shop: wire::ServiceDetail = house.get("/api/v1/services/shop").await;
    assert_eq!((shop.service.replicas, shop.service.replicas_up, shop.replicas.len()), (2, 2, 2));
    assert_eq!(shop.service.memory_bytes, Some(1_000_000.0));
    let own: wire::ServiceDetail = house.get("/api/v1/services/leakscope").await;
    assert!(own.service.memory_bytes.is_some_and(|bytes| bytes > 1e6), "leakscope watches itself");
    let none: wire::Incidents = house.get("/api/v1/incidents").await;
    assert_eq!((none.incidents.len(), none.next_cursor), (0, None));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_is_on_one_page_in_the_order_of_time() {
    // A page that has requests at every third scrape only: what is missing is told as missing.
    let server = Server::start(|_, n| {
        let requests = if n % 3 == 0 { format!("http_requests_total {n}\n") } else { String::new() };
        Reply::Keep(text(&format!("process_resident_memory_bytes {}\n{requests}", 1_000_000 + n)))
    })
    .await;
    let config =
        "scrape_configs:\n- {job_name: shop, scrape_interval: 100ms, static_configs: [{targets: ['ADDRESS']}]}\n";
    let house = House::start(&config.replace("ADDRESS", &server.address.to_string())).await;
    let id = house.target_up("shop").await.id;
    let whole = until("a dozen samples are there", async || {
        let all: wire::Samples = house.get(&format!("/api/v1/samples?target={id}")).await;
        (all.at_ms.len() >= 12).then_some(all)
    })
    .await;
    let (first, last) = (whole.at_ms[0], whole.at_ms[whole.at_ms.len() - 1]);
    assert!(whole.at_ms.is_sorted_by(|a, b| a < b) && whole.next_cursor.is_none());
    assert_eq!(whole.values.keys().collect::<Vec<_>>(), ["requests", "rss"]);
    assert!(whole.values.values().all(|column| column.len() == whole.at_ms.len()));
    assert!(whole.values["rss"].iter().all(Option::is_some) && whole.values["requests"].contains(&None));

    let range = format!("target={id}&start={}&end={}", first as f64 / 1e3, last as f64 / 1e3);
    let (mut at_ms, mut rss, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/samples?{range}&signal=rss&limit=5&cursor={cursor}");
        let page: wire::Samples = house.get(&path).await;
        assert!(page.at_ms.len() <= 5 && page.values.len() == 1);
        at_ms.extend(page.at_ms);
        rss.extend(page.values["rss"].clone());
        let Some(next) = page.next_cursor else { break };
        cursor = next;
    }
    assert_eq!((at_ms, rss), (whole.at_ms, whole.values["rss"].clone()));
    let none: wire::Samples = house.get("/api/v1/samples?target=0123456789abcdef").await;
    assert!(none.at_ms.is_empty() && none.values.is_empty());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_or_not_understood_is_a_problem_document() {
    let (house, _server) = fleet().await;
    let id = house.targets("shop").await[0].id.clone();
    for (method, path, status, told) in [
        ("GET", "/api/v1/nothing", 404, "/api/v1/nothing"),
        ("GET", "/nothing.js", 404, "/nothing.js"),
        ("GET", "/api/v1/targets/0123456789abcdef", 404, "0123456789abcdef"),
        ("GET", "/api/v1/targets/xyz", 404, "xyz"),
        ("GET", "/api/v1/services/unknown", 404, "unknown"),
        ("GET", "/api/v1/services/%FF", 400, "UTF-8"),
        ("GET", "/api/v1/services/shop?version=9", 404, "shop"),
        ("GET", "/api/v1/services/shop?v=9", 400, "unknown field `v`"),
        ("GET", "/api/v1/incidents/7", 404, "7"),
        ("GET", "/api/v1/incidents/seven", 404, "seven"),
        ("POST", "/api/v1/targets", 405, "POST"),
        ("DELETE", "/api/v1/incidents/7", 405, "DELETE"),
        ("POST", "/api/v1/nothing", 405, "POST"),
        ("GET", "/-/reload", 405, "GET"),
        ("GET", "/api/v1/targets?limt=5", 400, "unknown field `limt`"),
        ("GET", "/api/v1/targets?limit=0", 400, "1 to 10000"),
        ("GET", "/api/v1/targets?limit=many", 400, "invalid digit"),
        ("GET", "/api/v1/targets?cursor=x", 400, "`cursor`"),
        ("GET", "/api/v1/targets?up=maybe", 400, "`true` or `false`"),
        ("GET", "/api/v1/targets?state=sleepy", 400, "sleepy"),
        ("GET", "/api/v1/services?state=sleepy", 400, "sleepy"),
        ("GET", "/api/v1/incidents?state=sleepy", 400, "sleepy"),
        ("GET", "/api/v1/services?runtime=cobol", 400, "cobol"),
        ("GET", "/api/v1/status?x=1", 400, "unknown field `x`"),
        ("GET", "/api/v1/series", 400, "missing field `target`"),
        ("GET", "/api/v1/series?target=x", 400, "expected a target's id, found `x`"),
        ("GET", "/api/v1/series?target=ID&signal=weight", 400, "found `weight`"),
        ("GET", "/api/v1/series?target=ID&start=yesterday", 400, "`start`"),
        ("GET", "/api/v1/series?target=ID&end=NaN", 400, "`end`"),
        ("GET", "/api/v1/series?target=ID&start=5&end=1", 400, "`start` before `end`"),
        ("GET", "/api/v1/series?target=ID&step=0", 400, "`step`"),
        ("GET", "/api/v1/series?target=ID&step=0.000001", 400, "points"),
        ("GET", "/api/v1/series?target=ID&points=0", 400, "points"),
        ("GET", "/api/v1/samples", 400, "missing field `target`"),
        ("GET", "/api/v1/samples?target=x", 400, "expected a target's id, found `x`"),
        ("GET", "/api/v1/samples?target=ID&signal=weight", 400, "found `weight`"),
        ("GET", "/api/v1/samples?target=ID&start=yesterday", 400, "`start`"),
        ("GET", "/api/v1/samples?target=ID&start=5&end=1", 400, "`start` before `end`"),
        ("GET", "/api/v1/samples?target=ID&limit=10001", 400, "1 to 10000"),
        ("GET", "/api/v1/samples?target=ID&cursor=1.5", 400, "`cursor`"),
        ("GET", "/api/v1/samples?target=ID&points=5", 400, "unknown field `points`"),
    ] {
        let problem = house.ask(method, &path.replace("ID", &id)).await.problem(status);
        assert!(problem.detail.contains(told), "{method} {path}: {}", problem.detail);
        let asked = path.split('?').next().unwrap();
        assert_eq!(problem.instance, asked, "{method} {path}");
    }
    let allowed = house.ask("POST", "/api/v1/targets").await;
    assert!(allowed.header("allow").is_some_and(|methods| methods.contains("GET")), "{}", allowed.head);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_describes_every_route_and_every_answer_fits_it() {
    let (house, _server) = fleet().await;
    let document: Value = house.get("/api/v1/openapi.json").await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", document["openapi"]);
    let source = include_str!("../../src/api/mod.rs");
    let routes: BTreeSet<&str> =
        source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next()).collect();
    let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(described, routes);

    let id = house.targets("shop").await[0].id.clone();
    for (path, asked) in [
        ("/api/v1/status", "/api/v1/status".to_owned()),
        ("/api/v1/targets", "/api/v1/targets".to_owned()),
        ("/api/v1/targets/{id}", format!("/api/v1/targets/{id}")),
        ("/api/v1/services", "/api/v1/services".to_owned()),
        ("/api/v1/services/{name}", "/api/v1/services/shop".to_owned()),
        ("/api/v1/series", format!("/api/v1/series?target={id}")),
        ("/api/v1/samples", format!("/api/v1/samples?target={id}&limit=1")),
        ("/api/v1/incidents", "/api/v1/incidents".to_owned()),
    ] {
        let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path} has no schema");
        let body: Value = house.get(&asked).await;
        fits(&document, schema, &body, path);
    }
    let problem: Value = house.ask("GET", "/api/v1/nothing").await.json();
    fits(&document, &document["components"]["schemas"]["Problem"], &problem, "problem");
    house.stop().await;
}

/// Whether a value has the shape of a schema: its type, and of an object every required property, no other, each with its own shape.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return fits(document, &document["components"]["schemas"][name], value, place);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().find(|choice| choice["type"] != "null");
        if !value.is_null() {
            fits(document, fitting.unwrap(), value, place);
        }
        return;
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) if kinds.contains(&"number") => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.contains(&kind), "{place} is {kind}, expected {schema}");
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            fits(document, &schema["items"], item, &format!("{place}[{index}]"));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.get(name).is_some(), "{place} lacks {name}");
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let property = &schema["properties"][name];
        let property = if property.is_null() { &schema["additionalProperties"] } else { property };
        assert!(property.is_object(), "{place}.{name} is not described");
        fits(document, property, inner, &format!("{place}.{name}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_metrics_are_openmetrics_that_our_own_reader_understands() {
    let (house, _server) = fleet().await;
    let answer = house.ask("GET", "/metrics").await;
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let spec = PageSpec::compile(&PageConfig { format: Format::OpenMetrics, ..PageConfig::default() }).unwrap();
    let mut reader = PageReader::new(Arc::new(spec), answer.header("content-type"), Limits::default());
    reader.feed(&answer.body).unwrap();
    let page = reader.finish().unwrap();
    assert!(page.problems.is_empty(), "{:?}", page.problems);
    let n_threads = page.own.get(Signal::Threads).unwrap();
    assert!(page.own.get(Signal::Rss).is_some_and(|bytes| bytes > 1e6) && n_threads > 3.0, "{page:?}");
    let text = answer.text();
    for line in ["leakscope_targets 7", "leakscope_storage_writable 1", "leakscope_scrape_failures_total 0"] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in {text}");
    }
    house.stop().await;
}

fn has_strict_headers(answer: &Answer) {
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(answer.header(name), Some(value), "{}", answer.head);
    }
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_answer_and_every_answer_keeps_a_browser_strict() {
    let house = House::start("local_discovery: {enabled: false}\n").await;
    for (path, status) in
        [("/-/healthy", 200), ("/-/ready", 200), ("/", 200), ("/api/v1/status", 200), ("/metrics", 200), ("/none", 404)]
    {
        let answer = house.ask("GET", path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        has_strict_headers(&answer);
    }
    let page = house.ask("GET", "/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(house.ask("HEAD", "/api/v1/status").await.body, b"");
    house.stop().await;
}
