//! Flat arrays of unsigned numbers, read near the speed of memory and in parallel.
//!
//! The arrays of a snapshot are nearly all of its bytes and their grammar is tiny: digits, commas, white space. An array is cut at
//! commas into pieces; counting the commas tells which record each piece begins with, so that every piece fills its own rows.

use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::error::HeapError;

/// Least bytes of a piece; shorter ones cost more to hand out than to read.
const PIECE_BYTES_MIN: usize = 1 << 20;
/// Pieces of a long array for each worker, so that none waits long for the last.
const PIECES_A_WORKER: usize = 8;

/// One array of records in the bytes of a snapshot, cut into pieces of whole records.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "a count is called n_ of what it counts")]
pub(super) struct Records {
    /// Bytes of each piece, and the number of the record it begins with; one more at the end.
    pieces: Vec<(usize, usize)>,
    pub(super) n_records: usize,
    pub(super) n_fields: usize,
    /// Where every so many records begin, found when one is read again.
    marks: OnceLock<Vec<u64>>,
}

/// Records of which one is marked: so many are gone over to read one again.
const MARKED_RECORDS: usize = 64;

impl Records {
    /// Cuts `range` of `bytes` into records of `n_fields` numbers.
    ///
    /// # Errors
    /// [`HeapError::Unexpected`] when the numbers do not make whole records. What the numbers are is not looked at yet.
    pub(super) fn of(bytes: &[u8], range: Range<usize>, n_fields: usize, what: &str) -> Result<Self, HeapError> {
        let starts = piece_starts(bytes, &range);
        let ends = starts.iter().skip(1).copied().chain([range.end]);
        let spans: Vec<Range<usize>> = starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect();
        let commas: Vec<usize> =
            spans.par_iter().map(|span| memchr::memchr_iter(b',', &bytes[span.clone()]).count()).collect();
        let empty = bytes[range.clone()].iter().all(u8::is_ascii_whitespace);
        let n_numbers = if empty { 0 } else { commas.iter().sum::<usize>() + 1 };
        if n_fields == 0 || n_numbers % n_fields != 0 {
            return Err(HeapError::Unexpected {
                at: range.end as u64,
                expected: format!("`{what}` with {n_fields} numbers each"),
                found: format!("{n_numbers} numbers"),
            });
        }
        let mut pieces = Vec::with_capacity(spans.len() + 1);
        let mut n_before = 0;
        for (span, n_commas) in spans.iter().zip(commas) {
            let to_skip = (n_fields - n_before % n_fields) % n_fields;
            let start = after_commas(bytes, span.start..range.end, to_skip);
            pieces.push((start, (n_before + to_skip) / n_fields));
            n_before += n_commas;
        }
        pieces.push((range.end, n_numbers / n_fields));
        Ok(Self { pieces, n_records: n_numbers / n_fields, n_fields, marks: OnceLock::new() })
    }

    /// The pieces: their bytes and their records.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
        let pairs = self.pieces.iter().zip(self.pieces.iter().skip(1));
        pairs.map(|(&(start, first), &(end, next))| (start..end, first..next.max(first)))
    }

    /// The numbers of one record, read again.
    pub(super) fn record(&self, bytes: &[u8], index: usize) -> Vec<u64> {
        let end = self.pieces.last().map_or(0, |&(end, _)| end);
        let marks = self.marks.get_or_init(|| self.marked(bytes));
        let start = marks.get(index / MARKED_RECORDS).map_or(end, |&mark| mark as usize);
        let start = after_commas(bytes, start..end, index % MARKED_RECORDS * self.n_fields);
        let mut numbers = Numbers::of(bytes, &(start..end));
        (0..self.n_fields).map(|_| numbers.next()).collect()
    }
}

impl Records {
    /// Where each of so many records begins: one pass over the array, when the first is read again.
    fn marked(&self, bytes: &[u8]) -> Vec<u64> {
        let (Some(&(start, _)), Some(&(end, _))) = (self.pieces.first(), self.pieces.last()) else { return Vec::new() };
        let behind = memchr::memchr_iter(b',', &bytes[start..end]).map(|comma| (start + comma + 1) as u64);
        let marks = behind.skip(MARKED_RECORDS * self.n_fields - 1).step_by(MARKED_RECORDS * self.n_fields);
        std::iter::once(start as u64).chain(marks).collect()
    }
}

