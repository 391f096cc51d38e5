//! `leakscope check`: whether files are right, without starting anything.

use std::path::PathBuf;

use leakscope_daemon::config::{self, Problem, Report};
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::output::{self, Format};

const EXAMPLES: &str = "\
Examples:
  leakscope check config leakscope.yaml
  leakscope check config leakscope.yaml --format json | jq '.errors[].line'";

/// Checks files without starting anything
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Checks a configuration with the files that it names
    #[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
    Config {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// How the result is printed: `text` for people, `json` for programs
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
        format: Format,
    },
}

/// The published result.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    file: &'a str,
    ok: bool,
    jobs: Vec<Job<'a>>,
    errors: Vec<Row<'a>>,
    warnings: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Job<'a> {
    name: &'a str,
    static_targets: usize,
    file_targets: usize,
    http_sources: usize,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    file: &'a str,
    /// From 1; 0 when the whole file is meant.
    line: usize,
    column: usize,
    message: &'a str,
    allowed: Option<&'a str>,
    hint: Option<&'a str>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let What::Config { file, format } = &args.what;
    let report = config::check(file);
    match format {
        Format::Json => output::json(&Checked::of(&report))?,
        Format::Text if report.is_ok() => output::data(&report.to_string())?,
        Format::Text => output::note(report.to_string().trim_end()),
    }
    Ok(if report.is_ok() { Exit::Done } else { Exit::Usage })
}

impl<'a> Checked<'a> {
    fn of(report: &'a Report) -> Self {
        let errors = report.errors.as_ref().map(|errors| errors.problems.as_slice()).unwrap_or_default();
        let job = |job: &'a config::JobReport| Job {
            name: &job.name,
            static_targets: job.n_static_targets,
            file_targets: job.n_file_targets,
            http_sources: job.n_http_sources,
        };
        Self {
            file: &report.file,
            ok: report.is_ok(),
            jobs: report.jobs.iter().map(job).collect(),
            errors: errors.iter().map(Row::of).collect(),
            warnings: report.warnings.iter().map(Row::of).collect(),
        }
    }
}

impl<'a> Row<'a> {
    fn of(problem: &'a Problem) -> Self {
        Self {
            file: &problem.file,
            line: problem.line,
            column: problem.column,
            message: &problem.message,
            allowed: problem.allowed.as_deref(),
            hint: problem.hint.as_deref(),
        }
    }
}
