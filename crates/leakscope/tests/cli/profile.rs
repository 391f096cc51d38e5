//! `leakscope analyze` of profiles: what is published, flags, forms of export.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::heap::{fixture, json, keys};
use crate::run::run;

/// What three services put into one cache, and what a fourth function made.
const STACKS: &str = "main;serve;put 600\nmain;serve;put;grow 300\nmain;gc 100\n";
const HISTOGRAM: &str = " num     #instances         #bytes  class name (module)
-------------------------------------------------------
   1:          7989         630600  [B (java.base@17.0.15)
   2:            10           9400  shop.Session
Total          7999         640000
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn functions(report: &Value) -> Vec<(String, i64, i64)> {
    let value = |row: &Value, key: &str| row[key][0].as_i64().unwrap();
    let rows = report["functions"].as_array().unwrap();
    rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), value(row, "flat"), value(row, "cum"))).collect()
}

fn rows(of: &[(&str, i64, i64)]) -> Vec<(String, i64, i64)> {
    of.iter().map(|(name, flat, cum)| ((*name).to_owned(), *flat, *cum)).collect()
}

#[test]
fn the_json_of_a_profile_is_the_published_one() {
    let folder = folder(&[("a.folded", STACKS)]);
    let report = json(folder.path(), &["analyze", "a.folded", "--format", "json"]);
    let published = [
        "file_bytes",
        "format",
        "functions",
        "period",
        "sample_types",
        "samples",
        "suspects",
        "taken_at",
        "totals",
        "warnings",
    ];
    assert_eq!(keys(&report), published);
    let facts = ["format", "samples", "sample_types", "totals", "period", "taken_at"].map(|key| report[key].clone());
    let types = json!([{"type": "samples", "unit": "count"}]);
    assert_eq!(facts, [json!("collapsed"), json!(3), types, json!([1_000]), Value::Null, Value::Null]);
    let put = json!({"name": "put", "file": null, "flat": [600], "cum": [900]});
    assert_eq!(report["functions"][0], put);
    let all = [("put", 600, 900), ("grow", 300, 300), ("gc", 100, 100), ("main", 0, 1_000), ("serve", 0, 900)];
    assert_eq!(functions(&report), rows(&all));
}

#[test]
fn a_histogram_has_its_types_as_classes_too() {
    let folder = folder(&[("a.txt", HISTOGRAM)]);
    let report = json(folder.path(), &["analyze", "a.txt", "--format", "json"]);
    let class =
        json!({"name": "byte[]", "count": 7_989, "self_bytes": 630_600, "retained_bytes": null, "location": null});
    assert_eq!(report["classes"][0], class);
    assert_eq!(report["totals"], json!([7_999, 640_000]));
    let text = run(folder.path(), &["analyze", "a.txt"]).stdout;
    assert!(text.contains("Types by their bytes") && text.contains("shop.Session"), "{text}");
}

#[test]
fn filters_cut_the_profile_and_shares_stay_those_of_the_whole() {
    let folder = folder(&[("a.folded", STACKS)]);
    let cases: [(&[&str], &[(&str, i64, i64)]); 5] = [
        (&["--focus", "grow"], &[("grow", 300, 300), ("main", 0, 300), ("put", 0, 300), ("serve", 0, 300)]),
        (&["--ignore", "put"], &[("gc", 100, 100), ("main", 0, 100)]),
        (&["--hide", "put|grow|main"], &[("serve", 900, 900), ("gc", 100, 100)]),
        (&["--show", "put", "--cum"], &[("put", 900, 900)]),
        (&["--show-from", "put", "--cum"], &[("put", 600, 900), ("grow", 300, 300)]),
    ];
    for (flags, expected) in cases {
        let report = json(folder.path(), &[&["analyze", "a.folded", "--format", "json"], flags].concat());
        assert_eq!((functions(&report), &report["totals"]), (rows(expected), &json!([1_000])), "{flags:?}");
    }
    let ran = run(folder.path(), &["analyze", "a.folded", "--focus", "nobody"]);
    assert_eq!(ran.stderr, "warning: focus `nobody` fits no frame of the profile\n");
    let ran = run(folder.path(), &["analyze", "a.folded", "--focus", "grow"]);
    assert!(ran.stdout.contains("1 sample left by the filters, 300 or 30.00%"), "{}", ran.stdout);
}

