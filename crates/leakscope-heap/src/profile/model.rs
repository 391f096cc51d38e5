//! A profile: stacks with values, a superset of what pprof's `profile.proto` can say, in columns.
//!
//! INVARIANT: every index in a profile is inside the table it points into; `Builder` is the only way to make one.

use std::ops::Range;

use leakscope_model::PathStep;

use crate::format::Format;
use crate::graph::Offsets;

/// A text of one profile: its place in [`Texts`]. Equal texts have equal numbers. 0 is the empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub(crate) u32);

/// All texts of a profile, each once.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    bytes: String,
    /// Where each ends.
    ends: Offsets,
}

impl Texts {
    /// None yet, with room for `n` of `n_bytes` in all.
    pub(crate) fn with_capacity(n: usize, n_bytes: usize) -> Self {
        Self { bytes: String::with_capacity(n_bytes), ends: Offsets::with_capacity(n) }
    }

    pub(crate) fn get(&self, text: Text) -> &str {
        let at = text.0 as usize;
        let start = if at == 0 { 0 } else { self.ends.get(at - 1) };
        &self.bytes[start..self.ends.get(at)]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a text that is not there yet.
    pub(crate) fn push(&mut self, text: &str) -> Text {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        Text(self.ends.len() as u32 - 1)
    }
}

/// What one column of values counts: `inuse_space` in `bytes`, `goroutine` in `count`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueType {
    /// What is counted.
    pub kind: Text,
    /// In which unit.
    pub unit: Text,
}

/// A file mapped into the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the format")]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub limit: u64,
    /// Offset in the file of what is at `start`.
    pub offset: u64,
    /// Path of the file.
    pub file: Text,
    /// As the linker wrote it into the file, in hexadecimal digits.
    pub build_id: Text,
    /// Whether its locations have names of functions.
    pub has_functions: bool,
    /// Whether they have files.
    pub has_filenames: bool,
    /// Whether they have lines.
    pub has_line_numbers: bool,
    /// Whether they have inlined frames.
    pub has_inline_frames: bool,
}

/// A function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Function {
    /// As people read it.
    pub name: Text,
    /// As the linker knows it.
    pub system_name: Text,
    /// Its source file.
    pub file: Text,
    /// Line of its declaration; 0 where not known.
    pub start_line: i64,
}

/// A frame's place in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Line {
    /// Index into [`Profile::functions`]; none where the profile names no function.
    pub function: Option<u32>,
    /// From 1; 0 where not known.
    pub line: i64,
    /// From 1; 0 where not known.
    pub column: i64,
}

/// An address of the program, or what stands for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Location {
    /// Index into [`Profile::mappings`].
    pub mapping: Option<u32>,
    /// 0 where not known.
    pub address: u64,
    /// Whether several functions share the address since the linker folded them.
    pub is_folded: bool,
}

/// What a label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelValue {
    /// A text.
    Text(Text),
    /// A number with its unit.
    Number {
        /// The number.
        value: i64,
        /// Empty where none is given.
        unit: Text,
    },
}

/// A name with a value on a sample: `bytes` is the size of a sampled object in Go's heap profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Its name.
    pub key: Text,
    /// What it says.
    pub value: LabelValue,
}

/// What is said of the whole profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// When it was taken, in nanoseconds since the Unix epoch; 0 where not known.
    pub time_nanos: i64,
    /// How long it measured; 0 for a look at one moment.
    pub duration_nanos: i64,
    /// What [`Header::period`] counts.
    pub period_type: ValueType,
    /// Units of `period_type` between two samples on average; 0 where not known.
    pub period: i64,
    /// The value that tools should show first; empty where the profile does not say.
    pub default_sample_type: Text,
    /// Pattern of frames to drop with all below them.
    pub drop_frames: Text,
    /// Pattern of frames to keep although `drop_frames` fits.
    pub keep_frames: Text,
    /// Remarks.
    pub comments: Vec<Text>,
    /// Where its documentation is.
    pub doc_url: Text,
}

