//! The section `capture`: what evidence may be taken, of whom, and how long it is kept.

use std::time::Duration;

use leakscope_model::Bytes;

use super::reader::{Fields, Reader};

/// `capture`: what evidence may be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Whether light evidence is taken.
    pub light: bool,
    /// Whether evidence is taken that stops a process for seconds or multiplies its memory.
    pub heavy: bool,
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
        let light = reader.boolean(fields, "light").unwrap_or(defaults.light);
        let heavy = reader.boolean(fields, "heavy").unwrap_or(defaults.heavy);
        Self { light, heavy, ..defaults }
    }
}
