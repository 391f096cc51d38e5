//! Erlang and Elixir: prometheus.erl. `erlang_vm_memory_bytes_total` is a gauge despite its name.

use leakscope_model::Signal::{GcCount, HeapUsed, Tasks};

use super::{Row, is};

pub(super) const ROWS: &[Row] = &[
    is("erlang_vm_memory_bytes_total", HeapUsed).sum(),
    is("erlang_vm_process_count", Tasks),
    is("erlang_vm_statistics_garbage_collection_number_of_gcs", GcCount),
];