/// One profile: stacks × values, with all that the format says of them.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(crate) format: Format,
    pub(crate) file_bytes: u64,
    pub(crate) header: Header,
    pub(crate) texts: Texts,
    pub(crate) sample_types: Vec<ValueType>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) functions: Vec<Function>,
    pub(crate) locations: Vec<Location>,
    /// Lines of all locations: those of location `i` are from the end of `i - 1` to `line_ends[i]`.
    pub(crate) lines: Vec<Line>,
    pub(crate) line_ends: Vec<u32>,
    /// Locations of all stacks, leaf first.
    pub(crate) stacks: Vec<u32>,
    pub(crate) stack_ends: Offsets,
    /// Sample by sample, one for each sample type.
    pub(crate) values: Vec<i64>,
    pub(crate) labels: Vec<Label>,
    /// Empty where no sample has a label.
    pub(crate) label_ends: Vec<u32>,
    /// What holds each sample's object, from a root down, where the format says it; else empty.
    pub(crate) paths: Vec<Vec<PathStep>>,
    /// Whether the values count samples drawn at `header.period` bytes, already scaled to what they stand for.
    pub(crate) is_sampled: bool,
    pub(crate) warnings: Vec<String>,
}

impl Profile {
    /// The format that it was read from.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes that it was read from, not compressed.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// What is said of the whole.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// A number that a remark says of the whole: `rss_bytes: 1024`, as the reader of our agent's files leaves it.
    pub(crate) fn fact(&self, name: &str) -> Option<i64> {
        let mut comments = self.header.comments.iter().map(|comment| self.text(*comment));
        comments.find_map(|comment| comment.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
    }

    /// What could not be read, as sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The text that a number stands for.
    pub fn text(&self, text: Text) -> &str {
        self.texts.get(text)
    }

    /// What the values of each sample count, in their order.
    pub fn sample_types(&self) -> &[ValueType] {
        &self.sample_types
    }

    /// The column with this name: a number counts from 0.
    pub fn sample_type(&self, name: &str) -> Option<usize> {
        let named = self.sample_types.iter().position(|kind| self.text(kind.kind) == name);
        named.or_else(|| name.parse().ok().filter(|index| *index < self.sample_types.len()))
    }

    /// The column that is shown where nobody chose: the profile's default, else the last.
    pub fn default_column(&self) -> usize {
        let default = self.text(self.header.default_sample_type);
        let named = if default.is_empty() { None } else { self.sample_type(default) };
        named.unwrap_or(self.sample_types.len().saturating_sub(1))
    }

    /// Samples.
    pub fn n_samples(&self) -> usize {
        self.stack_ends.len()
    }

    /// Mapped files.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// Functions.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Locations.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// Locations of a sample's stack, leaf first, as indices into [`Profile::locations`].
    pub fn stack(&self, sample: usize) -> &[u32] {
        let start = if sample == 0 { 0 } else { self.stack_ends.get(sample - 1) };
        &self.stacks[start..self.stack_ends.get(sample)]
    }

    /// Values of a sample, one for each sample type.
    pub fn values(&self, sample: usize) -> &[i64] {
        let n = self.sample_types.len();
        &self.values[sample * n..(sample + 1) * n]
    }

    /// Labels of a sample.
    pub fn labels(&self, sample: usize) -> &[Label] {
        &self.labels[row(&self.label_ends, sample)]
    }

    /// What the first label with this name says of a sample.
    pub fn label(&self, sample: usize, key: &str) -> Option<LabelValue> {
        self.labels(sample).iter().find(|label| self.text(label.key) == key).map(|label| label.value)
    }

    /// Frames of a location, the innermost inlined one first; empty where nothing is known but the address.
    pub fn lines(&self, location: u32) -> &[Line] {
        &self.lines[row(&self.line_ends, location as usize)]
    }

    /// What holds the object of a sample, from a root down; empty where the format does not say.
    pub fn path(&self, sample: usize) -> &[PathStep] {
        self.paths.get(sample).map_or(&[], Vec::as_slice)
    }
}

fn row(ends: &[u32], index: usize) -> Range<usize> {
    let end = |index: usize| ends.get(index).map_or(0, |end| *end as usize);
    if index == 0 { 0..end(0) } else { end(index - 1)..end(index) }
}
