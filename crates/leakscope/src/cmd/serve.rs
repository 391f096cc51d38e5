//! `leakscope serve`: the daemon, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use leakscope_daemon::config::{Config, parse_listen_address};
use leakscope_daemon::{Daemon, Settings};

use crate::exit::{self, Exit, Failure};
use crate::log::{self, Level, LogFormat};
use crate::output;
use crate::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  leakscope serve
  leakscope serve --config.file leakscope.yaml --storage.path /var/lib/leakscope
  leakscope serve --web.listen-address 127.0.0.1:9977 --log.format json";

/// Watches services until it is told to stop
///
/// Without a configuration file the listening processes of this host are watched. SIGHUP and `POST /-/reload` read the
/// file again, SIGTERM and Ctrl-C end it and lose nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub(crate) struct Args {
    /// The configuration
    #[arg(long = "config.file", value_name = "FILE", env = "LEAKSCOPE_CONFIG_FILE")]
    config_file: Option<PathBuf>,

    /// Where API and page are served, in place of the configuration's `web.listen_address` [default: 127.0.0.1:7077]
    #[arg(long = "web.listen-address", value_name = "ADDRESS", env = "LEAKSCOPE_WEB_LISTEN_ADDRESS", value_parser = parse_address)]
    listen: Option<SocketAddr>,

    /// Where samples, incidents and captures are kept, in place of the configuration's `storage.path` [default: data]
    #[arg(long = "storage.path", value_name = "DIR", env = "LEAKSCOPE_STORAGE_PATH")]
    storage_path: Option<PathBuf>,

    /// What is logged: `debug`, `info`, `warn` or `error`
    #[arg(
        long = "log.level",
        value_enum,
        default_value_t,
        value_name = "LEVEL",
        hide_possible_values = true,
        env = "LEAKSCOPE_LOG_LEVEL"
    )]
    log_level: Level,

    /// How it is logged: `logfmt` or `json`
    #[arg(
        long = "log.format",
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true,
        env = "LEAKSCOPE_LOG_FORMAT"
    )]
    log_format: LogFormat,

    /// Serve other hosts without any authentication
    #[arg(long = "web.allow-unauthenticated-non-loopback")]
    allow_unauthenticated_non_loopback: bool,
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    parse_listen_address(text).ok_or_else(|| "expected an address such as `127.0.0.1:7077` or `:7077`".to_owned())
}

pub(crate) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut stop = Stop::of_daemon()?;
    let config = match &args.config_file {
        Some(file) => Config::load(file).map_err(|errors| {
            output::note(errors.to_string().trim_end());
            let hint = format!("`leakscope check config {}` says the same without starting anything", file.display());
            Failure::usage(format!("`{}` cannot be used", file.display())).hint(hint)
        })?,
        None => Config::default(),
    };
    log::start(args.log_level, args.log_format);
    let settings = Settings {
        config,
        config_file: args.config_file.clone(),
        listen: args.listen,
        storage_path: args.storage_path.clone(),
        allow_unauthenticated_non_loopback: args.allow_unauthenticated_non_loopback,
        time_scale: None,
        program: None,
    };
    let daemon = Daemon::start(settings).await.map_err(|error| Failure::usage(error.to_string()))?;
    output::note(&format!("listening on {}", daemon.url()));
    stop.wait().await;
    daemon.stop().await;
    Ok(Exit::Done)
}
