//! `leakscope demo` with real services.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::{Running, Stream, command, poll, processes_with, run};

/// The services' sources in a folder whose name no other process has in its command line.
fn own_sources(folder: &Path) -> String {
    let services = folder.join("services");
    fs::create_dir_all(services.join("node")).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/node/server.js");
    fs::copy(source, services.join("node/server.js")).unwrap();
    services.to_str().unwrap().to_owned()
}

#[test]
fn the_json_is_the_published_one() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--for", "5s", "--runtimes", "node,python", "--format", "json"];
    let ran = run(folder.path(), &[&arguments[..], &["--web.listen-address", "127.0.0.1:0"]].concat());
    // Too short to find anyone.
    assert_eq!(ran.exit, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("one second counts as one minute for the detector"), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["skipped"], serde_json::json!([]), "{}", ran.stderr);
    let services = report["services"].as_array().unwrap();
    let row = |service: &Value| (service["name"].clone(), service["runtime"].clone(), service["leak"].clone());
    let expected = [
        ("node-healthy".into(), "node".into(), Value::Null),
        ("node-cache".into(), "node".into(), "unbounded-cache".into()),
        ("python-healthy".into(), "python".into(), Value::Null),
        ("python-list".into(), "python".into(), "module-list".into()),
    ];
    assert_eq!(services.iter().map(row).collect::<Vec<_>>(), expected);
    let published = "expected_leaking first_alarm_s growth_bytes_per_hour growth_bytes_per_request leak name runtime score \
                     state suspect";
    for service in services {
        let mut keys: Vec<&str> = service.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys.join(" "), published);
        assert_eq!(service["expected_leaking"], !service["leak"].is_null());
        assert_eq!(service["state"], "too_early");
    }
}

#[test]
fn an_interruption_leaves_no_process_and_no_file() {
    for signal in ["INT", "TERM", "HUP"] {
        let folder = tempfile::tempdir().unwrap();
        let (services, temporary) = (own_sources(folder.path()), folder.path().join("tmp"));
        fs::create_dir(&temporary).unwrap();
        let arguments = ["demo", "--runtimes", "node", "--services", &services, "--web.listen-address", "127.0.0.1:0"];
        let demo = Running::start(command(folder.path(), &arguments).env("TMPDIR", &temporary), Stream::Err);
        let url = demo.said("the page is at ");
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        assert_eq!(processes_with(&format!("{services}/node/server.js")).len(), 2);
        assert_eq!(demo.end_by(signal), 3, "{signal}");
        assert_eq!(processes_with(&format!("{services}/node/server.js")), [""; 0]);
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{signal}");
    }
}

#[test]
fn services_end_even_when_the_demo_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let services = own_sources(folder.path());
    let arguments = ["demo", "--runtimes", "node", "--services", &services, "--web.listen-address", "127.0.0.1:0"];
    let demo = Running::start(command(folder.path(), &arguments).env("TMPDIR", folder.path()), Stream::Err);
    demo.said("the page is at ");
    demo.end_by("KILL");
    poll("the services to end", || processes_with(&format!("{services}/node/server.js")).is_empty().then_some(()));
}

#[test]
fn a_taken_port_is_left_for_a_free_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--for", "1s", "--runtimes", "node", "--web.listen-address", &address];
    let ran = run(folder.path(), &arguments);
    assert!(ran.stderr.contains(&format!("cannot listen on {address}")), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the page is at http://127.0.0.1:")
            && !ran.stderr.contains(&format!("at http://{address}"))
    );
    assert!(ran.stdout.contains("After 1s: found 0 of 1 leaks, accused 0 of 1 healthy services."), "{}", ran.stdout);
}

#[test]
fn a_runtime_that_is_missing_is_named_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let ran = command(folder.path(), &["demo", "--runtimes", "node,java", "--format", "json"])
        .env("PATH", folder.path())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout),
        "{\"services\":[],\"skipped\":[{\"runtime\":\"node\",\"reason\":\"`node` is not installed\"},\
         {\"runtime\":\"java\",\"reason\":\"`java` is not installed\"}]}\n"
    );
}
