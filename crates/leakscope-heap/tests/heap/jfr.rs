//! Flight recordings of real JVMs: every sample as the JDK's own `jfr print` has it, to the last field that is read.

#![expect(clippy::disallowed_methods, reason = "starts JVMs and reads their recordings")]
#![expect(clippy::unwrap_used, reason = "what these helpers unwrap are expectations of the tests")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use leakscope_heap::profile::{self, LabelValue, Profile};
use serde_json::Value;

use crate::fixture;
use crate::hprof::source_name;
use crate::jvm::Jvm;

/// One sample with all that is read of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sample {
    /// Function and line.
    stack: Vec<(String, i64)>,
    /// Edge, name and address, from the root on.
    path: Vec<(String, String, u64)>,
    labels: BTreeMap<String, String>,
    values: Vec<i64>,
}

/// In any order.
fn samples(profile: &Profile) -> Vec<Sample> {
    let frame = |location: &u32| {
        let line = profile.lines(*location)[0];
        let function = profile.functions()[line.function.unwrap() as usize];
        (process_free(profile.text(function.name)), line.line)
    };
    let labels = |sample| {
        profile.labels(sample).iter().map(|label| {
            let value = match label.value {
                LabelValue::Text(text) => process_free(profile.text(text)),
                LabelValue::Number { value, .. } => value.to_string(),
            };
            (profile.text(label.key).to_owned(), value)
        })
    };
    let path = |sample| profile.path(sample).iter().map(|step| (step.edge.clone(), process_free(&step.name), step.id));
    let mut samples: Vec<Sample> = (0..profile.n_samples())
        .map(|sample| Sample {
            stack: profile.stack(sample).iter().map(frame).collect(),
            path: path(sample).collect(),
            labels: labels(sample).collect(),
            values: profile.values(sample).to_vec(),
        })
        .collect();
    samples.sort();
    samples
}

/// The address of a hidden class in one way of writing.
fn process_free(name: &str) -> String {
    name.replace("/0x", "+0x")
}

/// An event of `jfr print --json`: its fields by their names, joined with dots.
#[derive(Clone, Debug, Default)]
struct Printed {
    own: BTreeMap<String, Value>,
    frames: Vec<BTreeMap<String, Value>>,
    /// The sampled one, then what holds it, and so on.
    objects: Vec<BTreeMap<String, Value>>,
    /// By which each holds the one before.
    references: Vec<BTreeMap<String, Value>>,
}

impl Printed {
    /// Reads the tool's JSON by lines: what holds what is nested hundreds of levels deep.
    fn all(json: &str) -> Vec<Self> {
        let mut printed: Vec<Self> = Vec::new();
        let mut above: Vec<String> = Vec::new();
        for line in json.lines().map(|line| line.trim().trim_end_matches(',')) {
            let (key, value) = line.split_once(": ").unwrap_or(("", line));
            let key = key.trim_matches('"');
            let begins_element = value == "[{" || line == "}, {";
            match value {
                "{" | "[{" => above.push(key.to_owned()),
                "}" | "}]" => drop(above.pop()),
                "}, {" | "" | "[]" => {}
                value => printed.last_mut().unwrap().add(&above[3..], key, serde_json::from_str(value).unwrap()),
            }
            match above.last().map(String::as_str).filter(|_| begins_element) {
                Some("events") => printed.push(Self::default()),
                Some("frames") => printed.last_mut().unwrap().frames.push(BTreeMap::new()),
                _ => {}
            }
        }
        printed
    }

    fn add(&mut self, above: &[String], key: &str, value: Value) {
        let above = above.iter().map(String::as_str);
        let above: Vec<&str> = above.filter(|name| !matches!(*name, "values" | "frames" | "stackTrace")).collect();
        let is_frame = above.first() == Some(&"method") || above.is_empty() && key == "lineNumber";
        let hops = above.iter().take_while(|name| matches!(**name, "object" | "referrer")).count();
        let name = [&above[hops..], &[key]].concat().join(".");
        let fields = match hops {
            0 if is_frame => self.frames.last_mut().unwrap(),
            0 => &mut self.own,
            _ if hops % 2 == 1 => nth(&mut self.objects, hops / 2),
            _ => nth(&mut self.references, hops / 2 - 1),
        };
        fields.insert(name, value);
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.own.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.own.get(name)?.as_i64()
    }

