//! Metric relabelling.

use std::sync::Arc;

use leakscope_ingest::{Action, IngestError, Limits, Page, PageConfig, PageSpec, RelabelConfig};
use leakscope_model::Signal::{HeapUsed, Requests, Rss};

use super::{PROMETHEUS, read_as, values};

const BODY: &str = "my_rss_bytes 7\nnodejs_heap_size_used_bytes{space=\"a\"} 3\nhttp_requests_total{code=\"200\"} 4\nhttp_requests_total{code=\"500\"} 1\n";

fn rule(action: Action, source: &str, regex: &str, target: Option<&str>, replacement: Option<&str>) -> RelabelConfig {
    RelabelConfig {
        source_labels: vec![source.to_owned()],
        regex: Some(regex.to_owned()),
        target_label: target.map(ToOwned::to_owned),
        replacement: replacement.map(ToOwned::to_owned),
        action,
        ..RelabelConfig::default()
    }
}

fn relabelled(rules: Vec<RelabelConfig>, sample_limit: u32) -> Result<Page, IngestError> {
    let spec =
        PageSpec::compile(&PageConfig { metric_relabel: rules, ..PageConfig::default() }).expect("rules that work");
    read_as(&Arc::new(spec), PROMETHEUS, Limits { sample_limit, ..Limits::default() }, &[BODY.as_bytes()])
}

#[test]
fn rules_can_drop_and_rename_what_the_dialects_see() {
    let all = [(Rss, 7.0), (HeapUsed, 3.0), (Requests, 5.0)];
    let rename =
        rule(Action::Replace, "__name__", "my_rss_bytes", Some("__name__"), Some("process_resident_memory_bytes"));
    let drop = rule(Action::Drop, "code", "5..", None, None);
    for (rules, want) in [
        (vec![], vec![all[1], all[2]]),
        (vec![rename.clone()], all.to_vec()),
        (vec![drop.clone()], vec![all[1], (Requests, 4.0)]),
        (vec![rename, drop], vec![all[0], all[1], (Requests, 4.0)]),
        (vec![rule(Action::Keep, "__name__", "nodejs_.*", None, None)], vec![all[1]]),
    ] {
        assert_eq!(values(&relabelled(rules, 0).unwrap().own), want);
    }
}

#[test]
fn the_sample_limit_counts_what_relabelling_kept() {
    let drop = rule(Action::Drop, "__name__", "my_.*", None, None);
    assert_eq!(relabelled(vec![], 3), Err(IngestError::TooManySamples { line: 4, limit: 3 }));
    assert!(relabelled(vec![drop], 3).is_ok());
}
