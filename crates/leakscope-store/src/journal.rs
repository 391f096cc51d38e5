//! The journal: one row per flush with every reading since the last, so that a crash loses no flushed one.
//!
//! Row body, version 1: version; check of the rest (4 bytes, little-endian); for each target its id (8 bytes,
//! little-endian), the length of its entry and a block body without checks of its own.

use leakscope_model::TargetId;

use crate::block::{BLOCK_POINTS_MAX, Block, Checks, encode};
use crate::bytes::{Cursor, check_of, put_varint};
use crate::columns::Columns;
use crate::error::Damage;
use crate::head::Heads;
use crate::packing::Effort;

const VERSION: u8 = 1;
/// Bytes before the first entry.
const HEAD_LEN: usize = 5;

/// The row body of everything that the journal does not have yet; `None` when there is nothing.
pub(crate) fn row_of(heads: &Heads) -> Option<Vec<u8>> {
    let mut row = vec![VERSION, 0, 0, 0, 0];
    let mut entry = Vec::new();
    for (target, columns, from) in heads.unflushed() {
        for start in (from..columns.len()).step_by(BLOCK_POINTS_MAX) {
            entry.clear();
            let end = columns.len().min(start + BLOCK_POINTS_MAX);
            encode(columns, start, end, Effort::Light, Checks::Outside, &mut entry);
            row.extend_from_slice(&target.0.to_le_bytes());
            put_varint(&mut row, entry.len() as u64);
            row.extend_from_slice(&entry);
        }
    }
    if row.len() == HEAD_LEN {
        return None;
    }
    let check = check_of(&row[HEAD_LEN..]);
    row[1..HEAD_LEN].copy_from_slice(&check.to_le_bytes());
    Some(row)
}

/// Hands every entry of a row body to `each`, in order. A damaged entry ends it: nothing after it can be trusted.
pub(crate) fn read_row(row: &[u8], mut each: impl FnMut(TargetId, &Columns)) -> Result<(), Damage> {
    let mut cursor = Cursor::new(row);
    if cursor.byte("a version")? != VERSION {
        return Err(Cursor::new(row).damage("a known version of journal rows"));
    }
    let check = u32::from_le_bytes(cursor.array("a check")?);
    if check != check_of(&row[HEAD_LEN..]) {
        return Err(cursor.damage("bytes that match their check"));
    }
    while cursor.remaining() > 0 {
        let target = TargetId(u64::from_le_bytes(cursor.array("a target")?));
        let len = cursor.count(row.len(), "a length")?;
        let entry = cursor.take(len, "an entry")?;
        each(target, &Block::parse(entry)?.columns()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use leakscope_model::{Readings, Signal, Timestamp};

    #[test]
    fn a_row_holds_what_was_appended_since_the_last_flush() {
        let mut heads = Heads::new(1_000);
        let mut expected = Vec::new();
        for (target, millis) in [(1, 10), (2, 11), (1, 20)] {
            let readings = Readings::from_iter([(Signal::Rss, millis as f64), (Signal::StartTime, 0.5)]);
            heads.adopt(TargetId(target), None);
            heads.append(TargetId(target), Timestamp::from_millis(millis), &readings);
            expected.push((target, millis));
        }
        expected.sort_unstable();
        let row = row_of(&heads).unwrap();
        let mut found = Vec::new();
        let each = |target: TargetId, columns: &Columns| {
            found.extend(columns.at.iter().map(|at| (target.0, at.as_millis())));
        };
        assert_eq!(read_row(&row, each), Ok(()));
        assert_eq!(found, expected);
        heads.flushed_to(&heads.ends());
        assert_eq!(row_of(&heads), None);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let mut heads = Heads::new(1_000);
        heads.adopt(TargetId(7), None);
        heads.append(TargetId(7), Timestamp::from_millis(5), &Readings::from_iter([(Signal::Rss, 1.0)]));
        let row = row_of(&heads).unwrap();
        for place in 0..row.len() {
            let mut changed = row.clone();
            changed[place] ^= 0x10;
            assert!(read_row(&changed, |_, _| ()).is_err(), "byte {place}");
            assert!(read_row(&row[..place], |_, _| ()).is_err(), "cut at {place}");
        }
    }
}
