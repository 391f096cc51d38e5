//! `leakscope check config`, and `doctor`.

use std::fs;

use serde_json::{Value, json};

use crate::run::{Ran, run};

const GOOD: &str =
    "scrape_configs:\n  - job_name: shop\n    static_configs:\n      - targets: [\"shop:8080\", \"shop:8081\"]\n";
const BAD: &str = "scrape_configs:\n  - job_name: shop\n    static_confgs: []\n";

#[test]
fn a_good_configuration_is_told_in_short() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.yaml"), GOOD).unwrap();
    let expected = "job `shop`: targets: 2 static\ngood.yaml: ok (1 job)\n";
    assert_eq!(run(folder.path(), &["check", "config", "good.yaml"]), Ran::new(0, expected, ""));
    let ran = run(folder.path(), &["check", "config", "good.yaml", "--format", "json"]);
    let job = json!({ "name": "shop", "static_targets": 2, "file_targets": 0, "http_sources": 0 });
    let expected = json!({ "file": "good.yaml", "ok": true, "jobs": [job], "errors": [], "warnings": [] });
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), expected);
}

#[test]
fn a_bad_configuration_is_told_with_line_and_column_and_answers_2() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.yaml"), BAD).unwrap();
    let ran = run(folder.path(), &["check", "config", "bad.yaml"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("bad.yaml:3:5") && ran.stderr.contains("static_configs"), "{}", ran.stderr);
    let ran = run(folder.path(), &["check", "config", "bad.yaml", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.exit, &report["ok"]), (2, &json!(false)));
    assert_eq!((&report["errors"][0]["line"], &report["errors"][0]["column"]), (&json!(3), &json!(5)));
}

#[test]
fn serve_refuses_what_check_refuses() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.yaml"), BAD).unwrap();
    let ran = run(folder.path(), &["serve", "--config.file", "bad.yaml"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("bad.yaml:3:5"), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(
        "error: `bad.yaml` cannot be used\nhint: `leakscope check config bad.yaml` says the same without starting anything\n"
    ));
}

#[test]
fn doctor_finds_something_and_says_how_well_it_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["doctor", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert!((ran.exit, findings.is_empty()) == (0, false));
    for finding in findings {
        assert!(matches!(finding["status"].as_str(), Some("ok" | "limited" | "missing")), "{finding}");
        assert!(finding["detail"].is_string() && finding["what"].is_string(), "{finding}");
    }
    assert_eq!(run(folder.path(), &["doctor"]).exit, 0);
}
