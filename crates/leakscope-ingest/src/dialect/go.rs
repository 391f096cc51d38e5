//! Go: `client_golang`'s default collector, its widened runtime metrics, OpenTelemetry's runtime instrumentation.

use leakscope_model::Signal::{GcCount, HeapAfterGc, HeapUsed, Objects, Tasks, Threads};

use super::Role::{Frees, GoGcPercent, GoHeapReleased, GoHeapSys, GoMemLimit, GoNextGc, Hint, Is, Mallocs};
use super::When;
use super::{Row, is, otel, row};

pub(super) const ROWS: &[Row] = &[
    is("go_memstats_heap_alloc_bytes", HeapUsed),
    is("go_memstats_alloc_bytes", HeapUsed),
    otel("go.memory.used", "_bytes", "", Is(HeapUsed)).when(&[When::Is("go_memory_type", "other")]),
    is("go_gc_heap_live_bytes", HeapAfterGc),
    row("go_memstats_next_gc_bytes", GoNextGc),
    row("go_gc_heap_goal_bytes", GoNextGc),
    otel("go.memory.gc.goal", "_bytes", "", GoNextGc),
    row("go_gc_gogc_percent", GoGcPercent),
    otel("go.config.gogc", "_percent", "", GoGcPercent),
    row("go_gc_gomemlimit_bytes", GoMemLimit),
    otel("go.memory.limit", "_bytes", "", GoMemLimit),
    row("go_memstats_heap_sys_bytes", GoHeapSys),
    row("go_memstats_heap_released_bytes", GoHeapReleased),
    is("go_memstats_heap_objects", Objects),
    is("go_gc_heap_objects_objects", Objects),
    row("go_memstats_mallocs_total", Mallocs),
    row("go_memstats_frees_total", Frees),
    is("go_gc_duration_seconds_count", GcCount),
    otel("go.memory.gc.cycles", "", "_total", Is(GcCount)),
    is("go_goroutines", Tasks),
    otel("go.goroutine.count", "", "", Is(Tasks)),
    is("go_threads", Threads),
    row("go_info", Hint),
];
