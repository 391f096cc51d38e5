//! The page in a real browser: the demo's fleet runs, Chromium opens the page and must see who leaks.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Ended, Site};
use crate::process::{Running, wait_for};
use crate::setup;

/// How long the fleet runs; the page must show the verdicts within it.
const DEMO: &str = "150s";

/// From the start of the demo until it names its page: services are built and started in between.
const PAGE_LIMIT: Duration = Duration::from_mins(3);

pub(super) fn run(site: &Site) -> Ended {
    match open_page(site) {
        Ok(()) => Ended::Passed,
        Err(reason) => Ended::Failed(reason),
    }
}

fn open_page(site: &Site) -> Result<(), String> {
    // The selection is the whole workspace, as in the tests, so that nothing is built again with other features.
    site.try_run(Command::new("cargo").args(["build", "--workspace", "--bin", "leakscope"]))?;
    let leaking = leaking_services(site)?;
    let mut command = demo(site, DEMO);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = Running::start("leakscope demo", &mut command)?;
    let lines = lines_of(&mut demo, site)?;
    let mut address = None;
    let url = wait_for("the address of the page", PAGE_LIMIT, &mut demo, || {
        address = address.take().or_else(|| lines.try_iter().find_map(|line| page_address(&line)));
        address.clone()
    })?;
    let screenshots = site.target.join("screenshots");
    let chromium = setup::chromium_path().ok_or("`chromium` is not on PATH")?;
    site.try_run(
        Command::new("node")
            .args(["ui/e2e/page.mjs", "--url", &url, "--expect-leaking", &leaking.join(",")])
            .arg("--chromium")
            .arg(chromium)
            .arg("--screenshots")
            .arg(screenshots),
    )
}

fn demo(site: &Site, length: &str) -> Command {
    let mut command = Command::new(site.target.join("debug/leakscope"));
    command.args(["demo", "--for", length, "--no-open", "--web.listen-address", "127.0.0.1:0"]).current_dir(&site.root);
    command
}

/// Names of the services that the demo makes leak, as it reports them itself at the end of a run of one second.
fn leaking_services(site: &Site) -> Result<Vec<String>, String> {
    let output = demo(site, "1s")
        .args(["--format", "json"])
        .stdin(Stdio::null())
        .stderr(site.open_log()?)
        .output()
        .map_err(|error| format!("leakscope demo did not start: {error}"))?;
    // Too short to judge anyone, so its exit code says nothing here.
    let names = expected_leaking(&output.stdout)?;
    if names.is_empty() {
        Err("expected at least one leaking service in the demo, found none".to_owned())
    } else {
        Ok(names)
    }
}

fn expected_leaking(report: &[u8]) -> Result<Vec<String>, String> {
    let report: Value = serde_json::from_slice(report)
        .map_err(|error| format!("expected JSON of `leakscope demo --format json`, found {error}"))?;
    let services = report["services"].as_array().into_iter().flatten();
    let leaking = services.filter(|service| service["expected_leaking"] == true);
    Ok(leaking.filter_map(|service| service["name"].as_str().map(str::to_owned)).collect())
}

/// Both streams of the demo line by line, also written to the step's log.
fn lines_of(demo: &mut Running, site: &Site) -> Result<mpsc::Receiver<String>, String> {
    let (sender, receiver) = mpsc::channel();
    let child = demo.child();
    let streams: [Option<Box<dyn std::io::Read + Send>>; 2] = [
        child.stdout.take().map(|stream| Box::new(stream) as Box<_>),
        child.stderr.take().map(|stream| Box::new(stream) as Box<_>),
    ];
    for stream in streams.into_iter().flatten() {
        let (sender, mut log) = (sender.clone(), site.open_log()?);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = std::io::Write::write_fmt(&mut log, format_args!("demo: {line}\n"));
                // The receiver is gone once the address is known; the pipe is still drained.
                let _ = sender.send(line);
            }
        });
    }
    Ok(receiver)
}

/// The first loopback address with a port in a line of the demo.
fn page_address(line: &str) -> Option<String> {
    let start = line.find("http://127.0.0.1:")?;
    let rest = line.get(start..)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.'))).unwrap_or(rest.len());
    rest.get(..end).map(|address| address.trim_end_matches(['.', '/']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_says_itself_who_is_to_leak() {
        let report = br#"{"services":[{"name":"a","expected_leaking":true},{"name":"b","expected_leaking":false}]}"#;
        assert_eq!(expected_leaking(report), Ok(vec!["a".to_owned()]));
    }

    #[test]
    fn the_page_is_found_in_what_the_demo_says() {
        assert_eq!(page_address("listening on http://127.0.0.1:4711"), Some("http://127.0.0.1:4711".to_owned()));
        assert_eq!(page_address("see http://127.0.0.1:4711/."), Some("http://127.0.0.1:4711".to_owned()));
        assert_eq!(page_address("starting"), None);
    }
}
