//! .NET: prometheus-net, dotnet-monitor, the older OpenTelemetry instrumentation, .NET 9 and the stable conventions.
//!
//! dotnet-monitor's `systemruntime_gen_N_gc_count` counts per interval, not since the start, and is left out on purpose.

use leakscope_model::Signal::{GcCount, HeapAfterGc, HeapCommitted, HeapUsed, Rss, Tasks, Threads};

use super::Role::Is;
use super::{Row, is, otel};

pub(super) const ROWS: &[Row] = &[
    is("dotnet_total_memory_bytes", HeapUsed),
    is("systemruntime_gc_heap_size_bytes", HeapUsed),
    otel("process.runtime.dotnet.gc.objects.size", "_bytes", "", Is(HeapUsed)),
    otel("process.runtime.dotnet.gc.heap.size", "_bytes", "", Is(HeapUsed)).sum(),
    otel("dotnet.gc.last_collection.heap.size", "_bytes", "", Is(HeapAfterGc)).sum(),
    otel("process.runtime.dotnet.gc.committed_memory.size", "_bytes", "", Is(HeapCommitted)),
    otel("dotnet.gc.last_collection.memory.committed_size", "_bytes", "", Is(HeapCommitted)),
    is("systemruntime_working_set_bytes", Rss),
    otel("dotnet.process.memory.working_set", "_bytes", "", Is(Rss)),
    is("dotnet_collection_count_total", GcCount).sum(),
    otel("process.runtime.dotnet.gc.collections.count", "", "_total", Is(GcCount)).sum(),
    otel("dotnet.gc.collections", "", "_total", Is(GcCount)).sum(),
    otel("dotnet.timer.count", "", "", Is(Tasks)),
    otel("process.runtime.dotnet.timer.count", "", "", Is(Tasks)),
    otel("dotnet.thread_pool.thread.count", "", "", Is(Threads)),
    is("systemruntime_threadpool_thread_count", Threads),
];
