//! The journal: a file to which every flush appends what was read since the last, so that a crash loses no flushed
//! reading. Emptied when its readings are in blocks; replaying it twice does no harm, since a reading that is not later
//! than its target's last is refused.
//!
//! A record: magic, length, check of both, check of the payload (4 bytes each, little-endian), payload. The payload: for
//! each target its id (8 bytes, little-endian) and its number of points; for each point the time since the one before
//! it in the record (the first since the epoch), a bit for each signal that is there and their values. Numbers are
//! varints. A record that is damaged is skipped, one that was cut off at the end was never acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use leakscope_model::{Readings, Signal, TargetId, Timestamp};

use crate::block::{code_of, signal_of};
use crate::bytes::{Cursor, check_of, put_varint, unzigzag, zigzag};
use crate::columns::Columns;
use crate::error::Damage;
use crate::head::Heads;
use crate::packing::integer_of;

/// First bytes of a record, by which reading finds its way again after damage. Its last digit is the version.
const MAGIC: [u8; 4] = *b"LKJ1";
/// Bytes before the payload.
const HEAD_LEN: usize = 16;

/// The journal file, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Bytes of whole records. What a failed write left behind it is cut off.
    len: u64,
}

impl Journal {
    /// Opens the file, which is made when it is not there, and reads what the last process left in it.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<u8>)> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((Self { file, len: bytes.len() as u64 }, bytes))
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Appends a record, all of it or nothing.
    pub(crate) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(record);
        match written {
            Ok(()) => self.len += record.len() as u64,
            // Best effort: a reader skips a torn record too.
            Err(_) => drop(self.file.set_len(self.len)),
        }
        written
    }

    /// Cuts the file off behind its first `len` bytes.
    pub(crate) fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }
}

/// The record of everything that the journal does not have yet; `None` when there is nothing.
pub(crate) fn record_of(heads: &Heads) -> Option<Vec<u8>> {
    let mut record = vec![0; HEAD_LEN];
    let mut before = 0_i64;
    for (target, columns, from) in heads.unflushed() {
        record.extend_from_slice(&target.0.to_le_bytes());
        put_varint(&mut record, (columns.len() - from) as u64);
        for index in from..columns.len() {
            let at = columns.at.get(index).map_or(0, |at| at.as_millis());
            put_varint(&mut record, zigzag(at.wrapping_sub(before)));
            before = at;
            put_point(columns, index, &mut record);
        }
    }
    if record.len() == HEAD_LEN {
        return None;
    }
    let len = (record.len() - HEAD_LEN) as u32;
    let check = check_of(&record[HEAD_LEN..]);
    record[..4].copy_from_slice(&MAGIC);
    record[4..8].copy_from_slice(&len.to_le_bytes());
    let head = check_of(&record[..8]);
    record[8..12].copy_from_slice(&head.to_le_bytes());
    record[12..HEAD_LEN].copy_from_slice(&check.to_le_bytes());
    Some(record)
}

