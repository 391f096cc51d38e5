//! Any bytes as JSON of every known shape and through pointers. Seeds: `fixtures/exposition`, `fixtures/exposition/actuator`.
#![no_main]

use std::sync::{Arc, LazyLock};

use leakscope_ingest::{Format, Limits, Mapping, PageConfig, PageReader, PageSpec, Source, actuator};
use leakscope_model::Signal;
use libfuzzer_sys::fuzz_target;

static SPECS: LazyLock<Vec<Arc<PageSpec>>> = LazyLock::new(|| {
    let pointer = Source::Pointer("/memory/rss".to_owned());
    let mappings = vec![Mapping { signal: Signal::Rss, source: pointer, factor: 1_024.0 }];
    let spec = |format| PageSpec::compile(&PageConfig { format, mappings: mappings.clone(), ..PageConfig::default() });
    let formats = [Format::Auto, Format::Expvar, Format::Status, Format::Actuator, Format::Jolokia, Format::Json];
    formats.into_iter().map(|format| Arc::new(spec(format).expect("nothing to refuse"))).collect()
});

fuzz_target!(|bytes: &[u8]| {
    for spec in &*SPECS {
        let mut reader = PageReader::new(Arc::clone(spec), Some("application/json"), Limits::default());
        if reader.feed(bytes).is_ok() {
            drop(reader.finish());
        }
    }
    drop(actuator::wanted_paths(bytes));
});
