//! The text that pprof's format took over from: heap profiles of gperftools, tcmalloc and Go (`debug=1`), and Go's counts of
//! goroutines and threads.
//!
//! ```text
//! heap profile: 3: 2048 [5: 4096] @ heap/1048576
//! 3: 2048 [5: 4096] @ 0x4dab06 0x6474eb
//! #       0x4dab05        main.leak+0x65  /src/main.go:24
//! ```
//!
//! Source: `legacy_profile.go` of google/pprof, `printStackRecord` of Go's `runtime/pprof`. Go's comments, which pprof passes over,
//! give names and labels.

pub(super) mod go;
#[cfg(test)]
mod tests;
pub(super) mod uninteresting;

use super::addresses::{self, Addresses};
use super::counts::Counts;
use super::lines::{digits, first, invalid, numbered};
use super::maps::is_heading;
use super::unsample::unsampled;
use crate::error::HeapError;
use crate::format::Format;
use crate::profile::model::{Label, LabelValue, Profile, Text};
use go::Comments;

const HEAP: &[u8] = b"heap profile:";
const COUNT: &[u8] = b" profile: total ";

/// Whether the first line is the heading of a profile.
pub(super) fn knows(bytes: &[u8]) -> bool {
    let heading = numbered(bytes).map(|(_, line)| line.trim_ascii()).find(|line| !is_comment(line));
    heading.is_some_and(|line| line.starts_with(HEAP) || count_of(line).is_some())
}

fn is_comment(line: &[u8]) -> bool {
    line.first().is_none_or(|byte| *byte == b'#')
}

/// `goroutine profile: total 302`: what is counted.
fn count_of(line: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(line, COUNT)?;
    let what = &line[..at];
    let is_word = !what.is_empty() && !what.iter().any(u8::is_ascii_whitespace);
    (is_word && digits(&line[at + COUNT.len()..]).is_some()).then_some(what)
}

/// Reads a profile as text.
///
/// # Errors
/// [`HeapError::Invalid`] with the number of the line. A last line that is cut off is passed over, with a warning.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut reading: Option<Reading<'_>> = None;
    let mut has_ended = false;
    for (number, line) in numbered(bytes) {
        let trimmed = line.trim_ascii();
        match &mut reading {
            None if is_comment(trimmed) => {}
            None => reading = Some(Reading::of_heading(number, trimmed, bytes.len())?),
            Some(reading) if reading.has_maps => reading.addresses.maps.line(line),
            Some(reading) if is_heading(trimmed) => reading.has_maps = true,
            // What follows such a line are other sections, of which only the map of memory is known.
            Some(reading) if reading.is_count() && trimmed.starts_with(b"---") => has_ended = true,
            Some(_) if has_ended => {}
            Some(reading) if is_comment(trimmed) => reading.comments.line(trimmed),
            Some(reading) => {
                reading.settle();
                match reading.sample(number, trimmed) {
                    // Only the last line has no end.
                    Err(_) if line.as_ptr_range().end == bytes.as_ptr_range().end => {
                        let warning = format!("the profile ends within line {number}, which is passed over");
                        reading.addresses.builder.warn(warning);
                    }
                    outcome => outcome?,
                }
            }
        }
    }
    match reading {
        Some(reading) => Ok(reading.finish()),
        None => Err(invalid(1, "the heading of a profile", first(bytes).unwrap_or_default())),
    }
}

/// What the lines of samples count.
#[derive(Clone, Copy, Debug)]
enum Columns {
    Counts,
    Heap { period: i64, with_allocated: bool },
}

#[derive(Debug)]
struct Reading<'a> {
    addresses: Addresses,
    columns: Columns,
    comments: Comments<'a>,
    /// The sample whose comments are being read.
    pending: Option<Pending>,
    has_maps: bool,
    bytes_label: Text,
}

#[derive(Debug)]
struct Pending {
    returns: Vec<u64>,
    values: Vec<i64>,
    labels: Vec<Label>,
}

impl<'a> Reading<'a> {
    fn of_heading(number: usize, line: &[u8], n_bytes: usize) -> Result<Self, HeapError> {
        let mut addresses = Addresses::new(Format::PprofText, n_bytes);
        let columns = match count_of(line) {
            Some(what) => {
                let what = String::from_utf8_lossy(what);
                addresses.builder.sample_type(&what, "count");
                let period_type = addresses.builder.value_type(&what, "count");
                let drop_frames = addresses.builder.text(&uninteresting::of_profiler());
                let header = addresses.builder.header();
                (header.period_type, header.period, header.drop_frames) = (period_type, 1, drop_frames);
                Columns::Counts
            }
            None => heap_columns(number, line, &mut addresses)?,
        };
        let bytes_label = addresses.builder.text("bytes");
        Ok(Self { addresses, columns, comments: Comments::default(), pending: None, has_maps: false, bytes_label })
    }

    fn is_count(&self) -> bool {
        matches!(self.columns, Columns::Counts)
    }

    fn sample(&mut self, number: usize, line: &'a [u8]) -> Result<(), HeapError> {
        self.pending = Some(match self.columns {
            Columns::Counts => count_sample(number, line)?,
            Columns::Heap { period, with_allocated } => {
                heap_sample(number, line, period, with_allocated, self.bytes_label)?
            }
        });
        Ok(())
    }

