//! Node.js: prom-client and OpenTelemetry. Nothing tells the heap after a collection; the detector takes the lower envelope.

use leakscope_model::Signal::{External, GcCount, HeapCommitted, HeapUsed, Limit, Tasks};

use super::Role::{Hint, Is};
use super::{Row, is, otel, row};

pub(super) const ROWS: &[Row] = &[
    is("nodejs_heap_size_used_bytes", HeapUsed),
    otel("v8js.memory.heap.used", "_bytes", "", Is(HeapUsed)).sum(),
    is("nodejs_heap_size_total_bytes", HeapCommitted),
    otel("v8js.memory.heap.space.size", "_bytes", "", Is(HeapCommitted)).sum(),
    is("nodejs_external_memory_bytes", External),
    is("nodejs_heap_size_limit_bytes", Limit),
    otel("v8js.memory.heap.limit", "_bytes", "", Is(Limit)).sum(),
    is("nodejs_active_resources_total", Tasks),
    is("nodejs_active_resources", Tasks).sum(),
    is("nodejs_active_handles_total", Tasks),
    is("nodejs_active_handles", Tasks).sum(),
    otel("v8js.resource.active", "", "", Is(Tasks)).sum(),
    is("nodejs_gc_duration_seconds_count", GcCount).sum(),
    otel("v8js.gc.duration", "_seconds", "_count", Is(GcCount)).sum(),
    row("nodejs_version_info", Hint),
    row("nodejs_eventloop_lag_seconds", Hint),
];
