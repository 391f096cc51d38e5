//! Recordings of the JDK Flight Recorder (JDK 11 and later): the objects that it sampled and that are still there.
//!
//! A sample is an object of a `jdk.OldObjectSample`: its stack is where it was allocated, where the recording has that
//! (`jdk.OldObjectSample#stackTrace=true`, not so in `default.jfc`), its path what holds it (`path-to-gc-roots=true`). Columns are
//! `objects` and `bytes`. The JVM keeps a queue of some hundred objects and says nothing of the rate: samples rank what is held and are
//! no totals. Labels: `age`, `type`, `gc_root`, `heap` (used after the last collection before the object was allocated), `entries` (of
//! the biggest collection that holds it).
//!
//! Reading order: `chunk` walks the chunks and their events, `layout` has the types as the chunk itself describes them, `pools` where
//! the values stand that events name by a key, `record` reads single values, `samples` makes the profile.
//!
//! Source: `jdk.jfr.internal.consumer` (`ChunkHeader`, `MetadataDescriptor`, `ChunkParser`) of JDK 17 and 25.

mod chunk;
mod cursor;
mod layout;
mod pools;
mod record;
mod samples;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use self::chunk::{Chunk, Header};
use self::cursor::Cursor;
use self::layout::TypeAt;
use self::pools::Pools;
use self::record::{Record, Source};
use self::samples::Samples;
use crate::error::HeapError;
use crate::format::Format;
use crate::profile::builder::Builder;
use crate::profile::model::Profile;

/// The event of an object that was sampled and is still there.
const SAMPLE: &str = "jdk.OldObjectSample";
/// Warnings about single chunks; more are counted.
const WARNINGS_MAX: usize = 8;
/// What a reader of the figures must know.
const NO_TOTALS: &str = "objects that the JVM sampled and still had (256 at most, unless old-object-queue-size says otherwise): \
                         they rank what is held and are no totals";
/// The event that says how big references are.
const HEAP: &str = "jdk.GCHeapConfiguration";

pub(super) fn knows(bytes: &[u8]) -> bool {
    bytes.starts_with(chunk::MAGIC)
}

/// Reads a recording, unpacked.
///
/// Every dump of a recording ends a chunk with all objects that are sampled by then: those of the last dump are read, of the last with
/// what holds them where there is one.
///
/// # Errors
/// [`HeapError::Unexpected`] where no chunk can be read, or the one with the samples cannot.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    let mut builder = Builder::new(Format::Jfr, bytes.len());
    let recording = Recording::read(bytes)?;
    for warning in recording.said() {
        builder.warn(warning);
    }
    builder.sample_type("objects", "count");
    builder.sample_type("bytes", "bytes");
    let objects = builder.text("objects");
    let comment = builder.text(NO_TOTALS);
    let mut taken_at = recording.end_nanos;
    if let Some(dumped) = &recording.dumped {
        let fields = samples::FIELDS;
        let source = Source::new(&dumped.chunk, Pools::read(&dumped.chunk, dumped.of, fields)?, samples::BUDGET);
        let mut samples = Samples::new(&source, &mut builder, dumped.reference_bytes);
        for event in &dumped.events {
            samples.add(dumped.record(&source, *event))?;
        }
        samples.finish();
        taken_at = dumped.at_nanos;
    } else {
        builder
            .warn(format!("the recording has no `{SAMPLE}`: no dump of it found an object that outlived a collection"));
    }
    let header = builder.header();
    header.time_nanos = taken_at;
    header.duration_nanos = taken_at.saturating_sub(recording.start_nanos).max(0);
    header.default_sample_type = objects;
    header.comments.push(comment);
    Ok(builder.finish())
}

/// The samples of one dump.
struct Dumped<'a> {
    chunk: Chunk<'a>,
    /// Type of the events.
    of: TypeAt,
    events: Vec<Cursor<'a>>,
    /// Whether what holds them was looked for.
    has_roots: bool,
    /// When the last was written.
    at_nanos: i64,
    reference_bytes: i64,
}

