//! The sections that Prometheus does not have: `local_discovery`, `storage`, `detection`, `web`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use leakscope_model::Bytes;
use regex::Regex;

use super::http::{Auth, read_header};
use super::limits;
use super::quantity::{show_duration, show_size};
use super::reader::{Fields, Reader, found_text};
use super::secret::{Secret, Sourced};

/// Bytes that one compiled pattern may take. Beyond: refused.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Most command lines patterns of one list. Beyond: refused.
const PATTERNS_MAX: usize = 100;

/// A regular expression that is compared by its text.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// `local_discovery`: processes of this host that are found without configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalDiscovery {
    /// Whether to look; by default only when no job is configured.
    pub enabled: bool,
    /// How often to look.
    pub interval: Duration,
    /// Ask the found processes' loopback ports for pages we know; without it they are read from `/proc` only.
    pub probe: bool,
    /// Command lines to take; empty takes all.
    pub include: Vec<Pattern>,
    /// Command lines to leave, even if included.
    pub exclude: Vec<Pattern>,
    /// Ports to take; empty takes all.
    pub ports: Vec<u16>,
}

impl Default for LocalDiscovery {
    fn default() -> Self {
        let interval = Duration::from_secs(15);
        Self { enabled: true, interval, probe: true, include: Vec::new(), exclude: Vec::new(), ports: Vec::new() }
    }
}

impl LocalDiscovery {
    /// The section, and whether it says itself if it is enabled.
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> (Self, bool) {
        let enabled = reader.boolean(fields, "enabled");
        let section = Self {
            enabled: enabled.unwrap_or(true),
            interval: limits::interval(reader, fields, "interval").map_or(Self::default().interval, |at| at.value),
            probe: reader.boolean(fields, "probe").unwrap_or(true),
            include: read_patterns(reader, fields, "include"),
            exclude: read_patterns(reader, fields, "exclude"),
            ports: read_ports(reader, fields),
        };
        (section, enabled.is_some())
    }

    /// Whether a process with this command line is to be watched.
    pub fn admits(&self, cmdline: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|pattern| pattern.0.is_match(cmdline));
        included && !self.exclude.iter().any(|pattern| pattern.0.is_match(cmdline))
    }
}

fn read_patterns(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> Vec<Pattern> {
    let items = reader.items(fields, key);
    if items.len() > PATTERNS_MAX {
        let message =
            format!("expected at most {PATTERNS_MAX} patterns for `{}`, found {}", fields.path_of(key), items.len());
        reader.error(fields.key_place(key), message, None, None);
        return Vec::new();
    }
    let mut patterns = Vec::new();
    for (node, path) in items {
        let Some(text) = reader.raw_text_of(node, &path) else { continue };
        match regex::RegexBuilder::new(&text.value).size_limit(PATTERN_BYTES_MAX).build() {
            Ok(pattern) => patterns.push(Pattern(pattern)),
            Err(error) => {
                let reason = last_line(&error.to_string());
                let message = format!(
                    "expected a regular expression for `{path}`, found {}: {reason}",
                    found_text(&text.written)
                );
                reader.error(text.place, message, None, None);
            }
        }
    }
    patterns
}

/// The reason of a regular expression's error, without its picture.
pub(super) fn last_line(error: &str) -> String {
    error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn read_ports(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Vec<u16> {
    let items = reader.items(fields, "ports");
    let mut ports = Vec::new();
    for (node, path) in items {
        let Some(text) = reader.text_of(node, &path) else { continue };
        match text.value.parse() {
            Ok(port) => ports.push(port),
            Err(_) => reader.expected("a port from 0 to 65535", node, &path, None),
        }
    }
    ports
}

/// `storage`: where and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The folder.
    pub path: PathBuf,
    /// How long samples are kept.
    pub retention_time: Duration,
    /// How much is kept; what is oldest goes first.
    pub retention_size: Bytes,
}

impl Default for Storage {
    fn default() -> Self {
        let path = PathBuf::from("data");
        Self { path, retention_time: Duration::from_hours(15 * 24), retention_size: Bytes(10 << 30) }
    }
}

impl Storage {
    /// Least that `retention.size` may be: below it the newest blocks would not fit.
    const SIZE_MIN: Bytes = Bytes(64 << 20);
    /// Shortest `retention.time`: below it the detector has nothing to look at.
    const TIME_MIN: Duration = Duration::from_hours(1);

    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Self::default();
        // Relative to the working directory, as `--storage.path` is.
        let path =
            reader.text(fields, "path").map(|at| PathBuf::from(at.value)).filter(|path| !path.as_os_str().is_empty());
        let retention = reader.section(fields, "retention", |reader, fields| {
            let time = reader.duration(fields, "time");
            let size = reader.size(fields, "size");
            if let Some(time) = &time
                && time.value < Self::TIME_MIN
            {
                let message = format!("`{}` cannot be {}", fields.path_of("time"), show_duration(time.value));
                reader.error(time.place, message, Some("1h and more".to_owned()), None);
            }
            if let Some(size) = &size
                && size.value < Self::SIZE_MIN
            {
                let message = format!("`{}` cannot be {}", fields.path_of("size"), show_size(size.value));
                reader.error(size.place, message, Some("64MB and more".to_owned()), None);
            }
            (time.map(|at| at.value), size.map(|at| at.value))
        });
        let (time, size) = retention.unwrap_or_default();
        Self {
            path: path.unwrap_or(defaults.path),
            retention_time: time.unwrap_or(defaults.retention_time),
            retention_size: size.unwrap_or(defaults.retention_size),
        }
    }
}

/// `detection`: how verdicts are reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// How much faster than the wall clock the detector's clock runs; 1 outside demonstrations.
    pub time_scale: f64,
    /// The one knob of sensitivity: false alarms that may be raised in a thousand days of one service.
    pub false_alarms_per_1000_service_days: f64,
}

