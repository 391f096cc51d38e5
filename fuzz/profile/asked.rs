//! What people ask of a profile, so that a fuzzer walks through all of its columns.

use leakscope_heap::profile::{self, LabelValue, Profile};

/// Every sample down to the texts of its frames, and the profile written and read again.
pub fn everything_of(profile: &Profile) {
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
        }
        for label in profile.labels(sample) {
            let (LabelValue::Text(text) | LabelValue::Number { unit: text, .. }) = label.value;
            assert!(profile.text(label.key).len() + profile.text(text).len() < usize::MAX);
        }
    }
    let again = profile::read(&profile::write_pprof(profile)).expect("what we write is a profile");
    assert_eq!(again.n_samples(), profile.n_samples());
    for sample in 0..profile.n_samples() {
        assert_eq!((again.values(sample), again.stack(sample)), (profile.values(sample), profile.stack(sample)));
    }
}