impl<'a> Dumped<'a> {
    /// The samples in a chunk, if any.
    fn of(chunk: Chunk<'a>) -> Result<Option<Self>, HeapError> {
        let mut events = Vec::new();
        let mut sampled = None;
        let mut is_narrow = None;
        let source = Source::new(&chunk, Pools::default(), usize::MAX);
        for (of, cursor) in chunk.events() {
            match chunk.layout.get(of).name.as_str() {
                SAMPLE => {
                    sampled = Some(of);
                    events.push(cursor);
                }
                HEAP => is_narrow = Record { source: &source, of, cursor }.number("usesCompressedOops")?,
                _ => {}
            }
        }
        let Some(of) = sampled else { return Ok(None) };
        let (mut has_roots, mut at_nanos) = (false, 0);
        for cursor in &events {
            let event = Record { source: &source, of, cursor: *cursor };
            has_roots |= event.is_set("root")?;
            at_nanos = chunk.header.clock.time(event.number("startTime")?.unwrap_or_default());
        }
        // All heaps below 32 GiB have narrow references, unless that is switched off.
        let reference_bytes = if is_narrow == Some(0) { 8 } else { 4 };
        Ok(Some(Self { chunk, of, events, has_roots, at_nanos, reference_bytes }))
    }

    fn record<'s>(&self, source: &'s Source<'s>, cursor: Cursor<'s>) -> Record<'s> {
        Record { source, of: self.of, cursor }
    }
}

/// What all chunks say.
struct Recording<'a> {
    /// The dump that is read.
    dumped: Option<Dumped<'a>>,
    /// Begin of the first chunk.
    start_nanos: i64,
    /// End of the last.
    end_nanos: i64,
    /// Dumps after the one that is read.
    n_later: usize,
    /// About single chunks.
    warnings: Vec<String>,
}

impl<'a> Recording<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, HeapError> {
        let mut recording = Self { dumped: None, start_nanos: 0, end_nanos: 0, n_later: 0, warnings: Vec::new() };
        let mut failed = Vec::new();
        let mut n_read = 0;
        let mut start = 0;
        while start < bytes.len() {
            let header = match Header::read(bytes, start) {
                Ok(header) => header,
                Err(error) => {
                    failed.push(error);
                    break;
                }
            };
            match Chunk::read(bytes, start, header).and_then(|chunk| recording.add(chunk, n_read == 0)) {
                Ok(()) => n_read += 1,
                Err(error) => failed.push(error),
            }
            start = header.end;
        }
        if n_read == 0 {
            let none = HeapError::Unexpected { at: 0, expected: "a chunk".to_owned(), found: "nothing".to_owned() };
            return Err(failed.into_iter().next().unwrap_or(none));
        }
        recording.warnings.extend(failed.iter().map(|error| format!("a chunk is left out: {error}")));
        Ok(recording)
    }

    /// Takes the samples of the next chunk, if it has any that are better than those before.
    fn add(&mut self, chunk: Chunk<'a>, is_first: bool) -> Result<(), HeapError> {
        let (header, cut_at) = (chunk.header, chunk.cut_at());
        let dumped = Dumped::of(chunk)?;
        if let Some(at) = cut_at {
            self.warnings.push(format!("a chunk is not whole: it is read up to byte {at}"));
        } else if !header.is_whole {
            self.warnings.push("a chunk was still being written: it is read as far as it was".to_owned());
        }
        if is_first {
            self.start_nanos = header.start_nanos;
        }
        self.end_nanos = header.start_nanos.saturating_add(header.duration_nanos);
        let Some(dumped) = dumped else { return Ok(()) };
        if self.dumped.as_ref().is_some_and(|before| before.has_roots) && !dumped.has_roots {
            self.n_later += 1;
        } else {
            self.dumped = Some(dumped);
            self.n_later = 0;
        }
        Ok(())
    }

    /// What could not be read, or is not.
    fn said(&self) -> Vec<String> {
        let mut said: Vec<String> = self.warnings.iter().take(WARNINGS_MAX).cloned().collect();
        if self.warnings.len() > WARNINGS_MAX {
            said.push(format!("the same of {} more chunks", self.warnings.len() - WARNINGS_MAX));
        }
        if self.n_later > 0 {
            said.push(format!(
                "samples are of the last dump with what holds them; of {} later it is not known",
                self.n_later
            ));
        }
        said
    }
}
