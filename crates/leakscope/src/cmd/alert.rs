//! `leakscope alert`: tests a receiver, and lists what receivers were told.

use std::fmt::Write;
use std::path::PathBuf;

use comfy_table::Cell;
use leakscope_daemon::config::Config;
use leakscope_daemon::{TestReport, test_receiver};
use leakscope_wire::{Alert, Alerts};
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format, table};
use crate::remote::{Remote, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  leakscope alert test ops --config.file leakscope.yaml
  leakscope alert list
  leakscope alert list --format json | jq '.alerts[] | select(.state != \"delivered\")'";

/// Tests a receiver, or lists what receivers were told
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Sends a test alert to a receiver, and says what was sent and what was answered
    #[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
    Test {
        /// The receiver's name in the configuration
        receiver: String,

        /// The configuration
        #[arg(long = "config.file", value_name = "FILE")]
        config_file: PathBuf,

        /// How the result is printed: `text` for people, `json` for programs
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
        format: Format,
    },
    /// Lists what receivers of a running daemon were told, newest first
    #[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
    List {
        #[command(flatten)]
        server: ServerArgs,

        /// How the result is printed: `text` for people, `json` for programs
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
        format: Format,
    },
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.what {
        What::Test { receiver, config_file, format } => {
            let config = Config::load(config_file).map_err(|errors| Failure::usage(errors.to_string().trim_end()))?;
            let reports = test_receiver(&config, receiver).await.map_err(|error| Failure::usage(error.to_string()))?;
            tested(&reports, *format)
        }
        What::List { server, format } => {
            let alerts = Remote::new(server)?.alerts().await?;
            match format {
                Format::Json => output::json(&Alerts { alerts })?,
                Format::Text if alerts.is_empty() => output::note("nobody was told of anything yet"),
                Format::Text => output::data(&list(&alerts))?,
            }
            Ok(Exit::Done)
        }
    }
}

/// The published result of a test.
#[derive(Debug, Serialize)]
struct Tested<'a> {
    tests: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    receiver: &'a str,
    sent: &'a str,
    ok: bool,
    answer: &'a str,
}

fn tested(reports: &[TestReport], format: Format) -> Result<Exit, Failure> {
    let rows: Vec<Row<'_>> = reports
        .iter()
        .map(|report| {
            let (ok, answer) = match &report.answer {
                Ok(answer) => (true, answer),
                Err(reason) => (false, reason),
            };
            Row { receiver: &report.outlet, sent: &report.title, ok, answer }
        })
        .collect();
    let ok = rows.iter().all(|row| row.ok);
    match format {
        Format::Json => output::json(&Tested { tests: rows })?,
        Format::Text => {
            let mut text = String::new();
            for row in &rows {
                let verdict = if row.ok { "took it" } else { "did not take it" };
                let _ = writeln!(text, "{} {verdict}: {}\n  sent: {}", row.receiver, row.answer, row.sent);
            }
            output::data(&text)?;
        }
    }
    Ok(if ok { Exit::Done } else { Exit::Inconclusive })
}

fn list(alerts: &[Alert]) -> String {
    let mut rows = table::new(&["CREATED", "RECEIVER", "STATE", "OCCASION", "INCIDENT", "TRIES", "TITLE"], 6);
    for alert in alerts {
        rows.add_row([
            Cell::new(&alert.created_at),
            Cell::new(&alert.receiver),
            Cell::new(&alert.state),
            Cell::new(&alert.occasion),
            Cell::new(alert.incident.map_or_else(|| table::NONE.to_owned(), |id| id.to_string())),
            Cell::new(alert.attempts),
            Cell::new(&alert.title),
        ]);
    }
    let mut text = table::render(&rows);
    for alert in alerts {
        if let Some(error) = &alert.last_error {
            let _ = writeln!(text, "\n{} {}: {error}", alert.receiver, alert.id);
        }
    }
    text
}
