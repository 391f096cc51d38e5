//! Where targets come from while the daemon runs: files, servers, and a configuration that is read again.

use std::sync::{Arc, Mutex};

use leakscope_wire as wire;

use super::client::ask;
use super::house::{House, until};
use super::server::{Reply, Server, json, response, rss};

/// Waits until the instances of a job are these.
async fn instances(house: &House, job: &str, wanted: &[&str]) {
    until(&format!("`{job}` has {wanted:?}"), async || {
        let mut found: Vec<String> = house.targets(job).await.into_iter().map(|target| target.instance).collect();
        found.sort();
        (found == wanted).then_some(())
    })
    .await;
}

async fn problems(house: &House) -> Vec<String> {
    house.get::<wire::Status>("/api/v1/status").await.problems
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_files_come_and_go() {
    let server = Server::page(rss(1_000_000)).await;
    let house = House::start(
        "scrape_configs:\n- {job_name: listed, scrape_interval: 300ms, file_sd_configs: [{files: ['lists/*.json'], refresh_interval: 200ms}]}\n",
    )
    .await;
    let write = |name: &str, text: String| {
        std::fs::create_dir_all(house.path("lists")).unwrap();
        std::fs::write(house.path("lists").join(name), text).unwrap();
    };
    let list = |name: &str| format!(r#"[{{"targets": ["{}"], "labels": {{"instance": "{name}"}}}}]"#, server.address);
    instances(&house, "listed", &[]).await;
    write("a.json", list("a"));
    instances(&house, "listed", &["a"]).await;
    write("b.json", list("b"));
    instances(&house, "listed", &["a", "b"]).await;
    until("both answer", async || house.targets("listed").await.iter().all(|one| one.up == Some(true)).then_some(()))
        .await;
    write("b.json", "[{".into());
    until("the bad list is told", async || {
        let found = problems(&house).await;
        found.iter().any(|problem| problem.contains("b.json`: expected a JSON list")).then_some(())
    })
    .await;
    instances(&house, "listed", &["a", "b"]).await;
    std::fs::remove_file(house.path("lists").join("b.json")).unwrap();
    instances(&house, "listed", &["a"]).await;
    until("all is well again", async || problems(&house).await.is_empty().then_some(())).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_a_server_come_and_go_and_stay_while_it_fails() {
    let server = Server::page(rss(1_000_000)).await;
    let answer = Arc::new(Mutex::new(json("[]")));
    let lists = {
        let answer = answer.clone();
        Server::start(move |_, _| Reply::Keep(answer.lock().unwrap().clone())).await
    };
    let house = House::start(&format!(
        "scrape_configs:\n- {{job_name: asked, scrape_interval: 300ms, http_sd_configs: [{{url: 'http://{}/targets?env=prod', refresh_interval: 200ms, authorization: {{credentials: t0ken}}}}]}}\n",
        lists.address
    ))
    .await;
    instances(&house, "asked", &[]).await;
    let list = format!(r#"[{{"targets": ["{}"], "labels": {{"instance": "a"}}}}]"#, server.address);
    *answer.lock().unwrap() = json(&list);
    instances(&house, "asked", &["a"]).await;
    house.target_up("asked").await;
    let request = &lists.requests()[0];
    assert!(request.starts_with("GET /targets?env=prod HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("Authorization: Bearer t0ken\r\n"), "{request}");
    *answer.lock().unwrap() = response("500 Oops", "", b"");
    until("the failure is told", async || {
        let found = problems(&house).await;
        found.iter().any(|problem| problem.contains("expected status 200, found 500")).then_some(())
    })
    .await;
    instances(&house, "asked", &["a"]).await;
    *answer.lock().unwrap() = json("[]");
    instances(&house, "asked", &[]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_lists_that_hangs_holds_up_neither_scrapes_nor_reloads() {
    let server = Server::page(rss(1_000_000)).await;
    let lists = Server::start(|_, _| Reply::Silence).await;
    let config = format!(
        "global: {{scrape_interval: 1m, scrape_timeout: 1m}}\nscrape_configs:\n- {{job_name: fixed, scrape_interval: 200ms, static_configs: [{{targets: ['{}']}}]}}\n- {{job_name: asked, http_sd_configs: [{{url: 'http://{}/'}}]}}\n",
        server.address, lists.address
    );
    let house = House::start(&config).await;
    house.target_up("fixed").await;
    let answer = house.ask("POST", "/-/reload").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_leaves_the_old_one_running_and_says_so() {
    let server = Server::page(rss(1_000_000)).await;
    let job = |name: &str| {
        format!(
            "- {{job_name: {name}, scrape_interval: 300ms, static_configs: [{{targets: ['{}']}}]}}\n",
            server.address
        )
    };
    let first = format!("scrape_configs:\n{}", job("first"));
    let house = House::start(&first).await;
    let status: wire::Status = house.get("/api/v1/status").await;
    assert_eq!((status.config_reloaded, status.config_error), (Some(true), None));
    let id = house.target_up("first").await.id;

    house.write_config(&format!("{first}  scrape_intervall: 5s\n"));
    let answer = house.ask("POST", "/-/reload").await;
    let problem = answer.problem(400);
    for part in ["leakscope.yaml:3:", "scrape_interval"] {
        assert!(problem.detail.contains(part), "{part} is not in {}", problem.detail);
    }
    let status: wire::Status = house.get("/api/v1/status").await;
    assert_eq!((status.config_reloaded, status.config_error), (Some(false), Some(problem.detail)));
    let metrics = house.ask("GET", "/metrics").await.text();
    assert!(metrics.contains("leakscope_config_last_reload_successful 0\n"), "{metrics}");
    let asked = server.n_requests();
    until("the old one goes on", async || (server.n_requests() > asked + 1).then_some(())).await;

    house.write_config(&format!("{first}{}", job("second")));
    assert_eq!(house.ask("POST", "/-/reload").await.status, 200);
    house.target_up("second").await;
    assert_eq!(house.target_up("first").await.id, id);
    let status: wire::Status = house.get("/api/v1/status").await;
    assert_eq!((status.config_reloaded, status.config_error), (Some(true), None));

    house.write_config(&format!("scrape_configs:\n{}", job("second")));
    assert_eq!(house.ask("PUT", "/-/reload").await.status, 200);
    instances(&house, "first", &[]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_configuration_file_there_is_nothing_to_reload() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("leakscope.yaml"), "local_discovery: {enabled: false}\n").unwrap();
    let settings = leakscope_daemon::Settings { config_file: None, ..super::house::settings(&folder) };
    let daemon = leakscope_daemon::Daemon::start(settings).await.unwrap();
    let problem = ask(daemon.address(), "POST", "/-/reload", &[]).await.problem(400);
    assert!(problem.detail.contains("--config.file"), "{}", problem.detail);
    let status: wire::Status = ask(daemon.address(), "GET", "/api/v1/status", &[]).await.json();
    assert_eq!(status.config_reloaded, None);
    daemon.stop().await;
}
