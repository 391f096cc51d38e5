//! The page in a real browser: the demo's fleet runs, Chromium opens the page and must see who leaks.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Ended, Site};
use crate::process::{Running, wait_for};

/// How long the fleet runs; the page must show the verdicts within it.
const DEMO: &str = "150s";

/// From the start of the demo until it names its page: services are built and started in between.
const PAGE_LIMIT: Duration = Duration::from_mins(3);

/// Services of the demo that leak, one per runtime.
const LEAKING: &[&str] = &["node-cache", "python-sessions", "go-goroutines", "java-static", "rust-cache"];

pub(super) fn run(site: &Site) -> Ended {
    match open_page(site) {
        Ok(()) => Ended::Passed,
        Err(reason) => Ended::Failed(reason),
    }
}

fn open_page(site: &Site) -> Result<(), String> {
    // The selection is the whole workspace, as in the tests, so that nothing is built again with other features.
    site.try_run(Command::new("cargo").args(["build", "--workspace", "--bin", "leakscope"]))?;
    let mut command = Command::new(site.target.join("debug/leakscope"));
    command.args(["demo", "--for", DEMO, "--no-open", "--web.listen-address", "127.0.0.1:0"]);
    command.current_dir(&site.root).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = Running::start("leakscope demo", &mut command)?;
    let lines = lines_of(&mut demo, site)?;
    let mut address = None;
    let url = wait_for("the address of the page", PAGE_LIMIT, &mut demo, || {
        address = address.take().or_else(|| lines.try_iter().find_map(|line| page_address(&line)));
        address.clone()
    })?;
    let screenshots = site.target.join("screenshots");
    site.try_run(
        Command::new("node")
            .args(["ui/e2e/page.mjs", "--url", &url, "--expect-leaking", &LEAKING.join(",")])
            .arg("--screenshots")
            .arg(screenshots),
    )
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
    fn the_page_is_found_in_what_the_demo_says() {
        assert_eq!(page_address("listening on http://127.0.0.1:4711"), Some("http://127.0.0.1:4711".to_owned()));
        assert_eq!(page_address("see http://127.0.0.1:4711/."), Some("http://127.0.0.1:4711".to_owned()));
        assert_eq!(page_address("starting"), None);
    }
}
