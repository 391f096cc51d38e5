//! The wire format of protocol buffers: fields one after the other, read where they are, with the place of what is wrong.
//!
//! Knows no message. Source: <https://protobuf.dev/programming-guides/encoding/>.

use crate::error::HeapError;

/// Most bytes of a number: 64 bits, 7 in each.
const NUMBER_BYTES_MAX: usize = 10;

/// The fields of one message that are still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// The file up to the end of the message, so that offsets are those of the file.
    bytes: &'a [u8],
    at: usize,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Value<'a>,
    /// Where its value begins.
    at: usize,
}

/// What a field says, as far as the wire tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Number(u64),
    /// A text, a message or packed numbers.
    Bytes(Message<'a>),
    /// Four or eight bytes.
    Fixed,
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken {
    at: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    NumberCut,
    NumberLong,
    Cut { wanted: u64, left: u64 },
    Group,
    WireType(u64),
    FieldZero,
    NoNumber,
    NoBytes,
}

impl Broken {
    /// Whether nothing is wrong but that the bytes end.
    pub(super) fn is_cut(self) -> bool {
        matches!(self.fault, Fault::NumberCut | Fault::Cut { .. })
    }

    /// As an error of `place`: `sample[3]`.
    pub(super) fn of(self, place: &str) -> HeapError {
        let (expected, found) = match self.fault {
            Fault::NumberCut => ("the rest of a number".to_owned(), format!("the end of {place}")),
            Fault::NumberLong => {
                (format!("a number of at most {NUMBER_BYTES_MAX} bytes in {place}"), "more".to_owned())
            }
            Fault::Cut { wanted, left } => (format!("{wanted} bytes"), format!("{left} before the end of {place}")),
            Fault::Group => (format!("a field of {place}"), "a group".to_owned()),
            Fault::WireType(number) => (format!("a field of {place}"), format!("wire type {number}")),
            Fault::FieldZero => (format!("a field of {place}"), "field number 0".to_owned()),
            Fault::NoNumber => (format!("a number in {place}"), "another wire type".to_owned()),
            Fault::NoBytes => (format!("bytes with their length in {place}"), "another wire type".to_owned()),
        };
        HeapError::Unexpected { at: self.at as u64, expected, found }
    }
}

impl<'a> Message<'a> {
    /// The message that a whole file is.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next field; none at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, Broken> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.number()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Broken { at: start, fault: Fault::FieldZero });
        }
        let at = self.at;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.fixed(8)?,
            2 => Value::Bytes(self.inner()?),
            3 | 4 => return Err(Broken { at: start, fault: Fault::Group }),
            5 => self.fixed(4)?,
            wire => return Err(Broken { at: start, fault: Fault::WireType(wire) }),
        };
        Ok(Some(Field { number, value, at }))
    }

    /// The bytes that are left.
    pub(super) fn rest(self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// A number in as many bytes as it needs. Bits beyond 64 are dropped, as all readers do.
    #[inline]
    fn number(&mut self) -> Result<u64, Broken> {
        let rest = &self.bytes[self.at..];
        if let Some(&byte) = rest.first()
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        let mut number = 0;
        for (index, &byte) in rest.iter().take(NUMBER_BYTES_MAX).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at += index + 1;
                return Ok(number);
            }
        }
        let fault = if rest.len() < NUMBER_BYTES_MAX { Fault::NumberCut } else { Fault::NumberLong };
        Err(Broken { at: self.at, fault })
    }

    fn skip(&mut self, wanted: u64) -> Result<usize, Broken> {
        let left = (self.bytes.len() - self.at) as u64;
        if wanted > left {
            return Err(Broken { at: self.at, fault: Fault::Cut { wanted, left } });
        }
        let start = self.at;
        self.at += wanted as usize;
        Ok(start)
    }

    fn fixed(&mut self, n_bytes: u64) -> Result<Value<'a>, Broken> {
        self.skip(n_bytes)?;
        Ok(Value::Fixed)
    }

    #[inline]
    fn inner(&mut self) -> Result<Self, Broken> {
        let length = self.number()?;
        let at = self.skip(length)?;
        Ok(Self { bytes: &self.bytes[..self.at], at })
    }
}

impl<'a> Field<'a> {
    pub(super) fn number(self) -> Result<u64, Broken> {
        match self.value {
            Value::Number(number) => Ok(number),
            Value::Bytes(_) | Value::Fixed => Err(Broken { at: self.at, fault: Fault::NoNumber }),
        }
    }

    pub(super) fn message(self) -> Result<Message<'a>, Broken> {
        match self.value {
            Value::Bytes(message) => Ok(message),
            Value::Number(_) | Value::Fixed => Err(Broken { at: self.at, fault: Fault::NoBytes }),
        }
    }

    /// The numbers of a repeated field: one, or many that are packed.
    #[inline]
    pub(super) fn numbers(self) -> Result<Numbers<'a>, Broken> {
        match self.value {
            Value::Number(number) => Ok(Numbers { one: Some(number), packed: Message::of(&[]) }),
            Value::Bytes(packed) => Ok(Numbers { one: None, packed }),
            Value::Fixed => Err(Broken { at: self.at, fault: Fault::NoNumber }),
        }
    }

    /// Has `take` see each number of a repeated field: as [`Self::numbers`], and faster where most have one byte or two.
    #[inline]
    pub(super) fn each_number(self, mut take: impl FnMut(u64)) -> Result<(), Broken> {
        let Numbers { mut one, mut packed } = self.numbers()?;
        let bytes = packed.bytes;
        let mut at = packed.at;
        loop {
            let number = match (one.take(), bytes.get(at)) {
                (Some(one), _) => one,
                (None, None) => return Ok(()),
                (None, Some(&low)) => {
                    at += 1;
                    if low < 0x80 {
                        u64::from(low)
                    } else if let Some(&high) = bytes.get(at)
                        && high < 0x80
                    {
                        at += 1;
                        u64::from(low & 0x7f) | u64::from(high) << 7
                    } else {
                        packed.at = at - 1;
                        let number = packed.number()?;
                        at = packed.at;
                        number
                    }
                }
            };
            take(number);
        }
    }

    /// How many numbers a repeated field has: as many as bytes that end one.
    pub(super) fn n_numbers(self) -> usize {
        match self.value {
            Value::Number(_) => 1,
            Value::Bytes(packed) => packed.rest().iter().filter(|byte| **byte < 0x80).count(),
            Value::Fixed => 0,
        }
    }
}

/// Numbers of a repeated field.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    one: Option<u64>,
    packed: Message<'a>,
}

impl Iterator for Numbers<'_> {
    type Item = Result<u64, Broken>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.packed.at < self.packed.bytes.len() {
            let number = self.packed.number();
            if number.is_err() {
                // What follows would be read in the wrong place.
                self.packed.at = self.packed.bytes.len();
            }
            return Some(number);
        }
        self.one.take().map(Ok)
    }
}
