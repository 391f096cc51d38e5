//! Runs the detector over folders of recorded series: `series_check [--time-scale N] [--inject 2h] [--list] DIR...`.
//!
//! Without `--inject` every series is taken as healthy. With it a straight leak is added from 35 % of each on, which meets the limit after that time.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers")]

use std::path::Path;
use std::process::ExitCode;

use leakscope_model::{Readings, Signal, Timestamp};
use leakscope_sim::recorded::{self, Series};
use leakscope_sim::score::{Score, Trial, median};

/// Share of a series that stays as it was before a leak is added.
const ONSET: f64 = 0.35;

struct Args {
    time_scale: f64,
    inject_h: Option<f64>,
    list: bool,
    folders: Vec<String>,
}

fn main() -> ExitCode {
    match args().and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn args() -> Result<Args, String> {
    let mut parsed = Args { time_scale: 1.0, inject_h: None, list: false, folders: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = |unit: &str| {
            let value = words.next().and_then(|value| value.trim_end_matches(unit).parse::<f64>().ok());
            value.ok_or_else(|| format!("expected a number after `{word}`"))
        };
        match word.as_str() {
            "--time-scale" => parsed.time_scale = number("x")?,
            "--inject" => parsed.inject_h = Some(number("h")?),
            "--list" => parsed.list = true,
            _ => parsed.folders.push(word),
        }
    }
    if parsed.folders.is_empty() {
        return Err("usage: series_check [--time-scale N] [--inject 2h|6h|24h] [--list] DIR...".into());
    }
    Ok(parsed)
}

fn run(args: &Args) -> Result<(), String> {
    match args.inject_h {
        None => println!(
            "{:24} {:>7} {:>8} {:>7} {:>16} {:>9} {:>11}",
            "folder", "series", "days", "alarms", "per 1,000 days", "% flagged", "% suspected"
        ),
        Some(hours) => println!(
            "leak to the limit in {hours} h\n{:24} {:>7} {:>8} {:>13} {:>9} {:>13}",
            "folder", "series", "% found", "median share", "p90", "before onset"
        ),
    }
    for folder in &args.folders {
        match args.inject_h {
            None => healthy(folder, args)?,
            Some(hours) => leaking(folder, hours, args)?,
        }
    }
    Ok(())
}

fn healthy(folder: &str, args: &Args) -> Result<(), String> {
    let mut score = Score::default();
    let mut n_suspected = 0;
    for path in recorded::list(Path::new(folder))? {
        let series = recorded::read(&path, args.time_scale)?;
        let began = series.first().map_or(Timestamp::EPOCH, |(at, _)| *at);
        let trial = Trial::run(series);
        n_suspected += u32::from(trial.suspected);
        score.add_healthy(&trial);
        if args.list && !trial.alarms.is_empty() {
            let hours: Vec<String> = trial.alarms.iter().map(|at| format!("{:.1} h", at.hours_since(began))).collect();
            println!("  {} at {}", path.display(), hours.join(", "));
            for reason in trial.first.iter().flat_map(|verdict| &verdict.reasons) {
                println!("    {reason}");
            }
        }
    }
    let share = |n: u32| 100.0 * f64::from(n) / f64::from(score.healthy.max(1));
    println!(
        "{:24} {:>7} {:>8.1} {:>7} {:>16.2} {:>9.1} {:>11.1}",
        name(folder),
        score.healthy,
        score.healthy_days,
        score.false_alarms,
        score.false_alarms_per_1000_days(),
        share(score.flagged),
        share(n_suspected)
    );
    Ok(())
}

fn leaking(folder: &str, hours: f64, args: &Args) -> Result<(), String> {
    let mut score = Score::default();
    let mut shares = Vec::new();
    for path in recorded::list(Path::new(folder))? {
        let series = recorded::read(&path, args.time_scale)?;
        let Some((series, onset)) = with_leak(series, hours) else { continue };
        let trial = Trial::run(series);
        match score.add_leaking(&trial, onset) {
            Some(at) => shares.push(at.hours_since(onset) / hours),
            None if args.list => {
                println!("  {} missed, score {:.2}", path.display(), trial.last.score);
                for reason in &trial.last.reasons {
                    println!("    {reason}");
                }
            }
            None => {}
        }
    }
    let middle = median(&mut shares);
    let p90 = shares.get(shares.len() * 9 / 10).copied().unwrap_or(f64::NAN);
    println!(
        "{:24} {:>7} {:>8.1} {:>13.3} {:>9.3} {:>13}",
        name(folder),
        score.found + score.missed,
        100.0 * score.recall(),
        middle,
        p90,
        score.before_onset
    );
    Ok(())
}

fn name(folder: &str) -> String {
    Path::new(folder).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The series with a straight leak from [`ONSET`] on that meets the limit, else four times the median, `hours` later; cut where it does.
fn with_leak(series: Series, hours: f64) -> Option<(Series, Timestamp)> {
    let resident = |readings: &Readings| readings.get(Signal::AnonRss).or(readings.get(Signal::Rss));
    let (from, to) = (series.first()?.0, series.last()?.0);
    let onset = Timestamp::from_secs_f64(from.as_secs_f64() + ONSET * (to.as_secs_f64() - from.as_secs_f64()));
    let mut before: Vec<f64> =
        series.iter().take_while(|(at, _)| *at < onset).filter_map(|(_, readings)| resident(readings)).collect();
    let level = median(&mut before);
    let limit = series.iter().find_map(|(_, readings)| readings.get(Signal::Limit)).filter(|limit| *limit > level);
    let limit = limit.unwrap_or(4.0 * level);
    let rate = (limit - level) / hours;
    let mut leaking = Series::new();
    for (at, mut readings) in series {
        let leaked = rate * at.hours_since(onset).max(0.0);
        for signal in [Signal::Rss, Signal::AnonRss, Signal::HeapUsed, Signal::HeapAfterGc] {
            if let Some(value) = readings.get(signal) {
                readings.set(signal, value + leaked);
            }
        }
        let killed = resident(&readings).is_some_and(|value| value >= limit) && at > onset;
        leaking.push((at, readings));
        if killed && at.hours_since(onset) >= hours * 0.5 {
            break;
        }
    }
    Some((leaking, onset))
}