    fn sample(&self) -> Sample {
        let class = self.objects[0]["type.name"].as_str().unwrap();
        let elements = self.number("arrayElements").unwrap();
        let of_elements = class.strip_prefix('[').map(|element| elements * element_bytes(element));
        let bytes = self.number("objectSize").or(of_elements).unwrap_or_default();
        let root = self.text("root.type").map(|kind| match self.text("root.description") {
            Some(description) => format!("{}: {kind} ({description})", self.text("root.system").unwrap()),
            None => format!("{}: {kind}", self.text("root.system").unwrap()),
        });
        let sizes = self.objects.iter().filter_map(|object| object["description"].as_str()?.strip_prefix("Size: "));
        let entries: Option<i64> = sizes.map(|size| size.parse().unwrap()).max();
        let labels = [
            ("age", Some(nanos(self.text("objectAge").unwrap()).to_string())),
            ("type", Some(as_source(class))),
            ("heap", self.number("lastKnownHeapUsage").map(|bytes| bytes.to_string())),
            ("gc_root", root.clone()),
            ("entries", entries.map(|entries| entries.to_string())),
        ];
        let has_path = root.is_some() || self.objects.len() > 1;
        let edges = [String::new()].into_iter().chain(self.references.iter().map(edge));
        let steps = self.objects.iter().zip(edges).filter(|_| has_path).map(|(object, edge)| {
            let address = object["address"].as_i64().unwrap() as u64;
            (edge, name(object), address)
        });
        let mut path: Vec<_> = steps.collect();
        path.reverse();
        Sample {
            stack: self.frames.iter().map(frame).collect(),
            path,
            labels: labels.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect(),
            values: vec![1, bytes],
        }
    }
}

fn nth(maps: &mut Vec<BTreeMap<String, Value>>, index: usize) -> &mut BTreeMap<String, Value> {
    maps.resize_with(maps.len().max(index + 1), BTreeMap::new);
    &mut maps[index]
}

fn frame(fields: &BTreeMap<String, Value>) -> (String, i64) {
    let text = |name: &str| fields[name].as_str().unwrap();
    let function = format!("{}.{}", as_source(text("method.type.name")), text("method.name"));
    (function, fields["lineNumber"].as_i64().unwrap().max(0))
}

/// The name of an object, that of the class itself for what holds static fields.
fn name(object: &BTreeMap<String, Value>) -> String {
    let described = object["description"].as_str().and_then(|text| text.strip_prefix("Class Name: "));
    as_source(described.unwrap_or(object["type.name"].as_str().unwrap()))
}

fn edge(reference: &BTreeMap<String, Value>) -> String {
    let field = reference.get("field.name").and_then(Value::as_str);
    match (reference.get("array.index"), field) {
        (Some(index), _) => format!("[{index}]"),
        (None, Some(field)) => field.to_owned(),
        (None, None) => {
            assert_ne!(reference["skip"], 0, "nothing but objects that were left out is neither a field nor an index");
            "\u{2026}".to_owned()
        }
    }
}

fn as_source(class: &str) -> String {
    let class = match class.split_once("+0x") {
        Some((class, address)) => format!("{class}+0x{}", address.split('/').next().unwrap()),
        None => class.to_owned(),
    };
    source_name(&class).replace('/', ".")
}

fn element_bytes(element: &str) -> i64 {
    match element {
        "B" | "Z" => 1,
        "C" | "S" => 2,
        "J" | "D" => 8,
        // References of a small heap are narrow.
        _ => 4,
    }
}

/// `PT1M0.516187363S`, as nanoseconds
fn nanos(duration: &str) -> i64 {
    let (minutes, seconds) = duration.trim_start_matches("PT").split_once('M').unwrap_or(("0", &duration[2..]));
    let (seconds, fraction) =
        seconds.trim_end_matches('S').split_once('.').unwrap_or((seconds.trim_end_matches('S'), "0"));
    let seconds: i64 = minutes.parse::<i64>().unwrap() * 60 + seconds.parse::<i64>().unwrap();
    seconds * 1_000_000_000 + format!("{fraction:0<9}").parse::<i64>().unwrap()
}

/// Compares a recording with what the JDK's own tool printed of it; gives the samples of the last dump.
fn compare(recording: &[u8], json: &str, warnings: &[&str]) -> Vec<Sample> {
    let profile = profile::read(recording).unwrap();
    let mut printed = Printed::all(json);
    let last = printed.iter().filter_map(|event| event.text("startTime")).max().unwrap().to_owned();
    printed.retain(|event| event.text("startTime") == Some(&last));
    let mut expected: Vec<Sample> = printed.iter().map(Printed::sample).collect();
    expected.sort();
    let found = samples(&profile);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(profile.warnings(), warnings);
    // The tool goes on with the clock of the first chunk where types stay the same, which is off by some nanoseconds.
    let printed_second = nanos(&format!("PT{}S", last.trim_end_matches('Z').rsplit_once(':').unwrap().1));
    let second = profile.header().time_nanos % 60_000_000_000;
    assert!((second - printed_second).abs() < 1_000, "{second} ns of the minute for {last}");
    found
}

