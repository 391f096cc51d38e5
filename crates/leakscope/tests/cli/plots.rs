//! `leakscope backtest --plot` and `--at`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::{Ran, run};

/// A process of 200 MiB that grows by 1 MiB a minute for four hours, is restarted, and grows again for two. A row a minute.
fn recording(began_s: u64) -> String {
    let mut text = "t_s,rss_bytes,heap_bytes,limit_bytes,start_s\n".to_owned();
    for minute in 0..360_u64 {
        let age = minute % 240;
        let rss = (200 + age + minute % 7) * 1_048_576;
        let start = began_s + (minute - age) * 60;
        let _ = writeln!(text, "{},{rss},{},536870912,{start}", began_s + minute * 60, rss / 2);
    }
    text
}

fn written(folder: &Path, names: &[&str], text: &str) {
    for name in names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Whether every element is closed by its own end and no text holds markup: what a browser asks of a picture before it shows it.
fn well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for markup in svg.split('<').skip(1) {
        let (tag, text) = markup.split_once('>').unwrap_or_else(|| panic!("`<{markup}` is not closed"));
        assert_eq!(tag.matches('"').count() % 2, 0, "`<{tag}>`");
        for reference in text.split('&').skip(1) {
            let name = reference.split(';').next().unwrap();
            assert!(["lt", "gt", "amp", "quot"].contains(&name), "`&{reference}`");
        }
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty(), "{open:?} are open at the end");
}

#[test]
fn every_series_gets_a_picture_with_what_was_seen_and_what_was_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &["a/leak.csv", "b/leak.csv", "<&\"b>.csv"], &recording(0));
    let plain = run(folder.path(), &["backtest", ".", "--format", "json"]);
    let drawn = run(folder.path(), &["backtest", ".", "--format", "json", "--plot", "out/plots"]);
    assert_eq!(drawn, Ran::new(0, &plain.stdout, "3 plots in `out/plots`\n"));

    let mut names: Vec<String> = fs::read_dir(folder.path().join("out/plots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["a-leak.svg", "b-leak.svg", "b.svg"]);
    let report: Value = serde_json::from_str(&plain.stdout).unwrap();
    let reason = report["series"][0]["reasons"][0].as_str().unwrap();
    for name in names {
        let svg = fs::read_to_string(folder.path().join("out/plots").join(&name)).unwrap();
        well_formed(&svg);
        for shown in [
            "<title id=\"title\">",
            "leak",
            "360 samples of rss from after 0 to after 5 h 59 min",
            "Leaking from after ",
            "Restarts: 1. ",
            reason,
            ">limit 512 MiB<",
            ">their floor in every 5 min<",
            ">fitted growth, 95 % band<",
            ">restart<",
            ">suspect<",
            ">leaking<",
            "▲ raised after ",
            "▼ cleared after 4 h",
            ">heap_used<",
            ">since the start<",
            "prefers-color-scheme:dark",
        ] {
            assert!(svg.contains(shown), "{name} does not show `{shown}`:\n{svg}");
        }
    }
}

#[test]
fn seconds_since_1970_are_shown_as_moments() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &["a.csv"], &recording(1_795_180_800));
    assert_eq!(run(folder.path(), &["backtest", "a.csv", "--plot", "."]).exit, 0);
    let svg = fs::read_to_string(folder.path().join("a.svg")).unwrap();
    for shown in [">14:00<", ">UTC<", "from 2026-11-20 13:20:00 UTC to 2026-11-20 19:19:00 UTC"] {
        assert!(svg.contains(shown), "`{shown}` is not in:\n{svg}");
    }
}

