//! `leakscope backtest` on good and bad recordings.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::run::{Ran, run};

/// Six hours, a row a minute: a service with this much memory at minute `n`.
fn recording(memory: impl Fn(u32) -> u64) -> String {
    let mut text = "t_s,rss_bytes,requests_total\n".to_owned();
    for minute in 0..360 {
        let _ = writeln!(text, "{},{},{}", minute * 60, memory(minute), minute * 600);
    }
    text
}

/// A saw-tooth of 5 MiB on 200 MiB.
fn steady(minute: u32) -> u64 {
    200 * 1_048_576 + u64::from(minute % 7) * 786_432
}

/// The same, with 1 MiB more each minute.
fn leaking(minute: u32) -> u64 {
    steady(minute) + u64::from(minute) * 1_048_576
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let ran = run(folder, arguments);
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn the_leak_is_told_from_the_saw_tooth_and_the_json_is_the_published_one() {
    let folder = folder(&[("leak.csv", recording(leaking).as_bytes()), ("saw.csv", recording(steady).as_bytes())]);
    let report = json(folder.path(), &["backtest", "saw.csv", "leak.csv", "--format", "json"]);
    let series = report["series"].as_array().unwrap();
    assert_eq!(report.as_object().unwrap().len(), 1);
    let mut keys: Vec<&str> = series[0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let published = [
        "alarms",
        "file",
        "growth_bytes_per_hour",
        "growth_bytes_per_request",
        "kind",
        "reasons",
        "score",
        "state",
        "time_to_limit_s",
    ];
    assert_eq!(keys, published);
    assert_eq!((&series[0]["file"], &series[0]["state"]), (&"saw.csv".into(), &"steady".into()));
    assert_eq!(series[0]["alarms"], serde_json::json!([]));
    assert_eq!((&series[1]["file"], &series[1]["state"]), (&"leak.csv".into(), &"leaking".into()));
    assert!(series[1]["score"].as_f64().unwrap() >= 1.0);
    assert_eq!(series[1]["alarms"].as_array().unwrap().len(), 1);
    assert_eq!(series[1]["alarms"][0]["cleared_s"], Value::Null);
    let (growth, true_growth) = (&series[1]["growth_bytes_per_hour"], 60.0 * 1_048_576.0);
    assert!(
        growth["low"].as_f64().unwrap() <= true_growth * 1.05 && growth["high"].as_f64().unwrap() >= true_growth * 0.95
    );
}

#[test]
fn compressed_recordings_and_folders_give_the_same_verdict_as_plain_files() {
    let text = recording(leaking);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let folder = folder(&[("a.csv", text.as_bytes()), ("b.csv.gz", &gzip), ("c.csv.zst", &zstd), ("notes.txt", b"no")]);
    let report = json(folder.path(), &["backtest", ".", "--format", "json"]);
    let mut series = report["series"].as_array().unwrap().clone();
    let files: Vec<Value> = series.iter_mut().map(|series| series["file"].take()).collect();
    assert_eq!(files, ["./a.csv", "./b.csv.gz", "./c.csv.zst"]);
    assert_eq!(series[0], series[1]);
    assert_eq!(series[0], series[2]);
}

#[test]
fn the_time_scale_multiplies_times() {
    let minutes = recording(leaking);
    let seconds: Vec<String> = (0..)
        .zip(minutes.lines())
        .map(|(row, line)| match line.split_once(',') {
            Some((_, rest)) if row > 0 => format!("{},{rest}", row - 1),
            _ => line.to_owned(),
        })
        .collect();
    let folder = folder(&[("minutes.csv", minutes.as_bytes()), ("seconds.csv", seconds.join("\n").as_bytes())]);
    let mut plain = json(folder.path(), &["backtest", "minutes.csv", "--format", "json"]);
    let mut scaled = json(folder.path(), &["backtest", "seconds.csv", "--time-scale", "60", "--format", "json"]);
    plain["series"][0]["file"].take();
    scaled["series"][0]["file"].take();
    assert_eq!(plain, scaled);
}

#[test]
fn fail_on_leak_answers_1_only_when_something_leaks() {
    let folder = folder(&[("leak.csv", recording(leaking).as_bytes()), ("saw.csv", recording(steady).as_bytes())]);
    let exit = |arguments: &[&str]| run(folder.path(), arguments).exit;
    assert_eq!(exit(&["backtest", "leak.csv"]), 0);
    assert_eq!(exit(&["backtest", "leak.csv", "--fail-on-leak"]), 1);
    assert_eq!(exit(&["backtest", "saw.csv", "--fail-on-leak"]), 0);
}

#[test]
fn the_table_has_the_worst_first_and_says_why() {
    let folder = folder(&[("a.csv", recording(steady).as_bytes()), ("b.csv", recording(leaking).as_bytes())]);
    let ran = run(folder.path(), &["backtest", "."]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let first_words = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    assert_eq!(first_words(lines[0]), "STATE SERIES KIND");
    assert_eq!(first_words(lines[1]), "▲ leaking ./b.csv");
    assert_eq!(first_words(lines[2]), "✓ steady ./a.csv");
    assert_eq!(&lines[3..5], ["", "./b.csv leaks:"]);
    assert!(lines[5].starts_with("  the floor of rss grew from "), "{}", lines[5]);
    assert_eq!(lines.last(), Some(&"2 series: 1 leaking, 1 steady; alarms in 1 of them"));
    assert!(lines.iter().all(|line| line.trim_end() == *line), "spaces at the end of a line");
}

#[test]
fn of_many_leaks_the_worst_are_told_and_the_rest_counted() {
    let names: Vec<String> = (0..13).map(|n| format!("{n}.csv")).collect();
    let text = recording(leaking);
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), text.as_bytes())).collect();
    let stdout = run(folder(&files).path(), &["backtest", "."]).stdout;
    assert_eq!(stdout.lines().filter(|line| line.ends_with(" leaks:")).count(), 10);
    let end =
        "\n... and 3 more; `--format json` has the reasons of all\n\n13 series: 13 leaking; alarms in 13 of them\n";
    assert!(stdout.ends_with(end), "{stdout}");
}

