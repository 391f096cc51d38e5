//! Flags of Node.js that say where its inspector is and what its signals do, from the command line and `NODE_OPTIONS`.

use std::net::IpAddr;

/// Where Node.js opens its inspector unless told otherwise.
pub(super) const DEFAULT_PORT: u16 = 9229;
/// Flags whose value is the next argument, so that it is not taken for the script.
const WITH_VALUE: [&str; 7] =
    ["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"];

/// What its flags say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Port of the inspector; 0 is any free one.
    pub(super) port: Option<u16>,
    /// Whether it opens its inspector by itself.
    pub(super) inspects: bool,
    /// Whether SIGUSR1 does not open the inspector (`--disable-sigusr1`).
    pub(super) ignores_signal: bool,
    /// The signal upon which it writes a snapshot (`--heapsnapshot-signal`).
    pub(super) snapshot_signal: Option<String>,
    /// Where it writes it (`--diagnostic-dir`); its working folder otherwise.
    pub(super) diagnostic_folder: Option<String>,
}

impl Options {
    /// Reads `/proc/PID/cmdline` and `/proc/PID/environ`. The command line stands above the environment, as in Node.js.
    pub(super) fn of(cmdline: &[u8], environ: &[u8]) -> Self {
        let mut options = Self::default();
        let environment = environ.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"NODE_OPTIONS="));
        for flag in String::from_utf8_lossy(environment.unwrap_or_default()).split_whitespace() {
            options.set(flag);
        }
        let mut arguments = cmdline.split(|byte| *byte == 0).skip(1).map(String::from_utf8_lossy);
        while let Some(flag) = arguments.next() {
            // Behind the script stand the arguments of the service.
            if !flag.starts_with('-') || flag == "--" {
                break;
            }
            if WITH_VALUE.contains(&&*flag) {
                arguments.next();
            }
            options.set(&flag);
        }
        options
    }

    fn set(&mut self, flag: &str) {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        // V8 and Node.js take `_` for `-`.
        match name.replace('_', "-").as_str() {
            "--inspect" | "--inspect-brk" | "--inspect-wait" | "--inspect-port" | "--debug-port" => {
                self.port = port(value).or(self.port);
                self.inspects |= name.contains("inspect") && !name.ends_with("port");
            }
            "--disable-sigusr1" => self.ignores_signal = true,
            "--heapsnapshot-signal" => self.snapshot_signal = Some(value.to_owned()),
            "--diagnostic-dir" => self.diagnostic_folder = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// The port of `[host:]port`, `host` alone being the default port.
fn port(value: &str) -> Option<u16> {
    let behind_host = value.rsplit_once(':').map_or(value, |(_, port)| port);
    match behind_host.parse() {
        Ok(port) => Some(port),
        Err(_) if value.parse::<IpAddr>().is_ok() => Some(DEFAULT_PORT),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_count_up_to_the_script_and_stand_above_the_environment() {
        let port = |port| Options { port: Some(port), ..Options::default() };
        let cases: [(&str, &str, Options); 8] = [
            ("node\0app.js\0--inspect=7000\0", "", Options::default()),
            ("node\0--inspect=0.0.0.0:7000\0app.js\0", "", Options { inspects: true, ..port(7000) }),
            ("node\0--inspect\0app.js\0", "", Options { inspects: true, ..Options::default() }),
            ("node\0-r\0./hook.js\0--inspect=127.0.0.1:0\0app.js\0", "", Options { inspects: true, ..port(0) }),
            ("node\0app.js\0", "A=1\0NODE_OPTIONS=--max-old-space-size=99 --inspect-port=7001\0", port(7001)),
            ("node\0--inspect_port=7002\0app.js\0", "NODE_OPTIONS=--inspect-port=7001\0", port(7002)),
            ("node\0--disable-sigusr1\0app.js\0", "", Options { ignores_signal: true, ..Options::default() }),
            (
                "node\0--heapsnapshot-signal=SIGUSR2\0--diagnostic-dir=/var/tmp\0app.js\0",
                "",
                Options {
                    snapshot_signal: Some("SIGUSR2".into()),
                    diagnostic_folder: Some("/var/tmp".into()),
                    ..Options::default()
                },
            ),
        ];
        for (cmdline, environ, expected) in cases {
            assert_eq!(Options::of(cmdline.as_bytes(), environ.as_bytes()), expected, "{cmdline:?} {environ:?}");
        }
    }
}
