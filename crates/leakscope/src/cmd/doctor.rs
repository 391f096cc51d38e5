//! `leakscope doctor`: what this host lets us see, what can be captured of whom, and how to get the rest.

mod captures;

use std::fmt::Write;
use std::path::PathBuf;

use leakscope_daemon::config::Config;
use leakscope_daemon::{Finding, FindingStatus, what_can_be_captured};
use serde::Serialize;

use self::captures::Target;
use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format, style};

const EXAMPLES: &str = "\
Examples:
  leakscope doctor
  leakscope doctor --config.file leakscope.yaml
  leakscope doctor --format json | jq '.findings[] | select(.status != \"ok\") | .remedy'
  leakscope doctor --format json | jq '.captures[] | {service, lacks}'";

const LONG_ABOUT: &str = "\
Says what this host lets us see and capture, and how to get the rest.

Of each process of this host that listens, and of each target of the configuration where one is given, it lists the evidence that could be \
captured, and for all else the one change that would enable it. Nothing is captured, and no process is stopped.";

/// Says what this host lets us see and capture, and how to get the rest
#[derive(Debug, clap::Args)]
#[command(long_about = LONG_ABOUT, after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The configuration whose targets are looked at as well
    #[arg(long = "config.file", value_name = "FILE", env = "LEAKSCOPE_CONFIG_FILE")]
    config_file: Option<PathBuf>,

    /// How the result is printed: `text` for people, `json` for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    format: Format,
}

/// The published result.
#[derive(Debug, Serialize)]
struct Findings<'a> {
    findings: Vec<Row<'a>>,
    captures: &'a [Target],
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    what: &'a str,
    /// `ok`, `limited` or `missing`.
    status: &'static str,
    detail: &'a str,
    remedy: Option<&'a str>,
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut config = match &args.config_file {
        Some(file) => Config::load(file).map_err(|errors| Failure::usage(errors.to_string().trim_end()))?,
        None => Config::default(),
    };
    config.local_discovery.enabled = true;
    let findings = leakscope_daemon::doctor();
    let targets: Vec<Target> = what_can_be_captured(&config).await.iter().map(Target::of).collect();
    match args.format {
        Format::Json => output::json(&Findings { findings: findings.iter().map(row).collect(), captures: &targets })?,
        Format::Text => output::data(&(text(&findings) + &captures::text(&targets)))?,
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
        let (icon, color) = marked(finding.status);
        let status = finding.status.name();
        let _ =
            writeln!(text, "{color}{icon} {status:<7}{}  {:<width$}  {}", style::RESET, finding.what, finding.detail);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:11}{:width$}  -> {remedy}", "", "");
        }
    }
    text
}

/// How a status is shown.
fn marked(status: FindingStatus) -> (char, &'static str) {
    match status {
        FindingStatus::Ok => ('✓', style::GREEN),
        FindingStatus::Limited => ('~', style::YELLOW),
        FindingStatus::Missing => ('✗', style::RED),
    }
}
