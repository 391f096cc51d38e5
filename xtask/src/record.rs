//! `cargo xtask record`: the labelled corpus of recorded real processes. Starts the example services of a written-down
//! table under seeded loads, looks at each once a second, and writes a file for each and the labels of all. A second of
//! a recording counts as a minute for whoever reads it. It judges nothing.

pub(crate) mod dice;
pub(crate) mod http;
mod label;
mod recording;
mod sample;
pub(crate) mod service;
mod session;
mod shape;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use self::recording::Recording;
use self::service::Programs;
use crate::args::Args;
use crate::{Outcome, clock, tree};

const FOLDER: &str = "fixtures/series/corpus";
const LABELS: &str = "labels.json";
/// Between the starts of two processes, so that their seconds do not fall together.
const STAGGER: Duration = Duration::from_millis(700);

struct Options {
    out: PathBuf,
    seed: u64,
    list: bool,
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let root = tree::root();
    let mut args = Args::new(arguments);
    let only = args.value("--only")?.unwrap_or_default();
    let half = args.value("--half")?;
    let n_parallel = args.counts("--parallel", &[24])?.first().copied().unwrap_or(24).max(1);
    let seed = args.counts("--seed", &[1])?.first().copied().unwrap_or(1) as u64;
    let longest = args.duration("--for", Duration::MAX)?;
    let out = args.value("--out")?.map_or_else(|| root.join(FOLDER), PathBuf::from);
    let options = Options { out, seed, list: args.switch("--list") };
    args.finish()?;
    let mut recordings = table::table(seed);
    recordings.retain(|recording| only.is_empty() || only.split(',').any(|part| recording.name.contains(part)));
    recordings.retain(|recording| half.as_deref().is_none_or(|half| recording.half.name() == half));
    for recording in &mut recordings {
        recording.length_s = recording.length_s.min(longest.as_secs_f64());
    }
    if recordings.is_empty() {
        return Err(format!("expected a name that contains one of `{only}`, found none (see `--list`)"));
    }
    if options.list {
        recordings.iter().for_each(print);
        return Ok(ExitCode::SUCCESS);
    }
    fs::create_dir_all(&options.out).map_err(|error| format!("`{}` not creatable: {error}", options.out.display()))?;
    let programs = Programs::build(&root)?;
    let n_failed = record_all(recordings, &programs, &options, n_parallel)?;
    Ok(if n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(recording: &Recording) {
    let limit = recording.limit_bytes().map_or("none".to_owned(), |bytes| format!("{:.0} MiB", bytes / shape::MIB));
    println!(
        "{:36} {:11} {:7} {:5.1} min  limit {limit}, {} bytes a request",
        recording.name,
        recording.half.name(),
        recording.flavour.runtime(),
        recording.length_s / 60.0,
        recording.rate_bytes()
    );
}

/// Records all of them, the longest first, so many at once; gives how many failed.
fn record_all(
    mut recordings: Vec<Recording>,
    programs: &Programs,
    options: &Options,
    n_parallel: usize,
) -> Result<usize, String> {
    recordings.sort_by(|a, b| a.length_s.total_cmp(&b.length_s));
    let n_all = recordings.len();
    let waiting = Mutex::new(recordings);
    let starts = Mutex::new(());
    let done = Mutex::new(Done { labels: read_labels(&options.out)?, n: 0, failures: Vec::new() });
    let began = clock::now();
    thread::scope(|scope| {
        for _ in 0..n_parallel.min(n_all) {
            scope.spawn(|| {
                loop {
                    let next = locked(&waiting).pop();
                    let Some(recording) = next else { return };
                    {
                        let _turn = locked(&starts);
                        thread::sleep(STAGGER);
                    }
                    let outcome = record_one(&recording, programs, options);
                    let mut done = locked(&done);
                    done.n += 1;
                    let seconds = began.elapsed().as_secs();
                    match outcome {
                        Ok(label) => {
                            println!("{:4} s  {:3} of {n_all}  {}", seconds, done.n, recording.name);
                            done.labels.insert(recording.file(), label);
                        }
                        Err(reason) => {
                            println!("{:4} s  {:3} of {n_all}  {} FAILED: {reason}", seconds, done.n, recording.name);
                            done.failures.push(reason);
                        }
                    }
                    if let Err(reason) = write_labels(&options.out, &done.labels) {
                        done.failures.push(reason);
                    }
                }
            });
        }
    });
    let failures = done.into_inner().unwrap_or_else(PoisonError::into_inner).failures;
    println!("{} recorded, {} failed in {} s", n_all - failures.len(), failures.len(), began.elapsed().as_secs());
    Ok(failures.len())
}

struct Done {
    labels: BTreeMap<String, Value>,
    n: usize,
    failures: Vec<String>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records one and writes its file; gives its label.
fn record_one(recording: &Recording, programs: &Programs, options: &Options) -> Result<Value, String> {
    let recorded = session::record(recording, programs, options.seed)?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let bytes = packed.write_all(sample::csv(&recorded.samples).as_bytes()).and_then(|()| packed.finish());
    let bytes = bytes.map_err(|error| format!("`{}` not packed: {error}", recording.name))?;
    replace(&options.out.join(recording.file()), &bytes)?;
    Ok(label::label(recording, &recorded))
}

/// Labels of files that are there already, so that some can be recorded anew.
fn read_labels(folder: &Path) -> Result<BTreeMap<String, Value>, String> {
    let path = folder.join(LABELS);
    let Ok(text) = fs::read_to_string(&path) else { return Ok(BTreeMap::new()) };
    let labels: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let named = labels.into_iter().filter_map(|label| Some((label["file"].as_str()?.to_owned(), label)));
    Ok(named.filter(|(file, _)| folder.join(file).is_file()).collect())
}

/// One label a line.
fn write_labels(folder: &Path, labels: &BTreeMap<String, Value>) -> Result<(), String> {
    let lines: Vec<String> = labels.values().map(Value::to_string).collect();
    replace(&folder.join(LABELS), format!("[\n{}\n]\n", lines.join(",\n")).as_bytes())
}

/// Writes a file at once, so that no reader and no interrupted run sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let beside = path.with_extension("part");
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| format!("`{}` not writable: {error}", path.display()))
}
