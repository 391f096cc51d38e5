//! Process level, any language: classic client libraries, OpenTelemetry's process metrics, prometheus-net, Micrometer.

use leakscope_model::Signal::{FileDescriptors, Rss, StartTime, Threads};

use super::Role::{Is, SdkLanguage, Uptime, Version};
use super::{Row, is, otel, row, suffix};

/// `process_heap_bytes` is left out on purpose: prom-client fills it with `VmData`, which is address space.
pub(super) const ROWS: &[Row] = &[
    is("process_resident_memory_bytes", Rss),
    otel("process.memory.usage", "_bytes", "", Is(Rss)),
    is("process_working_set_bytes", Rss),
    is("process_open_fds", FileDescriptors),
    otel("process.unix.file_descriptor.count", "", "", Is(FileDescriptors)),
    otel("process.open_file_descriptor.count", "", "", Is(FileDescriptors)),
    otel("process.windows.handle.count", "", "", Is(FileDescriptors)),
    is("process_open_handles", FileDescriptors),
    is("process_files_open_files", FileDescriptors),
    is("process_threads", Threads),
    is("process_num_threads", Threads),
    otel("process.thread.count", "", "", Is(Threads)),
    is("process_start_time_seconds", StartTime),
    otel("process.uptime", "_seconds", "", Uptime),
    row("target_info", Version("service_version")),
    row("target_info", SdkLanguage),
    suffix("_build_info", Version("version")),
    row("application_info", Version("version")),
    row("app_info", Version("version")),
    row("build_info", Version("version")),
    row("go_build_info", Version("version")),
];
