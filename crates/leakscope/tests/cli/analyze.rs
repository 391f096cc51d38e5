//! `leakscope analyze` on real captures and on what is none.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::heap::{fixture, gzip, json, keys, refuses_what_is_no_capture, unpacked};
use crate::run::{command, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_json_is_the_published_one() {
    let report = json(folder().path(), &["analyze", &fixture("tiny-3.heapsnapshot.zst"), "--format", "json"]);
    let published =
        ["classes", "dominators", "edges", "file_bytes", "format", "nodes", "suspects", "total_bytes", "warnings"];
    assert_eq!(keys(&report), published);
    let totals = ["format", "file_bytes", "nodes", "edges", "total_bytes", "warnings"].map(|key| report[key].clone());
    let expected: [Value; 6] =
        [json!("v8-heapsnapshot"), json!(11_115_477), json!(127_048), json!(473_707), json!(8_012_248), json!([])];
    assert_eq!(totals, expected);
    let classes = report["classes"].as_array().unwrap();
    assert_eq!(keys(&classes[0]), ["count", "location", "name", "retained_bytes", "self_bytes"]);
    let store = classes.iter().find(|class| class["name"] == "SessionStore").unwrap();
    let location = json!({"file": "/srv/shop/app1/service/service.js", "line": 21, "column": 33});
    let expected =
        json!({"name": "SessionStore", "count": 1, "self_bytes": 96, "retained_bytes": 271_560, "location": location});
    assert_eq!(*store, expected);
    let dominators = report["dominators"].as_array().unwrap();
    assert_eq!(keys(&dominators[0]), ["dominator_id", "id", "name", "retained_bytes", "self_bytes"]);
    let sizes: Vec<u64> = dominators.iter().map(|object| object["retained_bytes"].as_u64().unwrap()).collect();
    assert!(sizes.len() == 100 && sizes.is_sorted_by(|a, b| a >= b));
}

#[test]
fn class_counts_and_sizes_are_those_of_devtools() {
    let report = json(folder().path(), &["analyze", &fixture("tiny-3.heapsnapshot.zst"), "--format", "json"]);
    let mut ours: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for class in report["classes"].as_array().unwrap() {
        let sum = ours.entry(class["name"].as_str().unwrap().to_owned()).or_default();
        *sum = (sum.0 + class["count"].as_u64().unwrap(), sum.1 + class["self_bytes"].as_u64().unwrap());
    }
    let text = fs::read_to_string(fixture("tiny-3.aggregates.json")).unwrap();
    let aggregates: Value = serde_json::from_str(&text).unwrap();
    let mut theirs: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for class in aggregates.as_array().into_iter().flatten() {
        let sum = theirs.entry(class["name"].as_str().unwrap().to_owned()).or_default();
        *sum = (sum.0 + class["count"].as_u64().unwrap(), sum.1 + class["self"].as_u64().unwrap());
    }
    assert_eq!(ours, theirs);
}

#[test]
fn the_dump_has_every_node_as_devtools_has_it() {
    let folder = folder();
    let dump = folder.path().join("retained.csv").display().to_string();
    json(folder.path(), &["analyze", &fixture("tiny-3.heapsnapshot.zst"), "--format", "json", "--dump", &dump]);
    let theirs = String::from_utf8(unpacked("tiny-3.nodes.csv.zst")).unwrap();
    let rows: Vec<Vec<&str>> = theirs.lines().skip(1).map(|row| row.splitn(9, ',').collect()).collect();
    let id_of = |ordinal: &str| rows[ordinal.parse::<usize>().unwrap()][1];
    let mut expected = "node_id,self_bytes,retained_bytes,dominator_id\n".to_owned();
    for row in &rows {
        expected += &[row[1], row[4], row[5], id_of(row[6])].join(",");
        expected.push('\n');
    }
    assert!(fs::read_to_string(dump).unwrap() == expected);
}

#[test]
fn plain_packed_and_piped_captures_give_the_same_answer() {
    let folder = folder();
    let capture = unpacked("tiny-1.heapsnapshot.zst");
    fs::write(folder.path().join("a"), &capture).unwrap();
    fs::write(folder.path().join("b"), gzip(&capture)).unwrap();
    let [plain, gzipped, zstd] = ["a", "b", &fixture("tiny-1.heapsnapshot.zst")]
        .map(|file| json(folder.path(), &["analyze", file, "--format", "json"]));
    assert_eq!(plain, gzipped);
    assert_eq!(plain, zstd);
    let mut piped = command(folder.path(), &["analyze", "-", "--format", "json"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(&gzip(&capture)).unwrap();
    let answer = piped.wait_with_output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer.stdout).unwrap(), plain);
}

#[test]
fn the_text_fits_100_columns_and_has_no_colours_when_piped() {
    let folder = folder();
    let name = fixture("s-n24-3.heapsnapshot.zst");
    for arguments in [&["--top", "40"] as &[&str], &["--strings", "--collections"], &["--class", "Session"]] {
        let ran = run(folder.path(), &[&["analyze", name.as_str()], arguments].concat());
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
        let wide: Vec<&str> = ran.stdout.lines().skip(1).filter(|line| line.chars().count() > 100).collect();
        assert!(wide.is_empty() && !ran.stdout.contains('\x1b') && ran.stdout.lines().count() > 3, "{wide:#?}");
    }
}

#[test]
fn an_object_is_told_with_what_holds_it() {
    let folder = folder();
    let name = fixture("tiny-3.heapsnapshot.zst");
    let ran = run(folder.path(), &["analyze", &name, "--node", "@78201", "--retainers", "78201", "--top", "3"]);
    let expected = "\
SessionStore @78201
type SessionStore
own 96 B, retained 265 KiB
10 references from a root
declared at /srv/shop/app1/service/service.js:21:33

Held alone by
system / Context @6239 3.52 MiB
  SessionStore @78201 265 KiB

3 references to
EDGE       KIND      OBJECT         ID      RETAINED
sessions   field     Map            @78241   263 KiB
__proto__  field     {constructor}  @76217     744 B
map        internal  system / Map   @78243     176 B

Referred to by
OBJECT                   ID       BY     KIND      RETAINED
system / Context         @6239    store  variable  3.52 MiB
system / WeakFixedArray  @255123  66     weak         600 B
";
    assert_eq!((ran.exit, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected, ""));
    let asked = json(folder.path(), &["analyze", &name, "--node", "0x13179", "--format", "json"]);
    let node = &asked["node"];
    assert_eq!((&node["id"], &node["class"], &node["distance"]), (&json!(78_201), &json!("SessionStore"), &json!(10)));
    let published = [
        "class",
        "distance",
        "dominator_id",
        "dominators",
        "edges",
        "id",
        "location",
        "n_edges",
        "name",
        "retained_bytes",
        "self_bytes",
        "text",
    ];
    assert_eq!(keys(node), published);
}

#[test]
fn what_is_not_there_is_answered_with_2_and_the_nearest_names() {
    let folder = folder();
    let name = fixture("tiny-1.heapsnapshot.zst");
    for (question, words) in [
        (
            ["--class", "SesionStore"],
            "error: no class is called `SesionStore`\nhint: the nearest names are `SessionStore`,",
        ),
        (["--node", "2"], "error: no object has the id 2 (0x2)\nhint: ids are in the report"),
        (["--retainers", "0x2"], "error: no object has the id 2"),
        (["--paths", "@x"], "expected the id of an object: `@123`, `123` or `0x7b`"),
    ] {
        let ran = run(folder.path(), &["analyze", &name, question[0], question[1]]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
}

#[test]
fn the_page_stands_alone_and_holds_no_markup_of_the_capture() {
    let folder = folder();
    // A class with a name that would end the script, and one that would be an element.
    let capture = String::from_utf8(unpacked("tiny-1.heapsnapshot.zst")).unwrap();
    let capture = capture.replace("\"SessionStore\"", "\"</script><img src=x onerror=alert(1)>\"");
    fs::write(folder.path().join("hostile.heapsnapshot"), capture).unwrap();
    let ran = run(folder.path(), &["analyze", "hostile.heapsnapshot", "--format", "html", "-o", "page.html"]);
    assert_eq!((ran.exit, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("onerror=alert(1)"), "the class is in the page");
    for foreign in ["http://", "https://", "<img", "<link", " src=\""] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("</script>").count(), 2);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["format"], "v8-heapsnapshot");
    assert!((100..=20_000).contains(&data["tree"].as_array().unwrap().len()));
    let ran = run(folder.path(), &["analyze", "hostile.heapsnapshot", "--format", "html", "--strings"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
}

#[test]
fn what_is_no_capture_is_refused() {
    refuses_what_is_no_capture(|file| vec!["analyze".into(), file.into()]);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = folder();
    let name = fixture("tiny-1.heapsnapshot.zst");
    for option in ["--dump", "--output"] {
        let ran = run(folder.path(), &["analyze", &name, option, "no/such/folder"]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.starts_with("error: `no/such/folder` cannot be written: "), "{}", ran.stderr);
    }
}

#[test]
fn a_histogram_has_the_counts_and_sizes_of_the_analysis() {
    let folder = folder();
    for name in ["tiny-1.heapsnapshot.zst", "tiny-heap.hprof.zst"] {
        let name = fixture(name);
        let whole = json(folder.path(), &["analyze", &name, "--format", "json"]);
        let histogram = json(folder.path(), &["analyze", &name, "--histogram", "--format", "json"]);
        assert_eq!(keys(&histogram), ["classes", "file_bytes", "format", "total_bytes", "warnings"]);
        let counts = |report: &Value| -> BTreeMap<String, (u64, u64)> {
            let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for class in report["classes"].as_array().unwrap() {
                let sum = counts.entry(class["name"].as_str().unwrap().to_owned()).or_default();
                *sum = (sum.0 + class["count"].as_u64().unwrap(), sum.1 + class["self_bytes"].as_u64().unwrap());
            }
            counts
        };
        assert_eq!(counts(&histogram), counts(&whole));
        assert_eq!(histogram["classes"][0]["retained_bytes"], Value::Null);
    }
}

#[test]
fn the_dump_of_a_jvm_is_told_with_ids_in_hexadecimal() {
    let folder = folder();
    let name = fixture("tiny-heap.hprof.zst");
    let report = json(folder.path(), &["analyze", &name, "--format", "json"]);
    assert_eq!((&report["format"], &report["warnings"]), (&json!("hprof"), &json!([])));
    let map = report["dominators"].as_array().unwrap().iter().find(|object| object["name"] == "java.util.HashMap");
    let id = format!("{:#x}", map.unwrap()["id"].as_u64().unwrap());
    let ran = run(folder.path(), &["analyze", &name, "--node", &id, "--paths", &id]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with(&format!("java.util.HashMap {id}\n")), "{}", ran.stdout);
}
