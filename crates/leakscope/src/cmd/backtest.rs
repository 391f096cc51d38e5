//! `leakscope backtest`: the detector over recorded series, exactly as the daemon would have judged them.

mod plots;
mod report;

use std::path::PathBuf;

use leakscope_engine::{EngineConfig, Tuning};
use leakscope_model::Timestamp;
use leakscope_wire::rfc3339;

use crate::backtest::{self, COLUMNS, Oddities, Reading, Recorded, Since, Stored, TIME_COLUMN};
use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format};
use crate::remote::{DEFAULT_SERVER, Remote, SERVER_VARIABLE};
use plots::Plots;
use report::{Report, Series};

const EXAMPLES: &str = "\
Examples:
  leakscope backtest checkout.csv --plot plots/
  leakscope backtest recordings/ --format json | jq '.series[] | select(.alarms != [])'
  leakscope backtest ci/*.csv.zst --time-scale 60 --fail-on-leak
  leakscope backtest --server --target checkout --since 7d --plot plots/
  leakscope backtest --server http://127.0.0.1:9977 --at 2026-11-20T14:00:00Z";

/// Runs the detector over recorded series
#[derive(Debug, clap::Args)]
#[command(long_about = long_about(), after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// Recordings (`.csv`, `.csv.gz`, `.csv.zst`), or folders with them
    #[arg(required_unless_present = "server", conflicts_with = "server", value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,

    /// Reads what a running daemon has stored, instead of files. Without a URL it is that of `LEAKSCOPE_SERVER`, else the
    /// daemon of this host
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    server: Option<String>,

    /// Of a daemon's store: only what has this service, instance, job or id; may be given several times
    #[arg(long, value_name = "NAME", requires = "server", conflicts_with = "paths")]
    target: Vec<String>,

    /// Of a daemon's store: from where on, as a span (`90m`, `7d`) or a moment; everything that is kept by default
    #[arg(long, value_name = "TIME", requires = "server", conflicts_with = "paths", value_parser = backtest::parse_since, allow_hyphen_values = true)]
    since: Option<Since>,

    /// A file with the token of the daemon's `web.authorization`
    #[arg(long, value_name = "FILE", env = "LEAKSCOPE_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// The verdict as it stood then: what is later is not read. Seconds as in the file, or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = backtest::parse_moment, allow_hyphen_values = true)]
    at: Option<f64>,

    /// Multiplies every time of a file: 60 makes a second a minute. Of a daemon's store: how fast the detector's clock runs, by
    /// default as fast as the daemon's own
    #[arg(long, value_name = "N", value_parser = parse_time_scale)]
    time_scale: Option<f64>,

    /// How sure the detector must be: so many false alarms a thousand days of one service may have, 0.01 to 100. By default 1, of a
    /// daemon's store as its configuration says
    #[arg(long, value_name = "N", value_parser = parse_false_alarms)]
    false_alarms: Option<f64>,

    /// Draws every series into this folder, one SVG each
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,

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

fn parse_false_alarms(text: &str) -> Result<f64, String> {
    let found: Option<f64> = text.parse().ok();
    found.filter(|rate| (0.01..=100.0).contains(rate)).ok_or_else(|| "expected a number from 0.01 to 100".to_owned())
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let judged = match &args.server {
        Some(server) => of_store(args, server).await?,
        None => of_files(args)?,
    };
    let leaks = judged.series.iter().any(Series::leaked);
    let report = Report { series: judged.series };
    match args.format {
        Format::Json => output::json(&report)?,
        Format::Text => output::data(&report.text())?,
    }
    judged.plots.tell();
    Ok(match (judged.n_unreadable + judged.plots.n_failed(), leaks && args.fail_on_leak) {
        (1.., _) => Exit::Usage,
        (0, true) => Exit::Leak,
        (0, false) => Exit::Done,
    })
}

/// What came of all series.
struct Judged {
    series: Vec<Series>,
    n_unreadable: usize,
    plots: Plots,
}

fn of_files(args: &Args) -> Result<Judged, Failure> {
    let files = backtest::find(&args.paths).map_err(|error| Failure::usage(error.to_string()))?;
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    let mut plots = Plots::into(args.plot.as_deref(), &names)?;
    let reading = Reading {
        time_scale: args.time_scale.unwrap_or(1.0),
        tuning: args.false_alarms.map(Tuning::for_false_alarms).unwrap_or_default(),
        until_s: args.at,
        drawn: args.plot.is_some(),
    };
    let progress = output::Progress::new();
    let answers = backtest::replay_all(&files, reading, |index, n_done, answer| {
        progress.show(&format!("{n_done} of {} files", files.len()));
        if let Ok(recorded) = answer {
            plots.write(index, recorded.picture.take());
        }
    });
    drop(progress);
    let mut judged = Judged { series: Vec::new(), n_unreadable: 0, plots };
    for (name, answer) in names.iter().zip(&answers) {
        match answer {
            Ok(recorded) => {
                warn(name, &recorded.oddities);
                warn_of_nothing(name, recorded, args.at.map(|at| format!("{at} s")));
                judged.series.push(Series::of(name, &recorded.replayed));
            }
            Err(error) => {
                judged.n_unreadable += 1;
                output::error(&format!("`{name}`: {error}"));
            }
        }
    }
    Ok(judged)
}

async fn of_store(args: &Args, server: &str) -> Result<Judged, Failure> {
    let server = match (server, std::env::var(SERVER_VARIABLE)) {
        ("", Ok(named)) => named,
        ("", Err(_)) => DEFAULT_SERVER.to_owned(),
        (server, _) => server.to_owned(),
    };
    let mut remote = Remote::at(&server, args.token_file.as_deref())?;
    let status = remote.status().await?;
    let false_alarms = args.false_alarms.unwrap_or(status.false_alarms_per_1000_service_days);
    let config = EngineConfig {
        time_scale: args.time_scale.unwrap_or(status.time_scale),
        tuning: Tuning::for_false_alarms(false_alarms),
        ..EngineConfig::default()
    };
    let mut stored = Stored { remote, config, since: args.since, until_s: args.at, drawn: args.plot.is_some() };
    let targets = stored.targets(&args.target).await?;
    let names: Vec<String> = targets.iter().map(|(name, _)| name.clone()).collect();
    let mut judged = Judged { series: Vec::new(), n_unreadable: 0, plots: Plots::into(args.plot.as_deref(), &names)? };
    let progress = output::Progress::new();
    for (index, (name, target)) in targets.iter().enumerate() {
        progress.show(&format!("{index} of {} targets", targets.len()));
        let mut recorded = stored.replay(name, target).await?;
        judged.plots.write(index, recorded.picture.take());
        progress.show("");
        warn_of_nothing(name, &recorded, args.at.map(|at| rfc3339(Timestamp::from_secs_f64(at))));
        judged.series.push(Series::of(name, &recorded.replayed));
    }
    Ok(judged)
}

/// Tells what was strange about a file, one line each.
fn warn(name: &str, oddities: &Oddities) {
    if !oddities.unknown_columns.is_empty() {
        let columns: Vec<String> = oddities.unknown_columns.iter().map(|column| format!("`{column}`")).collect();
        output::warning(&format!("`{name}`: unknown columns are ignored: {}", columns.join(", ")));
    }
    if let Some((n_rows, line)) = oddities.short_rows {
        output::warning(&format!(
            "`{name}`: rows with too few cells: {n_rows}, first in line {line}; what is missing counts as empty"
        ));
    }
    if let Some((n_values, line)) = oddities.implausible {
        output::warning(&format!(
            "`{name}`: values that are NaN, infinite or negative: {n_values}, first in line {line}; they count as empty"
        ));
    }
}

/// Tells of a series that has nothing to judge.
fn warn_of_nothing(name: &str, recorded: &Recorded, at: Option<String>) {
    if recorded.replayed.began_s.is_none() {
        let until = at.map(|at| format!(" at or before {at}")).unwrap_or_default();
        output::warning(&format!("`{name}`: no samples are there{until}"));
    }
}
