//! `cargo xtask score loop`: the whole way, from the first sample to the named site, without a person. Every kind of leak of every
//! example service and one healthy service of each runtime, under traffic, watched by a real `leakscope serve`.

mod daemon;
mod judge;
mod load;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::{Value, json};

use self::daemon::Daemon;
use self::judge::{Judged, Named};
use self::load::Load;
use super::profile::capture::{RUST, build, python};
use super::profile::case::{CASES, Case};
use super::profile::evidence::Runtime;
use crate::args::Args;
use crate::bench::table::{Table, machine, write_page};
use crate::process::{POLL, fresh_folder, leakscope_binary, target_folder};
use crate::record::service::{self, Service};
use crate::score::answer;
use crate::{Outcome, clock, tree};

/// Runs unless `--runs` says otherwise.
const RUNS: usize = 3;
/// How long a batch of services is watched unless `--for` says otherwise.
const WATCHED: Duration = Duration::from_mins(3);
/// Services watched at the same time: two processors serve them and leakscope.
const BATCH: usize = 8;
/// Bytes that each work request leaks.
const RATE_BYTES: usize = 64 << 10;

/// One service under watch.
struct Patient {
    case: Case,
    service: Service,
    load: Load,
    /// Seconds until the right site stood first, once it did.
    named_after: Option<f64>,
}

