//! `leakscope backtest`: the detector over recorded series, exactly as the daemon would have judged them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use comfy_table::Cell;
use leakscope_wire::{Interval, Verdict};
use serde::Serialize;

use crate::backtest::{self, Alarm, COLUMNS, Replayed, TIME_COLUMN};
use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format, style, table};

const EXAMPLES: &str = "\
Examples:
  leakscope backtest checkout.csv
  leakscope backtest recordings/ --format json | jq '.series[] | select(.alarms != [])'
  leakscope backtest ci/*.csv.zst --time-scale 60 --fail-on-leak";

/// Runs the detector over recorded series
#[derive(Debug, clap::Args)]
#[command(long_about = long_about(), after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// Recordings (`.csv`, `.csv.gz`, `.csv.zst`), or folders with them
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,

    /// Multiplies every time: 60 makes a second a minute
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_time_scale)]
    time_scale: f64,

    /// How the result is printed: `text` for people, `json` for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,

    /// Exit with 1 when a series was `leaking` at any time
    #[arg(long)]
    fail_on_leak: bool,
}

fn long_about() -> String {
    let columns = COLUMNS.map(|(name, _)| name).join(", ");
    format!(
        "Runs the detector over recorded series, exactly as the daemon would have judged them.\n\n\
         A recording has a header with `{TIME_COLUMN}` (seconds) and any of {columns}. \
         An empty cell is a missing sample; other columns are ignored. \
         State, score and growth are those after the last row; an alarm is a time in the `leaking` state."
    )
}

fn parse_time_scale(text: &str) -> Result<f64, String> {
    let found: Option<f64> = text.parse().ok();
    found.filter(|scale| scale.is_finite() && *scale > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}

/// The published result.
#[derive(Debug, Serialize)]
struct Report {
    /// In the order of the arguments.
    series: Vec<Series>,
}

/// What the detector said of one recording.
#[derive(Debug, Serialize)]
struct Series {
    file: String,
    state: String,
    score: f64,
    kind: String,
    alarms: Vec<AlarmTimes>,
    growth_bytes_per_hour: Option<Interval>,
    growth_bytes_per_request: Option<Interval>,
    time_to_limit_s: Option<Interval>,
    reasons: Vec<String>,
    /// The first row's time; only for people.
    #[serde(skip)]
    began_s: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct AlarmTimes {
    raised_s: f64,
    cleared_s: Option<f64>,
}

impl Series {
    fn of(path: &Path, replayed: &Replayed) -> Self {
        let verdict = Verdict::from(&replayed.verdict);
        let times = |alarm: &Alarm| AlarmTimes { raised_s: alarm.raised_s, cleared_s: alarm.cleared_s };
        Self {
            file: path.display().to_string(),
            state: verdict.state,
            score: verdict.score,
            kind: verdict.kind,
            alarms: replayed.alarms.iter().map(times).collect(),
            growth_bytes_per_hour: verdict.growth_bytes_per_hour,
            growth_bytes_per_request: verdict.growth_bytes_per_request,
            time_to_limit_s: verdict.time_to_limit_s,
            reasons: verdict.reasons,
            began_s: replayed.began_s,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let files = backtest::find(&args.paths).map_err(|error| Failure::usage(error.to_string()))?;
    let progress = output::Progress::new();
    let answers = backtest::replay_all(&files, args.time_scale, |n_done| {
        progress.show(&format!("{n_done} of {} files", files.len()));
    });
    drop(progress);
    let mut series = Vec::new();
    let mut n_unreadable = 0_u32;
    for (path, answer) in files.iter().zip(&answers) {
        match answer {
            Ok(replayed) => {
                warn(path, replayed);
                series.push(Series::of(path, replayed));
            }
            Err(error) => {
                n_unreadable += 1;
                output::error(&format!("`{}`: {error}", path.display()));
            }
        }
    }
    let report = Report { series };
    match args.format {
        Format::Json => output::json(&report)?,
        Format::Text => output::data(&text(&report))?,
    }
    let leaks = report.series.iter().any(|series| !series.alarms.is_empty());
    Ok(match (n_unreadable, leaks && args.fail_on_leak) {
        (1.., _) => Exit::Usage,
        (0, true) => Exit::Leak,
        (0, false) => Exit::Done,
    })
}

/// Tells what was strange about a file, one line each.
fn warn(path: &Path, replayed: &Replayed) {
    let (path, oddities) = (path.display(), &replayed.oddities);
    if !oddities.unknown_columns.is_empty() {
        let names: Vec<String> = oddities.unknown_columns.iter().map(|name| format!("`{name}`")).collect();
        output::warning(&format!("`{path}`: unknown columns are ignored: {}", names.join(", ")));
    }
    if let Some((n_rows, line)) = oddities.short_rows {
        output::warning(&format!(
            "`{path}`: rows with too few cells: {n_rows}, first in line {line}; what is missing counts as empty"
        ));
    }
    if let Some((n_values, line)) = oddities.implausible {
        output::warning(&format!(
            "`{path}`: values that are NaN, infinite or negative: {n_values}, first in line {line}; they count as empty"
        ));
    }
}

/// One line a series, worst first; then why the leaking ones leak.
fn text(report: &Report) -> String {
    if report.series.is_empty() {
        return String::new();
    }
    let mut worst_first: Vec<&Series> = report.series.iter().collect();
    worst_first.sort_by(|a, b| {
        let rank = |series: &Series| table::state_rank(&series.state);
        rank(a).cmp(&rank(b)).then(b.score.total_cmp(&a.score))
    });
    let mut rows = table::new(
        &["STATE", "FILE", "KIND", "SCORE", "GROWTH", "PER REQUEST", "TO LIMIT", "ALARMS", "FIRST AFTER"],
        3,
    );
    for series in &worst_first {
        let first = series
            .alarms
            .first()
            .map_or_else(|| table::NONE.to_owned(), |alarm| table::span(alarm.raised_s - series.began_s));
        rows.add_row([
            table::state(&series.state),
            Cell::new(&series.file),
            Cell::new(&series.kind),
            Cell::new(format!("{:.2}", series.score)),
            Cell::new(table::per_hour(series.growth_bytes_per_hour)),
            Cell::new(table::per_request(series.growth_bytes_per_request)),
            Cell::new(table::time_to_limit(series.time_to_limit_s)),
            Cell::new(series.alarms.len()),
            Cell::new(first),
        ]);
    }
    let mut text = table::render(&rows);
    for series in worst_first.iter().filter(|series| series.state == "leaking") {
        let _ = writeln!(text, "\n{}{}{} leaks:", style::BOLD, series.file, style::RESET);
        for reason in &series.reasons {
            let _ = writeln!(text, "  {reason}");
        }
    }
    text
}
