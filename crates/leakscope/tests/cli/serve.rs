//! `leakscope serve` on a real example service, asked by `targets` and `incidents`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::run::{Ran, Running, Stream, poll, run};

/// A healthy example service in Node.js, and its address.
fn example_service() -> (Running, String) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/node/server.js");
    let mut node = Command::new("node");
    // It ends with this process, which holds the other end of its standard input.
    node.arg(source).args(["--port", "0", "--leak", "none", "--exit-with-stdin"]).stdin(Stdio::piped());
    let service = Running::start(&mut node, Stream::Out);
    let rest = service.said("\"listening\":\"http://");
    let address = rest.split('"').next().unwrap().to_owned();
    (service, address)
}

fn configuration(address: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s}}\nstorage: {{path: data}}\nscrape_configs:\n  - job_name: shop\n    \
         metrics_path: /status/memory\n    static_configs:\n      - targets: [\"{address}\"]\n        labels: {{service: cart}}\n"
    )
}

#[test]
fn a_real_service_is_watched_until_sigterm() {
    let (_service, address) = example_service();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("leakscope.yaml"), configuration(&address)).unwrap();
    let arguments = ["serve", "--config.file", "leakscope.yaml", "--web.listen-address", "127.0.0.1:0"];
    let daemon = Running::start(&mut crate::run::command(folder.path(), &arguments), Stream::Err);
    let server = daemon.said("listening on ");
    let ask = |arguments: &[&str]| run(folder.path(), &[arguments, &["--server", &server]].concat());

    let target = poll("the target to be up", || {
        let ran = ask(&["targets", "--format", "json"]);
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let targets = report["targets"].as_array().unwrap();
        targets.iter().find(|target| target["service"] == "cart" && target["up"] == true).cloned()
    });
    assert_eq!((&target["job"], &target["instance"]), (&json!("shop"), &json!(address)));
    assert!(target["signals"]["rss"].as_f64().unwrap() > 1_048_576.0, "{target}");
    let table = ask(&["targets"]);
    assert!(table.stdout.starts_with("STATE") && table.stdout.contains(&address), "{}", table.stdout);

    let none = json!({ "incidents": [], "next_cursor": null });
    let ran = ask(&["incidents", "--format", "json", "--fail-on-leak"]);
    assert_eq!((ran.exit, serde_json::from_str::<Value>(&ran.stdout).unwrap()), (0, none));
    assert_eq!(ask(&["incidents"]), Ran::new(0, "", "no incidents\n"));
    let unknown = ask(&["incidents", "7"]);
    assert_eq!((unknown.exit, unknown.stdout.as_str()), (2, ""));
    assert!(unknown.stderr.starts_with(&format!("error: {server} answered 404: ")), "{}", unknown.stderr);
    let page = ask(&["incidents", "--format", "html"]);
    assert_eq!((page.exit, page.stdout.as_str()), (2, ""));

    let ran = ask(&["captures", "--state", "refused", "--format", "json"]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    assert!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["captures"].is_array(), "{}", ran.stdout);
    let strange = ask(&["capture", "0000000000000001", "--yes"]);
    assert_eq!((strange.exit, strange.stdout.as_str()), (2, ""));
    assert!(strange.stderr.contains("answered 404: target `0000000000000001` is not known"), "{}", strange.stderr);
    let missing = ask(&["captures", "99999", "-o", "none"]);
    assert_eq!((missing.exit, folder.path().join("none").exists()), (2, false));

    assert_eq!(daemon.end_by("TERM"), 0);
    assert!(folder.path().join("data").is_dir());
}

#[test]
fn a_daemon_that_is_not_there_answers_3_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for command in ["targets", "incidents", "captures"] {
        let server = format!("http://127.0.0.1:{port}");
        let expected = format!(
            "error: cannot connect to 127.0.0.1:{port}: Connection refused (os error 111)\n\
             hint: is `leakscope serve` running? `--server` or LEAKSCOPE_SERVER names another address\n"
        );
        assert_eq!(run(folder.path(), &[command, "--server", &server]), Ran::new(3, "", &expected));
    }
}

#[test]
fn an_address_open_to_other_hosts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["serve", "--web.listen-address", "0.0.0.0:0"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("is open to other hosts without authentication"), "{}", ran.stderr);
}