pub(crate) fn run(mut args: Args) -> Outcome {
    let root = tree::root();
    let write = args.switch("--write");
    let only = args.value("--only")?.unwrap_or_default();
    let runs = args.counts("--runs", &[RUNS])?.first().copied().unwrap_or(RUNS);
    let watched = args.duration("--for", WATCHED)?;
    let as_json = answer::as_json(args.value("--format")?.as_deref())?;
    let binary = args.value("--binary")?;
    args.finish()?;
    let cases: Vec<Case> = CASES.iter().filter(|case| case.name().contains(&only)).copied().collect();
    if cases.is_empty() {
        let names: Vec<String> = CASES.iter().map(Case::name).collect();
        return Err(format!("expected a case that contains `{only}`, found none (cases: {})", names.join(", ")));
    }
    let folder = target_folder(&root).join("score-loop");
    std::fs::create_dir_all(&folder).map_err(|error| format!("`{}` not creatable: {error}", folder.display()))?;
    for runtime in Runtime::ALL.into_iter().filter(|runtime| cases.iter().any(|case| case.runtime == *runtime)) {
        build(&root, &folder, runtime)?;
    }
    let binary = leakscope_binary(binary)?;
    let mut judged = Vec::new();
    for run in 1..=runs {
        // Neighbours in the list are of one runtime; a batch has some of each.
        let n_batches = cases.len().div_ceil(BATCH);
        for batch in 0..n_batches {
            let batch: Vec<Case> = cases.iter().skip(batch).step_by(n_batches).copied().collect();
            judged.extend(watch(&root, &folder, &binary, &batch, watched, run)?);
            let wrong = judged.iter().filter(|judged: &&Judged| !judged.right()).count();
            eprintln!("run {run} of {runs}: {} services judged, {wrong} wrong", judged.len());
        }
    }
    if as_json {
        println!("{}", json!({"rows": judged.iter().map(Judged::json).collect::<Vec<Value>>()}));
    } else {
        report(&judged, watched, write)?;
    }
    Ok(if judged.iter().all(Judged::right) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Watches services for a while, and judges what was said of them.
fn watch(
    root: &Path,
    folder: &Path,
    binary: &Path,
    cases: &[Case],
    watched: Duration,
    run: usize,
) -> Result<Vec<Judged>, String> {
    let mut patients = Vec::new();
    for case in cases {
        let service = Service::start(&mut command(root, folder, case))?;
        let load = Load::start(service.address);
        patients.push(Patient { case: *case, service, load, named_after: None });
    }
    let place = folder.join("daemon");
    fresh_folder(&place)?;
    let names: Vec<(String, std::net::SocketAddr)> =
        patients.iter().map(|patient| (judge::service_name(&patient.case), patient.service.address)).collect();
    let mut daemon = Daemon::start(binary, &place, &names)?;
    let sources = sources(root)?;
    let began = clock::now();
    while began.elapsed() < watched {
        daemon.still_runs()?;
        let incidents = daemon.incidents()?;
        for patient in patients.iter_mut().filter(|patient| patient.named_after.is_none()) {
            let bodies = bodies(&patient.case, &sources);
            if judge::named(&patient.case, &incidents, &bodies) == Named::Right {
                patient.named_after = Some(began.elapsed().as_secs_f64());
            }
        }
        std::thread::sleep(POLL * 20);
    }
    let (incidents, captures) = (daemon.incidents()?, daemon.captures()?);
    let mut judged = Vec::new();
    for mut patient in patients {
        let lives = patient.service.runs();
        let answers = patient.load.stop();
        let bodies = bodies(&patient.case, &sources);
        judged.push(Judged::of(
            run,
            &patient.case,
            patient.named_after,
            lives,
            &answers,
            &incidents,
            &captures,
            &bodies,
        ));
    }
    daemon.stop()?;
    Ok(judged)
}

/// The text of each runtime's source.
fn sources(root: &Path) -> Result<Vec<(Runtime, String)>, String> {
    let read = |runtime: Runtime| {
        let path: PathBuf = root.join(runtime.source());
        let text =
            std::fs::read_to_string(&path).map_err(|error| format!("`{}` not readable: {error}", path.display()))?;
        Ok((runtime, text))
    };
    Runtime::ALL.into_iter().map(read).collect()
}

fn bodies(case: &Case, sources: &[(Runtime, String)]) -> Vec<std::ops::RangeInclusive<u32>> {
    let source = sources.iter().find(|(runtime, _)| *runtime == case.runtime);
    source.map(|(_, text)| case.bodies_in(text)).unwrap_or_default()
}

/// As users run such services: nothing is recorded until leakscope asks. An allocator that samples has to be told at the start.
fn command(root: &Path, folder: &Path, case: &Case) -> Command {
    let mut command = match case.runtime {
        Runtime::Node => Command::new("node"),
        Runtime::Python => Command::new(python(folder)),
        Runtime::Go => Command::new(folder.join(service::GO)),
        Runtime::Java => Command::new("java"),
        Runtime::Rust => Command::new(folder.join(RUST)),
    };
    match case.runtime {
        Runtime::Node => {
            command.arg("--max-old-space-size=512").arg(root.join(case.runtime.source()));
        }
        Runtime::Python => {
            command.arg(root.join(case.runtime.source()));
        }
        Runtime::Java => {
            command.arg(format!("@{}", root.join("services/java/jvm.options").display()));
            command.arg("-cp").arg(folder.join(service::JAVA)).arg("Service");
        }
        Runtime::Rust => {
            command.arg("--profile");
        }
        Runtime::Go => {}
    }
    command.args(["--leak", case.leak, "--rate", &RATE_BYTES.to_string(), "--exit-with-stdin"]);
    command
}

fn report(judged: &[Judged], watched: Duration, write: bool) -> Result<(), String> {
    let mut table = Table::with_heads(&Judged::HEADS);
    for row in judged {
        table.push(row.row());
    }
    let summary = judge::summary(judged);
    let about = format!(
        "Each service serves one client for {} s, one second counts as a minute for the detector, at most {BATCH} services at a time; a request leaks {RATE_BYTES} bytes. Heavy captures are allowed. Right is: the service that leaks has an incident whose first suspect has a location within the owner's body, or names the owner where the evidence knows no lines; a healthy service has no incident and no capture but light baselines; the service lives, in the same process. Measured on {}.",
        watched.as_secs(),
        machine()
    );
    println!("{}\n{summary}\n{about}", table.plain());
    if write {
        let text = format!("`cargo xtask score loop --write`\n\n{summary}\n\n{}\n\n{about}\n", table.markdown());
        write_page(&tree::root(), "loop.md", "From the first sample to the named site", &text)?;
    }
    Ok(())
}
