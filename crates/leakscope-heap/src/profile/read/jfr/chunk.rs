//! Chunks: each a recording of its own, with its header, its events, its types and its pools.

use super::cursor::Cursor;
use super::layout::{Layout, TypeAt};
use crate::error::HeapError;
use crate::hprof::bytes::{u16_at, u64_at};

/// What every chunk begins with.
pub(super) const MAGIC: &[u8] = b"FLR\0";
/// Bytes of the header of a chunk.
const HEADER_BYTES: usize = 68;
/// Type of the event that describes all types.
const METADATA: i64 = 0;
/// Type of an event with pools.
const CHECKPOINT: i64 = 1;

/// Ticks of a chunk's clock as times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clock {
    start_nanos: i64,
    start_ticks: i64,
    ticks_per_nano: f64,
}

impl Clock {
    /// Nanoseconds since the Unix epoch, in the arithmetic of `jdk.jfr.internal.consumer.TimeConverter`.
    pub(super) fn time(self, ticks: i64) -> i64 {
        self.start_nanos.saturating_add(self.span(ticks.wrapping_sub(self.start_ticks)))
    }

    /// Nanoseconds.
    pub(super) fn span(self, ticks: i64) -> i64 {
        (ticks as f64 / self.ticks_per_nano) as i64
    }
}

/// The header of a chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    /// First byte after the chunk, as far as the file goes.
    pub(super) end: usize,
    /// Whether the chunk is there to its last byte, and its writer was done with it.
    pub(super) is_whole: bool,
    pub(super) start_nanos: i64,
    pub(super) duration_nanos: i64,
    pub(super) clock: Clock,
    is_compressed: bool,
}

impl Header {
    /// Reads the header at `start`.
    pub(super) fn read(bytes: &[u8], start: usize) -> Result<Self, HeapError> {
        let invalid = |field: usize, expected: &str, found: String| HeapError::Unexpected {
            at: (start + field) as u64,
            expected: expected.to_owned(),
            found,
        };
        let Some(header) = bytes.get(start..start + HEADER_BYTES) else {
            let found = format!("{} before the end", bytes.len().saturating_sub(start));
            return Err(invalid(0, &format!("{HEADER_BYTES} bytes of a chunk's header"), found));
        };
        if !header.starts_with(MAGIC) {
            return Err(invalid(0, "a chunk, `FLR\\x00`", format!("`{}`", header[..MAGIC.len()].escape_ascii())));
        }
        let short = |at| u16_at(header, at).unwrap_or_default();
        let long = |at| u64_at(header, at).unwrap_or_default();
        if short(4) != 2 {
            return Err(invalid(4, "version 2 of the format", format!("{}.{}", short(4), short(6))));
        }
        let ticks_per_second = long(56);
        if ticks_per_second == 0 {
            return Err(invalid(56, "more than 0 ticks a second", "0".to_owned()));
        }
        let claimed = usize::try_from(long(8)).ok().filter(|size| *size >= HEADER_BYTES);
        // Nothing is said of the size until the first part of a chunk is on disk.
        let end = claimed.and_then(|size| start.checked_add(size)).filter(|end| *end <= bytes.len());
        let (start_nanos, start_ticks) = (long(32) as i64, long(48) as i64);
        Ok(Self {
            end: end.unwrap_or(bytes.len()),
            is_whole: end.is_some() && header[64] == 0,
            start_nanos,
            duration_nanos: long(40) as i64,
            clock: Clock { start_nanos, start_ticks, ticks_per_nano: ticks_per_second as f64 / 1e9 },
            is_compressed: header[67] & 1 == 1,
        })
    }
}

/// A chunk whose types are known.
#[derive(Clone, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) header: Header,
    pub(super) layout: Layout,
    /// The recording up to the end of the chunk's last whole event.
    bytes: &'a [u8],
    /// After the header.
    first_event: usize,
    /// Events with pools, after size and type.
    pub(super) checkpoints: Vec<Cursor<'a>>,
}

impl<'a> Chunk<'a> {
    /// Reads the chunk at `start`.
    ///
    /// # Errors
    /// [`HeapError::Unexpected`] where its types cannot be read.
    pub(super) fn read(bytes: &'a [u8], start: usize, header: Header) -> Result<Self, HeapError> {
        let first_event = start + HEADER_BYTES;
        let mut metadata = None;
        let mut checkpoints = Vec::new();
        let mut events = Events::new(&bytes[..header.end], first_event, header.is_compressed);
        for (of, event) in &mut events {
            match of {
                // The last describes all types that came to be known.
                METADATA => metadata = Some(event),
                CHECKPOINT => checkpoints.push(event),
                _ => {}
            }
        }
        let whole_until = events.cursor.at;
        if whole_until < header.end && header.is_whole {
            let found = "one of another size".to_owned();
            return Err(HeapError::Unexpected { at: whole_until as u64, expected: "an event".to_owned(), found });
        }
        let Some(metadata) = metadata else {
            return Err(HeapError::Unexpected {
                at: start as u64,
                expected: "a chunk with an event that describes its types".to_owned(),
                found: "none".to_owned(),
            });
        };
        let layout = Layout::read(metadata)?;
        Ok(Self { header, layout, bytes: &bytes[..whole_until], first_event, checkpoints })
    }

    /// Where there is more in the file than whole events.
    pub(super) fn cut_at(&self) -> Option<usize> {
        (self.bytes.len() < self.header.end).then_some(self.bytes.len())
    }

    /// Events whose type is known, in their order, each as a place from its first field to its end.
    pub(super) fn events(&self) -> impl Iterator<Item = (TypeAt, Cursor<'a>)> + '_ {
        let events = Events::new(self.bytes, self.first_event, self.header.is_compressed);
        events.filter_map(|(of, event)| Some((self.layout.by_id(of)?, event)))
    }

    /// The bytes from `at` on.
    pub(super) fn cursor(&self, at: usize) -> Cursor<'a> {
        Cursor { bytes: self.bytes, at, is_compressed: self.header.is_compressed }
    }
}

/// Walks events by their sizes; stops before the first that is not whole.
struct Events<'a> {
    /// At the next event.
    cursor: Cursor<'a>,
}

impl<'a> Events<'a> {
    fn new(bytes: &'a [u8], at: usize, is_compressed: bool) -> Self {
        Self { cursor: Cursor { bytes, at, is_compressed } }
    }
}

impl<'a> Iterator for Events<'a> {
    /// Id of the event's type, and what follows it to the end of the event.
    type Item = (i64, Cursor<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.cursor.at;
        let mut ahead = self.cursor;
        let size = usize::try_from(ahead.int("event.size").ok()?).ok()?;
        let end = start.checked_add(size).filter(|end| *end <= self.cursor.bytes.len())?;
        let mut event = ahead.until(end);
        let of = event.long("event.type").ok()?;
        self.cursor.at = end;
        Some((of, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_times_as_the_jdk_computes_them() {
        let clock = Clock { start_nanos: 1_795_284_907_083_339_149, start_ticks: 1_000, ticks_per_nano: 2.5 };
        assert_eq!(clock.span(2_500), 1_000);
        assert_eq!(clock.time(3_500), 1_795_284_907_083_340_149);
    }
}
