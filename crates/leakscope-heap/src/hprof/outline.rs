//! The outer records of a dump: where strings, class names, frames and the pieces of the heap are. Nothing is decoded here.

use std::ops::Range;

use crate::error::HeapError;
use crate::hprof::bytes::{Width, id_at, u32_at};
use crate::hprof::records::{self, Visitor};

const STRING: u8 = 0x01;
const LOAD_CLASS: u8 = 0x02;
const FRAME: u8 = 0x04;
const TRACE: u8 = 0x05;
const HEAP_DUMP: u8 = 0x0c;
const HEAP_DUMP_SEGMENT: u8 = 0x1c;
const HEAP_DUMP_END: u8 = 0x2c;
/// Tag, time and length.
const HEAD: usize = 9;
/// Bytes of a piece that one task reads. Longer pieces of the heap are cut at a record near it.
const PIECE: usize = 1 << 20;
/// Warnings kept; a dump that is broken everywhere has no more to say.
const WARNINGS_MAX: usize = 20;

/// What may stand at the start of a dump.
const MAGIC: &[u8] = b"JAVA PROFILE 1.0.";

/// Whether these are the first bytes of a dump.
pub(crate) fn is_hprof(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) width: Width,
    /// Id of a string and offset of its record, ascending in the id.
    pub(crate) strings: Vec<(u64, u64)>,
    /// Id of a class and of the string that names it, ascending in the class.
    pub(crate) class_names: Vec<(u64, u64)>,
    /// Serial number of a class and the string that names it, ascending in the serial.
    pub(crate) class_serials: Vec<(u32, u64)>,
    /// Id of a stack frame and offset of its record, ascending in the id.
    pub(crate) frames: Vec<(u64, u64)>,
    /// Serial number of a stack trace and offset of its record, ascending in the serial.
    pub(crate) traces: Vec<(u32, u64)>,
    /// The pieces of the heap: whole records, ascending.
    pub(crate) pieces: Vec<Range<usize>>,
    pub(crate) warnings: Vec<String>,
}

