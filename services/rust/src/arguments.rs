//! The command line, the same as that of the other example services; it must not start anything.

use crate::leaks::{LEAKS, Leak};

const FLAGS: [(&str, &str); 7] = [
    ("--port", "N                    port on 127.0.0.1; 0 takes a free one (default 0)"),
    ("--leak", "KIND                 which leak to have (default none)"),
    ("--rate", "BYTES_PER_REQUEST    bytes each work request leaks (default 65536)"),
    ("--seed", "N                    seed of the generated carts (default 1)"),
    ("--profile", "                  profile allocations, for /debug/pprof/heap"),
    ("--exit-with-stdin", "          exit when standard input ends"),
    ("--help", "                     print this text"),
];
/// Most bytes that one request may leak; a larger rate is refused.
const RATE_BYTES_MAX: u64 = 1 << 30;

pub(crate) enum Arguments {
    Run(Options),
    Help,
}

pub(crate) struct Options {
    pub(crate) port: u16,
    pub(crate) leak: &'static Leak,
    pub(crate) rate_bytes: usize,
    pub(crate) seed: u64,
    pub(crate) profile: bool,
    pub(crate) exit_with_stdin: bool,
}

/// The options, or one line that says what was refused and what is valid.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut options =
        Options { port: 0, leak: &LEAKS[0], rate_bytes: 64 * 1024, seed: 1, profile: false, exit_with_stdin: false };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || inline.clone().or_else(|| arguments.next()).unwrap_or_default();
        match flag {
            "--port" => options.port = whole_number(flag, &value(), u64::from(u16::MAX))? as u16,
            "--rate" => options.rate_bytes = whole_number(flag, &value(), RATE_BYTES_MAX)? as usize,
            "--seed" => options.seed = whole_number(flag, &value(), u64::from(u32::MAX))?,
            "--leak" => options.leak = leak_named(&value())?,
            "--profile" if cfg!(feature = "profile") => options.profile = true,
            "--profile" => {
                return Err("`--profile` wants a service that was built with `--features profile`".to_owned());
            }
            "--exit-with-stdin" => options.exit_with_stdin = true,
            "--help" => return Ok(Arguments::Help),
            _ => {
                return Err(format!("unknown flag `{flag}` (valid flags: {})", FLAGS.map(|(flag, _)| flag).join(", ")));
            }
        }
    }
    Ok(Arguments::Run(options))
}

pub(crate) fn usage() -> String {
    let flags = FLAGS.map(|(flag, text)| format!("  {flag} {text}")).join("\n");
    format!("usage: example-service [flags]\n{flags}\nleak kinds: {}\n", leak_kinds())
}

fn whole_number(flag: &str, text: &str, max: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number <= max);
    number.ok_or_else(|| format!("`{flag}` wants a whole number from 0 to {max}, found `{text}`"))
}

fn leak_named(kind: &str) -> Result<&'static Leak, String> {
    let leak = LEAKS.iter().find(|leak| leak.name == kind);
    leak.ok_or_else(|| format!("`--leak` wants a leak kind, found `{kind}` (valid kinds: {})", leak_kinds()))
}

fn leak_kinds() -> String {
    LEAKS.map(|leak| leak.name).join(", ")
}
