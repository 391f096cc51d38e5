//! What people ask of a profile, and what holds for each answer, so that a fuzzer walks through all that follows reading.

use std::sync::LazyLock;

use leakscope_heap::Format;
use leakscope_heap::profile::{self, Context, Filter, Granularity, Label, LabelValue, Profile, ProfileDiff, Text};
use regex::Regex;

const GRANULARITIES: [Granularity; 5] = [
    Granularity::Functions,
    Granularity::FileFunctions,
    Granularity::Files,
    Granularity::Lines,
    Granularity::Addresses,
];
/// Columns of which everything is asked; of more, the first alone.
const COLUMNS_MAX: usize = 4;

/// The empty expression, which fits everything.
static ANY: LazyLock<Regex> = LazyLock::new(|| expression(""));
static FILTERS: LazyLock<[Filter; 2]> = LazyLock::new(|| {
    let some = |text| Some(expression(text));
    [
        Filter { focus: some("a"), hide: some("e"), ..Filter::default() },
        Filter { ignore: some("e"), show: some("[am]"), show_from: some("m"), ..Filter::default() },
    ]
});
static CONTEXTS: LazyLock<[Context; 2]> =
    LazyLock::new(|| [Context::default(), Context { own: Some(expression("main")), requests: vec![1, 2] }]);

fn expression(text: &str) -> Regex {
    Regex::new(text).expect("it is one")
}

/// Every question to a profile, and every question again when `binary` has named its addresses.
pub fn everything_of(mut profile: Profile, binary: &[u8]) {
    answers_of(&profile);
    let n_warnings = profile.warnings().len();
    profile::symbolize(&mut profile, &mut |_, _| Some(binary.to_vec()));
    assert!(profile.warnings().len() >= n_warnings, "warnings stay");
    answers_of(&profile);
}

fn answers_of(profile: &Profile) {
    every_index(profile);
    written(profile);
    counted(profile);
    cut(profile);
    judged(profile);
}

/// Every sample down to the texts of its frames.
fn every_index(profile: &Profile) {
    for sample in 0..profile.n_samples() {
        assert_eq!(profile.values(sample).len(), profile.sample_types().len());
        for location in profile.stack(sample) {
            let place = profile.locations()[*location as usize];
            let file = place.mapping.map(|mapping| profile.mappings()[mapping as usize].file);
            assert!(file.is_none_or(|file| profile.text(file).len() < usize::MAX));
            for line in profile.lines(*location) {
                let function = line.function.map(|function| profile.functions()[function as usize]);
                assert!(function.is_none_or(|function| profile.text(function.name).len() < usize::MAX));
            }
            assert!(profile.format() != Format::Jfr || profile.lines(*location).len() == 1, "a frame is a line");
        }
        for label in profile.labels(sample) {
            let (LabelValue::Text(text) | LabelValue::Number { unit: text, .. }) = label.value;
            assert!(profile.text(label.key).len() + profile.text(text).len() < usize::MAX);
        }
        assert!(profile.path(sample).len() <= usize::from(u16::MAX), "paths are short");
    }
}

/// As pprof it is the same profile; the other formats end as they must.
fn written(profile: &Profile) {
    let bytes = profile::write_pprof(profile);
    let again = profile::read(&bytes).expect("what we write is a profile");
    assert_eq!(again.n_samples(), profile.n_samples());
    for sample in 0..profile.n_samples() {
        assert_eq!((again.values(sample), again.stack(sample)), (profile.values(sample), profile.stack(sample)));
        let labels =
            |profile: &Profile| profile.labels(sample).iter().map(|label| as_written(*label)).collect::<Vec<_>>();
        assert_eq!(labels(&again), labels(profile));
    }
    assert!(profile::write_pprof(&again) == bytes, "written again it is the same file");
    assert!(profile::write_speedscope(profile, "any").ends_with('}'));
    for column in 0..profile.sample_types().len().min(COLUMNS_MAX) {
        for line in profile::write_collapsed(profile, column).lines() {
            let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<i64>().ok());
            assert!(value.is_some_and(|value| value != 0), "{line:?}");
        }
    }
}

/// pprof does not tell a label with the empty text from one with the number 0.
fn as_written(label: Label) -> Label {
    let is_empty = label.value == LabelValue::Text(Text::default());
    if is_empty { Label { value: LabelValue::Number { value: 0, unit: Text::default() }, ..label } } else { label }
}

/// Rows, calls and lines; what is flat adds up to all samples with a stack.
fn counted(profile: &Profile) {
    let mut flat = vec![0_i64; profile.sample_types().len()];
    for sample in (0..profile.n_samples()).filter(|sample| !profile.stack(*sample).is_empty()) {
        for (sum, value) in flat.iter_mut().zip(profile.values(sample)) {
            *sum = sum.wrapping_add(*value);
        }
    }
    for granularity in GRANULARITIES {
        let rows = profile::top(profile, granularity);
        for (column, sum) in flat.iter().enumerate() {
            let rows = rows.iter().fold(0_i64, |sum, row| sum.wrapping_add(row.flat[column]));
            assert_eq!(rows, *sum, "flat values of column {column} by {granularity:?}");
        }
        for column in 0..flat.len().min(COLUMNS_MAX) {
            let graph = profile::call_graph(profile, granularity, column);
            let calls: usize = (0..graph.rows.len()).map(|row| graph.callers(row).count()).sum();
            assert_eq!(calls, graph.calls.len(), "each call has one callee");
            assert!(graph.ranked(profile::Order::Cum).len() <= graph.rows.len());
            assert_eq!(profile::inlined(profile, granularity, column).len(), graph.rows.len());
        }
    }
    for column in 0..flat.len().min(COLUMNS_MAX) {
        drop(profile::listing(profile, &ANY, column));
        drop(profile::call_tree(&[(profile, column), (profile, column)]).without_small(100));
    }
}

/// Parts of it are profiles too.
fn cut(profile: &Profile) {
    for filter in &*FILTERS {
        let part = filter.apply(profile);
        assert!(part.n_samples() <= profile.n_samples());
        every_index(&part);
    }
    let pruned = profile::prune(profile.clone());
    assert_eq!(pruned.n_samples(), profile.n_samples());
    every_index(&pruned);
    let none = profile::difference(profile, profile);
    assert!(profile::top(&none, Granularity::Functions).is_empty(), "a profile differs from itself in nothing");
    written(&none);
}

/// Suspects of one; a profile did not grow since itself.
fn judged(profile: &Profile) {
    for context in &*CONTEXTS {
        for finding in profile::suspects(profile, context, 10) {
            assert!((0.0..=1.0).contains(&finding.suspect.confidence), "{finding:?}");
        }
        let Ok(diff) = profile::diff(&[profile, profile], context) else { continue };
        let ProfileDiff { captures, growth_bytes, growth_count, .. } = diff;
        assert_eq!((captures.len(), growth_bytes, growth_count), (2, 0, 0));
    }
}
