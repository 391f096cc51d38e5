//! `leakscope doctor`: what this host lets us see, and how to get the rest.

use std::fmt::Write;

use leakscope_daemon::{Finding, FindingStatus};
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format, style};

const EXAMPLES: &str = "\
Examples:
  leakscope doctor
  leakscope doctor --format json | jq '.findings[] | select(.status != \"ok\") | .remedy'";

/// Says what this host lets us see and capture, and how to get the rest
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// How the result is printed: `text` for people, `json` for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,
}

/// The published result.
#[derive(Debug, Serialize)]
struct Findings<'a> {
    findings: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    what: &'a str,
    /// `ok`, `limited` or `missing`.
    status: &'static str,
    detail: &'a str,
    remedy: Option<&'a str>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let findings = leakscope_daemon::doctor();
    match args.format {
        Format::Json => output::json(&Findings { findings: findings.iter().map(row).collect() })?,
        Format::Text => output::data(&text(&findings))?,
    }
    Ok(Exit::Done)
}

fn row(finding: &Finding) -> Row<'_> {
    Row {
        what: finding.what,
        status: finding.status.name(),
        detail: &finding.detail,
        remedy: finding.remedy.as_deref(),
    }
}

fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (icon, color) = match finding.status {
            FindingStatus::Ok => ('✓', style::GREEN),
            FindingStatus::Limited => ('~', style::YELLOW),
            FindingStatus::Missing => ('✗', style::RED),
        };
        let status = finding.status.name();
        let _ =
            writeln!(text, "{color}{icon} {status:<7}{}  {:<width$}  {}", style::RESET, finding.what, finding.detail);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:11}{:width$}  -> {remedy}", "", "");
        }
    }
    text
}
