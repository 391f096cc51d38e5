//! `cargo xtask soak`: a daemon among thousands of targets that come, go, hang and lie; does it stay as it was?

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::args::Args;
use crate::bench::usage::{memory_bytes, open_files};
use crate::process::{Running, fresh_folder, leakscope_binary, target_folder, wait_for};
use crate::sim_targets::{Mood, Simulator};
use crate::{Outcome, clock, http, tree};

/// Targets that are always there and always well: what the daemon has with these alone is what it must return to.
const N_STEADY: usize = 10;

/// How often the list of targets is rewritten.
const CHURN: Duration = Duration::from_secs(10);

/// One target in so many is absent; who it is changes with every rewriting.
const ABSENT_ONE_IN: usize = 4;

/// How long the daemon has the steady targets alone before its figures are taken.
const BASELINE: Duration = Duration::from_secs(15);

/// How long it has to let go of everything once the others are gone.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);

/// Files that may be open beyond the baseline: a segment of the store, the connection that asks.
const FILES_SPARE: usize = 8;

/// Asynchronous tasks that may live beyond the baseline.
const TASKS_SPARE: usize = 2;

/// Growth of the resident set from the third quarter of the run to the last that is still flat: a twentieth and 4 MB.
const FLAT_RATIO: f64 = 1.05;
const FLAT_BYTES: f64 = 4e6;

/// The detector's clock runs this much faster than the real one: it says nothing in its first half hour.
const TIME_SCALE: u32 = 4;

/// Runs shorter than this may end before the detector says anything of a service.
const JUDGED_FROM: Duration = Duration::from_mins(15);

/// What the daemon holds at one moment.
#[derive(Debug, Clone, Copy)]
struct Holding {
    rss_bytes: u64,
    files: usize,
    tasks: usize,
}

