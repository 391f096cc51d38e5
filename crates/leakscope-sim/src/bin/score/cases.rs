//! Every series of the benchmark as a case that can be made when its turn comes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leakscope_model::{Kind, Timestamp};
use leakscope_sim::demo;
use leakscope_sim::inject::{self, Injection, Of, Shape};
use leakscope_sim::labelled::{self, Half, Labelled, Leaking, Truth, hash};
use leakscope_sim::recorded::Series;
use leakscope_sim::rng::Rng;
use leakscope_sim::scenario::{self, Scenario};
use leakscope_sim::service::Held;

use crate::args::Args;

/// Seeds of a simulated scenario, for each half.
const SEEDS: u64 = 8;
/// The first seed of the test half; development uses those from 0.
const TEST_SEED: u64 = 1_000_000;
/// Processes of each kind in the compressed demonstration, for each half.
const DEMO_SEEDS: u64 = 40;
/// What is slow to sample.
const SLOW: Duration = Duration::from_mins(5);

/// A table of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Public series as they are.
    Background,
    /// Public series with leaks.
    Injected,
    /// Public series with what only looks like one.
    LookAlikes,
    /// The same at other sampling intervals.
    Intervals,
    /// Recorded processes with labels.
    Corpus,
    /// Memory models.
    Simulated,
    /// Compressed time.
    Demo,
    /// Folders named on the command line.
    Further,
}

impl Group {
    pub(crate) const ALL: [Self; 8] = [
        Self::Background,
        Self::Injected,
        Self::LookAlikes,
        Self::Intervals,
        Self::Corpus,
        Self::Simulated,
        Self::Demo,
        Self::Further,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Injected => "injected",
            Self::LookAlikes => "look-alikes",
            Self::Intervals => "intervals",
            Self::Corpus => "corpus",
            Self::Simulated => "simulated",
            Self::Demo => "demo",
            Self::Further => "series",
        }
    }
}

/// One row of a table: what its cases have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) group: Group,
    /// Whose series: pods, machines, a runtime.
    pub(crate) source: String,
    /// What is in them; empty for nothing.
    pub(crate) what: String,
    /// How fast it leaks; empty for what does not.
    pub(crate) rate: String,
}

/// One series that is yet to be made.
pub(crate) struct Case {
    pub(crate) row: Row,
    pub(crate) half: Half,
    pub(crate) name: String,
    make: Box<dyn Fn() -> Option<(Series, Truth)> + Send + Sync>,
}

impl Case {
    /// The series with its truth; nothing where it cannot be made.
    pub(crate) fn make(&self) -> Option<(Series, Truth)> {
        (self.make)()
    }
}

/// All cases that are asked for, in the order of the report.
pub(crate) fn all(args: &Args) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let public_groups = [Group::Background, Group::Injected, Group::LookAlikes, Group::Intervals];
    if public_groups.into_iter().any(|group| args.wants(group)) {
        let public = labelled::read(&series_folder().join("public"), 1.0)?;
        let public: Vec<Arc<Labelled>> = public.into_iter().map(Arc::new).collect();
        background(&public, &mut cases);
        injected(&public, &mut cases);
        look_alikes(&public, &mut cases);
        intervals(&public, &mut cases);
    }
    if args.wants(Group::Corpus) {
        let folder = series_folder().join("corpus");
        if folder.join("labels.json").exists() {
            recorded(Group::Corpus, labelled::read(&folder, 1.0)?, &mut cases);
        } else {
            eprintln!("SKIPPED the recorded corpus: `{}` has no labels.json", folder.display());
        }
    }
    simulated(&mut cases);
    demonstration(&mut cases);
    for folder in &args.folders {
        recorded(Group::Further, labelled::read(folder, args.time_scale)?, &mut cases);
    }
    cases.retain(|case| args.wants(case.row.group) || case.row.group == Group::Further);
    cases.retain(|case| args.half.is_none_or(|half| case.half == half));
    if args.quick {
        cases.retain(|case| case.row.group == Group::Corpus || hash(&case.name).is_multiple_of(4));
    }
    Ok(cases)
}

fn series_folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/series")
}

fn row(group: Group, source: &str, what: &str, rate: &str) -> Row {
    Row { group, source: source.to_owned(), what: what.to_owned(), rate: rate.to_owned() }
}

/// What the sources of public series are.
fn source_name(source: &str) -> &str {
    match source {
        "nezha" => "pods",
        "alibaba2018" => "machines",
        "chas42-ai-aging" | "llm-serving" => "model servers",
        other => other,
    }
}

