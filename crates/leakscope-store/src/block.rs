//! A block: the readings of one target over a span of time, each column to be read without the others.
//!
//! Body, version 1: the version; the number of points; the number of columns; for the times and each column its signal's
//! code (columns only), encoding and length; a check of each section and then of the head; the sections. Numbers are varints, checks are 4 bytes, little-endian.

use leakscope_model::{Signal, Timestamp};

use crate::bytes::{Cursor, check_of, put_varint};
use crate::columns::Columns;
use crate::error::Damage;
use crate::packing::{Effort, pack_times, pack_values, unpack_times, unpack_values};

/// Points in one block. More are split by the writer and refused by the reader, which bounds what a reader allocates.
pub(crate) const BLOCK_POINTS_MAX: usize = 4_096;
/// Columns in one block: as many as a byte can name, so that a newer writer's signals do not stop a reader.
const COLUMNS_MAX: usize = 256;
const VERSION: u8 = 1;

/// The code of a signal in the file: fixed for ever, in whatever order the signals are declared.
pub(crate) const fn code_of(signal: Signal) -> u8 {
    match signal {
        Signal::Rss => 1,
        Signal::AnonRss => 2,
        Signal::HeapUsed => 3,
        Signal::HeapAfterGc => 4,
        Signal::HeapCommitted => 5,
        Signal::External => 6,
        Signal::Limit => 7,
        Signal::Objects => 8,
        Signal::Tasks => 9,
        Signal::Threads => 10,
        Signal::FileDescriptors => 11,
        Signal::Requests => 12,
        Signal::GcCount => 13,
        Signal::StartTime => 14,
        Signal::OomKills => 15,
        Signal::PageCache => 16,
    }
}

/// The signal of a code, `None` for one that a newer build wrote.
pub(crate) fn signal_of(code: u8) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| code_of(*signal) == code)
}

/// Appends the points `from..to` of `columns` (at least 1, at most [`BLOCK_POINTS_MAX`]) as one block body.
pub(crate) fn encode(columns: &Columns, from: usize, to: usize, effort: Effort, out: &mut Vec<u8>) {
    let times = &columns.at[from..to];
    let present: Vec<(u8, &[f64])> = columns
        .values
        .iter()
        .map(|(signal, values)| (code_of(*signal), &values[from..to]))
        .filter(|(_, values)| values.iter().any(|value| !value.is_nan()))
        .collect();
    let mut sections = Vec::with_capacity(16 + times.len() * present.len() * 2);
    let mut marks: Vec<u32> = Vec::new();
    let head_at = out.len();
    out.push(VERSION);
    put_varint(out, times.len() as u64);
    put_varint(out, present.len() as u64);
    out.push(pack_times(times, effort, &mut sections));
    put_varint(out, sections.len() as u64);
    marks.push(check_of(&sections));
    for (code, values) in present {
        let start = sections.len();
        let encoding = pack_values(values, effort, &mut sections);
        out.extend_from_slice(&[code, encoding]);
        put_varint(out, (sections.len() - start) as u64);
        marks.push(check_of(&sections[start..]));
    }
    for mark in marks {
        out.extend_from_slice(&mark.to_le_bytes());
    }
    let head = check_of(&out[head_at..]);
    out.extend_from_slice(&head.to_le_bytes());
    out.extend_from_slice(&sections);
}

/// A block body whose head was read; its sections are still packed.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    n: usize,
    times: Section<'a>,
    columns: Vec<(u8, Section<'a>)>,
}

#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    encoding: u8,
    bytes: &'a [u8],
    mark: u32,
}

impl<'a> Section<'a> {
    fn checked(&self) -> Result<&'a [u8], Damage> {
        if self.mark == check_of(self.bytes) {
            Ok(self.bytes)
        } else {
            Err(Cursor::new(self.bytes).damage("bytes that match their check"))
        }
    }
}