struct Soak {
    simulator: Simulator,
    daemon: Running,
    url: String,
    list: PathBuf,
    n_targets: usize,
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut args = Args::new(arguments);
    let n_targets = args.counts("--targets", &[2_000])?.first().copied().unwrap_or(2_000);
    let length = args.duration("--for", Duration::from_mins(20))?;
    let binary = args.value("--binary")?;
    args.finish()?;
    let binary = leakscope_binary(binary)?;
    let mut soak = Soak::start(n_targets, &binary)?;
    thread::sleep(BASELINE);
    let baseline = soak.holding()?;
    println!("with {N_STEADY} steady targets: {}", describe(baseline));
    let course = soak.churn(length)?;
    let settled = soak.settle(baseline)?;
    println!("with {N_STEADY} steady targets again: {}", describe(settled));
    let own = soak.own_verdict()?;
    println!("its verdict on itself: {}", own.as_deref().unwrap_or("none"));
    let counts = soak.simulator.counts()?;
    println!("the targets gave {} whole answers over {} connections", counts.scrapes, counts.accepted);
    let mut problems = left_behind(baseline, settled);
    problems.extend(not_flat(&course));
    problems.extend(misjudged(own.as_deref(), length));
    for problem in &problems {
        println!("soak: {problem}");
    }
    println!("soak: {}", if problems.is_empty() { "passed" } else { "failed" });
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Soak {
    fn start(n_targets: usize, binary: &Path) -> Result<Self, String> {
        let folder = target_folder(&tree::root()).join("soak");
        fresh_folder(&folder)?;
        let simulator = Simulator::start(n_targets, Mood::Faulty)?;
        let list = folder.join("targets.json");
        write_list(&list, &simulator, &(0..N_STEADY).collect())?;
        let config = folder.join("leakscope.yaml");
        write(&config, &configuration(&list))?;
        let log = folder.join("log.txt");
        let errors = fs::File::create(&log).map_err(|error| format!("`{}` not writable: {error}", log.display()))?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config.file").arg(&config).arg("--storage.path").arg(folder.join("data"));
        command.args(["--web.listen-address", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(errors);
        let mut daemon = Running::start("leakscope serve", &mut command)?;
        let url = wait_for("`listening on`", Duration::from_secs(30), &mut daemon, || {
            listening_on(&fs::read_to_string(&log).unwrap_or_default())
        })?;
        Ok(Self { simulator, daemon, url, list, n_targets })
    }

    /// Lets targets come and go for as long as the soak is; what the daemon held along the way.
    fn churn(&mut self, length: Duration) -> Result<Vec<Holding>, String> {
        let started = clock::now();
        let mut course = Vec::new();
        let mut round = 0;
        while started.elapsed() < length {
            write_list(&self.list, &self.simulator, &present(self.n_targets, round))?;
            thread::sleep(CHURN.min(length));
            self.daemon.still_runs()?;
            let holding = self.holding()?;
            if round.is_multiple_of(6) {
                println!("{:>5} s: {}", started.elapsed().as_secs(), describe(holding));
            }
            course.push(holding);
            round += 1;
        }
        Ok(course)
    }

    /// Takes all but the steady targets away and waits until the daemon has let go of them.
    fn settle(&mut self, baseline: Holding) -> Result<Holding, String> {
        write_list(&self.list, &self.simulator, &(0..N_STEADY).collect())?;
        let started = clock::now();
        loop {
            thread::sleep(Duration::from_secs(1));
            self.daemon.still_runs()?;
            let holding = self.holding()?;
            if left_behind(baseline, holding).is_empty() || started.elapsed() > SETTLE_LIMIT {
                return Ok(holding);
            }
        }
    }

    fn holding(&self) -> Result<Holding, String> {
        let id = self.daemon.id();
        let page = http::get(&format!("{}/metrics", self.url))?;
        Ok(Holding {
            rss_bytes: memory_bytes(id, "VmRSS")?,
            files: open_files(id)?,
            tasks: value_of(&page, "leakscope_async_tasks").ok_or("`/metrics` has no `leakscope_async_tasks`")?
                as usize,
        })
    }

    /// The state the daemon gives itself, if it watches itself.
    fn own_verdict(&self) -> Result<Option<String>, String> {
        let body = http::get(&format!("{}/api/v1/targets?job=leakscope", self.url))?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("expected targets, found {error}"))?;
        let targets = answer["targets"].as_array().into_iter().flatten();
        let mut own = targets.filter(|target| target["job"] == "leakscope");
        Ok(own.find_map(|target| target["verdict"]["state"].as_str()).map(str::to_owned))
    }
}

fn configuration(list: &Path) -> String {
    format!(
        "detection:\n  time_scale: {TIME_SCALE}\nglobal:\n  scrape_interval: 5s\n  scrape_timeout: 3s\nscrape_configs:\n  - job_name: soak\n    metrics_path: /metrics\n    file_sd_configs:\n      - files: ['{}']\n        refresh_interval: 5s\n",
        list.display()
    )
}

/// The targets of a round: the steady ones and three of four others.
fn present(n_targets: usize, round: usize) -> BTreeSet<usize> {
    (0..n_targets).filter(|target| *target < N_STEADY || !(target + round).is_multiple_of(ABSENT_ONE_IN)).collect()
}

/// Replaces the list at once, so that no reader sees half of it.
fn write_list(list: &Path, simulator: &Simulator, present: &BTreeSet<usize>) -> Result<(), String> {
    let addresses: Vec<String> = present.iter().map(|target| simulator.address_of(*target).to_string()).collect();
    let text = serde_json::json!([{ "targets": addresses, "labels": { "fleet": "soak" } }]).to_string();
    let beside = list.with_extension("new");
    write(&beside, &text)?;
    fs::rename(&beside, list).map_err(|error| format!("`{}` not replaceable: {error}", list.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("`{}` not writable: {error}", path.display()))
}

/// The address in `listening on http://127.0.0.1:PORT`.
fn listening_on(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on http://")?;
    let (address, _) = rest.split_once(|c: char| c.is_whitespace())?;
    Some(format!("http://{}", address.trim_end_matches('/')))
}

fn value_of(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn describe(holding: Holding) -> String {
    let megabytes = holding.rss_bytes as f64 / 1e6;
    format!("{megabytes:.1} MB resident, {} files, {} tasks", holding.files, holding.tasks)
}

fn left_behind(before: Holding, after: Holding) -> Vec<String> {
    let mut problems = Vec::new();
    if after.files > before.files + FILES_SPARE {
        problems.push(format!("{} files were open before and {} after", before.files, after.files));
    }
    if after.tasks > before.tasks + TASKS_SPARE {
        problems.push(format!("{} tasks lived before and {} after", before.tasks, after.tasks));
    }
    problems
}

/// The median of the last quarter against that of the third. What is before is warm-up: the store first makes blocks of what
/// it holds in memory after ten minutes, which is the middle of a run of twenty.
fn not_flat(course: &[Holding]) -> Option<String> {
    let quarter = course.len() / 4;
    if quarter < 3 {
        return None;
    }
    let median = |part: &[Holding]| {
        let mut bytes: Vec<u64> = part.iter().map(|holding| holding.rss_bytes).collect();
        bytes.sort_unstable();
        bytes.get(bytes.len() / 2).copied().unwrap_or_default() as f64
    };
    let before = median(course.get(2 * quarter..3 * quarter)?);
    let after = median(course.get(3 * quarter..)?);
    (after > before * FLAT_RATIO + FLAT_BYTES).then(|| {
        format!(
            "its resident set grew from {:.1} MB in the third quarter to {:.1} MB in the last",
            before / 1e6,
            after / 1e6
        )
    })
}

fn misjudged(state: Option<&str>, length: Duration) -> Option<String> {
    match state {
        Some("steady") => None,
        Some("too_early") if length < JUDGED_FROM => None,
        Some(state) => Some(format!("expected its verdict on itself to be `steady`, found `{state}`")),
        None => Some("it does not watch itself: no target of job `leakscope`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(rss_bytes: u64, files: usize, tasks: usize) -> Holding {
        Holding { rss_bytes, files, tasks }
    }

    #[test]
    fn a_quarter_of_the_targets_is_away_and_the_steady_ones_never() {
        let (first, second) = (present(2_000, 0), present(2_000, 1));
        assert!((1_490..1_520).contains(&first.len()), "{}", first.len());
        assert!((0..N_STEADY).all(|target| first.contains(&target) && second.contains(&target)));
        assert!(first.difference(&second).count() > 400);
    }

    #[test]
    fn what_stays_open_is_named() {
        assert_eq!(left_behind(holding(0, 20, 15), holding(0, 21, 15)), [""; 0]);
        assert_eq!(left_behind(holding(0, 20, 15), holding(0, 900, 15)), ["20 files were open before and 900 after"]);
    }

    #[test]
    fn memory_that_rises_from_the_third_quarter_to_the_last_is_not_flat() {
        let course = |slope: u64| (0..40).map(|step| holding(50_000_000 + step * slope, 0, 0)).collect::<Vec<_>>();
        assert_eq!(not_flat(&course(10_000)), None);
        assert!(not_flat(&course(1_000_000)).is_some());
    }

    #[test]
    fn the_daemon_must_find_itself_steady_and_may_need_time_for_it() {
        assert_eq!(misjudged(Some("steady"), Duration::from_mins(20)), None);
        assert_eq!(misjudged(Some("too_early"), Duration::from_mins(1)), None);
        assert!(misjudged(Some("too_early"), Duration::from_mins(20)).is_some());
        assert!(misjudged(Some("leaking"), Duration::from_mins(1)).is_some());
    }

    #[test]
    fn the_address_is_read_from_the_log() {
        assert_eq!(listening_on("x\nlistening on http://127.0.0.1:7077\n"), Some("http://127.0.0.1:7077".to_owned()));
        assert_eq!(listening_on("listening on http://127.0.0.1:70"), None);
        assert_eq!(value_of("# TYPE a gauge\na 15\n", "a"), Some(15.0));
    }
}
