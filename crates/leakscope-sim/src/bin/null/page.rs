//! The tables, for the terminal and for docs/ alike.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use leakscope_model::Bytes;
use leakscope_sim::metrics::poisson_interval;
use leakscope_sim::null::{Changes, Family, Process};

use crate::args::Args;
use crate::tally::{Counts, SCORES, Tally};

/// Days of a year.
const YEAR: f64 = 365.25;
/// Services of one family that are listed.
const LISTED: usize = 12;

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Processor time of one sample without a detector.
    pub(crate) simulating: Duration,
}

pub(crate) fn page(tally: &Tally, cost: &Cost, args: &Args) -> String {
    let all = tally.sum(|_, _| true);
    let rate = poisson_interval(all.n_alarms, all.days() / 1_000.0, 0.95);
    let mut out = format!(
        "# Alarms where nothing leaks\n\n\
         `cargo xtask score --null --years {} --seed {}{}` on {}.\n\n\
         {:.0} simulated service-years: {} alarms, **{} in 1,000 service-days** (95 % interval {} to {}).\n\n\
         Each service is drawn from its family by a seed: 20 MiB to 8 GiB, a limit of 1.2 to 8 times its peak or none, noise, periods and \
         swings over two orders of magnitude and more, first seen at any hour of the week, half of them at their start; half are deployed \
         anew every 3 to 30 days. Most are watched for 30 days and scraped every 300 s, some for a year, some every 60 s or 15 s. What is \
         drawn is in `crates/leakscope-sim/src/null/draw.rs`.\n",
        args.years,
        args.seed,
        if args.write { " --write" } else { "" },
        machine(),
        all.days() / YEAR,
        all.n_alarms,
        number(f64::from(all.n_alarms) / all.days() * 1_000.0),
        number(rate.0),
        number(rate.1),
    );
    out.push_str("\n## By family\n\n");
    out.push_str(&rates("family", families(tally).into_iter().chain([("all".to_owned(), all)])));
    out.push_str(
        "\nIntervals are exact (Garwood). `first day` are those alarms that came within 24 h of the first scrape; `alarmed` and `suspect` \
         are shares of services that ever were.\n",
    );
    out.push_str("\n## By time between scrapes\n\n");
    let intervals = [15, 60, 300].map(|secs| (format!("{secs} s"), tally.sum(|_, of| of == secs)));
    out.push_str(&rates("every", intervals.into_iter()));
    out.push_str("\n## The score\n\n");
    out.push_str(&scores(tally));
    out.push_str(
        "\nTimes in 1,000 service-days that the score passed a value from below; one that falls and passes again without having been below \
         0.5 counts once. 1 is the alarm, 0.75 a suspicion.\n",
    );
    let samples = all.n_samples.max(1) as f64;
    let _ = write!(
        out,
        "\n## Cost\n\n{:.2e} samples in {:.0} s on 2 threads: {:.0} ns of processor time for each, of which the simulation takes {} ns.\n",
        samples,
        cost.wall.as_secs_f64(),
        all.cpu.as_nanos() as f64 / samples,
        cost.simulating.as_nanos(),
    );
    out
}

fn families(tally: &Tally) -> Vec<(String, Counts)> {
    let of = |family: Family| (family.name().to_owned(), tally.sum(|one, _| one == family));
    Family::ALL.into_iter().map(of).filter(|(_, counts)| counts.n_services > 0).collect()
}

fn rates(head: &str, rows: impl Iterator<Item = (String, Counts)>) -> String {
    let mut table = vec![
        [
            head,
            "services",
            "years",
            "alarms",
            "in 1,000 days",
            "95 % interval",
            "first day",
            "alarmed",
            "suspect",
            "ns a sample",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for (name, counts) in rows {
        let thousands = counts.days() / 1_000.0;
        let (low, high) = poisson_interval(counts.n_alarms, thousands, 0.95);
        table.push(vec![
            name,
            counts.n_services.to_string(),
            format!("{:.0}", counts.days() / YEAR),
            counts.n_alarms.to_string(),
            number(f64::from(counts.n_alarms) / thousands),
            format!("{} to {}", number(low), number(high)),
            counts.n_early.to_string(),
            percent(counts.n_alarmed, counts.n_services),
            percent(counts.n_suspected, counts.n_services),
            (counts.cpu.as_nanos() / u128::from(counts.n_samples.max(1))).to_string(),
        ]);
    }
    markdown(&table)
}

fn scores(tally: &Tally) -> String {
    let heads = SCORES.iter().map(|score| format!("≥ {score}"));
    let mut table = vec![std::iter::once("family".to_owned()).chain(heads).collect::<Vec<_>>()];
    for (name, counts) in families(tally).into_iter().chain([("all".to_owned(), tally.sum(|_, _| true))]) {
        let thousands = counts.days() / 1_000.0;
        let cells = counts.passed.iter().map(|passed| number(f64::from(*passed) / thousands));
        table.push(std::iter::once(name).chain(cells).collect());
    }
    markdown(&table)
}

/// Names left, numbers right, padded so that it reads in a terminal as well.
fn markdown(table: &[Vec<String>]) -> String {
    let n_columns = table.first().map_or(0, Vec::len);
    let cells = |column: usize| table.iter().filter_map(move |row| row.get(column));
    let width = |column: usize| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (place, row) in table.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ = if column == 0 { write!(out, "| {cell:<width$} ") } else { write!(out, "| {cell:>width$} ") };
        }
        out.push_str("|\n");
        if place == 0 {
            let rules = (0..n_columns).map(|column| if column == 0 { "|---" } else { "|--:" });
            out.extend(rules);
            out.push_str("|\n");
        }
    }
    out
}

