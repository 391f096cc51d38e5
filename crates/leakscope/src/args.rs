//! The command line: every command, with what all of them share. Each command's own flags stand beside it in `cmd`.

use clap::{Parser, Subcommand};

use crate::output::Color;
use crate::{cmd, exit};

const ABOUT: &str = "Finds the service that leaks memory, before it dies.";
const EXAMPLES: &str = "\
Examples:
  leakscope demo
  leakscope serve --config.file leakscope.yaml
  leakscope diff early.heapsnapshot late.heapsnapshot
  leakscope backtest recordings/ --fail-on-leak";

#[derive(Debug, Parser)]
#[command(name = "leakscope", version, about = ABOUT, max_term_width = 120)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Cli {
    /// When to use colours: `always`, `never`, or `auto`: on a terminal, unless `NO_COLOR` is set
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Color,

    /// Bytes that this process may allocate; it ends when it needs more. Given by a daemon to its jobs
    #[arg(long, global = true, hide = true, value_name = "BYTES")]
    pub(crate) memory_max: Option<u64>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(cmd::demo::Args),
    Serve(cmd::serve::Args),
    Check(cmd::check::Args),
    Targets(cmd::targets::Args),
    Incidents(cmd::incidents::Args),
    Alert(cmd::alert::Args),
    Capture(cmd::capture::Args),
    Captures(cmd::captures::Args),
    Analyze(Box<cmd::analyze::Args>),
    Diff(Box<cmd::diff::Args>),
    Redact(cmd::redact::Args),
    Backtest(cmd::backtest::Args),
    Doctor(cmd::doctor::Args),
    Completions(cmd::completions::Args),
    /// Prints the manual page, in roff
    Man,
}
