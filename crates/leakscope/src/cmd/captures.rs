//! `leakscope captures`: evidence that a running daemon took, and its files.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use comfy_table::Cell;
use leakscope_model::Bytes;
use leakscope_wire::{Capture, Captures};

use crate::exit::{self, Exit, Failure};
use crate::heap::{open_private, words};
use crate::output::{self, Format, table};
use crate::remote::{Remote, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  leakscope captures
  leakscope captures --service shop --state stored
  leakscope captures 12 -o shop.pb.gz
  leakscope analyze shop.pb.gz";

/// Characters of a note in the table.
const NOTE_MAX: usize = 48;

/// Lists the evidence that a running daemon took or was refused, or fetches one file
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The number of one capture, to show or with `--output` to fetch; all are listed without it
    id: Option<u64>,

    /// Only of this service
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    service: Option<String>,

    /// Only evidence of this incident
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    incident: Option<u64>,

    /// Only in this state: `refused`, `running`, `stored`, `failed`, `cancelled` or `expired`
    #[arg(long, value_name = "STATE", conflicts_with = "id")]
    state: Option<String>,

    /// Writes what was captured into this file, which only you can read; the daemon notes who asked
    #[arg(short, long, value_name = "FILE", requires = "id")]
    output: Option<PathBuf>,

    #[command(flatten)]
    server: ServerArgs,

    /// How the result is printed: `text` for people, `json` for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut remote = Remote::new(&args.server)?;
    if let (Some(id), Some(path)) = (args.id, &args.output) {
        let capture = remote.capture(id).await?;
        if capture.state != "stored" {
            let message = format!("capture {id} is {}, expected `stored`: there is no file", capture.state);
            return Err(Failure::usage(message));
        }
        let unwritable =
            |error: std::io::Error| Failure::usage(format!("`{}` cannot be written: {error}", path.display()));
        let mut file = open_private(path).map_err(unwritable)?;
        let fetched = remote.download(&format!("/api/v1/captures/{id}/file"), &mut file).await;
        if fetched.is_err() {
            // Half a capture would be taken for one.
            let _ = fs::remove_file(path);
        }
        let size = fetched?;
        file.flush().map_err(unwritable)?;
        output::note(&format!("{} written to `{}`", Bytes(size), path.display()));
        return Ok(Exit::Done);
    }
    let captures = match args.id {
        Some(id) => vec![remote.capture(id).await?],
        None => remote.captures().await?.into_iter().filter(|capture| args.wants(capture)).collect(),
    };
    match args.format {
        Format::Json => output::json(&Captures { captures, next_cursor: None })?,
        Format::Text if captures.is_empty() => output::note("no captures"),
        Format::Text => output::data(&rows(&captures))?,
    }
    Ok(Exit::Done)
}

impl Args {
    fn wants(&self, capture: &Capture) -> bool {
        self.service.as_ref().is_none_or(|service| capture.service == *service)
            && self.incident.is_none_or(|incident| capture.incident == Some(incident))
            && self.state.as_ref().is_none_or(|state| capture.state == *state)
    }
}

fn rows(captures: &[Capture]) -> String {
    let mut rows = table::new(&["STATE", "KIND", "SERVICE", "INSTANCE", "BEGAN", "NOTE", "ID", "PAUSE", "SIZE"], 6);
    for capture in captures {
        let cost = capture.cost.unwrap_or(capture.predicted);
        // What is not measured yet is what was predicted.
        let mark = if capture.cost.is_some() { "" } else { "~" };
        rows.add_row([
            Cell::new(&capture.state),
            Cell::new(&capture.kind),
            Cell::new(words::clean(&capture.service)),
            Cell::new(words::clean(&capture.instance)),
            Cell::new(&capture.began_at),
            Cell::new(words::short(&capture.note, NOTE_MAX)),
            Cell::new(capture.id),
            Cell::new(format!("{mark}{:.0} ms", cost.pause_s * 1_000.0)),
            Cell::new(format!("{mark}{}", Bytes(cost.size_bytes))),
        ]);
    }
    table::render(&rows)
}
