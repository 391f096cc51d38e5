//! `CPython`: `prometheus_client` and OpenTelemetry. Behind gunicorn in multiprocess mode no process metrics exist; container memory has to serve.

use leakscope_model::Signal::{GcCount, Rss, Threads};

use super::Role::{Hint, Is};
use super::When;
use super::{Row, is, otel, row};

pub(super) const ROWS: &[Row] = &[
    otel("process.runtime.cpython.memory", "_bytes", "", Is(Rss)).when(&[When::Is("type", "rss")]),
    otel("process.runtime.cpython.thread_count", "", "", Is(Threads)),
    is("python_gc_collections_total", GcCount).sum(),
    otel("cpython.gc.collections", "", "_total", Is(GcCount)).sum(),
    otel("process.runtime.cpython.gc_count", "_bytes", "_total", Is(GcCount)).sum(),
    otel("process.runtime.cpython.gc_count", "", "_total", Is(GcCount)).sum(),
    row("python_info", Hint),
];