impl Outline {
    /// Adds a sentence, unless there are many already.
    pub(crate) fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        }
    }

    /// Walks the outer records.
    ///
    /// # Errors
    /// [`HeapError::Unexpected`], when the header is of no dump or there is no heap in it.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, HeapError> {
        let (width, first) = header(bytes)?;
        let mut outline = Self {
            width,
            strings: Vec::new(),
            class_names: Vec::new(),
            class_serials: Vec::new(),
            frames: Vec::new(),
            traces: Vec::new(),
            pieces: Vec::new(),
            warnings: Vec::new(),
        };
        let mut at = first;
        while at < bytes.len() {
            match outline.record(bytes, at) {
                Some(next) => at = next,
                None => break,
            }
        }
        outline.strings.sort_by_key(|string| string.0);
        outline.class_names.sort_by_key(|name| name.0);
        outline.class_serials.sort_by_key(|serial| serial.0);
        outline.frames.sort_by_key(|frame| frame.0);
        outline.traces.sort_by_key(|trace| trace.0);
        if outline.pieces.is_empty() {
            let found = outline.warnings.pop().unwrap_or_else(|| "the end".to_owned());
            return Err(HeapError::Unexpected { at: at as u64, expected: "a heap dump record".to_owned(), found });
        }
        Ok(outline)
    }

    /// Takes in the record at `at` and says where the next one is; nothing, when no more can be read.
    fn record(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let body = at + HEAD;
        let Some(length) = u32_at(bytes, at + 5) else {
            self.warn(format!(
                "the dump ends at byte {} within the head of a record; it was read as far as it goes",
                bytes.len()
            ));
            return None;
        };
        let tag = bytes[at];
        if matches!(tag, HEAP_DUMP | HEAP_DUMP_SEGMENT) {
            return self.heap(bytes, body, length as usize);
        }
        if !is_outer(tag) {
            self.warn(format!("expected a record at byte {at}, found tag {tag:#04x}; what follows was not read"));
            return None;
        }
        let end = body + length as usize;
        if end > bytes.len() {
            self.warn(format!(
                "the dump ends at byte {} within the record {tag:#04x} at byte {at}; it was read as far as it goes",
                bytes.len()
            ));
            return None;
        }
        self.index(&bytes[..end], tag, body);
        Some(end)
    }

    /// Notes where the record is. One too short for what it must hold is left out: nothing can refer to it.
    fn index(&mut self, bytes: &[u8], tag: u8, body: usize) -> Option<()> {
        let width = self.width;
        match tag {
            STRING => self.strings.push((id_at(bytes, body, width)?, body as u64)),
            LOAD_CLASS => {
                let class = id_at(bytes, body + 4, width)?;
                let name = id_at(bytes, body + 8 + width.bytes(), width)?;
                self.class_names.push((class, name));
                self.class_serials.push((u32_at(bytes, body)?, name));
            }
            FRAME => self.frames.push((id_at(bytes, body, width)?, body as u64)),
            TRACE => self.traces.push((u32_at(bytes, body)?, body as u64)),
            _ => {}
        }
        Some(())
    }

    /// Cuts one heap dump record into pieces. A length that cannot be right (older VMs write it modulo 2^32, and not at all when
    /// they die) is not believed: then the records within say where it ends.
    fn heap(&mut self, bytes: &[u8], body: usize, length: usize) -> Option<usize> {
        let end = body + length;
        let believed = begins_record(bytes, end);
        if believed && length <= 4 * PIECE {
            if length > 0 {
                self.pieces.push(body..end);
            }
            return Some(end);
        }
        let walked = if believed { &bytes[..end] } else { bytes };
        let (next, stopped) = self.cut(walked, body);
        match stopped {
            None if believed || next < bytes.len() => Some(next),
            None => {
                self.warn(format!(
                    "the dump ends at byte {next} without an end of the heap; it was read as far as it goes"
                ));
                None
            }
            Some(tag) if believed => {
                self.warn(format!("expected a record of the heap at byte {next}, found tag {tag:#04x}; the heap dump up to byte {end} was not read on"));
                Some(end)
            }
            Some(tag) => {
                self.warn(format!(
                    "the record {tag:#04x} of the heap at byte {next} cannot be read to its end; the dump of {} bytes was read up to there",
                    bytes.len()
                ));
                None
            }
        }
    }

    /// Pieces of whole records from `at`, and where they end: at the end of `bytes`, at an outer record, or at a record that
    /// cannot be read, with its tag.
    fn cut(&mut self, bytes: &[u8], mut at: usize) -> (usize, Option<u8>) {
        let mut start = at;
        let mut stopped = None;
        while at < bytes.len() {
            if matches!(bytes[at], HEAP_DUMP | HEAP_DUMP_SEGMENT | HEAP_DUMP_END) {
                break;
            }
            let step = match self.width {
                Width::Four => records::step::<4>(bytes, at, &mut Nothing),
                Width::Eight => records::step::<8>(bytes, at, &mut Nothing),
            };
            let Some(next) = step else {
                stopped = Some(bytes[at]);
                break;
            };
            at = next;
            if at - start >= PIECE {
                self.pieces.push(start..at);
                start = at;
            }
        }
        if at > start {
            self.pieces.push(start..at);
        }
        (at, stopped)
    }
}

/// Hears of records and does nothing.
struct Nothing;

impl Visitor for Nothing {}

/// The width of ids and where the first record is.
fn header(bytes: &[u8]) -> Result<(Width, usize), HeapError> {
    let unexpected = |at: usize, expected: &str, found: String| HeapError::Unexpected {
        at: at as u64,
        expected: expected.to_owned(),
        found,
    };
    let version = bytes.iter().take(32).position(|&byte| byte == 0).filter(|_| is_hprof(bytes));
    let Some(end) = version else {
        return Err(unexpected(
            0,
            "`JAVA PROFILE 1.0.2` and a zero byte",
            format!("`{}`", bytes[..bytes.len().min(24)].escape_ascii()),
        ));
    };
    let Some(size) = u32_at(bytes, end + 1) else {
        return Err(unexpected(end + 1, "the size of ids", "the end".to_owned()));
    };
    let width = match size {
        4 => Width::Four,
        8 => Width::Eight,
        other => return Err(unexpected(end + 1, "ids of 4 or 8 bytes", other.to_string())),
    };
    if bytes.len() < end + 13 {
        return Err(unexpected(bytes.len(), "the time of the dump", "the end".to_owned()));
    }
    Ok((width, end + 13))
}

fn is_outer(tag: u8) -> bool {
    matches!(tag, 0x01..=0x0e | HEAP_DUMP_SEGMENT | HEAP_DUMP_END)
}

/// Whether an outer record can begin at `at`: the end of the dump, or a known tag whose record is all there.
fn begins_record(bytes: &[u8], at: usize) -> bool {
    if at >= bytes.len() {
        return at == bytes.len();
    }
    let tag = bytes[at];
    let fits = || u32_at(bytes, at + 5).is_some_and(|length| at + HEAD + length as usize <= bytes.len());
    matches!(tag, HEAP_DUMP | HEAP_DUMP_SEGMENT | HEAP_DUMP_END) || is_outer(tag) && fits()
}
