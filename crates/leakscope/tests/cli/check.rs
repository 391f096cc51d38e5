//! `leakscope check config`, and `doctor`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

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

/// A Python that serves a page of metrics, and our agent where it is told to; killed when dropped.
struct Shop {
    child: std::process::Child,
    port: String,
}

impl Shop {
    /// None, aloud, where there is no Python.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn start(folder: &std::path::Path, with_agent: bool) -> Option<Self> {
        let agent = if with_agent { "app = leakscope_heap.wsgi(app)" } else { "" };
        let program = format!(
            "import leakscope_heap, wsgiref.simple_server
def app(environ, start_response):
    found = environ['PATH_INFO'] == '/metrics'
    start_response('200 OK' if found else '404 Not Found', [('Content-Type', 'text/plain')])
    return [b'process_resident_memory_bytes 1e8\\npython_info{{version=\"3\"}} 1\\n' if found else b'']
{agent}
server = wsgiref.simple_server.make_server('127.0.0.1', 0, app)
print(server.server_port, flush=True)
server.serve_forever()
"
        );
        fs::write(folder.join("shop.py"), program).unwrap();
        let agents = concat!(env!("CARGO_MANIFEST_DIR"), "/../../agents/python");
        let mut command = Command::new("python3");
        command.arg(folder.join("shop.py")).env("PYTHONPATH", agents).env("PYTHONDONTWRITEBYTECODE", "1");
        let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
            eprintln!("SKIPPED: there is no `python3`");
            return None;
        };
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Some(Self { child, port: port.trim().to_owned() })
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn doctor_tells_what_could_be_captured_of_whom_and_what_would_enable_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    for (with_agent, expected) in [(true, "gives"), (false, "lacks")] {
        let Some(shop) = Shop::start(folder.path(), with_agent) else { return };
        let config = format!(
            "scrape_configs:\n  - job_name: shop\n    static_configs:\n      - targets: [\"127.0.0.1:{}\"]\n",
            shop.port
        );
        fs::write(folder.path().join("leakscope.yaml"), config).unwrap();
        let told = |format: &[&str]| {
            let ran = run(folder.path(), &[&["doctor", "--config.file", "leakscope.yaml"], format].concat());
            assert_eq!(ran.exit, 0, "{}", ran.stderr);
            ran.stdout
        };
        let report: Value = serde_json::from_str(&told(&["--format", "json"])).unwrap();
        let captures = report["captures"].as_array().unwrap();
        let is_ours = |target: &&Value| target["service"] == "shop" && target["pid"] == shop.child.id();
        let target = captures.iter().find(is_ours).unwrap_or_else(|| panic!("{report:#}"));
        let rows = target[expected].as_array().unwrap();
        let heap = rows.iter().find(|row| row["kind"] == "python-heap").unwrap_or_else(|| panic!("{target:#}"));
        let text = told(&[]);
        assert!(text.contains("\nWhat can be captured\n"), "{text}");
        if with_agent {
            assert!(heap["way"].as_str().unwrap().contains("/debug/leakscope"), "{heap}");
        } else {
            assert!(heap["remedy"].as_str().unwrap().starts_with("serve `leakscope_heap.wsgi(app)`"), "{heap}");
            assert!(text.contains("-> python-heap: serve `leakscope_heap.wsgi(app)`"), "{text}");
        }
    }
}