#[test]
fn colours_are_there_only_when_asked_for() {
    let folder = folder(&[("a.csv", recording(steady).as_bytes())]);
    assert!(!run(folder.path(), &["backtest", "a.csv"]).stdout.contains('\x1b'));
    assert!(run(folder.path(), &["backtest", "a.csv", "--color", "always"]).stdout.contains("\x1b["));
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let cases: &[(&str, &[u8], &str)] = &[
        ("empty", b"", "is empty, expected a header that begins like `t_s,rss_bytes`"),
        ("blank", b"\n \n", "is empty, expected a header that begins like `t_s,rss_bytes`"),
        ("no-time", b"time,rss_bytes\n1,2\n", "line 1: expected a header with a column `t_s`, found `time,rss_bytes`"),
        (
            "no-signal",
            b"t_s,cpu\n1,2\n",
            "line 1: expected at least one column of `rss_bytes`, `anon_bytes`, `heap_bytes`, `heap_after_gc_bytes`, \
             `external_bytes`, `requests_total`, `limit_bytes`, `start_s`, `tasks`, `fds`, found `t_s,cpu`",
        ),
        ("twice", b"t_s,fds,fds\n1,2,3\n", "line 1: column `fds` is there twice"),
        ("no-rows", b"t_s,fds\n", "has a header and no rows"),
        ("word", b"t_s,fds\n1,2\n2,many\n", "line 3, column `fds`: expected a number, found `many`"),
        ("no-second", b"t_s,fds\n,2\n", "line 2, column `t_s`: expected a number, found nothing"),
        ("binary", b"t_s,fds\n1,\xff\x00\n", "line 2, column `fds`: expected a number, found `\u{fffd}\\0`"),
        ("comma", b"t_s,fds\n1,2,5\n", "line 2: expected 2 cells, found 3"),
        (
            "far",
            b"t_s,fds\n1e300,2\n",
            "line 2, column `t_s`: expected seconds within 3e11 of 0, found 1000000000000000",
        ),
        ("nan-time", b"t_s,fds\nnan,2\n", "line 2, column `t_s`: expected seconds within 3e11 of 0, found NaN"),
        ("gzip.csv.gz", b"\x1f\x8b\x08rest", "cannot be read: "),
        ("zstd.csv.zst", b"\x28\xb5\x2f\xfdrest", "cannot be read: "),
    ];
    for (name, bytes, message) in cases {
        let folder = folder(&[(name, bytes)]);
        let ran = run(folder.path(), &["backtest", name]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""), "{name}");
        assert!(ran.stderr.starts_with(&format!("error: `{name}`: {message}")), "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_line_without_end_is_refused() {
    let folder = folder(&[("long.csv", format!("t_s,fds\n1,{}", "9".repeat(100_000)).as_bytes())]);
    let expected = "error: `long.csv`: line 2: expected at most 65536 bytes in a line, found more\n";
    assert_eq!(run(folder.path(), &["backtest", "long.csv"]), Ran::new(2, "", expected));
}

#[test]
fn one_bad_file_does_not_hide_the_good_ones() {
    let folder = folder(&[("bad.csv", b"t_s,fds\n1,x\n"), ("good.csv", recording(steady).as_bytes())]);
    let ran = run(folder.path(), &["backtest", "bad.csv", "good.csv", "--format", "json"]);
    assert_eq!(ran.exit, 2);
    assert_eq!(ran.stderr, "error: `bad.csv`: line 2, column `fds`: expected a number, found `x`\n");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["series"].as_array().unwrap().len(), 1);
    assert_eq!(report["series"][0]["file"], "good.csv");
}

