//! Object graphs as profiles, so that they compare with lighter evidence of the same service.

use super::builder::Builder;
use super::model::Profile;
use crate::heap::Heap;
use crate::hprof::normalised;

/// Objects and their own bytes by type, as a class histogram has them: a sample a type.
///
/// Types are named as the readers of class histograms name them, so that a histogram and a later dump compare.
pub fn histogram_of(heap: &Heap<'_>) -> Profile {
    let mut builder = Builder::new(heap.format(), heap.file_bytes() as usize);
    builder.sample_type("objects", "count");
    builder.sample_type("bytes", "bytes");
    for class in heap.classes().iter().filter(|class| class.count > 0) {
        let (file, line) =
            class.location.as_ref().map_or(("", 0), |place| (place.file.as_str(), i64::from(place.line)));
        let location = builder.frame(&normalised(&class.name), file, line, 0);
        let counted = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        builder.sample(&[location], &[counted(class.count), counted(class.self_bytes)], &[]);
    }
    for warning in heap.warnings() {
        builder.warn(warning.clone());
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::profile::growth::stable;
    use crate::profile::{Context, Granularity, diff, read, top};

    #[test]
    fn a_dump_compares_with_a_histogram_of_the_same_heap() {
        let dump = zstd::decode_all(&include_bytes!("../../../../fixtures/heap/tiny-heap.hprof.zst")[..]).unwrap();
        let of_dump = histogram_of(&crate::analyse(&dump, &|_| {}).unwrap());
        let of_jvm = read(include_bytes!("../../../../fixtures/heap/tiny-heap.histogram.txt")).unwrap();
        // The JVM ends the names of hidden classes with an address.
        let names = |profile: &Profile| -> BTreeSet<String> {
            top(profile, Granularity::Functions).iter().map(|row| stable(&row.name).into_owned()).collect()
        };
        assert_eq!(names(&of_dump), names(&of_jvm));
        let found = diff(&[&of_jvm, &of_dump], &Context::default()).unwrap();
        assert_eq!((found.growth_bytes, found.growth_count, found.findings.len()), (0, 0, 0));
    }
}