/// Each service that was alarmed of, with what was drawn and why it was first alarmed of.
pub(crate) fn list(tally: &Tally) -> String {
    let mut out = String::new();
    for family in Family::ALL {
        let all: Vec<_> = tally.alarmed.iter().filter(|alarmed| alarmed.process.family == family).collect();
        if all.is_empty() {
            continue;
        }
        let _ = write!(out, "\n{}: {} services\n", family.name(), all.len());
        for alarmed in all.into_iter().take(LISTED) {
            let hours = alarmed.at.hours_since(alarmed.process.begin);
            let _ = writeln!(
                out,
                "  {} alarms, the first after {hours:.1} h with {:.2}",
                alarmed.n_alarms, alarmed.verdict.score
            );
            let _ = writeln!(out, "    {}", drawn(&alarmed.process));
            for reason in &alarmed.verdict.reasons {
                let _ = writeln!(out, "    - {reason}");
            }
        }
    }
    out
}

/// What was drawn, in words: sizes over the base.
fn drawn(process: &Process) -> String {
    let of_base = |bytes: f64| format!("{:.2}", bytes / process.base);
    let mut words = vec![
        format!("{} days, base {}, every {} s", process.days, Bytes(process.base as u64), process.interval.as_secs()),
        process.limit.map_or("no limit".into(), |limit| format!("limit {}", of_base(limit))),
        format!("noise {:.4} rho {:.2}", process.noise.sigma / process.base, process.noise.rho),
    ];
    words.extend(process.walk.map(|walk| format!("walk {} in {:.0} h", of_base(walk.width), walk.crossing_h)));
    words.extend(process.load.map(|load| {
        let swings = format!("day {:.2} + {:.2} week {:.2}", load.daily, load.half_daily, load.weekly);
        format!(
            "load {} {swings}, day by day {:.2}, least at {:.1} h UTC",
            of_base(load.bytes),
            load.by_day,
            load.least_h
        )
    }));
    words.extend(process.tooth.map(|tooth| {
        format!(
            "tooth {} in {:.0} min, jitter {:.2}, {:?} told",
            of_base(tooth.height),
            tooth.period_min,
            tooth.jitter,
            tooth.told
        )
    }));
    words.extend(process.batch.map(|batch| {
        format!("batch {} every {:.0} min, busy {:.2}", of_base(batch.size), batch.every_min, batch.busy)
    }));
    words.extend(process.warm_up.map(|fill| format!("warm-up {} in {:.0} min", of_base(fill.size), fill.tau_min)));
    let changes = |what: &str, changes: Changes| {
        format!("{what} every {:.0} to {:.0} h by {:.2}", changes.every_h.0, changes.every_h.1, changes.by)
    };
    words.extend(process.restarts.map(|restarts| changes("restarts", restarts)));
    words.extend(process.steps.map(|steps| changes("steps", steps)));
    for (told, what) in [
        (process.keeps_maximum, "keeps its maximum"),
        (process.tells_start, "tells its start"),
        (process.tells_requests, "tells requests"),
    ] {
        words.extend(told.then(|| what.to_owned()));
    }
    words.join("; ")
}

/// Two digits that matter.
fn number(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "-".to_owned(),
        0.0 => "0".to_owned(),
        _ if value < 0.1 => format!("{value:.3}"),
        _ if value < 10.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

fn percent(part: u32, whole: u32) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.2} %", 100.0 * f64::from(part) / f64::from(whole)) }
}

/// One line: cores and processor.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(": "));
    format!("{cores} cores ({})", model.map_or("unknown processor", |(_, model)| model))
}

/// Writes docs/benchmarks/null.md.
pub(crate) fn write(page: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks/null.md");
    std::fs::write(&path, page).map_err(|error| format!("`{}`: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