#[test]
fn callers_callees_and_lines_answer_alone() {
    let folder = folder(&[("a.folded", STACKS)]);
    let report = json(folder.path(), &["analyze", "a.folded", "--peek", "put", "--list", "grow", "--format", "json"]);
    let call = |name: &str, value: i64| json!({"name": name, "value": value, "inlined": false});
    let put = json!({"name": "put", "flat": 600, "cum": 900, "callers": [call("serve", 900)], "callees": [call("grow", 300)]});
    assert_eq!(report["calls"], json!([put]));
    let lines = json!([{"line": 0, "flat": 300, "cum": 300}]);
    assert_eq!(report["listing"], json!([{"function": "grow", "file": null, "flat": 300, "cum": 300, "lines": lines}]));
    let ran = run(folder.path(), &["analyze", "a.folded", "--peek", "put"]);
    let expected = "      FLAT   FLAT%         CUM    CUM%    FUNCTION, below its callers and above its callees
                         900    100%  │   serve
       600  60.00%         900  90.00% │ put
                         300  33.33%  │   grow

";
    assert_eq!(ran.stdout, expected);
    assert_eq!(
        json(folder.path(), &["analyze", "a.folded", "--tree", "--format", "json"])["calls"].as_array().unwrap().len(),
        5
    );
}