    /// Adds the sample before this line, whose comments are all there.
    fn settle(&mut self) {
        if let Some(mut sample) = self.pending.take() {
            sample.labels.extend(self.comments.labels(&mut self.addresses.builder));
            self.addresses.sample(&sample.returns, &sample.values, &sample.labels);
            self.addresses.frames(&self.comments.frames());
        }
        self.comments = Comments::default();
    }

    fn finish(mut self) -> Profile {
        self.settle();
        self.addresses.finish()
    }
}

/// `heap profile: 3: 2048 [5: 4096] @ heap_v2/524288`.
fn heap_columns(number: usize, line: &[u8], addresses: &mut Addresses) -> Result<Columns, HeapError> {
    const EXPECTED: &str = "`heap profile: OBJECTS: BYTES [OBJECTS: BYTES] @ KIND` where KIND is heap_v2/PERIOD, heapz_v2/PERIOD, \
                            heap/PERIOD, heapprofile, growth or fragmentation";
    let parts = line.strip_prefix(HEAP).and_then(Counts::of).and_then(|(counts, rest)| {
        let kind = rest.trim_ascii().strip_prefix(b"@")?.trim_ascii();
        let (kind, period) = kind.split_at(kind.iter().position(|byte| *byte == b'/').unwrap_or(kind.len()));
        let period = if period.len() > 1 { digits(&period[1..])? } else { 0 };
        let total_allocated = (counts.allocated_objects, counts.allocated_bytes);
        let with_allocated = (total_allocated.0 != 0 && total_allocated.0 != counts.objects)
            || (total_allocated.1 != 0 && total_allocated.1 != counts.bytes);
        let columns = |period, with_allocated| Columns::Heap { period, with_allocated };
        match kind {
            b"heapz_v2" | b"heap_v2" => Some((columns(period, with_allocated), period)),
            // Go writes twice its rate.
            b"heap" => Some((columns(period / 2, with_allocated), period / 2)),
            b"heapprofile" => Some((columns(1, with_allocated), 1)),
            b"growth" | b"growthz" | b"fragmentation" | b"fragmentationz" => Some((columns(1, false), 1)),
            _ => None,
        }
    });
    let (columns, period) = parts.ok_or_else(|| invalid(number, EXPECTED, line))?;
    let builder = &mut addresses.builder;
    let names: &[(&str, &str)] = match columns {
        Columns::Heap { with_allocated: true, .. } => &[
            ("alloc_objects", "count"),
            ("alloc_space", "bytes"),
            ("inuse_objects", "count"),
            ("inuse_space", "bytes"),
        ],
        Columns::Heap { .. } | Columns::Counts => &[("objects", "count"), ("space", "bytes")],
    };
    for (kind, unit) in names {
        builder.sample_type(kind, unit);
    }
    let period_type = builder.value_type("space", "bytes");
    let drop_frames = builder.text(&uninteresting::of_allocators());
    let keep_frames = builder.text(uninteresting::KEPT);
    let header = builder.header();
    (header.period_type, header.period) = (period_type, period);
    (header.drop_frames, header.keep_frames) = (drop_frames, keep_frames);
    if period > 1 {
        builder.sampled();
    }
    Ok(columns)
}

/// `302 @ 0x48656e 0x41894e`.
fn count_sample(number: usize, line: &[u8]) -> Result<Pending, HeapError> {
    let expected = || invalid(number, "`COUNT @ ADDRESSES`", line);
    let at = line.iter().position(|byte| *byte == b'@').ok_or_else(expected)?;
    let count = digits(line[..at].trim_ascii_end()).ok_or_else(expected)?;
    let returns = addresses::of_line(&line[at + 1..]).ok_or_else(expected)?;
    Ok(Pending { returns, values: vec![count], labels: Vec::new() })
}

/// `3: 2048 [5: 4096] @ 0x4dab06 0x6474eb`.
fn heap_sample(
    number: usize,
    line: &[u8],
    period: i64,
    with_allocated: bool,
    label: Text,
) -> Result<Pending, HeapError> {
    let expected = || invalid(number, "`OBJECTS: BYTES [OBJECTS: BYTES] @ ADDRESSES`", line);
    let (counts, rest) = Counts::of(line).ok_or_else(expected)?;
    let returns = rest.trim_ascii().strip_prefix(b"@").and_then(addresses::of_line).ok_or_else(expected)?;
    let mut values = Vec::with_capacity(4);
    let mut size = 0;
    let allocated = with_allocated.then_some((counts.allocated_objects, counts.allocated_bytes));
    for (objects, bytes) in allocated.into_iter().chain([(counts.objects, counts.bytes)]) {
        if objects == 0 && bytes != 0 {
            return Err(invalid(number, "no bytes of no objects", line));
        }
        if objects != 0 {
            size = bytes.wrapping_div(objects);
        }
        let (objects, bytes) = unsampled(objects, bytes, period);
        values.extend([objects, bytes]);
    }
    let size = Label { key: label, value: LabelValue::Number { value: size, unit: Text::default() } };
    Ok(Pending { returns, values, labels: vec![size] })
}
