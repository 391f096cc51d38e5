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
mod protobuf;
mod python;
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

/// All readers, those first that know theirs for sure.
pub(crate) const READERS: &[Reader] = &[
    Reader { format: Format::Jfr, knows: jfr::knows, read: jfr::read },
    Reader { format: Format::Pprof, knows: pprof::knows, read: pprof::read },
    Reader { format: Format::PprofText, knows: legacy::knows, read: legacy::read },
    Reader { format: Format::Jemalloc, knows: jemalloc::knows, read: jemalloc::read },
    Reader { format: Format::Goroutines, knows: goroutines::knows, read: goroutines::read },
    Reader { format: Format::V8HeapProfile, knows: v8_sampling::knows, read: v8_sampling::read },
    Reader { format: Format::Python, knows: python::knows, read: python::read },
    Reader { format: Format::MemrayStats, knows: memray_stats::knows, read: memray_stats::read },
    Reader { format: Format::ClassHistogram, knows: class_histogram::knows, read: class_histogram::read },
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
    match READERS.iter().find(|reader| reader.format == format) {
        Some(reader) => (reader.read)(bytes),
        None => Err(HeapError::OtherShape { expected: "a profile", found: format.name() }),
    }
}
