//! Ruby: `prometheus_exporter`, one series for each worker process.

use leakscope_model::Signal::{GcCount, Objects, Rss};

use super::{Row, is};

pub(super) const ROWS: &[Row] = &[
    is("ruby_rss", Rss).sum(),
    is("ruby_heap_live_slots", Objects).sum(),
    is("ruby_major_gc_ops_total", GcCount).sum(),
];