impl Default for Detection {
    fn default() -> Self {
        Self { time_scale: 1.0, false_alarms_per_1000_service_days: 1.0 }
    }
}

impl Detection {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let scale = bounded(reader, fields, "time_scale", 1.0, 100_000.0);
        let rate = bounded(reader, fields, "false_alarms_per_1000_service_days", 0.01, 100.0);
        let defaults = Self::default();
        Self {
            time_scale: scale.unwrap_or(defaults.time_scale),
            false_alarms_per_1000_service_days: rate.unwrap_or(defaults.false_alarms_per_1000_service_days),
        }
    }
}

pub(super) fn bounded(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    key: &'static str,
    low: f64,
    high: f64,
) -> Option<f64> {
    let found = reader.number(fields, key)?;
    if (low..=high).contains(&found.value) {
        return Some(found.value);
    }
    let message = format!("`{}` cannot be {}", fields.path_of(key), found.value);
    reader.error(found.place, message, Some(format!("{low} to {high}")), None);
    None
}

/// `web`: the API and the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Where to listen.
    pub listen_address: SocketAddr,
    /// How others reach this leakscope; links in reports start with it.
    pub external_url: Option<String>,
    /// TLS and users, in the form of the Prometheus exporter toolkit; see [`super::WebFile`].
    pub config_file: Option<PathBuf>,
    /// The token that API clients have to send as `Authorization: Bearer TOKEN`.
    pub token: Option<Sourced<Secret>>,
    /// Serve other hosts without any authentication.
    pub allow_unauthenticated_non_loopback: bool,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen_address: SocketAddr::from(([127, 0, 0, 1], 7077)),
            external_url: None,
            config_file: None,
            token: None,
            allow_unauthenticated_non_loopback: false,
        }
    }
}

impl Web {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Self::default();
        let address = reader.scalar(
            fields,
            "listen_address",
            "an address such as `127.0.0.1:7077` or `:7077`",
            parse_listen_address,
        );
        let external_url = reader.scalar(fields, "external_url", "a URL from `http://` or `https://`", |text| {
            (text.starts_with("http://") || text.starts_with("https://")).then(|| text.to_owned())
        });
        let config_file = reader.path(fields, "config_file").map(|at| at.value);
        let header = reader.section(fields, "authorization", read_header).flatten();
        let token = match header {
            Some(Auth::Header { credentials, .. }) => Some(credentials),
            _ => None,
        };
        let allow = reader.boolean(fields, "allow_unauthenticated_non_loopback").unwrap_or(false);
        let web = Self {
            listen_address: address.as_ref().map_or(defaults.listen_address, |at| at.value),
            external_url: external_url.map(|at| at.value),
            config_file,
            token,
            allow_unauthenticated_non_loopback: allow,
        };
        if let (Some(at), Err(hint)) = (&address, web.admit()) {
            let message = format!(
                "`{}` {} is open to other hosts without authentication",
                fields.path_of("listen_address"),
                at.value
            );
            reader.error(at.place, message, None, Some(hint.to_owned()));
        }
        web
    }

    /// Whether it may be served like this: on loopback, or with authentication, or by an explicit word.
    ///
    /// # Errors
    /// What to do about it. To be asked again after `--web.listen-address` and once `config_file` is read, which may hold no users.
    pub fn admit(&self) -> Result<(), &'static str> {
        let guarded = self.token.is_some() || self.config_file.is_some() || self.allow_unauthenticated_non_loopback;
        if guarded || self.listen_address.ip().is_loopback() {
            return Ok(());
        }
        Err("set `web.authorization`, or users in `web.config_file`, or `web.allow_unauthenticated_non_loopback: true`")
    }
}

/// `host:port` with a literal address; an empty host is every address, `localhost` is loopback.
pub fn parse_listen_address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix(':') {
        return Some(SocketAddr::from(([0, 0, 0, 0], port.parse().ok()?)));
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)));
    }
    text.parse().ok()
}