impl<'a> Block<'a> {
    /// Reads the head of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut cursor = Cursor::new(bytes);
        if cursor.byte("a version")? != VERSION {
            return Err(Cursor::new(bytes).damage("a known version of blocks"));
        }
        let n = cursor.count(BLOCK_POINTS_MAX, "a number of points")?;
        let n_columns = cursor.count(COLUMNS_MAX.min(cursor.remaining()), "a number of columns")?;
        if n == 0 {
            return Err(cursor.damage("at least one point"));
        }
        let times = (cursor.byte("an encoding")?, cursor.count(bytes.len(), "a length")?);
        let mut heads = Vec::with_capacity(n_columns);
        for _ in 0..n_columns {
            let [code, encoding] = cursor.array("a signal and its encoding")?;
            heads.push((code, encoding, cursor.count(bytes.len(), "a length")?));
        }
        let times_mark = u32::from_le_bytes(cursor.array("a check")?);
        let mut marks = Vec::with_capacity(n_columns);
        for _ in 0..n_columns {
            marks.push(u32::from_le_bytes(cursor.array("a check")?));
        }
        let head = &bytes[..bytes.len() - cursor.remaining()];
        if u32::from_le_bytes(cursor.array("a check")?) != check_of(head) {
            return Err(cursor.damage("a head that matches its check"));
        }
        let times = Section { encoding: times.0, bytes: cursor.take(times.1, "the times")?, mark: times_mark };
        let mut columns = Vec::with_capacity(n_columns);
        for ((code, encoding, len), mark) in heads.into_iter().zip(marks) {
            columns.push((code, Section { encoding, bytes: cursor.take(len, "a column")?, mark }));
        }
        if cursor.remaining() > 0 {
            return Err(cursor.damage("the end"));
        }
        Ok(Self { n, times, columns })
    }

    /// Its times.
    pub(crate) fn times(&self) -> Result<Vec<Timestamp>, Damage> {
        unpack_times(self.times.encoding, self.times.checked()?, self.n)
    }

    /// The values of `signal`, NaN where missing; `None` when the block has none.
    pub(crate) fn column(&self, signal: Signal) -> Result<Option<Vec<f64>>, Damage> {
        let code = code_of(signal);
        let Some((_, section)) = self.columns.iter().find(|(c, _)| *c == code) else {
            return Ok(None);
        };
        unpack_values(section.encoding, section.checked()?, self.n).map(Some)
    }

    /// Everything. Columns of signals that this build does not know are left out.
    pub(crate) fn columns(&self) -> Result<Columns, Damage> {
        let mut columns = Columns { at: self.times()?, values: Vec::new() };
        for (code, section) in &self.columns {
            let Some(signal) = signal_of(*code) else { continue };
            if !columns.column(signal).is_empty() {
                return Err(Cursor::new(section.bytes).damage("each signal once"));
            }
            columns.values.push((signal, unpack_values(section.encoding, section.checked()?, self.n)?));
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn columns() -> impl Strategy<Value = Columns> {
        let cell = prop_oneof![4 => (0_u64..1 << 40).prop_map(|v| v as f64), 1 => Just(f64::NAN), 1 => 0.0..1e9_f64];
        let row = (1..60_000_i64, prop::collection::vec(cell, 5));
        (any::<i32>(), prop::collection::vec(row, 1..200)).prop_map(|(start, rows)| {
            let mut at = i64::from(start);
            let mut columns = Columns::default();
            for signal in Signal::ALL.into_iter().take(5) {
                columns.values.push((signal, Vec::new()));
            }
            for (step, row) in rows {
                at += step;
                columns.at.push(Timestamp::from_millis(at));
                for ((_, values), value) in columns.values.iter_mut().zip(row) {
                    values.push(value);
                }
            }
            columns
        })
    }

    proptest! {
        #[test]
        fn encode_then_parse_is_identity(columns in columns()) {
            for effort in [Effort::Light, Effort::Dense] {
                let mut body = Vec::new();
                encode(&columns, 0, columns.len(), effort, &mut body);
                let block = Block::parse(&body).unwrap();
                let read = block.columns().unwrap();
                prop_assert_eq!(&read.at, &columns.at);
                for index in 0..columns.len() {
                    prop_assert!(read.readings(index).iter().eq(columns.readings(index).iter()));
                }
            }
        }

        #[test]
        fn changed_bytes_are_noticed(columns in columns(), flips in prop::collection::vec((any::<usize>(), 1..=255_u8), 1..4)) {
            for effort in [Effort::Light, Effort::Dense] {
                let mut body = Vec::new();
                encode(&columns, 0, columns.len(), effort, &mut body);
                let whole = body.clone();
                for (place, flip) in &flips {
                    let place = place % body.len();
                    body[place] ^= flip;
                }
                let read = Block::parse(&body).and_then(|block| block.columns());
                prop_assert!(body == whole || read.is_err());
            }
        }

        #[test]
        fn any_bytes_are_a_block_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Block::parse(&bytes).and_then(|block| block.columns());
        }
    }

    #[test]
    fn codes_of_signals_are_unique() {
        for signal in Signal::ALL {
            assert_eq!(signal_of(code_of(signal)), Some(signal));
            assert!((1..=Signal::COUNT).contains(&usize::from(code_of(signal))));
        }
    }
}