#[test]
fn a_profile_is_exported_in_the_form_of_the_name_for_its_owner_alone() {
    let folder = folder(&[("a.folded", STACKS), ("old.svg", "")]);
    fs::set_permissions(folder.path().join("old.svg"), fs::Permissions::from_mode(0o644)).unwrap();
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    for name in ["b.pb.gz", "b.pb", "b.speedscope.json", "b.collapsed", "old.svg", "b.html"] {
        let ran = run(folder.path(), &["analyze", "a.folded", "--export", name, "-o", "report.txt"]);
        assert_eq!((ran.exit, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{name}");
        for name in [name, "report.txt"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
    assert_eq!(read("b.collapsed"), b"main;gc 100\nmain;serve;put 600\nmain;serve;put;grow 300\n");
    assert!(read("b.pb.gz").starts_with(&[0x1f, 0x8b]) && read("old.svg").starts_with(b"<?xml"));
    let speedscope: Value = serde_json::from_slice(&read("b.speedscope.json")).unwrap();
    assert_eq!(speedscope["profiles"][0]["weights"], json!([600, 300, 100]));
    let ours = json(folder.path(), &["analyze", "a.folded", "--format", "json"]);
    for name in ["b.pb", "b.pb.gz"] {
        let again = json(folder.path(), &["analyze", name, "--format", "json"]);
        assert_eq!((&again["format"], &again["functions"]), (&json!("pprof"), &ours["functions"]));
    }
}

#[test]
fn flags_of_the_other_shape_and_unknown_names_are_refused() {
    let folder = folder(&[("a.folded", STACKS)]);
    let snapshot = fixture("tiny-1.heapsnapshot.zst");
    let cases: [(&[&str], &str); 9] = [
        (&["a.folded", "--maps", "a.folded"], "`a.folded`: expected a heap profile in text with `--maps`"),
        (
            &["a.folded", "--class", "X"],
            "`a.folded`: expected an object graph with `--class`, found collapsed, a profile",
        ),
        (&["a.folded", "--histogram"], "expected an object graph with `--histogram`"),
        (&[&snapshot, "--focus", "x"], "expected a profile with `--focus`, found v8-heapsnapshot, an object graph"),
        (&[&snapshot, "--export", "x.pb.gz"], "expected a profile with `--export`"),
        (&["a.folded", "--sample-type", "x"], "`a.folded`: expected a sample type (`samples`), found `x`"),
        (&["a.folded", "--export", "x.doc"], "expected a name that ends in one of .pb.gz, "),
        (&["a.folded", "--flame", "x.pb.gz"], "expected a name that ends in one of .svg, .html, .htm, found `x.pb.gz`"),
        (&["a.folded", "--tree", "--format", "html"], "expected `--format text` or `json` with a question"),
    ];
    for (arguments, words) in cases {
        let ran = run(folder.path(), &[&["analyze"], arguments].concat());
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    let ran = run(folder.path(), &["analyze", "a.folded", "--focus", "("]);
    assert!(ran.exit == 2 && ran.stderr.contains("--focus <REGEX>"), "{}", ran.stderr);
}

#[test]
fn no_name_of_a_profile_gives_orders_to_a_terminal_or_a_page() {
    let hostile = "main;</script><script>alert(1)</script>;a\u{202e}b & c 1\n";
    let folder = folder(&[("a.folded", hostile)]);
    let arguments = ["analyze", "a.folded", "--format", "html", "-o", "a.html", "--flame", "a.svg"];
    assert_eq!(run(folder.path(), &arguments).exit, 0);
    let page = read(folder.path(), "a.html");
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert!(!page.contains("alert(1)</") && !read(folder.path(), "a.svg").contains("<script>alert"));
    let text = run(folder.path(), &["analyze", "a.folded", "--tree"]).stdout;
    assert!(!text.contains('\u{202e}') && text.contains("a·b & c"), "{text}");
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn growth_over_profiles_is_the_published_one() {
    let folder = folder(&[("2", HISTOGRAM)]);
    let later = HISTOGRAM.replace("            10           9400", "         20010       19409400");
    fs::write(folder.path().join("3"), later.replace("640000", "20040000").replace("7999", "27999")).unwrap();
    let ran = run(folder.path(), &["diff", "2", "3", "--format", "json", "--requests", "100,300"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let published = ["captures", "format", "functions", "growth_bytes", "sample_types", "suspects", "warnings"];
    assert_eq!((ran.exit, keys(&report)), (0, published.to_vec()));
    let found = &report["captures"][1];
    assert_eq!(keys(found), ["file", "file_bytes", "samples", "taken_at", "totals"]);
    assert_eq!((&found["file"], &found["totals"]), (&json!("3"), &json!([27_999, 20_040_000])));
    assert_eq!(report["growth_bytes"], json!(19_400_000));
    let session =
        json!({"name": "shop.Session", "file": null, "flat": [20_000, 19_400_000], "cum": [20_000, 19_400_000]});
    assert_eq!(report["functions"], json!([session]));
    let suspect = &report["suspects"][0];
    assert_eq!(
        (&suspect["growth_bytes"], &suspect["growth_bytes_per_request"]),
        (&json!(19_400_000), &json!(97_000.0))
    );
    let text = run(folder.path(), &["diff", "2", "3"]).stdout;
    assert!(text.contains("Types by growth") && text.contains("shop.Session  +20,000  +18.5 MiB"), "{text}");
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn a_difference_is_exported_and_drawn() {
    let folder = folder(&[("1.folded", STACKS), ("2.folded", "main;serve;put 900\nmain;serve;put;grow 300\n")]);
    for name in ["d.pb.gz", "d.svg", "d.folded"] {
        assert_eq!(run(folder.path(), &["diff", "1.folded", "2.folded", "--export", name]).exit, 0, "{name}");
    }
    assert_eq!(read(folder.path(), "d.folded"), "main;gc -100\nmain;serve;put 300\n");
    assert!(read(folder.path(), "d.svg").contains("<title>put (1,200 count, 100.00%; +25.00%)"));
    let again = json(folder.path(), &["analyze", "d.pb.gz", "--format", "json"]);
    assert_eq!(functions(&again)[..2], rows(&[("put", 300, 300), ("gc", -100, -100)]));
    assert_eq!(again["totals"], json!([1_000]));
    let page = ["diff", "1.folded", "2.folded", "--format", "html", "-o", "d.html"];
    assert_eq!(run(folder.path(), &page).exit, 0);
    assert!(read(folder.path(), "d.html").contains("growth of samples"));
}

#[test]
fn captures_that_cannot_be_compared_are_named_with_the_reason() {
    let folder = folder(&[("a.folded", STACKS), ("b.txt", HISTOGRAM)]);
    let snapshot = fixture("tiny-1.heapsnapshot.zst");
    let cases: [(&[&str], &str); 4] = [
        (&["a.folded", "b.txt"], "`b.txt`: expected "),
        (&["a.folded", &snapshot], "tiny-1.heapsnapshot.zst`: expected "),
        (&["a.folded", "a.folded", "--requests", "1"], "expected 2 numbers with `--requests`, one a capture, found 1"),
        (&[&snapshot, &snapshot, "--focus", "x"], "expected a profile with `--focus`"),
    ];
    for (arguments, words) in cases {
        let ran = run(folder.path(), &[&["diff"], arguments].concat());
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
}
