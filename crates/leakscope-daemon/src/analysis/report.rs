//! A job's JSON as findings, of whichever kind the captures are.

use leakscope_wire::{Finding, HeapAnalysis, HeapDiff, ProfileAnalysis, ProfileDiff, SampleType};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Beginnings of names of values that count what was ever allocated, not what lives.
const ALLOCATED: [&str; 4] = ["alloc", "total_alloc", "churn", "freed"];

/// What all kinds of reports have in common.
#[derive(Debug)]
pub(super) struct Report {
    /// Strongest first.
    pub(super) findings: Vec<Finding>,
    /// Live bytes of each capture in order; empty where the format does not count bytes.
    pub(super) total_bytes: Vec<u64>,
    /// What could not be read.
    pub(super) warnings: Vec<String>,
}

/// What tells a profile from an object graph.
#[derive(Deserialize)]
struct Shape {
    sample_types: Option<IgnoredAny>,
}

impl Report {
    /// Reads what `leakscope diff` (`compared`) or `leakscope analyze` printed.
    ///
    /// # Errors
    /// What was found in its place, with its place.
    pub(super) fn of(answer: &[u8], compared: bool) -> Result<Self, String> {
        let shape: Shape = parse(answer)?;
        match (shape.sample_types, compared) {
            (None, true) => parse(answer).map(Self::of_heaps),
            (None, false) => parse(answer).map(Self::of_heap),
            (Some(IgnoredAny), true) => parse(answer).map(Self::of_profiles),
            (Some(IgnoredAny), false) => parse(answer).map(Self::of_profile),
        }
    }

    fn of_heaps(diff: HeapDiff) -> Self {
        let total_bytes = diff.captures.iter().map(|capture| capture.total_bytes).collect();
        Self { findings: diff.suspects, total_bytes, warnings: diff.warnings }
    }

    fn of_heap(analysis: HeapAnalysis) -> Self {
        let HeapAnalysis { suspects, total_bytes, warnings, .. } = analysis;
        Self { findings: suspects, total_bytes: vec![total_bytes], warnings }
    }

    fn of_profiles(diff: ProfileDiff) -> Self {
        let live = live_bytes(&diff.sample_types);
        let total = |totals: &[i64]| live.and_then(|index| totals.get(index)).map(|bytes| (*bytes).max(0) as u64);
        let total_bytes = diff.captures.iter().filter_map(|capture| total(&capture.totals)).collect();
        Self { findings: diff.suspects, total_bytes, warnings: diff.warnings }
    }

    fn of_profile(analysis: ProfileAnalysis) -> Self {
        let total = live_bytes(&analysis.sample_types).and_then(|index| analysis.totals.get(index));
        let total_bytes = total.map(|bytes| (*bytes).max(0) as u64).into_iter().collect();
        Self { findings: analysis.suspects, total_bytes, warnings: analysis.warnings }
    }
}

fn live_bytes(sample_types: &[SampleType]) -> Option<usize> {
    let is_live = |sample: &SampleType| !ALLOCATED.iter().any(|start| sample.kind.starts_with(start));
    sample_types.iter().position(|sample| sample.unit == "bytes" && is_live(sample))
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    serde_json::from_slice(answer).map_err(|error| error.to_string())
}
