//! Any bytes as Prometheus text and as OpenMetrics; cut anywhere they say the same. Seeds: `fixtures/exposition`.
#![no_main]

use std::sync::{Arc, LazyLock};

use leakscope_ingest::{Limits, PageReader, PageSpec};
use libfuzzer_sys::fuzz_target;

static SPEC: LazyLock<Arc<PageSpec>> = LazyLock::new(Arc::default);

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { sample_limit: 0, line_bytes: 1 << 10, buffered_bytes: 1 << 16 };
    for kind in ["text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"] {
        let whole = read(kind, limits, &[bytes]);
        let cut = usize::from(bytes.first().copied().unwrap_or(0)) % (bytes.len() + 1);
        assert_eq!(whole, read(kind, limits, &[&bytes[..cut], &bytes[cut..]]), "cut at {cut}");
    }
});

/// The outcome in its debug form: absent values are NaN, which equals nothing.
fn read(kind: &str, limits: Limits, chunks: &[&[u8]]) -> String {
    let mut reader = PageReader::new(Arc::clone(&SPEC), Some(kind), limits);
    let fed = chunks.iter().try_for_each(|chunk| reader.feed(chunk));
    format!("{:?}", fed.and_then(|()| reader.finish()))
}
