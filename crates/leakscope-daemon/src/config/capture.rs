//! The section `capture`: what evidence may be taken, of whom, and how long it is kept.

use std::time::Duration;

use leakscope_model::Bytes;

use super::quantity::{show_duration, show_size};
use super::reader::{Fields, Reader};
use super::sections::bounded;

/// `capture`: what evidence may be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Whether light evidence is taken.
    pub light: bool,
    /// Whether evidence is taken that stops a process for seconds or multiplies its memory.
    pub heavy: bool,
    /// Time between two rounds of light captures of one process, on the detector's clock.
    pub interval: Duration,
    /// Free memory that must remain after the predicted peak, as a share of the limit.
    pub headroom: f64,
    /// Heavy captures of one target in a day.
    pub heavy_per_target_per_day: u32,
    /// Light captures of one service in an hour.
    pub light_per_service_per_hour: u32,
    /// Bytes that one capture may have.
    pub size_max: Bytes,
    /// Memory that the analysis of captures may take.
    pub analysis_memory: Bytes,
    /// Captures that are analysed at the same time.
    pub analysis_workers: u32,
    /// Whether contents are removed from heap dumps before they are kept.
    pub redact: bool,
    /// How long captures are kept.
    pub retention_time: Duration,
    /// How many bytes of captures are kept; the oldest go first.
    pub retention_size: Bytes,
    /// Node.js.
    pub node: NodeCapture,
    /// Go.
    pub go: GoCapture,
    /// The JVM.
    pub jvm: JvmCapture,
    /// Python.
    pub python: PythonCapture,
    /// Native programs.
    pub native: NativeCapture,
}

/// `capture.node`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCapture {
    /// Open the inspector of processes on this host by SIGUSR1 where it is closed, and close it again.
    pub open_inspector: bool,
    /// Bytes between two samples of the sampling heap profiler.
    pub sampling_interval: Bytes,
}

/// `capture.go`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoCapture {
    /// Where net/http/pprof is served.
    pub path: String,
    /// Run a garbage collection before a heap profile.
    pub gc: bool,
    /// Read the runtime's buckets in the memory of processes on this host where no endpoint is served.
    pub read_memory: bool,
}

/// `capture.jvm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JvmCapture {
    /// Speak HotSpot's attach protocol with processes on this host.
    pub attach: bool,
    /// Where Spring Boot Actuator is served.
    pub actuator_path: String,
    /// Where Jolokia is served.
    pub jolokia_path: String,
}

/// `capture.python`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonCapture {
    /// Where the agent is served.
    pub path: String,
    /// Execute a script in processes on this host by `sys.remote_exec` (3.14 and later) where no agent is served.
    pub remote_exec: bool,
}

/// `capture.native`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeCapture {
    /// Where the allocator's profile is served.
    pub path: String,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            light: true,
            heavy: false,
            interval: Duration::from_mins(10),
            headroom: 0.1,
            heavy_per_target_per_day: 4,
            light_per_service_per_hour: 30,
            size_max: Bytes(8 << 30),
            analysis_memory: Bytes(4 << 30),
            analysis_workers: 1,
            redact: true,
            retention_time: Duration::from_hours(7 * 24),
            retention_size: Bytes(10 << 30),
            node: NodeCapture { open_inspector: false, sampling_interval: Bytes(32 << 10) },
            go: GoCapture { path: "/debug/pprof".into(), gc: true, read_memory: true },
            jvm: JvmCapture { attach: true, actuator_path: "/actuator".into(), jolokia_path: "/jolokia".into() },
            python: PythonCapture { path: "/debug/leakscope".into(), remote_exec: true },
            native: NativeCapture { path: "/debug/pprof/heap".into() },
        }
    }
}

