//! The daemon's log on standard error, in logfmt or JSON.

use std::fmt::{self, Write};
use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::style;

/// What is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Everything
    Debug,
    /// What happens
    #[default]
    Info,
    /// What someone should look at
    Warn,
    /// What does not work
    Error,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `ts=.. level=info msg=".." key=value`
    #[default]
    Logfmt,
    /// One JSON object a line
    Json,
}

/// Starts logging; the libraries below are heard from `warn` on.
pub(crate) fn start(level: Level, format: LogFormat) {
    let level = match level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("leakscope", level);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Logfmt => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry.with(layer.with_ansi(colours).event_format(Logfmt)).init();
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
    }
}

/// Events as `key=value` pairs on one line.
#[derive(Debug)]
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "ts=")?;
        SystemTime.format_time(&mut writer)?;
        let level = *event.metadata().level();
        let (color, reset) = match level {
            _ if !writer.has_ansi_escapes() => ("", ""),
            tracing::Level::ERROR => (style::RED, style::RESET),
            tracing::Level::WARN => (style::YELLOW, style::RESET),
            _ => (style::DIM, style::RESET),
        };
        write!(writer, " level={color}{}{reset}", level.as_str().to_ascii_lowercase())?;
        let mut pairs = Pairs::default();
        event.record(&mut pairs);
        writeln!(writer, " msg={}{}", quoted(&pairs.message), pairs.others)
    }
}

#[derive(Debug, Default)]
struct Pairs {
    message: String,
    /// ` key=value` each.
    others: String,
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            let _ = write!(self.others, " {}={}", field.name(), quoted(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// A value in quotes where it needs them.
fn quoted(value: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(plain) { value.to_owned() } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_need_it() {
        assert_eq!(quoted("data/x"), "data/x");
        assert_eq!(quoted(""), r#""""#);
        assert_eq!(quoted("a b=\"c\"\n"), r#""a b=\"c\"\n""#);
    }
}