fn background(public: &[Arc<Labelled>], cases: &mut Vec<Case>) {
    for one in public {
        let series = Arc::clone(one);
        cases.push(Case {
            row: row(Group::Background, source_name(&one.source), "", ""),
            half: one.half,
            name: one.file.clone(),
            make: Box::new(move || Some((series.series.clone(), series.truth.clone()))),
        });
    }
}

/// Times to the limit, in hours.
const RATES: [(f64, &str); 7] = [
    (1.0 / 3.0, "20 min"),
    (2.0 / 3.0, "40 min"),
    (1.0, "1 h"),
    (2.0, "2 h"),
    (6.0, "6 h"),
    (24.0, "24 h"),
    (168.0, "7 d"),
];

fn injected(public: &[Arc<Labelled>], cases: &mut Vec<Case>) {
    for (shape, what) in
        [(Shape::Straight, "straight"), (Shape::PerRequest, "per request"), (Shape::SawTooth, "under a saw-tooth")]
    {
        for (hours, rate) in RATES {
            for one in healthy(public) {
                // A machine's collector is nobody's.
                if shape == Shape::SawTooth && one.source != "nezha" {
                    continue;
                }
                let row = row(Group::Injected, source_name(&one.source), what, rate);
                cases.push(with(one, row, Injection::Leak { shape, hours }, None));
            }
        }
    }
}

fn healthy(public: &[Arc<Labelled>]) -> impl Iterator<Item = &Arc<Labelled>> {
    public.iter().filter(|one| one.truth == Truth::Healthy)
}

/// A copy with something added, thinned to an interval.
fn with(one: &Arc<Labelled>, row: Row, injection: Injection, interval: Option<Duration>) -> Case {
    let name = format!("{} + {} {}", one.file, row.what, row.rate).trim_end().to_owned();
    let one = Arc::clone(one);
    let half = one.half;
    let make = move || {
        let mut copy = injection.into_copy(&one.series, hash(&one.file))?;
        if let Some(interval) = interval {
            copy.series = inject::thinned(&copy.series, interval);
        }
        let truth = match injection {
            Injection::Leak { hours, .. } => Truth::Leaks(Leaking {
                onset: copy.onset,
                hours_to_oom: hours,
                killed_at: copy.killed_at,
                limit_at: copy.killed_at,
                kind: None,
            }),
            _ => Truth::Healthy,
        };
        Some((copy.series, truth))
    };
    Case { row, half, name, make: Box::new(make) }
}

fn look_alikes(public: &[Arc<Labelled>], cases: &mut Vec<Case>) {
    let all = [
        (Injection::Cache { tau_h: 0.5 }, "cache, 30 min"),
        (Injection::Cache { tau_h: 1.5 }, "cache, 1.5 h"),
        (Injection::Cache { tau_h: 3.0 }, "cache, 3 h"),
        (Injection::Cache { tau_h: 6.0 }, "cache, 6 h"),
        (Injection::Step { of: Of::Level, restart: false }, "step, 30 % of the level"),
        (Injection::Step { of: Of::Level, restart: true }, "the same, new process"),
        (Injection::Step { of: Of::Room, restart: false }, "step, 30 % of what is left"),
        (Injection::Step { of: Of::Room, restart: true }, "the same of that, new process"),
        (Injection::WarmUp { tau_min: 15.0 }, "warm-up, 15 min"),
        (Injection::HighWater, "high-water mark"),
        (Injection::Teeth { period_min: 10.0 }, "saw-tooth, 10 min"),
        (Injection::Teeth { period_min: 120.0 }, "saw-tooth, 2 h"),
        (Injection::Daily, "daily swing"),
        (Injection::Restarts, "restart every 6 h"),
    ];
    for (injection, what) in all {
        for one in healthy(public) {
            cases.push(with(one, row(Group::LookAlikes, source_name(&one.source), what, ""), injection, None));
        }
    }
}

fn intervals(public: &[Arc<Labelled>], cases: &mut Vec<Case>) {
    for one in healthy(public) {
        let series = Arc::clone(one);
        cases.push(Case {
            row: row(Group::Intervals, source_name(&one.source), "every 5 min", ""),
            half: one.half,
            name: format!("{} every 5 min", one.file),
            make: Box::new(move || Some((inject::thinned(&series.series, SLOW), Truth::Healthy))),
        });
    }
    for (hours, rate) in [(2.0, "2 h"), (6.0, "6 h"), (24.0, "24 h")] {
        for one in healthy(public) {
            let row = row(Group::Intervals, source_name(&one.source), "every 5 min, straight", rate);
            cases.push(with(one, row, Injection::Leak { shape: Shape::Straight, hours }, Some(SLOW)));
        }
    }
    for (secs, what) in [(10, "simulated, every 10 s"), (60, "simulated, every 60 s"), (300, "simulated, every 300 s")]
    {
        let interval = Duration::from_secs(secs);
        for scenario in scenario::look_alikes() {
            let shorter = scenario.hours.min(if secs < 60 { 24.0 } else { 48.0 });
            let scenario = Scenario { interval, hours: shorter, ..scenario };
            seeds(&row(Group::Intervals, "look-alikes", what, ""), &scenario, None, 2, cases);
        }
        for scenario in scenario::leaks(6.0) {
            let scenario = Scenario { interval, ..scenario };
            seeds(&row(Group::Intervals, "leaks", what, "6 h"), &scenario, Some(6.0), 2, cases);
        }
    }
}

