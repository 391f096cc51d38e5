//! Bytes of the file format: numbers of variable length, signs folded in, and checks. Reading is total.

use crate::error::Damage;

/// Appends `value` in 1 to 10 bytes, seven bits each, lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Folds the sign into the lowest bit, so that small numbers of either sign stay short.
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A 32-bit check of `bytes` that any single changed byte changes; no protection against intent.
pub(crate) fn check_of(bytes: &[u8]) -> u32 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = bytes.len() as u64 ^ PRIME;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
        hash ^= hash >> 29;
    }
    let mut last = [0_u8; 8];
    for (slot, byte) in last.iter_mut().zip(rest) {
        *slot = *byte;
    }
    hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(PRIME);
    (hash ^ (hash >> 32)) as u32
}

/// A place in bytes that were read; every step says what it expected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) const fn damage(&self, expected: &'static str) -> Damage {
        Damage { at: self.at, len: self.bytes.len(), expected }
    }

    pub(crate) fn take(&mut self, n: usize, expected: &'static str) -> Result<&'a [u8], Damage> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..n)).ok_or(self.damage(expected))?;
        self.at += n;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Damage> {
        let damage = self.damage(expected);
        self.take(N, expected)?.try_into().map_err(|_| damage)
    }

    pub(crate) fn byte(&mut self, expected: &'static str) -> Result<u8, Damage> {
        self.array::<1>(expected).map(|[byte]| byte)
    }

    pub(crate) fn varint(&mut self, expected: &'static str) -> Result<u64, Damage> {
        let start = *self;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(expected)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(start.damage(expected));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(start.damage(expected))
    }

    /// A length or count, refused above `max` before anything is allocated for it.
    pub(crate) fn count(&mut self, max: usize, expected: &'static str) -> Result<usize, Damage> {
        let start = *self;
        let count = self.varint(expected)?;
        usize::try_from(count).ok().filter(|count| *count <= max).ok_or(start.damage(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn put_then_read_is_identity(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_varint(&mut out, zigzag(signed));
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.varint("value"), Ok(value));
            prop_assert_eq!(cursor.varint("value").map(unzigzag), Ok(signed));
            prop_assert_eq!(cursor.remaining(), 0);
        }

        #[test]
        fn one_changed_byte_changes_the_check(bytes in prop::collection::vec(any::<u8>(), 1..64), place: usize, flip in 1..=255_u8) {
            let mut changed = bytes.clone();
            let place = place % changed.len();
            changed[place] ^= flip;
            prop_assert_ne!(check_of(&bytes), check_of(&changed));
        }
    }

    #[test]
    fn eleven_bytes_are_no_number() {
        assert!(Cursor::new(&[0xff; 11]).varint("value").is_err());
        assert!(Cursor::new(&[0x80]).varint("value").is_err());
    }
}