/// Which signals are there, by their codes' bits, and their values in the order of the codes.
fn put_point(columns: &Columns, index: usize, record: &mut Vec<u8>) {
    let mut present = [f64::NAN; Signal::COUNT + 1];
    let mut mask = 0_u64;
    for (signal, values) in &columns.values {
        if let Some(value) = values.get(index).filter(|value| !value.is_nan()) {
            let code = code_of(*signal);
            present[usize::from(code)] = *value;
            mask |= 1 << code;
        }
    }
    put_varint(record, mask);
    while mask != 0 {
        let value = present[mask.trailing_zeros() as usize];
        mask &= mask - 1;
        // An integer below 2^53 is even, anything else follows the number 1 as it is.
        if let Some(integer) = integer_of(value) {
            put_varint(record, integer << 1);
        } else {
            record.push(1);
            record.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
}

/// Hands every reading in `bytes` to `each` and every damaged place to `damaged`. Returns the length up to the end of the
/// last whole record.
pub(crate) fn read(
    bytes: &[u8],
    mut each: impl FnMut(TargetId, Timestamp, &Readings),
    mut damaged: impl FnMut(usize, Damage),
) -> usize {
    let mut start = 0;
    let mut whole = 0;
    while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
        match split_record(rest) {
            Ok(Some(payload)) => {
                start += HEAD_LEN + payload.len();
                whole = start;
                if let Err(damage) = read_payload(payload, &mut each) {
                    damaged(start - payload.len(), damage);
                }
            }
            // Cut off at the end: never acknowledged, so nothing is lost.
            Ok(None) => break,
            Err(Skip { damage, len }) => {
                damaged(start, damage);
                start += next_magic(rest, len);
            }
        }
    }
    whole
}

/// A damaged record.
struct Skip {
    damage: Damage,
    /// How far on the next can begin.
    len: usize,
}

/// The payload of the first record of `bytes`, `None` when the end cut it off.
fn split_record(bytes: &[u8]) -> Result<Option<&[u8]>, Skip> {
    let mut cursor = Cursor::new(bytes);
    let Ok(head) = cursor.array::<HEAD_LEN>("a record") else { return Ok(None) };
    let (words, _) = head.as_chunks::<4>();
    let &[magic, len, head_check, payload_check] = words else { return Ok(None) };
    if magic != MAGIC || u32::from_le_bytes(head_check) != check_of(&head[..8]) {
        return Err(Skip { damage: Cursor::new(bytes).damage("the head of a record"), len: 1 });
    }
    let len = u32::from_le_bytes(len) as usize;
    let Ok(payload) = cursor.take(len, "a payload") else { return Ok(None) };
    if u32::from_le_bytes(payload_check) != check_of(payload) {
        return Err(Skip { damage: cursor.damage("a payload that matches its check"), len: HEAD_LEN + len });
    }
    Ok(Some(payload))
}

/// Where in `bytes`, from `from` on, a record may begin again; its end when nowhere.
fn next_magic(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(MAGIC.len()).position(|window| window == MAGIC).map_or(bytes.len(), |place| from + place)
}

fn read_payload(payload: &[u8], each: &mut impl FnMut(TargetId, Timestamp, &Readings)) -> Result<(), Damage> {
    let mut cursor = Cursor::new(payload);
    let mut at = 0_i64;
    while cursor.remaining() > 0 {
        let target = TargetId(u64::from_le_bytes(cursor.array("a target")?));
        let n_points = cursor.count(cursor.remaining(), "a number of points")?;
        for _ in 0..n_points {
            at = at.wrapping_add(unzigzag(cursor.varint("a time")?));
            let readings = read_point(&mut cursor)?;
            each(target, Timestamp::from_millis(at), &readings);
        }
    }
    Ok(())
}

fn read_point(cursor: &mut Cursor<'_>) -> Result<Readings, Damage> {
    let mut readings = Readings::default();
    let mut mask = cursor.varint("a mask of signals")?;
    while mask != 0 {
        let code = mask.trailing_zeros() as u8;
        mask &= mask - 1;
        let folded = cursor.varint("a value")?;
        let value = if folded == 1 {
            f64::from_bits(u64::from_le_bytes(cursor.array("a float")?))
        } else {
            (folded >> 1) as f64
        };
        // A signal that this build does not know is read over.
        if let Some(signal) = signal_of(code) {
            readings.set(signal, value);
        }
    }
    Ok(readings)
}

const _: () = assert!(Signal::COUNT < 64, "the mask of a point has 64 bits, and codes go from 1 to the count");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heads_of(readings: &[(u64, i64, f64)]) -> Heads {
        let mut heads = Heads::new(1_000_000);
        for (target, millis, value) in readings {
            let readings = Readings::from_iter([(Signal::Rss, *value), (Signal::PageCache, 0.5)]);
            heads.adopt(TargetId(*target), None);
            heads.append(TargetId(*target), Timestamp::from_millis(*millis), &readings);
        }
        heads
    }

    /// What a journal says: its readings, the places of its damage and its whole length.
    fn said(bytes: &[u8]) -> (Vec<(u64, i64, f64)>, Vec<usize>, usize) {
        let (mut found, mut damages) = (Vec::new(), Vec::new());
        let whole = read(
            bytes,
            |target, at, readings| found.push((target.0, at.as_millis(), readings.get(Signal::Rss).unwrap_or(-1.0))),
            |place, _| damages.push(place),
        );
        (found, damages, whole)
    }

    #[test]
    fn a_record_holds_what_was_appended_since_the_last_flush() {
        let mut heads = heads_of(&[(1, 10, 4_096.0), (2, 11, 0.25), (1, 20, 1e300)]);
        let record = record_of(&heads).unwrap();
        let (found, damages, whole) = said(&record);
        assert_eq!(found, [(1, 10, 4_096.0), (1, 20, 1e300), (2, 11, 0.25)]);
        assert_eq!((damages, whole), (Vec::new(), record.len()));
        heads.flushed_to(&heads.ends());
        assert_eq!(record_of(&heads), None);
    }

    #[test]
    fn a_damaged_record_is_skipped_and_its_neighbours_are_not() {
        let records: Vec<_> = (1..=3).map(|n| record_of(&heads_of(&[(n, 5, n as f64)])).unwrap()).collect();
        let whole: Vec<u8> = records.concat();
        let second = records[0].len()..records[0].len() + records[1].len();
        for place in second {
            let mut changed = whole.clone();
            changed[place] ^= 0x20;
            let (found, damages, _) = said(&changed);
            assert_eq!(found, [(1, 5, 1.0), (3, 5, 3.0)], "byte {place}");
            assert_eq!(damages, [records[0].len()], "byte {place}");
        }
    }

    #[test]
    fn a_record_that_was_cut_off_is_no_damage() {
        let first = record_of(&heads_of(&[(1, 5, 1.0)])).unwrap();
        let both = [first.clone(), record_of(&heads_of(&[(2, 5, 2.0)])).unwrap()].concat();
        for end in first.len()..both.len() {
            assert_eq!(said(&both[..end]), (vec![(1, 5, 1.0)], Vec::new(), first.len()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_skipped(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let framed = record_of(&heads_of(&[(1, 5, 1.0)])).unwrap();
            said(&bytes);
            let _ = read_payload(&bytes, &mut |_, _, _| ());
            said(&[bytes, framed].concat());
        }
    }
}
