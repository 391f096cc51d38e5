//! `leakscope targets`: what a running daemon watches.

use std::fmt::Write;

use comfy_table::Cell;
use leakscope_model::Bytes;
use leakscope_wire::{Target, Targets};

use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format, table};
use crate::remote::{Remote, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  leakscope targets
  leakscope targets --format json | jq '.targets[] | select(.up != true) | .last_error'
  leakscope targets --server http://127.0.0.1:9977";

/// Lists what a running daemon watches
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,

    /// How the result is printed: `text` for people, `json` for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let targets = Remote::new(&args.server)?.targets().await?;
    match args.format {
        Format::Json => output::json(&Targets { targets, next_cursor: None })?,
        Format::Text if targets.is_empty() => output::note("nothing is watched yet"),
        Format::Text => output::data(&text(targets))?,
    }
    Ok(Exit::Done)
}

/// One line a target, worst first; then what is wrong with those that do not answer.
fn text(mut targets: Vec<Target>) -> String {
    targets.sort_by(|a, b| {
        let rank = |target: &Target| table::state_rank(&target.verdict.state);
        rank(a).cmp(&rank(b)).then(b.verdict.score.total_cmp(&a.verdict.score))
    });
    let mut rows =
        table::new(&["STATE", "SERVICE", "INSTANCE", "RUNTIME", "SCRAPE", "SCORE", "MEMORY", "GROWTH", "TO LIMIT"], 5);
    for target in &targets {
        let memory =
            ["rss", "anon_rss", "heap_used", "heap_after_gc"].iter().find_map(|name| target.signals.get(*name));
        rows.add_row([
            table::state(&target.verdict.state),
            Cell::new(&target.service),
            Cell::new(&target.instance),
            Cell::new(&target.runtime),
            Cell::new(scrape(target.up)),
            Cell::new(format!("{:.2}", target.verdict.score)),
            Cell::new(memory.map_or_else(|| table::NONE.to_owned(), |bytes| Bytes(*bytes as u64).to_string())),
            Cell::new(table::per_hour(target.verdict.growth_bytes_per_hour)),
            Cell::new(table::time_to_limit(target.verdict.time_to_limit_s)),
        ]);
    }
    let mut text = table::render(&rows);
    for target in &targets {
        if let Some(error) = &target.last_error {
            let _ = writeln!(text, "\n{} {}: {error}", target.service, target.instance);
        }
    }
    text
}

fn scrape(up: Option<bool>) -> &'static str {
    match up {
        Some(true) => "up",
        Some(false) => "down",
        None => "pending",
    }
}
