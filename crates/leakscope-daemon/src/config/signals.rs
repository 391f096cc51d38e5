//! `signals`: where a page holds what no dialect would find: `rss: {pointer: /mem/rss, unit: MB}`.

use leakscope_ingest::{Mapping, PageConfig, PageSpec, Source};
use leakscope_model::{Signal, Unit};

use super::reader::{Fields, Reader, words};
use super::scrape::read_labels;
use super::sections::last_line;
use super::yaml::{Node, Place, Value};

/// Units of sizes and what they multiply by. Decimal and binary spellings mean the same, as everywhere in this configuration.
const BYTE_UNITS: [(&str, f64); 11] = [
    ("B", 1.0),
    ("bytes", 1.0),
    ("KB", 1024.0),
    ("kB", 1024.0),
    ("KiB", 1024.0),
    ("MB", 1_048_576.0),
    ("MiB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("GiB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
    ("TiB", 1_099_511_627_776.0),
];
/// Units of times.
const TIME_UNITS: [(&str, f64); 2] = [("s", 1.0), ("ms", 0.001)];
/// Units of counts.
const COUNT_UNITS: [(&str, f64); 2] = [("1", 1.0), ("thousand", 1000.0)];

/// The mappings under `signals`, checked by compiling each.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Vec<Mapping> {
    let Some(node) = fields.take("signals") else { return Vec::new() };
    let path = fields.path_of("signals");
    let Value::Mapping(_) = &node.value else {
        reader.expected("a mapping of signals", node, &path, Some("write `rss: {pointer: /mem/rss, unit: MB}`"));
        return Vec::new();
    };
    let read_all = |reader: &mut Reader<'_>, fields: &mut Fields<'_>| {
        let mut mappings = Vec::new();
        for signal in Signal::ALL {
            if let Some(node) = fields.take(signal.name()) {
                let path = fields.path_of(signal.name());
                mappings.extend(read_one(reader, node, &path, signal));
            }
        }
        mappings
    };
    reader.mapping(node, &path, read_all).unwrap_or_default()
}

fn read_one(reader: &mut Reader<'_>, node: &Node, path: &str, signal: Signal) -> Option<Mapping> {
    let mapping = reader.mapping(node, path, |reader, fields| {
        let source = read_source(reader, fields);
        let factor = read_unit(reader, fields, signal);
        Some(Mapping { signal, source: source?, factor })
    })??;
    check(reader, node.place, path, &mapping).then_some(mapping)
}

fn read_source(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Source> {
    const KINDS: [&str; 3] = ["pointer", "selector", "metric"];
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
    if given.len() != 1 {
        let message = format!("`{}` needs one source, found {}", fields.path, given.len());
        reader.error(fields.place, message, Some(words(&KINDS)), None);
    }
    for (extra, of) in [("pattern", "selector"), ("labels", "metric")] {
        if fields.has(extra) && !fields.has(of) {
            let message = format!("`{}` belongs to `{of}`", fields.path_of(extra));
            reader.error(fields.key_place(extra), message, None, None);
        }
    }
    let pointer = reader.raw_text(fields, "pointer");
    let selector = reader.raw_text(fields, "selector");
    let pattern = reader.raw_text(fields, "pattern");
    let metric = reader.text(fields, "metric");
    let labels = read_labels(reader, fields, "labels");
    if given.len() != 1 {
        return None;
    }
    let pointer = pointer.map(|text| Source::Pointer(text.value));
    let pattern = pattern.map(|text| text.value);
    let selector = selector.map(|text| Source::Selector { css: text.value, pattern });
    let metric = metric.map(|text| Source::Metric { name: text.value, labels: labels.into_iter().collect() });
    pointer.or(selector).or(metric)
}

/// What the unit multiplies by; 1 when there is none.
fn read_unit(reader: &mut Reader<'_>, fields: &mut Fields<'_>, signal: Signal) -> f64 {
    reader.choice(fields, "unit", units_of(signal)).map_or(1.0, |at| at.value)
}

/// The unit that multiplies by `factor`; none for 1.
#[expect(clippy::float_cmp, reason = "factors come out of the same tables")]
pub(super) fn unit_name(signal: Signal, factor: f64) -> Option<&'static str> {
    let found = units_of(signal).iter().find(|(_, known)| *known == factor && factor != 1.0);
    found.map(|(name, _)| *name)
}

fn units_of(signal: Signal) -> &'static [(&'static str, f64)] {
    match signal.unit() {
        Unit::Bytes => &BYTE_UNITS,
        Unit::UnixSeconds => &TIME_UNITS,
        Unit::Count | Unit::Counter => &COUNT_UNITS,
    }
}

/// Compiles one mapping alone, so that its problem gets its place.
fn check(reader: &mut Reader<'_>, place: Place, path: &str, mapping: &Mapping) -> bool {
    let alone = PageConfig { mappings: vec![mapping.clone()], ..PageConfig::default() };
    match PageSpec::compile(&alone) {
        Ok(_) => true,
        Err(error) => {
            let message = error.to_string();
            let text = match message.lines().next() {
                Some(first) if message.lines().count() > 1 => format!("{first} {}", last_line(&message)),
                _ => message,
            };
            reader.error(place, format!("`{path}`: {text}"), None, None);
            false
        }
    }
}