fn recorded(group: Group, all: Vec<Labelled>, cases: &mut Vec<Case>) {
    for one in all {
        let what = if one.family.is_empty() { one.service.clone() } else { one.family.clone() };
        let row = row(group, source_name(&one.source), &what, &one.rate);
        let (half, name) = (one.half, one.file.clone());
        cases.push(Case { row, half, name, make: Box::new(move || Some((one.series.clone(), one.truth.clone()))) });
    }
}

fn simulated(cases: &mut Vec<Case>) {
    for scenario in scenario::look_alikes() {
        seeds(&row(Group::Simulated, "look-alike", scenario.name, ""), &scenario, None, SEEDS, cases);
    }
    for (hours, rate) in [(2.0, "2 h"), (6.0, "6 h"), (24.0, "24 h")] {
        for scenario in scenario::leaks(hours) {
            seeds(&row(Group::Simulated, "leak", scenario.name, rate), &scenario, Some(hours), SEEDS, cases);
        }
    }
}

fn seeds(row: &Row, scenario: &Scenario, hours: Option<f64>, n_seeds: u64, cases: &mut Vec<Case>) {
    for half in Half::BOTH {
        for number in 0..n_seeds {
            let seed = number + if half == Half::Test { TEST_SEED } else { 0 };
            let scenario = scenario.clone();
            let name = format!("{} {} seed {seed}", scenario.name, row.rate);
            let make = move || {
                let series: Series = scenario.series(seed).collect();
                let truth = hours.map_or(Truth::Healthy, |hours| {
                    let leak = scenario.model.leak;
                    let onset_h = leak.map_or(0.0, |leak| leak.onset_h);
                    let end = series.last().map_or(scenario.begin, |(at, _)| at.plus(scenario.interval));
                    let asked_h = scenario.interval.as_secs_f64() / 3_600.0 * (series.len() as f64 + 0.5);
                    let killed_at = (asked_h < scenario.hours).then_some(end);
                    Truth::Leaks(Leaking {
                        onset: after(scenario.begin, onset_h),
                        hours_to_oom: hours,
                        killed_at,
                        limit_at: killed_at,
                        kind: leak.map(|leak| kind_of(leak.held, scenario.model.collector.is_some())),
                    })
                });
                Some((series, truth))
            };
            cases.push(Case { row: row.clone(), half, name, make: Box::new(make) });
        }
    }
}

/// What a leak should be called, as far as the series can tell.
fn kind_of(held: Held, shows_heap: bool) -> Kind {
    match held {
        Held::Heap if shows_heap => Kind::Managed,
        Held::Heap => Kind::Unknown,
        Held::Native => Kind::Native,
        Held::Tasks | Held::Threads => Kind::Tasks,
        Held::Descriptors => Kind::Descriptors,
    }
}

fn after(begin: Timestamp, hours: f64) -> Timestamp {
    begin.plus(Duration::from_secs_f64(hours * 3_600.0))
}

fn demonstration(cases: &mut Vec<Case>) {
    for kind in demo::Kind::ALL {
        for (half, first) in Half::BOTH.into_iter().zip([0, TEST_SEED]) {
            for seed in first..first + DEMO_SEEDS {
                let leaks = 0.3 * 10.0_f64.powf(Rng::new(seed + 1_000).unit());
                for (leaks, what) in [(0.0, "healthy"), (leaks, "leaking")] {
                    let make = move || {
                        let series: Series = demo::series(kind, leaks, seed).collect();
                        let onset = series.first()?.0;
                        let leaking =
                            Leaking { onset, hours_to_oom: f64::NAN, killed_at: None, limit_at: None, kind: None };
                        Some((series, if leaks > 0.0 { Truth::Leaks(leaking) } else { Truth::Healthy }))
                    };
                    cases.push(Case {
                        row: row(Group::Demo, &format!("{kind:?}"), what, ""),
                        half,
                        name: format!("{kind:?} {what} seed {seed}, {leaks:.2} MiB a sample"),
                        make: Box::new(make),
                    });
                }
            }
        }
    }
}
