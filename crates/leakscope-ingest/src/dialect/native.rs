//! Rust, C and C++: jemalloc's statistics under the names in use, and tokio's tasks. Heap in use is `stats.allocated`.

use leakscope_model::Signal::{HeapCommitted, HeapUsed, Tasks};

use super::When;
use super::{Row, is};

pub(super) const ROWS: &[Row] = &[
    is("jemalloc_allocated_bytes", HeapUsed),
    is("jemalloc_stats_allocated_bytes", HeapUsed),
    is("jemalloc_stats_allocated", HeapUsed),
    is("jemalloc_allocated", HeapUsed),
    is("tikv_allocator_stats", HeapUsed).when(&[When::Is("type", "allocated")]),
    is("jemalloc_resident_bytes", HeapCommitted),
    is("jemalloc_stats_resident_bytes", HeapCommitted),
    is("jemalloc_stats_resident", HeapCommitted),
    is("jemalloc_resident", HeapCommitted),
    is("tikv_allocator_stats", HeapCommitted).when(&[When::Is("type", "resident")]),
    is("tokio_live_tasks_count", Tasks),
    is("tokio_live_tasks", Tasks),
    is("tokio_num_alive_tasks", Tasks),
    is("tokio_alive_tasks", Tasks),
    is("tokio_active_tasks_count", Tasks),
];
