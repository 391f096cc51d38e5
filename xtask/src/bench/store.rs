//! `cargo xtask bench store`: bytes per sample and samples per second of the store, and what the same series take in
//! Prometheus' TSDB and in VictoriaMetrics.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::table::{Table, machine, write_page};
use crate::args::Args;
use crate::process::{Running, fresh_folder, on_path, target_folder, wait_for};
use crate::{Outcome, clock, http, tree};

/// Targets whose series are written out for the peers: at 5 series of 10,000 points each, 5 million samples or half a
/// gigabyte of text. Bytes per sample hardly depend on it.
const PEER_TARGETS: usize = 100;

/// Until a peer has taken all that and lies still.
const IMPORT_LIMIT: Duration = Duration::from_mins(15);

/// What a store made of the series.
struct Row {
    store: String,
    n_samples: f64,
    bytes_per_sample: f64,
    /// Import of text where the store is a peer, so not comparable with our own path; shown as it is.
    samples_per_second: Option<f64>,
    read_day_ms: Option<f64>,
}

pub(super) fn run(mut args: Args) -> Outcome {
    let (write, without_peers) = (args.switch("--write"), args.switch("--no-peers"));
    args.finish()?;
    let mut rows = vec![own()?];
    if !without_peers {
        match peers() {
            Ok(found) => rows.extend(found),
            Err(reason) => eprintln!("peers left out: {reason}"),
        }
    }
    let mut table =
        Table::with_heads(&["store", "samples", "bytes/sample", "samples per CPU second", "ms per day read (median)"]);
    let shown = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    for row in &rows {
        table.push(vec![
            row.store.clone(),
            format!("{:.0}", row.n_samples),
            format!("{:.2}", row.bytes_per_sample),
            shown(row.samples_per_second, 0),
            shown(row.read_day_ms, 3),
        ]);
    }
    let about = format!(
        "Measured on {}.\nSeries as in leakscope-store's example store_bench: 15 s with jitter, five signals per target (resident set, heap used, heap after GC, committed, external). Bytes are those on disk after a clean close; peers import the same series of {PEER_TARGETS} targets as text.",
        machine()
    );
    println!("{}\n{about}", table.plain());
    if write {
        let text = format!("`cargo xtask bench store --write`\n\n{}\n{about}\n", table.markdown());
        write_page(&tree::root(), "store.md", "What a sample costs on disk", &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn own() -> Result<Row, String> {
    let printed = super::example("leakscope-store", "store_bench", &[])?;
    eprint!("{printed}");
    let line = printed.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
    row_of(line).ok_or_else(|| format!("expected one line of JSON from store_bench, found `{printed}`"))
}

fn row_of(line: &str) -> Option<Row> {
    let figures: Value = serde_json::from_str(line).ok()?;
    Some(Row {
        store: "leakscope".to_owned(),
        n_samples: figures["samples"].as_f64()?,
        bytes_per_sample: figures["bytes_per_sample"].as_f64()?,
        samples_per_second: figures["samples_per_cpu_second"].as_f64(),
        read_day_ms: figures["read_any_day_ms"]["p50"].as_f64(),
    })
}

fn peers() -> Result<Vec<Row>, String> {
    let folder = target_folder(&tree::root()).join("bench-store");
    fresh_folder(&folder)?;
    let text = folder.join("series.om");
    let n_targets = PEER_TARGETS.to_string();
    super::example(
        "leakscope-store",
        "store_bench",
        &["--targets", &n_targets, "--openmetrics", &text.to_string_lossy()],
    )?;
    let n_samples = n_samples_of(&text)?;
    let mut rows = Vec::new();
    if on_path("promtool").is_some() {
        rows.push(prometheus(&text, &folder.join("prometheus"), n_samples)?);
    } else {
        eprintln!("prometheus left out: no promtool on PATH (apt-get install prometheus)");
    }
    if on_path("victoria-metrics").is_some() {
        rows.push(victoria_metrics(&text, &folder.join("victoria-metrics"), n_samples)?);
    } else {
        eprintln!("victoria-metrics left out: not on PATH (apt-get install victoria-metrics)");
    }
    fresh_folder(&folder)?;
    Ok(rows)
}

/// Lines of the text that are samples.
fn n_samples_of(text: &Path) -> Result<f64, String> {
    use std::io::{BufRead, BufReader};
    let unreadable = |error: std::io::Error| format!("`{}` not readable: {error}", text.display());
    let mut n_samples = 0_u64;
    for line in BufReader::new(File::open(text).map_err(unreadable)?).lines() {
        n_samples += u64::from(!line.map_err(unreadable)?.starts_with('#'));
    }
    Ok(n_samples as f64)
}

fn prometheus(text: &Path, blocks: &Path, n_samples: f64) -> Result<Row, String> {
    fresh_folder(blocks)?;
    let output = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
        .args([text, blocks])
        .output()
        .map_err(|error| format!("promtool did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("promtool failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Row {
        store: "prometheus TSDB".to_owned(),
        n_samples,
        bytes_per_sample: size_of(blocks)? as f64 / n_samples,
        samples_per_second: None,
        read_day_ms: None,
    })
}

/// Imports over HTTP as a user would, waits until everything is merged into files, and ends it.
fn victoria_metrics(text: &Path, data: &Path, n_samples: f64) -> Result<Row, String> {
    fresh_folder(data)?;
    let port = free_port()?;
    let log = File::create(data.with_extension("log")).map_err(|error| format!("log not writable: {error}"))?;
    let mut command = Command::new("victoria-metrics");
    command
        .arg(format!("-storageDataPath={}", data.display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .arg("-retentionPeriod=100y")
        .stdout(Stdio::null())
        .stderr(log);
    let mut server = Running::start("victoria-metrics", &mut command)?;
    let url = format!("http://127.0.0.1:{port}");
    wait_for("`/health`", Duration::from_secs(30), &mut server, || http::get(&format!("{url}/health")).ok())?;
    // OpenMetrics has seconds where this importer wants milliseconds.
    let milliseconds = data.with_extension("txt");
    to_milliseconds(text, &milliseconds)?;
    http::post_file(&format!("{url}/api/v1/import/prometheus"), &milliseconds, IMPORT_LIMIT)?;
    http::get(&format!("{url}/internal/force_flush"))?;
    http::get_within(&format!("{url}/internal/force_merge"), IMPORT_LIMIT)?;
    wait_until_still(data, &mut server)?;
    server.stop().map_err(|error| format!("victoria-metrics does not end: {error}"))?;
    Ok(Row {
        store: "victoria-metrics".to_owned(),
        n_samples,
        bytes_per_sample: size_of(data)? as f64 / n_samples,
        samples_per_second: None,
        read_day_ms: None,
    })
}

fn to_milliseconds(text: &Path, out: &Path) -> Result<(), String> {
    use std::io::{BufRead, BufReader, BufWriter, Write};
    let failed = |error: std::io::Error| format!("`{}` not convertible: {error}", text.display());
    let reader = BufReader::new(File::open(text).map_err(failed)?);
    let mut writer = BufWriter::new(File::create(out).map_err(failed)?);
    for line in reader.lines() {
        let line = line.map_err(failed)?;
        if line.starts_with('#') {
            continue;
        }
        if let Some(line) = in_milliseconds(&line) {
            writeln!(writer, "{line}").map_err(failed)?;
        }
    }
    writer.flush().map_err(failed)
}

/// `name{..} 5 1.25` with its time as `1250`.
fn in_milliseconds(line: &str) -> Option<String> {
    let (series, seconds) = line.rsplit_once(' ')?;
    let seconds: f64 = seconds.parse().ok()?;
    Some(format!("{series} {:.0}", seconds * 1_000.0))
}

/// Merges are done when the size has been the same for ten seconds.
fn wait_until_still(data: &Path, server: &mut Running) -> Result<(), String> {
    let mut last = (size_of(data)?, clock::now());
    wait_for("the end of merging", IMPORT_LIMIT, server, || {
        let size = size_of(data).unwrap_or_default();
        if size != last.0 {
            last = (size, clock::now());
        }
        (last.1.elapsed() > Duration::from_secs(10)).then_some(())
    })
}

fn free_port() -> Result<u16, String> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("no port free: {error}"))
}

/// Bytes of all files below a folder.
fn size_of(folder: &Path) -> Result<u64, String> {
    let unreadable = |path: &Path, error: std::io::Error| format!("`{}` not readable: {error}", path.display());
    let mut bytes = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            // A merge may take a file away between the two looks.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += metadata.len();
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_the_store_are_one_line_of_json() {
        let line = r#"{"samples":50000000,"bytes":55000000,"bytes_per_sample":1.1,"samples_per_cpu_second":6000000,"read_any_day_ms":{"p50":0.9,"p99":1.5}}"#;
        let row = row_of(line).unwrap();
        assert_eq!((row.n_samples, row.bytes_per_sample, row.read_day_ms), (5e7, 1.1, Some(0.9)));
        assert!(row_of("no figures").is_none());
    }

    #[test]
    fn times_become_milliseconds() {
        assert_eq!(in_milliseconds("a{b=\"c d\"} 5 1.25"), Some("a{b=\"c d\"} 5 1250".to_owned()));
        assert_eq!(in_milliseconds("nothing"), None);
    }
}