#[test]
fn long_and_wild_series_have_pictures_that_a_browser_can_bear() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "t_s,rss_bytes,heap_bytes,heap_after_gc_bytes,external_bytes,start_s\n".to_owned();
    let mut seed = 1_u64;
    for row in 0..200_000_u32 {
        let _ = write!(text, "{}", row * 15);
        for level in [500, 300, 200, 100] {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let _ = write!(text, ",{}", (level << 20) + (seed >> 38));
        }
        // A process every other hour.
        let _ = writeln!(text, ",{}", row / 480);
    }
    let wild = "t_s,rss_bytes,limit_bytes\n0,9e307,1\n60,1e-300,\n-2e11,5,2\n2e11,7,1e18\n61,3,\n";
    let files = [
        ("noise.csv", text.as_str()),
        ("wild.csv", wild),
        ("none.csv", "t_s,requests_total\n0,1\n60,2\n"),
        ("zeros.csv", "t_s,fds\n0,0\n60,0\n"),
        ("one.csv", "t_s,rss_bytes\n5,1000\n"),
    ];
    for (name, text) in files {
        written(folder.path(), &[name], text);
        let ran = run(folder.path(), &["backtest", name, "--plot", "."]);
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, "1 plot in `.`\n"), "{name}");
        let svg = fs::read_to_string(folder.path().join(name.replace("csv", "svg"))).unwrap();
        well_formed(&svg);
        assert!(svg.len() < 300_000, "{name}: {} bytes", svg.len());
        let drawing = svg.split("</style>").nth(1).unwrap();
        let numbers = drawing.split(" d=\"").skip(1).filter_map(|path| path.split('"').next());
        for path in numbers {
            assert!(path.bytes().all(|byte| b"MLZ -.0123456789".contains(&byte)), "{name}: {path}");
        }
    }
}

#[test]
fn pictures_that_cannot_be_written_are_told_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &["a.csv"], "t_s,fds\n0,1\n");
    fs::create_dir_all(folder.path().join("plots/a.svg")).unwrap();
    let expected = "\
error: `a.csv/plots` cannot be made: Not a directory (os error 20)
";
    assert_eq!(run(folder.path(), &["backtest", "a.csv", "--plot", "a.csv/plots"]), Ran::new(2, "", expected));
    let ran = run(folder.path(), &["backtest", "a.csv", "--plot", "plots", "--format", "json"]);
    let expected = "error: `plots/a.svg` cannot be written: Is a directory (os error 21)\n0 plots in `plots`\n";
    assert_eq!((ran.exit, ran.stderr.as_str()), (2, expected));
    assert!(ran.stdout.starts_with("{\"series\":[{\"file\":\"a.csv\""), "{}", ran.stdout);
}

#[test]
fn the_verdict_of_a_moment_is_that_of_the_rows_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let text = recording(1_795_180_800);
    let rows: Vec<&str> = text.lines().collect();
    let json = |arguments: &[&str]| {
        let ran = run(folder.path(), &[&["backtest", "--format", "json"], arguments].concat());
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
        let mut report: Value = serde_json::from_str(&ran.stdout).unwrap();
        report["series"][0]["file"].take();
        report
    };
    // What follows the moment is not even read.
    written(folder.path(), &["whole.csv"], &(text.clone() + "no,row,at,all,\n"));
    for (moment, last) in [("1795188060", 121), ("2026-11-20T15:21:00Z", 121), ("1795188059.5", 120)] {
        written(folder.path(), &["half.csv"], &rows[..=last + 1].join("\n"));
        assert_eq!(json(&["whole.csv", "--at", moment]), json(&["half.csv"]), "{moment}");
    }
    written(folder.path(), &["half.csv"], &rows[..200].join("\n"));
    let scaled = |file: &str, more: &[&str]| json(&[&[file, "--time-scale", "2"], more].concat());
    assert_eq!(scaled("whole.csv", &["--at", "1795192680"]), scaled("half.csv", &[]), "seconds are those of the file");

    let ran = run(folder.path(), &["backtest", "whole.csv", "--format", "json", "--at", "-5"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.exit, &report["series"][0]["state"]), (0, &"too_early".into()));
    assert_eq!(ran.stderr, "warning: `whole.csv`: no samples are there at or before -5 s\n");
    let ran = run(folder.path(), &["backtest", "whole.csv", "--at", "yesterday"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.stderr.contains("expected seconds or an RFC 3339 time"), "{}", ran.stderr);
}
