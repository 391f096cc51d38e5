//! `leakscope diff` on captures of one process under load.

use std::fs;

use serde_json::{Value, json};

use crate::heap::{fixture, json, keys, refuses_what_is_no_capture, unpacked};
use crate::run::run;

fn three() -> [String; 3] {
    ["tiny-1", "tiny-2", "tiny-3"].map(|name| fixture(&format!("{name}.heapsnapshot.zst")))
}

#[test]
fn the_json_is_the_published_one() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = three();
    let report = json(folder.path(), &["diff", &a, &b, &c, "--format", "json"]);
    assert_eq!(keys(&report), ["captures", "classes", "format", "growth_bytes", "suspects", "warnings"]);
    let captures = report["captures"].as_array().unwrap();
    assert_eq!(keys(&captures[0]), ["edges", "file", "file_bytes", "nodes", "total_bytes"]);
    assert_eq!((captures.len(), &captures[2]["total_bytes"]), (3, &json!(8_012_248)));
    let growth = captures[2]["total_bytes"].as_i64().unwrap() - captures[0]["total_bytes"].as_i64().unwrap();
    assert_eq!(report["growth_bytes"], json!(growth));
    let suspect = &report["suspects"][0];
    let published = [
        "bytes",
        "confidence",
        "count",
        "grew_in_every_step",
        "growth_bytes",
        "growth_bytes_per_hour",
        "growth_bytes_per_request",
        "growth_count",
        "growth_error_bytes",
        "identity",
        "kind",
        "location",
        "name",
        "path",
        "reason",
        "share",
        "stack",
        "title",
    ];
    assert_eq!(keys(suspect), published);
    assert_eq!(suspect["grew_in_every_step"], json!(true));
    assert_eq!(keys(&suspect["path"][0]), ["edge", "id", "name"]);
    let grown = |name: &str| {
        let classes = report["classes"].as_array().unwrap();
        classes.iter().find(|class| class["name"] == name).cloned().unwrap_or(Value::Null)
    };
    let session = grown("Session");
    let removed = ["removed_count", "removed_bytes"].map(|key| session[key].clone());
    assert_eq!((&session["added_count"], removed), (&json!(1_620), [json!(0), json!(0)]));
    assert_eq!(session["growth_count"], json!(1_620));
}

#[test]
fn all_five_leaks_of_the_fixture_are_told_and_fail_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = three();
    let ran = run(folder.path(), &["diff", &a, &b, &c, "--fail-on-leak"]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (1, ""));
    for owner in ["store", "bus", "pending", "auditTrail"] {
        assert!(ran.stdout.contains(owner), "{owner} is not in\n{}", ran.stdout);
    }
    let wide: Vec<&str> = ran.stdout.lines().skip(3).filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty() && !ran.stdout.contains('\x1b'), "{wide:#?}");
    let ran = run(folder.path(), &["diff", &a, &a, "--fail-on-leak"]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.contains("Nothing grew that stands out."), "{}", ran.stdout);
}

#[test]
fn the_page_shows_all_captures() {
    let folder = tempfile::tempdir().unwrap();
    let [a, _, c] = three();
    let ran = run(folder.path(), &["diff", &a, &c, "--format", "html"]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    let data = ran.stdout.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["captures"].as_array().unwrap().len(), 2);
    assert!(!data["suspects"].as_array().unwrap().is_empty() && !data["class_growth"].as_array().unwrap().is_empty());
}

#[test]
fn one_capture_is_a_mistake_of_usage() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["diff", &three()[0]]).exit, 2);
}

#[test]
fn the_capture_that_cannot_be_read_is_named() {
    let good = fixture("tiny-1.heapsnapshot.zst");
    refuses_what_is_no_capture(|file| vec!["diff".into(), good.clone(), file.into()]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cut"), &unpacked("tiny-1.heapsnapshot.zst")[..10_000]).unwrap();
    let ran = run(folder.path(), &["diff", "cut", &good]);
    assert!(ran.exit == 2 && ran.stderr.starts_with("error: `cut`: expected "), "{}", ran.stderr);
}
