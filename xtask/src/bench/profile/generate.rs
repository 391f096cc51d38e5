//! Profiles of any size from a seed, as Go writes them: gzipped profile.proto, two sample types, strings last. Written as they are
//! made, so that five million samples need no memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::record::dice::Dice;

/// How stacks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Walks through a graph of calls, so that stacks begin alike: 4,000 functions, 20 to 40 frames.
    Shared,
    /// Every frame by chance: 1,000 functions, 40 to 80 frames.
    Random,
}

impl Shape {
    /// As files are named.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Shared => 'r',
            Self::Random => 's',
        }
    }

    fn n_functions(self) -> u64 {
        match self {
            Self::Shared => 4_000,
            Self::Random => 1_000,
        }
    }

    /// Frames of a stack: at least, and how many more at most.
    fn depth(self) -> (u64, u64) {
        match self {
            Self::Shared => (20, 20),
            Self::Random => (40, 40),
        }
    }
}

/// Lines of a function from which it calls.
const LINES_EACH: u64 = 2;
/// Functions that each function of a graph calls, one as often as another.
const N_CALLEES: u64 = 4;
/// In the later profile of two, what one of so many functions allocated itself is three times as much.
const GROWS_EVERY: u64 = 50;
/// Sizes of what is allocated, in bytes.
const SIZES: [u64; 8] = [16, 32, 64, 96, 128, 512, 1_024, 8_192];
const SEED: u64 = 0x1ea5;

/// Strings of the table before the names of the functions.
const STRINGS: [&str; 6] = ["", "inuse_objects", "count", "inuse_space", "bytes", "space"];

/// Writes the profile of `n_samples` samples; `later`: the second one of the same process.
pub(super) fn write(path: &Path, shape: Shape, n_samples: u64, later: bool) -> io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    let mut out = GzEncoder::new(file, Compression::fast());
    let mut message = Message::default();
    for (kind, unit) in [(1, 2), (3, 4)] {
        message.begin().number(1, kind).number(2, unit);
        message.end_into(1, &mut out)?;
    }
    let mut dice = Dice::new(SEED ^ n_samples);
    let mut stack = Vec::new();
    for _ in 0..n_samples {
        walk(shape, &mut dice, &mut stack);
        let count = 1 + dice.whole() % 8;
        let size = SIZES[(dice.whole() % SIZES.len() as u64) as usize];
        let leaf = (stack[0] - 1) / LINES_EACH;
        let count = if later && leaf.is_multiple_of(GROWS_EVERY) { 3 * count } else { count };
        message.begin().packed(1, &stack).packed(2, &[count, count * size]);
        message.end_into(2, &mut out)?;
    }
    message.begin().number(1, 1).number(2, 0x40_0000).number(3, 0x200_0000);
    message.end_into(3, &mut out)?;
    write_functions(shape, &mut message, &mut out)?;
    message.begin().number(1, 5).number(2, 4);
    message.end_into(11, &mut out)?;
    message.begin().number(12, 512 * 1_024);
    out.write_all(&message.bytes)?;
    out.finish()?.flush()
}

/// Locations, functions and strings. The ids of both begin with 1, as profile.proto has it.
fn write_functions(shape: Shape, message: &mut Message, out: &mut impl Write) -> io::Result<()> {
    let mut line = Message::default();
    for location in 1..=shape.n_functions() * LINES_EACH {
        let (function, nth) = ((location - 1) / LINES_EACH, (location - 1) % LINES_EACH);
        line.begin().number(1, function + 1).number(2, 10 + 7 * nth + function % 900);
        message.begin().number(1, location).number(2, 1).number(3, 0x40_0000 + 64 * location).bytes(4, &line.bytes);
        message.end_into(4, out)?;
    }
    for function in 0..shape.n_functions() {
        let name = STRINGS.len() as u64 + 2 * function;
        message.begin().number(1, function + 1).number(2, name).number(3, name).number(4, name + 1);
        message.number(5, 5 + function % 900);
        message.end_into(5, out)?;
    }
    let names = (0..shape.n_functions()).flat_map(|function| {
        let (package, kind) = (function / 40, function % 7);
        let name = format!("example.com/shop/internal/part{package}.(*Type{kind}).Method{function}");
        [name, format!("/srv/shop/internal/part{package}/file{}.go", function / 8)]
    });
    for text in STRINGS.iter().map(|text| (*text).to_owned()).chain(names) {
        message.begin().bytes.extend_from_slice(text.as_bytes());
        message.end_into(6, out)?;
    }
    Ok(())
}

/// A stack as location ids, leaf first.
fn walk(shape: Shape, dice: &mut Dice, stack: &mut Vec<u64>) {
    stack.clear();
    let (least, more) = shape.depth();
    let depth = least + dice.whole() % (more + 1);
    let mut function = 0;
    for _ in 0..depth {
        let chance = dice.whole();
        stack.push(function * LINES_EACH + (chance >> 32) % LINES_EACH + 1);
        function = match shape {
            Shape::Shared => Dice::new(function * N_CALLEES + chance % N_CALLEES).whole() % shape.n_functions(),
            Shape::Random => chance % shape.n_functions(),
        };
    }
    stack.reverse();
}

/// One message of protocol buffers while it is made.
#[derive(Debug, Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn begin(&mut self) -> &mut Self {
        self.bytes.clear();
        self
    }

    fn number(&mut self, field: u64, value: u64) -> &mut Self {
        varint(&mut self.bytes, field << 3);
        varint(&mut self.bytes, value);
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        varint(&mut self.bytes, field << 3 | 2);
        varint(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn packed(&mut self, field: u64, values: &[u64]) -> &mut Self {
        let mut packed = Vec::with_capacity(2 * values.len());
        for value in values {
            varint(&mut packed, *value);
        }
        self.bytes(field, &packed)
    }

    /// Writes it as a field of the profile.
    fn end_into(&self, field: u64, out: &mut impl Write) -> io::Result<()> {
        let mut head = Vec::new();
        varint(&mut head, field << 3 | 2);
        varint(&mut head, self.bytes.len() as u64);
        out.write_all(&head)?;
        out.write_all(&self.bytes)
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_fields_in_order() {
        let mut message = Message::default();
        message.begin().number(1, 300).packed(2, &[1, 128]);
        let mut out = Vec::new();
        message.end_into(2, &mut out).unwrap();
        assert_eq!(out, [0x12, 8, 0x08, 0xac, 0x02, 0x12, 3, 1, 0x80, 0x01]);
    }

    #[test]
    fn stacks_of_a_graph_share_their_roots_and_the_same_seed_gives_the_same() {
        let (mut dice, mut again) = (Dice::new(1), Dice::new(1));
        let (mut stack, mut other) = (Vec::new(), Vec::new());
        walk(Shape::Shared, &mut dice, &mut stack);
        walk(Shape::Shared, &mut again, &mut other);
        assert_eq!(stack, other);
        assert!((20..=40).contains(&stack.len()));
        assert!(stack.last().is_some_and(|root| (1..=LINES_EACH).contains(root)));
    }
}
