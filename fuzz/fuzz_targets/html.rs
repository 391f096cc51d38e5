//! Any bytes as an HTML page, through selectors and patterns.
#![no_main]

use std::sync::{Arc, LazyLock};

use leakscope_ingest::{Format, Limits, Mapping, PageConfig, PageReader, PageSpec, Source};
use leakscope_model::Signal;
use libfuzzer_sys::fuzz_target;

static SPEC: LazyLock<Arc<PageSpec>> = LazyLock::new(|| {
    let selector = |signal, css: &str, pattern: Option<&str>| {
        let source = Source::Selector { css: css.to_owned(), pattern: pattern.map(ToOwned::to_owned) };
        Mapping { signal, source, factor: 1.0 }
    };
    let mappings = vec![
        selector(Signal::Rss, "table td", None),
        selector(Signal::HeapUsed, "body div > p:nth-child(2)", None),
        selector(Signal::Limit, "p", Some(r"of ([\d.,]+ \w+)")),
    ];
    let config = PageConfig { format: Format::Html, mappings, ..PageConfig::default() };
    Arc::new(PageSpec::compile(&config).expect("nothing to refuse"))
});

fuzz_target!(|bytes: &[u8]| {
    let mut reader = PageReader::new(Arc::clone(&SPEC), Some("text/html"), Limits::default());
    if reader.feed(bytes).is_ok() {
        drop(reader.finish());
    }
});
