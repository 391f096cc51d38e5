//! Stacks of bare addresses, whose mappings and names a text profile gives later, or not at all.

use rustc_hash::FxHashMap;

use super::maps::Maps;
use crate::format::Format;
use crate::profile::builder::Builder;
use crate::profile::model::{Function, Label, Line, Location, Profile};

/// A profile in the making whose locations are addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) builder: Builder,
    pub(super) maps: Maps,
    numbers: FxHashMap<u64, u32>,
    /// By number, as the locations will be.
    calls: Vec<u64>,
    lines: FxHashMap<u32, Vec<Line>>,
    stack: Vec<u32>,
}

/// What is known of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) address: u64,
    pub(super) function: &'a str,
    pub(super) file: &'a str,
    pub(super) line: i64,
}

impl Addresses {
    pub(super) fn new(format: Format, file_bytes: usize) -> Self {
        Self {
            builder: Builder::new(format, file_bytes),
            maps: Maps::default(),
            numbers: FxHashMap::default(),
            calls: Vec::new(),
            lines: FxHashMap::default(),
            stack: Vec::new(),
        }
    }

    /// Adds a sample by the return addresses of its stack, leaf first. A location is the call before each, also at the leaf: what
    /// took the stack was called there.
    pub(super) fn sample(&mut self, returns: &[u64], values: &[i64], labels: &[Label]) {
        self.stack.clear();
        for address in returns.iter().map(|address| address.wrapping_sub(1)) {
            let number = *self.numbers.entry(address).or_insert_with(|| {
                self.calls.push(address);
                self.calls.len() as u32 - 1
            });
            self.stack.push(number);
        }
        // INVARIANT: `finish` adds the locations, each with its number here.
        self.builder.sample(&self.stack, values, labels);
    }

    /// Says what the addresses of the last sample are, from the leaf; several frames with one address were inlined into each other.
    pub(super) fn frames(&mut self, frames: &[Frame<'_>]) {
        let mut n_times: FxHashMap<u32, usize> = FxHashMap::default();
        for number in &self.stack {
            *n_times.entry(*number).or_default() += 1;
        }
        let mut n_frames: FxHashMap<u32, usize> = FxHashMap::default();
        let numbered = frames.iter().filter_map(|frame| Some((*self.numbers.get(&frame.address)?, frame)));
        // What an earlier sample named has its lines.
        let new: Vec<_> = numbered.filter(|(number, _)| !self.lines.contains_key(number)).collect();
        for (number, _) in &new {
            *n_frames.entry(*number).or_default() += 1;
        }
        for (number, frame) in new {
            let lines = self.lines.entry(number).or_default();
            // A recursive call stands there as often as it is on the stack.
            let n_lines = n_frames[&number] / n_times.get(&number).copied().unwrap_or(1);
            if lines.len() < n_lines.max(1) {
                let (name, file) = (self.builder.text(frame.function), self.builder.text(frame.file));
                let function = self.builder.function(Function { name, system_name: name, file, start_line: 0 });
                lines.push(Line { function: Some(function), line: frame.line, column: 0 });
            }
        }
    }

    pub(super) fn finish(mut self) -> Profile {
        let mappings = self.maps.place(&mut self.builder, &self.calls);
        for ((address, mapping), number) in self.calls.iter().zip(mappings).zip(0..) {
            let lines = self.lines.get(&number).map_or(&[][..], Vec::as_slice);
            let added = self.builder.location(Location { mapping, address: *address, is_folded: false }, lines);
            assert_eq!(added, number, "each address is one location, in this order");
        }
        self.builder.finish()
    }
}

/// The addresses of a line: `0x1 0x2`; none where one is no number of 64 bits.
pub(super) fn of_line(line: &[u8]) -> Option<Vec<u64>> {
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(of_word).collect()
}

/// `0x4dab05`.
pub(super) fn of_word(word: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(word.strip_prefix(b"0x")?).ok()?;
    // It would take a sign too.
    u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}