#[test]
fn what_is_only_strange_is_warned_of() {
    let folder = folder(&[("odd.csv", b"t_s,cpu,rss_bytes\n0,x,1\n60,x\n120,x,-1\n")]);
    let ran = run(folder.path(), &["backtest", "odd.csv", "--format", "json"]);
    let expected = "\
warning: `odd.csv`: unknown columns are ignored: `cpu`
warning: `odd.csv`: rows with too few cells: 1, first in line 3; what is missing counts as empty
warning: `odd.csv`: values that are NaN, infinite or negative: 1, first in line 4; they count as empty
";
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, expected));
}

#[test]
fn times_that_go_back_and_repeat_do_no_harm() {
    let mut text = recording(steady);
    text.push_str("60,1,1\n60,1,1\n-1e9,1,1\n21600,209715200,1\n");
    let folder = folder(&[("back.csv", text.as_bytes())]);
    let report = json(folder.path(), &["backtest", "back.csv", "--format", "json"]);
    assert_eq!(report["series"][0]["alarms"], serde_json::json!([]));
}

#[test]
fn missing_files_and_empty_folders_are_named() {
    let folder = folder(&[]);
    assert_eq!(
        run(folder.path(), &["backtest", "no.csv"]),
        Ran::new(2, "", "error: `no.csv` cannot be read: No such file or directory (os error 2)\n")
    );
    assert_eq!(
        run(folder.path(), &["backtest", "."]),
        Ran::new(2, "", "error: `.` holds no recordings, expected files named `*.csv`, `*.csv.gz`, `*.csv.zst`\n")
    );
}

#[test]
fn the_fewer_false_alarms_are_allowed_the_later_the_true_one_comes() {
    let folder = folder(&[("leak.csv", recording(leaking).as_bytes())]);
    let raised_s = |rate: &str| {
        let report = json(folder.path(), &["backtest", "leak.csv", "--format", "json", "--false-alarms", rate]);
        report["series"][0]["alarms"][0]["raised_s"].as_f64().unwrap()
    };
    assert!(raised_s("0.01") > raised_s("100"));
    for rate in ["0", "101", "nan", "few"] {
        let ran = run(folder.path(), &["backtest", "leak.csv", "--false-alarms", rate]);
        assert_eq!(ran.exit, 2, "{rate}");
        assert!(ran.stderr.contains("expected a number from 0.01 to 100"), "{}", ran.stderr);
    }
}

#[test]
fn a_wrong_time_scale_is_a_mistake_of_usage() {
    let folder = folder(&[]);
    for scale in ["0", "-1", "nan", "fast"] {
        let ran = run(folder.path(), &["backtest", "a.csv", &format!("--time-scale={scale}")]);
        assert_eq!(ran.exit, 2, "{scale}");
        assert!(ran.stderr.contains("expected a number above 0"), "{}", ran.stderr);
    }
}
