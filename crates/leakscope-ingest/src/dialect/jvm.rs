//! JVM: `client_java` 1.x, simpleclient and `jmx_exporter`, Micrometer, OpenTelemetry. One name may come in three shapes; each shape is a row of its own, so that two agents do not add up.

use leakscope_model::Signal::{
    External, FileDescriptors, GcCount, HeapAfterGc, HeapCommitted, HeapUsed, Limit, Threads,
};

use super::Role::{Hint, Is, OldGenMax, OldGenRatio};
use super::When::{self, Absent, OldPool, Present};
use super::{Row, is, otel, row};

/// `client_java` and simpleclient: one series for the whole heap.
const AREA: &[When] = &[When::Is("area", "heap"), Absent("id"), Absent("jvm_memory_type")];
/// Micrometer: one series for each pool.
const AREA_ID: &[When] = &[When::Is("area", "heap"), Present("id")];
/// OpenTelemetry: one series for each pool, other labels.
const OTEL: &[When] = &[When::Is("jvm_memory_type", "heap")];
const OTEL_OLD: &[When] = &[When::Is("jvm_memory_type", "heap"), OldPool("jvm_memory_pool_name")];

pub(super) const ROWS: &[Row] = &[
    is("jvm_memory_used_bytes", HeapUsed).when(AREA),
    is("jvm_memory_bytes_used", HeapUsed).when(AREA),
    is("jvm_memory_used_bytes", HeapUsed).when(AREA_ID).sum(),
    otel("jvm.memory.used", "_bytes", "", Is(HeapUsed)).when(OTEL).sum(),
    is("jvm_memory_committed_bytes", HeapCommitted).when(AREA),
    is("jvm_memory_bytes_committed", HeapCommitted).when(AREA),
    is("jvm_memory_committed_bytes", HeapCommitted).when(AREA_ID).sum(),
    otel("jvm.memory.committed", "_bytes", "", Is(HeapCommitted)).when(OTEL).sum(),
    is("jvm_memory_max_bytes", Limit).when(AREA),
    is("jvm_memory_bytes_max", Limit).when(AREA),
    is("jvm_memory_max_bytes", Limit).when(AREA_ID).sum(),
    otel("jvm.memory.limit", "_bytes", "", Is(Limit)).when(OTEL).sum(),
    is("jvm_memory_pool_collection_used_bytes", HeapAfterGc).when(&[OldPool("pool")]).sum(),
    is("jvm_gc_live_data_size_bytes", HeapAfterGc),
    otel("jvm.memory.used_after_last_gc", "_bytes", "", Is(HeapAfterGc)).when(OTEL_OLD).sum(),
    row("jvm_memory_usage_after_gc", OldGenRatio).when(&[When::Is("area", "heap"), OldPool("pool")]),
    row("jvm_memory_usage_after_gc_percent", OldGenRatio).when(&[When::Is("area", "heap"), OldPool("pool")]),
    row("jvm_memory_max_bytes", OldGenMax).when(&[When::Is("area", "heap"), OldPool("id")]).sum(),
    is("jvm_gc_collection_seconds_count", GcCount).sum(),
    is("jvm_gc_pause_seconds_count", GcCount).sum(),
    otel("jvm.gc.duration", "_seconds", "_count", Is(GcCount)).sum(),
    is("jvm_buffer_pool_used_bytes", External).sum(),
    is("jvm_buffer_memory_used_bytes", External).when(&[Absent("jvm_buffer_pool_name")]).sum(),
    otel("jvm.buffer.memory.used", "_bytes", "", Is(External)).when(&[Present("jvm_buffer_pool_name")]).sum(),
    is("jvm_threads_current", Threads),
    is("jvm_threads_live_threads", Threads),
    otel("jvm.thread.count", "", "", Is(Threads)).sum(),
    otel("jvm.file_descriptor.count", "", "", Is(FileDescriptors)),
    row("jvm_info", Hint),
    row("jvm_runtime_info", Hint),
    row("jvm_info_total", Hint),
];
