//! Bytes to profiles: the table of readers.

mod addresses;
mod class_histogram;
mod collapsed;
mod counts;
mod goroutines;
mod jemalloc;
mod jfr;
mod legacy;
mod lines;
mod maps;
mod memray_stats;
mod otlp;
mod pprof;
mod process;
mod protobuf;
mod python;
mod python_types;
#[cfg(test)]
mod testing;
mod unsample;
mod v8_sampling;

use super::model::Profile;
use crate::error::HeapError;
use crate::format::Format;

/// The reader of one format.
pub(crate) struct Reader {
    pub(crate) format: Format,
    /// Whether these are bytes of the format. Looks at the beginning alone.
    pub(crate) knows: fn(&[u8]) -> bool,
    read: fn(&[u8]) -> Result<Profile, HeapError>,
}

/// Rows of a table that are read: of two profiles merged, and with a frame for locations without lines, indices still have 4 bytes.
const INDEX_MAX: usize = u32::MAX as usize / 2;
/// Columns of values that are read: reports have a number a row and column. Real profiles have up to ten.
const SAMPLE_TYPES_MAX: usize = 64;
/// Frames of all stacks that are read, inlined ones included: so many for each byte of the file, or so many of a small file. Beyond
/// that, locations have more frames than any compiler inlines, and stacks repeat them until memory ends.
const FRAMES_PER_BYTE_MAX: usize = 32;
const FRAMES_MAX: usize = 1 << 22;

/// All readers, those first that know theirs for sure.
pub(crate) const READERS: &[Reader] = &[
    Reader { format: Format::Jfr, knows: jfr::knows, read: jfr::read },
    Reader { format: Format::Pprof, knows: pprof::knows, read: pprof::read },
    Reader { format: Format::PprofText, knows: legacy::knows, read: legacy::read },
    Reader { format: Format::Jemalloc, knows: jemalloc::knows, read: jemalloc::read },
    Reader { format: Format::Goroutines, knows: goroutines::knows, read: goroutines::read },
    Reader { format: Format::V8HeapProfile, knows: v8_sampling::knows, read: v8_sampling::read },
    Reader { format: Format::Python, knows: python::knows, read: python::read },
    Reader { format: Format::PythonTypes, knows: python_types::knows, read: python_types::read },
    Reader { format: Format::MemrayStats, knows: memray_stats::knows, read: memray_stats::read },
    Reader { format: Format::ClassHistogram, knows: class_histogram::knows, read: class_histogram::read },
    Reader { format: Format::Process, knows: process::knows, read: process::read },
    // Nearly any text could be stacks: the last of all.
    Reader { format: Format::Collapsed, knows: collapsed::knows, read: collapsed::read },
];

/// Reads a profile of any format, not compressed.
///
/// # Errors
/// [`HeapError`], with the field or line that does not fit. What a format allows to be cut off is read as far as it goes, and
/// [`Profile::warnings`] says so.
pub fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let format = Format::of(bytes)?;
    let reader = READERS
        .iter()
        .find(|reader| reader.format == format)
        .ok_or(HeapError::OtherShape { expected: "a profile", found: format.name() })?;
    let profile = (reader.read)(bytes)?;
    columns_fit(&profile)?;
    frames_fit(&profile, bytes.len())?;
    Ok(profile)
}

fn columns_fit(profile: &Profile) -> Result<(), HeapError> {
    at_most(SAMPLE_TYPES_MAX, "sample types", profile.sample_types.len())?;
    index_fits("samples", profile.n_samples())?;
    index_fits("locations", profile.locations.len())?;
    index_fits("functions", profile.functions.len())?;
    index_fits("mappings", profile.mappings.len())?;
    index_fits("lines of locations", profile.lines.len())?;
    index_fits("labels of samples", profile.labels.len())?;
    index_fits("texts", profile.texts.len())
}

fn frames_fit(profile: &Profile, n_bytes: usize) -> Result<(), HeapError> {
    let max = n_bytes.saturating_mul(FRAMES_PER_BYTE_MAX).max(FRAMES_MAX);
    let n_lines = |location: u32| profile.lines(location).len().max(1);
    let deepest = (0..).take(profile.locations.len()).map(n_lines).max().unwrap_or(1);
    // All but hostile profiles are below the limit even if each location were as deep as the deepest.
    if profile.stacks.len().saturating_mul(deepest) <= max {
        return Ok(());
    }
    let n_frames = profile.stacks.iter().fold(0_usize, |n, location| n.saturating_add(n_lines(*location)));
    at_most(max, "frames of all stacks", n_frames)
}

/// # Errors
/// [`HeapError::TooMany`] above [`INDEX_MAX`].
fn index_fits(what: &'static str, n: usize) -> Result<(), HeapError> {
    at_most(INDEX_MAX, what, n)
}

fn at_most(max: usize, what: &'static str, n: usize) -> Result<(), HeapError> {
    if n > max { Err(HeapError::TooMany { what, max: max as u64, found: n as u64 }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::model::{Line, Location};

    #[test]
    fn no_table_is_longer_than_what_two_of_them_merged_can_index() {
        assert_eq!(index_fits("texts", INDEX_MAX), Ok(()));
        let (max, found) = (2_147_483_647, 2_147_483_648);
        assert_eq!(index_fits("texts", INDEX_MAX + 1), Err(HeapError::TooMany { what: "texts", max, found }));
    }

    #[test]
    fn a_file_of_nothing_but_columns_is_refused() {
        let columns = |n: usize| [&b"\x0a\x04\x08\x01\x10\x01".repeat(n)[..], b"\x32\x00\x32\x05bytes"].concat();
        assert_eq!(read(&columns(64)).map(|profile| profile.sample_types().len()), Ok(64));
        let refused = HeapError::TooMany { what: "sample types", max: 64, found: 65 };
        assert_eq!(read(&columns(65)).map(|_| ()), Err(refused));
    }

    #[test]
    fn inlined_frames_that_a_small_file_repeats_without_end_are_refused() {
        let with_stack = |n_lines: usize, depth: usize| {
            let mut builder = Builder::new(Format::Pprof, 0);
            builder.sample_type("space", "bytes");
            let inlined = builder.location(Location::default(), &vec![Line::default(); n_lines]);
            let plain = builder.frame("main", "", 0, 0);
            let stack: Vec<u32> = std::iter::repeat_n(inlined, depth).chain([plain]).collect();
            builder.sample(&stack, &[1], &[]);
            builder.finish()
        };
        let too_many = |max, found| Err(HeapError::TooMany { what: "frames of all stacks", max, found });
        let cases = [
            (2_048, 2_047, 0, Ok(())),
            (2_048, 2_048, 0, too_many(4_194_304, 4_194_305)),
            (2_048, 2_048, 140_000, Ok(())),
            (2_048, 3_000, 140_000, too_many(4_480_000, 6_144_001)),
            (4_194_304, 0, 0, Ok(())),
        ];
        for (n_lines, depth, n_bytes, expected) in cases {
            assert_eq!(frames_fit(&with_stack(n_lines, depth), n_bytes), expected, "{n_lines} lines, {depth} times");
        }
    }
}
