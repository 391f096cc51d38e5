//! `leakscope incidents`: what a running daemon found, and the story of one.

use std::path::PathBuf;

use clap::ValueEnum;
use comfy_table::Cell;
use leakscope_wire::{Incident, Incidents};

use crate::exit::{self, Exit, Failure};
use crate::heap::Sink;
use crate::output::{self, table};
use crate::remote::{Remote, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  leakscope incidents
  leakscope incidents 3
  leakscope incidents 3 --format html -o incident.html
  leakscope incidents --format json --fail-on-leak";

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Markdown,
    Html,
}

/// Lists what a running daemon found, or tells the story of one incident
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The incident to tell; all are listed without it
    id: Option<u64>,

    #[command(flatten)]
    server: ServerArgs,

    /// How the result is printed: `text` for people, `json` for programs; one incident also as `markdown` or `html`, in one file
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,

    /// Writes the result into this file, which only you can read
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Exit with 1 when one of them is open
    #[arg(long)]
    fail_on_leak: bool,
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut remote = Remote::new(&args.server)?;
    let open = match args.id {
        Some(id) => tell(args, &mut remote, id).await?,
        None => list(args, &mut remote).await?,
    };
    Ok(if open && args.fail_on_leak { Exit::Leak } else { Exit::Done })
}

/// Whether it is open.
async fn tell(args: &Args, remote: &mut Remote, id: u64) -> Result<bool, Failure> {
    let sink = Sink(args.output.clone());
    let report = remote.report(id).await?;
    let form = match args.format {
        Format::Json => {
            sink.write_json(&report)?;
            return Ok(is_open(&report.incident));
        }
        Format::Text => "text",
        Format::Markdown => "markdown",
        Format::Html => "html",
    };
    sink.write(&remote.report_as(id, form).await?)?;
    Ok(is_open(&report.incident))
}

/// Whether one of them is open.
async fn list(args: &Args, remote: &mut Remote) -> Result<bool, Failure> {
    let sink = Sink(args.output.clone());
    let incidents = remote.incidents().await?;
    let open = incidents.iter().any(is_open);
    match args.format {
        Format::Json => sink.write_json(&Incidents { incidents, next_cursor: None })?,
        Format::Text if incidents.is_empty() => output::note("no incidents"),
        Format::Text => sink.write(&rows(&incidents))?,
        Format::Markdown | Format::Html => {
            let message = "expected the number of one incident with `--format markdown` or `html`, found none";
            return Err(Failure::usage(message).hint("`leakscope incidents` lists them"));
        }
    }
    Ok(open)
}

fn is_open(incident: &Incident) -> bool {
    leakscope_model::IncidentState::from_name(&incident.state).is_some_and(leakscope_model::IncidentState::is_open)
}

fn rows(incidents: &[Incident]) -> String {
    let mut rows = table::new(&["STATE", "SERVICE", "KIND", "OPENED", "ID", "SCORE", "TARGETS"], 4);
    for incident in incidents {
        rows.add_row([
            table::incident_state(&incident.state),
            Cell::new(&incident.service),
            Cell::new(&incident.kind),
            Cell::new(&incident.opened_at),
            Cell::new(incident.id),
            Cell::new(format!("{:.2}", incident.score)),
            Cell::new(incident.targets.len()),
        ]);
    }
    table::render(&rows)
}