/// Samples that a static field or a thread's own holds, by its name.
fn held_by(samples: &[Sample], class: &str, field: &str) -> usize {
    let is_it = |step: &(String, String, u64)| step.0 == field && step.1 == class;
    samples.iter().filter(|sample| sample.path.iter().any(is_it)).count()
}

#[test]
fn samples_of_jdk_17_and_25_are_those_that_the_jdk_prints() {
    let unsized_of_17 =
        "4 of 71 samples are of no known size and count as 0 bytes: this JVM records the size of arrays alone";
    for (version, warnings) in [("17", &[unsized_of_17][..]), ("25", &[])] {
        let json = String::from_utf8(fixture(&format!("profile/shop-{version}.print.json.zst"))).unwrap();
        let samples = compare(&fixture(&format!("profile/shop-{version}.jfr.zst")), &json, warnings);
        for (class, field) in [
            ("com.acme.Shop", "SESSIONS"),
            ("com.acme.Shop", "RING"),
            ("com.acme.Shop", "letzte"),
            ("com.acme.Shop$EventBus", "INSTANCE"),
            ("java.lang.Thread", "threadLocals"),
        ] {
            assert!(held_by(&samples, class, field) > 0, "{version}: {class}.{field} holds samples");
        }
    }
}

/// A JVM that runs `Shop` under a recording; none where no JDK is installed.
fn shop(settings: &str) -> Option<Jvm> {
    let recorder = format!("-XX:StartFlightRecording:name=shop,{settings}");
    Jvm::run("Shop.java", &fixture("profile/Shop.java"), &["-XX:+UseSerialGC", &recorder], "com.acme.Shop", SERVED)
}

/// What `Shop` prints when a round of requests is served.
const SERVED: &str = "served";

fn dump(jvm: &Jvm, options: &[&str]) -> Option<PathBuf> {
    let path = jvm.folder.path().join("shop.jfr");
    let to = format!("filename={}", path.display());
    jvm.jcmd(&[&["JFR.dump", "name=shop", to.as_str()], options].concat())?;
    Some(path)
}

/// What the JDK's own tool says of a recording.
fn printed(recording: &Path) -> Option<String> {
    let mut jfr = Command::new("jfr");
    jfr.args(["print", "--json", "--stack-depth", "2048", "--events", "jdk.OldObjectSample"]).arg(recording);
    jfr.env("JAVA_TOOL_OPTIONS", "-Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 -Duser.timezone=UTC");
    let output = jfr.output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn samples_of_the_jvm_installed_here_are_those_that_it_prints() {
    let cases: [(&str, &[&str]); 3] = [
        ("settings=default", &[]),
        ("settings=default", &["path-to-gc-roots=true"]),
        ("settings=profile,+jdk.OldObjectSample#stackTrace=true", &["path-to-gc-roots=true"]),
    ];
    for (settings, options) in cases {
        let Some(mut jvm) = shop(settings) else {
            eprintln!("SKIPPED: no JDK (javac, java, jcmd, jfr) is installed, or it does not know {settings}");
            continue;
        };
        let before = dump(&jvm, options).unwrap();
        assert!(before.exists());
        jvm.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        assert!(jvm.said(SERVED));
        let recording = dump(&jvm, options).unwrap();
        let json = printed(&recording).unwrap();
        let bytes = std::fs::read(recording).unwrap();
        let warnings = profile::read(&bytes).unwrap().warnings().to_vec();
        let warnings: Vec<&str> = warnings.iter().map(String::as_str).collect();
        assert!(warnings.iter().all(|warning| warning.contains("are of no known size")), "{warnings:?}");
        let samples = compare(&bytes, &json, &warnings);
        let n_sessions = held_by(&samples, "com.acme.Shop", "SESSIONS");
        assert_eq!(n_sessions > 0, !options.is_empty(), "{settings} {options:?}: sessions are held");
        let has_stacks = samples.iter().any(|sample| !sample.stack.is_empty());
        assert_eq!(has_stacks, settings.contains("profile"), "{settings}: stacks");
    }
}

#[test]
fn a_recording_cut_off_or_damaged_anywhere_is_read_in_part_or_refused() {
    let whole = fixture("profile/shop-25.jfr.zst");
    let n_samples = profile::read(&whole).unwrap().n_samples();
    let mut seen = BTreeMap::new();
    for end in (0..whole.len()).step_by(1_009) {
        match profile::read(&whole[..end]) {
            Ok(profile) => {
                assert!(profile.n_samples() <= n_samples && !profile.warnings().is_empty(), "cut at {end}");
                *seen.entry("read").or_insert(0) += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("expected"), "cut at {end}: {error}");
                *seen.entry("refused").or_insert(0) += 1;
            }
        }
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    let mut damaged = whole.clone();
    for at in (0..whole.len()).step_by(211) {
        damaged[at] ^= 0xff;
        drop(profile::read(&damaged));
        damaged[at] = whole[at];
    }
}