/// Where pieces may begin: at the start, and behind commas at about equal distances.
fn piece_starts(bytes: &[u8], range: &Range<usize>) -> Vec<usize> {
    let n_pieces = (range.len() / PIECE_BYTES_MIN).clamp(1, rayon::current_num_threads() * PIECES_A_WORKER);
    let mut starts = vec![range.start];
    for piece in 1..n_pieces {
        let near = range.start + range.len() / n_pieces * piece;
        if let Some(comma) = memchr::memchr(b',', &bytes[near..range.end]) {
            starts.push(near + comma + 1);
        }
    }
    starts.dedup();
    starts
}

/// The place behind the `n`th comma from the start of `range`; its end where there are fewer.
fn after_commas(bytes: &[u8], range: Range<usize>, n: usize) -> usize {
    match n {
        0 => range.start,
        n => memchr::memchr_iter(b',', &bytes[range.clone()]).nth(n - 1).map_or(range.end, |at| range.start + at + 1),
    }
}

/// Bytes whose commas are found at once: one bit each in a word.
const BLOCK_BYTES: usize = 64;
/// Numbers that are read ahead; they stay in the first cache.
const AHEAD: usize = 1_024;

/// Numbers one after the other. What is wrong is kept until it is asked for, so that reading a number is nothing but that.
///
/// Commas are found 64 bytes at a time and numbers are taken from between them, each with one load: none waits for the length of the
/// one before, as a loop over digits does.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    /// From the start of the snapshot to the end of the piece.
    bytes: &'a [u8],
    /// Where the next number begins that is not read ahead yet.
    at: usize,
    /// Where the first begins that was read ahead.
    ahead_at: usize,
    ahead: Box<[u64; AHEAD]>,
    n_ahead: usize,
    n_taken: usize,
    wrong: Option<HeapError>,
}

impl<'a> Numbers<'a> {
    /// The numbers of `piece`.
    pub(super) fn of(bytes: &'a [u8], piece: &Range<usize>) -> Self {
        let bytes = &bytes[..piece.end];
        let at = piece.start;
        Self { bytes, at, ahead_at: at, ahead: Box::new([0; AHEAD]), n_ahead: 0, n_taken: 0, wrong: None }
    }

    /// Where the next number begins.
    pub(super) fn at(&self) -> usize {
        after_commas(self.bytes, self.ahead_at..self.bytes.len(), self.n_taken)
    }

    /// The first thing that was no number.
    ///
    /// # Errors
    /// [`HeapError::Unexpected`] for anything but digits, and for numbers of 2^64 and more.
    pub(super) fn checked(&mut self) -> Result<(), HeapError> {
        self.wrong.take().map_or(Ok(()), Err)
    }