impl Capture {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Self::default();
        let retention = reader.section(fields, "retention", |reader, fields| {
            (reader.duration(fields, "time").map(|at| at.value), reader.size(fields, "size").map(|at| at.value))
        });
        let (retention_time, retention_size) = retention.unwrap_or_default();
        Self {
            light: reader.boolean(fields, "light").unwrap_or(defaults.light),
            heavy: reader.boolean(fields, "heavy").unwrap_or(defaults.heavy),
            interval: least(reader, fields, "interval", INTERVAL_MIN).unwrap_or(defaults.interval),
            headroom: bounded(reader, fields, "headroom", 0.0, 0.9).unwrap_or(defaults.headroom),
            heavy_per_target_per_day: whole(reader, fields, "heavy_per_target_per_day", 0, 100)
                .unwrap_or(defaults.heavy_per_target_per_day),
            light_per_service_per_hour: whole(reader, fields, "light_per_service_per_hour", 0, 1_000)
                .unwrap_or(defaults.light_per_service_per_hour),
            size_max: reader.size(fields, "size_max").map_or(defaults.size_max, |at| at.value),
            analysis_memory: reader.size(fields, "analysis_memory").map_or(defaults.analysis_memory, |at| at.value),
            analysis_workers: whole(reader, fields, "analysis_workers", 1, 64).unwrap_or(defaults.analysis_workers),
            redact: reader.boolean(fields, "redact").unwrap_or(defaults.redact),
            retention_time: retention_time.unwrap_or(defaults.retention_time),
            retention_size: retention_size.unwrap_or(defaults.retention_size),
            node: reader.section(fields, "node", NodeCapture::read).unwrap_or(defaults.node),
            go: reader.section(fields, "go", GoCapture::read).unwrap_or(defaults.go),
            jvm: reader.section(fields, "jvm", JvmCapture::read).unwrap_or(defaults.jvm),
            python: reader.section(fields, "python", PythonCapture::read).unwrap_or(defaults.python),
            native: reader.section(fields, "native", NativeCapture::read).unwrap_or(defaults.native),
        }
    }
}

/// Least time between two rounds: growth in less cannot be told from noise.
const INTERVAL_MIN: Duration = Duration::from_mins(1);
/// Least bytes between two samples of V8's sampling heap profiler: below it requests take several times as long.
const SAMPLING_INTERVAL_MIN: Bytes = Bytes(4 << 10);

impl NodeCapture {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Capture::default().node;
        let sampling = reader.size(fields, "sampling_interval");
        if let Some(sampling) = &sampling
            && sampling.value < SAMPLING_INTERVAL_MIN
        {
            let message = format!("`{}` cannot be {}", fields.path_of("sampling_interval"), show_size(sampling.value));
            reader.error(sampling.place, message, Some("4KB and more".to_owned()), None);
        }
        Self {
            open_inspector: reader.boolean(fields, "open_inspector").unwrap_or(defaults.open_inspector),
            sampling_interval: sampling.map_or(defaults.sampling_interval, |at| at.value),
        }
    }
}

impl GoCapture {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Capture::default().go;
        Self {
            path: url_path(reader, fields, "path").unwrap_or(defaults.path),
            gc: reader.boolean(fields, "gc").unwrap_or(defaults.gc),
            read_memory: reader.boolean(fields, "read_memory").unwrap_or(defaults.read_memory),
        }
    }
}

impl JvmCapture {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Capture::default().jvm;
        Self {
            attach: reader.boolean(fields, "attach").unwrap_or(defaults.attach),
            actuator_path: url_path(reader, fields, "actuator_path").unwrap_or(defaults.actuator_path),
            jolokia_path: url_path(reader, fields, "jolokia_path").unwrap_or(defaults.jolokia_path),
        }
    }
}

impl PythonCapture {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Capture::default().python;
        Self {
            path: url_path(reader, fields, "path").unwrap_or(defaults.path),
            remote_exec: reader.boolean(fields, "remote_exec").unwrap_or(defaults.remote_exec),
        }
    }
}

impl NativeCapture {
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        Self { path: url_path(reader, fields, "path").unwrap_or(Capture::default().native.path) }
    }
}

/// A path of a target's HTTP server, without its last slash.
fn url_path(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>');
    let read = |text: &str| {
        (text.starts_with('/') && !text.starts_with("//") && text.chars().all(plain))
            .then(|| text.trim_end_matches('/').to_owned())
    };
    reader.scalar(fields, key, "a path such as `/debug/pprof`", read).map(|at| at.value)
}

fn whole(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str, low: u32, high: u32) -> Option<u32> {
    let found = reader.count(fields, key)?;
    let value = u32::try_from(found.value).ok().filter(|value| (low..=high).contains(value));
    if value.is_none() {
        let message = format!("`{}` cannot be {}", fields.path_of(key), found.value);
        reader.error(found.place, message, Some(format!("{low} to {high}")), None);
    }
    value
}

fn least(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str, least: Duration) -> Option<Duration> {
    let found = reader.duration(fields, key)?;
    if found.value >= least {
        return Some(found.value);
    }
    let message = format!("`{}` cannot be {}", fields.path_of(key), show_duration(found.value));
    reader.error(found.place, message, Some(format!("{} and more", show_duration(least))), None);
    None
}
