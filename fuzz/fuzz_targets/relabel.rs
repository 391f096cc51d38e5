//! Any bytes as a relabelling rule and the labels it runs on: `action\nregex\ntarget\nreplacement\nmodulus\nlabel value\nlabel value...`.
#![no_main]

use leakscope_ingest::{Action, Labels, Relabel, RelabelConfig, relabel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let mut given = || lines.next().filter(|line| !line.is_empty()).map(ToOwned::to_owned);
    let Some(action) = given().and_then(|name| Action::from_name(&name)) else { return };
    let (regex, target_label, replacement) = (given(), given(), given());
    let modulus = given().and_then(|digits| digits.parse().ok());
    let pair = |line: &str| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut labels: Labels = lines.filter_map(pair).collect();
    let takes_sources = !matches!(action, Action::LabelDrop | Action::LabelKeep);
    let source_labels = if takes_sources { labels.keys().take(3).cloned().collect() } else { Vec::new() };
    let config = RelabelConfig { source_labels, separator: None, regex, target_label, replacement, modulus, action };
    if let Ok(rule) = Relabel::compile(1, &config) {
        relabel(&[rule], &mut labels);
        assert!(takes_sources || labels.len() <= text.len());
    }
});