    /// The next number, and past the comma behind it; 0 for what is none, see [`Numbers::checked`].
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        if self.n_taken == self.n_ahead {
            self.read_ahead();
        }
        let number = self.ahead[self.n_taken % AHEAD];
        self.n_taken += 1;
        number
    }

    #[inline(never)]
    fn read_ahead(&mut self) {
        let (bytes, ahead) = (self.bytes, &mut *self.ahead);
        let (mut at, mut n_ahead, mut block_at) = (self.at, 0, self.at);
        self.ahead_at = at;
        let mut odd = None;
        'blocks: while n_ahead + BLOCK_BYTES <= AHEAD && odd.is_none() {
            let Some(block) = bytes.get(block_at..block_at + BLOCK_BYTES) else { break };
            let mut commas = commas(block);
            while commas != 0 {
                let comma = block_at + commas.trailing_zeros() as usize;
                commas &= commas - 1;
                let Some(number) = between(bytes, at, comma) else {
                    odd = Some(comma);
                    break 'blocks;
                };
                ahead[n_ahead % AHEAD] = number;
                n_ahead += 1;
                at = comma + 1;
            }
            block_at += BLOCK_BYTES;
        }
        (self.at, self.n_ahead, self.n_taken) = (at, n_ahead, 0);
        if n_ahead == 0 {
            // The last block, which ends where the piece does; or a number of other than one to eight digits.
            let comma =
                odd.or_else(|| memchr::memchr(b',', bytes.get(at..).unwrap_or_default()).map(|length| at + length));
            let end = comma.unwrap_or(bytes.len());
            self.ahead[0] = self.slowly_between(at, end);
            self.n_ahead = 1;
            self.at = if comma.is_some() { end + 1 } else { bytes.len() };
        }
    }

    #[cold]
    #[inline(never)]
    fn slowly_between(&mut self, start: usize, end: usize) -> u64 {
        let text = self.bytes.get(start..end).unwrap_or_default();
        let start = start + text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let text = text.trim_ascii();
        let mut value = 0_u64;
        for (place, byte) in text.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return self.is_wrong(start + place, if place == 0 { "a number" } else { "`,` behind a number" });
            }
            match value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit))) {
                Some(next) => value = next,
                None => return self.is_wrong(start, "a number below 2^64"),
            }
        }
        if text.is_empty() { self.is_wrong(start, "a number") } else { value }
    }

    #[cold]
    fn is_wrong(&mut self, at: usize, expected: &str) -> u64 {
        let found = &self.bytes[at.min(self.bytes.len())..(at + 16).min(self.bytes.len())];
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{}`", found.escape_ascii()) };
        let wrong = HeapError::Unexpected { at: at as u64, expected: expected.to_owned(), found };
        self.wrong.get_or_insert(wrong);
        0
    }
}

/// The number of one to eight digits that stands from `start` to `end`; none for anything else.
#[inline]
fn between(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    // Node.js up to 20 writes a line a record.
    let end = end - usize::from(*bytes.get(end.wrapping_sub(1))? == b'\n');
    let n_digits = end.wrapping_sub(start);
    if n_digits.wrapping_sub(1) >= 8 {
        return None;
    }
    let eight = bytes.get(end.wrapping_sub(8)..end)?;
    let word = u64::from_le_bytes([eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7]]);
    // What stands before the number makes way for zeros.
    let before = 64 - 8 * n_digits;
    let digits = (word ^ 0x3030_3030_3030_3030) >> before << before;
    // The high bit of each byte that is no digit.
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    (others == 0).then(|| of_digits(digits))
}

/// One bit for each of 64 bytes that is a comma.
#[inline]
fn commas(block: &[u8]) -> u64 {
    let mut bits = 0;
    for (place, eight) in block.chunks_exact(8).enumerate() {
        let word = u64::from_le_bytes([eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7]]);
        let others = word ^ 0x2C2C_2C2C_2C2C_2C2C;
        // The high bit of each byte that is 0; exact, since no byte carries into the next.
        let zeros = !(((others & 0x7F7F_7F7F_7F7F_7F7F) + 0x7F7F_7F7F_7F7F_7F7F) | others | 0x7F7F_7F7F_7F7F_7F7F);
        // The eight high bits side by side.
        let packed = (zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= packed << (8 * place);
    }
    bits
}

/// The number of eight decimal digits, the first in the lowest byte.
#[inline]
fn of_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let low = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Vec<u64>, String> {
        let mut numbers = Numbers::of(text.as_bytes(), &(0..text.len()));
        let mut found = Vec::new();
        while numbers.at() < text.len() {
            found.push(numbers.next());
            numbers.checked().map_err(|error| error.to_string())?;
        }
        Ok(found)
    }

    #[test]
    fn numbers_are_read_whatever_stands_between_them() {
        assert_eq!(
            all("1,22,333,\n4444 ,55555,\r\n666666,7777777,88888888,999999999,18446744073709551615"),
            Ok(vec![1, 22, 333, 4444, 55555, 666_666, 7_777_777, 88_888_888, 999_999_999, u64::MAX])
        );
    }

    #[test]
    fn what_is_no_number_is_named_with_its_place() {
        assert_eq!(all("1,,2"), Err("expected a number at byte 2, found `,2`".to_owned()));
        assert_eq!(all("1,-2"), Err("expected a number at byte 2, found `-2`".to_owned()));
        assert_eq!(
            all("12.5,1,1,1,1,1"),
            Err("expected `,` behind a number at byte 2, found `.5,1,1,1,1,1`".to_owned())
        );
        assert_eq!(
            all("1,99999999999999999999"),
            Err("expected a number below 2^64 at byte 2, found `9999999999999999`".to_owned())
        );
    }

    proptest! {
        #[test]
        fn print_then_read_is_identity(numbers in prop::collection::vec(any::<u64>().prop_flat_map(|n| (0..64_u32).prop_map(move |shift| n >> shift)), 1..200)) {
            let text = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(all(&text), Ok(numbers));
        }

        #[test]
        fn records_tile_the_array_however_it_is_cut(n_records in 0_usize..300, n_fields in 1_usize..8) {
            let text = (0..n_records * n_fields).map(|n| n.to_string()).collect::<Vec<_>>().join(",\n");
            let records = Records::of(text.as_bytes(), 0..text.len(), n_fields, "records").unwrap();
            prop_assert_eq!(records.n_records, n_records);
            for index in 0..n_records {
                let expected: Vec<u64> = (index * n_fields..(index + 1) * n_fields).map(|n| n as u64).collect();
                prop_assert_eq!(records.record(text.as_bytes(), index), expected);
            }
        }
    }
}
