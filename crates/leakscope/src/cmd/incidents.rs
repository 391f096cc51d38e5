//! `leakscope incidents`: what a running daemon found.

use std::fmt::Write;

use comfy_table::Cell;
use leakscope_wire::{Incident, Incidents};

use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format, table};
use crate::remote::{Remote, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  leakscope incidents
  leakscope incidents 3
  leakscope incidents --format json --fail-on-leak";

/// Lists what a running daemon found, or tells one incident
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The incident to tell; all are listed without it
    id: Option<u64>,

    #[command(flatten)]
    server: ServerArgs,

    /// How the result is printed: `text` for people, `json` for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,

    /// Exit with 1 when one of them is open
    #[arg(long)]
    fail_on_leak: bool,
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut remote = Remote::new(&args.server)?;
    let incidents = match args.id {
        Some(id) => vec![remote.incident(id).await?],
        None => remote.incidents().await?,
    };
    let open = incidents.iter().any(|incident| incident.state == "open");
    match (args.format, args.id) {
        (Format::Json, _) => output::json(&Incidents { incidents, next_cursor: None })?,
        (Format::Text, Some(_)) => output::data(&incidents.iter().map(story).collect::<String>())?,
        (Format::Text, None) if incidents.is_empty() => output::note("no incidents"),
        (Format::Text, None) => output::data(&list(&incidents))?,
    }
    Ok(if open && args.fail_on_leak { Exit::Leak } else { Exit::Done })
}

fn list(incidents: &[Incident]) -> String {
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

fn story(incident: &Incident) -> String {
    let Incident { id, service, state, kind, score, .. } = incident;
    let mut text = format!("incident {id}: {service}, {state}, {kind}, score {score:.2}\n");
    for transition in &incident.transitions {
        let _ = writeln!(text, "  {}  {:<9}  {}", transition.at, transition.to, transition.cause);
    }
    for suspect in &incident.suspects {
        let _ = writeln!(text, "  suspect: {} ({})", suspect.suspect.title, suspect.suspect.reason);
    }
    text
}
