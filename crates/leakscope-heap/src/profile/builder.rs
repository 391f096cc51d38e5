//! Puts a profile together, with each text, function and location once.

use leakscope_model::PathStep;
use rustc_hash::FxHashMap;

use super::model::{Function, Header, Label, Line, Location, Mapping, Profile, Text, Texts, ValueType};
use crate::format::Format;
use crate::graph::Offsets;

/// A profile in the making.
#[derive(Debug)]
pub(crate) struct Builder {
    profile: Profile,
    texts: FxHashMap<String, Text>,
    functions: FxHashMap<Function, u32>,
    /// By the location and its lines.
    locations: FxHashMap<(Location, Vec<Line>), u32>,
}

impl Builder {
    pub(crate) fn new(format: Format, file_bytes: usize) -> Self {
        let mut texts = Texts::with_capacity(1, 0);
        let empty = texts.push("");
        let profile = Profile {
            format,
            file_bytes: file_bytes as u64,
            header: Header::default(),
            texts,
            sample_types: Vec::new(),
            mappings: Vec::new(),
            functions: Vec::new(),
            locations: Vec::new(),
            lines: Vec::new(),
            line_ends: Vec::new(),
            stacks: Vec::new(),
            stack_ends: Offsets::default(),
            values: Vec::new(),
            labels: Vec::new(),
            label_ends: Vec::new(),
            paths: Vec::new(),
            is_sampled: false,
            warnings: Vec::new(),
        };
        let texts = FxHashMap::from_iter([(String::new(), empty)]);
        Self { profile, texts, functions: FxHashMap::default(), locations: FxHashMap::default() }
    }

    /// What is said of the whole.
    pub(crate) fn header(&mut self) -> &mut Header {
        &mut self.profile.header
    }

    /// Says that values count samples, scaled to what they stand for; the header's period is in bytes.
    pub(crate) fn sampled(&mut self) {
        self.profile.is_sampled = true;
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.profile.warnings.push(warning);
    }

    pub(crate) fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = self.profile.texts.push(text);
        self.texts.insert(text.to_owned(), number);
        number
    }

    pub(crate) fn value_type(&mut self, kind: &str, unit: &str) -> ValueType {
        ValueType { kind: self.text(kind), unit: self.text(unit) }
    }

    /// Adds a column. All columns are there before the first sample.
    pub(crate) fn sample_type(&mut self, kind: &str, unit: &str) {
        let column = self.value_type(kind, unit);
        self.profile.sample_types.push(column);
    }

    pub(crate) fn mapping(&mut self, mapping: Mapping) -> u32 {
        self.profile.mappings.push(mapping);
        self.profile.mappings.len() as u32 - 1
    }

    pub(crate) fn function(&mut self, function: Function) -> u32 {
        let functions = &mut self.profile.functions;
        *self.functions.entry(function).or_insert_with(|| {
            functions.push(function);
            functions.len() as u32 - 1
        })
    }

    /// The location with these frames, the innermost inlined one first.
    pub(crate) fn location(&mut self, location: Location, lines: &[Line]) -> u32 {
        let profile = &mut self.profile;
        *self.locations.entry((location, lines.to_vec())).or_insert_with(|| {
            profile.locations.push(location);
            profile.lines.extend_from_slice(lines);
            profile.line_ends.push(profile.lines.len() as u32);
            profile.locations.len() as u32 - 1
        })
    }

    /// A location that is one frame of the source; `line` and `column` from 1, 0 where not known.
    pub(crate) fn frame(&mut self, name: &str, file: &str, line: i64, column: i64) -> u32 {
        let name = self.text(name);
        let file = self.text(file);
        let function = self.function(Function { name, system_name: name, file, start_line: 0 });
        self.location(Location::default(), &[Line { function: Some(function), line, column }])
    }

    /// Adds a sample: locations leaf first, one value for each column.
    pub(crate) fn sample(&mut self, stack: &[u32], values: &[i64], labels: &[Label]) {
        let profile = &mut self.profile;
        assert_eq!(values.len(), profile.sample_types.len(), "one value for each column");
        profile.stacks.extend_from_slice(stack);
        profile.stack_ends.push(profile.stacks.len());
        profile.values.extend_from_slice(values);
        if !labels.is_empty() || !profile.label_ends.is_empty() {
            // Samples before the first with labels have none.
            profile.label_ends.resize(profile.stack_ends.len() - 1, profile.labels.len() as u32);
            profile.labels.extend_from_slice(labels);
            profile.label_ends.push(profile.labels.len() as u32);
        }
    }

    /// Says what holds the object of the sample that was added last, from a root down.
    pub(crate) fn path(&mut self, path: Vec<PathStep>) {
        let n = self.profile.n_samples();
        self.profile.paths.resize_with(n.saturating_sub(1), Vec::new);
        self.profile.paths.push(path);
    }

    pub(crate) fn finish(self) -> Profile {
        self.profile
    }
}
