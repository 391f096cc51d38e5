//! One profile less another: as `go tool pprof -diff_base` merges them, by content and not by numbers, in exact integers.
//!
//! Source: `merge.go` and `fetch.go` of google/pprof.

mod joined;

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::builder::Builder;
use super::model::{Function, Label, LabelValue, Line, Location, Mapping, Profile, Text, ValueType};
use super::top::BASE_LABEL;
pub use joined::Joined;

/// Sizes of mappings are compared in pages of this many bytes.
const PAGE_BYTES: u64 = 0x1000;

/// What `later` has more than `base`: the samples of both, those of `base` negated and labelled `pprof::base`.
///
/// Columns are those that both have by type and unit, in the order of `later`. Where they have none in common there are no samples, and
/// a warning says so; [`super::diff`] says why two profiles cannot be compared.
pub fn difference(base: &Profile, later: &Profile) -> Profile {
    merge(&[Part { profile: later, is_base: false }, Part { profile: base, is_base: true }])
}

/// One of the profiles that are merged.
#[derive(Clone, Copy)]
struct Part<'p> {
    profile: &'p Profile,
    is_base: bool,
}

/// All samples of all parts, equal ones as one; samples without a value are dropped.
fn merge(parts: &[Part<'_>]) -> Profile {
    let columns = common_columns(parts);
    let mut builder = outline(parts, &columns);
    if columns.is_empty() {
        return builder.finish();
    }
    let mut merger = Merger::new(columns.len());
    for (index, part) in parts.iter().enumerate() {
        merger.add(&mut builder, *part, &chosen(&columns, index));
    }
    let has_zero = merger.write(&mut builder);
    let merged = builder.finish();
    if has_zero {
        // What only samples without a value pointed to goes as well.
        return merge(&[Part { profile: &merged, is_base: false }]);
    }
    merged
}

/// What is said of the whole, and its columns.
fn outline(parts: &[Part<'_>], columns: &[Vec<usize>]) -> Builder {
    let first = parts[0].profile;
    let mut builder = Builder::new(first.format, first.file_bytes as usize);
    header(&mut builder, parts, columns);
    for column in columns {
        let kind = first.sample_types[column[0]];
        builder.sample_type(first.text(kind.kind), first.text(kind.unit));
    }
    if columns.is_empty() {
        builder.warn("the profiles have no column in common".to_owned());
    }
    builder
}

/// The columns of one part.
fn chosen(columns: &[Vec<usize>], part: usize) -> Vec<usize> {
    columns.iter().map(|column| column[part]).collect()
}

/// The columns that all parts have: for each of them its place in each part.
fn common_columns(parts: &[Part<'_>]) -> Vec<Vec<usize>> {
    let names = |profile: &Profile, column: &ValueType| {
        (profile.text(column.kind).to_owned(), profile.text(column.unit).to_owned())
    };
    let first = parts[0].profile;
    let mut common = Vec::new();
    for column in &first.sample_types {
        let wanted = names(first, column);
        let place =
            |part: &Part<'_>| part.profile.sample_types.iter().position(|column| names(part.profile, column) == wanted);
        common.extend(parts.iter().map(place).collect::<Option<Vec<usize>>>());
    }
    common
}

/// What is said of the whole: the earliest time, the longest period, and the rest of the first that says it.
fn header(builder: &mut Builder, parts: &[Part<'_>], columns: &[Vec<usize>]) {
    let first = parts[0].profile;
    let mut seen = FxHashSet::default();
    for part in parts {
        let found = &part.profile.header;
        for comment in &found.comments {
            let comment = builder.text(part.profile.text(*comment));
            if seen.insert(comment) {
                builder.header().comments.push(comment);
            }
        }
        let doc_url = builder.text(part.profile.text(found.doc_url));
        let header = builder.header();
        if header.time_nanos == 0 || found.time_nanos < header.time_nanos {
            header.time_nanos = found.time_nanos;
        }
        header.duration_nanos = header.duration_nanos.saturating_add(found.duration_nanos);
        header.period = header.period.max(found.period);
        if header.doc_url == Text::default() {
            header.doc_url = doc_url;
        }
        for warning in &part.profile.warnings {
            builder.warn(if part.is_base { format!("base: {warning}") } else { warning.clone() });
        }
    }
    let has = |name: &str| columns.iter().any(|column| first.text(first.sample_types[column[0]].kind) == name);
    let defaults = parts.iter().map(|part| part.profile.text(part.profile.header.default_sample_type));
    let first_common = columns.first().map(|column| first.text(first.sample_types[column[0]].kind));
    let is_cut = columns.len() < first.sample_types.len();
    let default = defaults.into_iter().find(|name| has(name)).or(first_common.filter(|_| is_cut));
    let default = default.map(|name| builder.text(name));
    let (drop_frames, keep_frames) =
        (builder.text(first.text(first.header.drop_frames)), builder.text(first.text(first.header.keep_frames)));
    let period = first.header.period_type;
    let period_type = builder.value_type(first.text(period.kind), first.text(period.unit));
    let header = builder.header();
    header.default_sample_type = default.unwrap_or_default();
    (header.drop_frames, header.keep_frames, header.period_type) = (drop_frames, keep_frames, period_type);
    if parts.iter().all(|part| part.profile.is_sampled) {
        builder.sampled();
    }
}

/// The merged samples, before they are written.
struct Merger {
    n_columns: usize,
    stacks: Vec<u32>,
    stack_ends: Vec<usize>,
    values: Vec<i64>,
    labels: Vec<Label>,
    label_ends: Vec<usize>,
    /// What holds the object of each sample, where some sample says it.
    paths: Vec<Vec<leakscope_model::PathStep>>,
    /// The last sample with each hash, and for each sample the one before it with the same.
    by_hash: FxHashMap<u64, u32>,
    alike: Vec<u32>,
    mappings: FxHashMap<(u64, u64, Text), (u32, u64)>,
}

const NONE: u32 = u32::MAX;

impl Merger {
    fn new(n_columns: usize) -> Self {
        Self {
            n_columns,
            stacks: Vec::new(),
            stack_ends: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
            label_ends: Vec::new(),
            paths: Vec::new(),
            by_hash: FxHashMap::default(),
            alike: Vec::new(),
            mappings: FxHashMap::default(),
        }
    }

    /// The merged location of each of a part's that a sample with a value passes, else [`NONE`]; in the order of the samples.
    fn locations(&mut self, builder: &mut Builder, names: &mut Names<'_>, columns: &[usize]) -> Vec<u32> {
        let profile = names.profile;
        let mut locations = vec![NONE; profile.locations.len()];
        let mut functions: Vec<Option<u32>> = vec![None; profile.functions.len()];
        let mut n_missing = locations.len();
        if let Some(main) = profile.mappings.first()
            && self.mappings.is_empty()
        {
            // The first mapping is the program's, and stays the first.
            self.mapping(builder, names, main);
        }
        for sample in (0..profile.n_samples()).filter(|sample| has_value(profile, *sample, columns)) {
            if n_missing == 0 {
                break;
            }
            for &location in profile.stack(sample) {
                if locations[location as usize] == NONE {
                    n_missing -= 1;
                    locations[location as usize] = self.location(builder, names, &mut functions, location);
                }
            }
        }
        locations
    }

    /// Adds the samples of a part, with its columns in the order of `columns`.
    fn add(&mut self, builder: &mut Builder, part: Part<'_>, columns: &[usize]) {
        let profile = part.profile;
        let mut names = Names::of(profile);
        let locations = self.locations(builder, &mut names, columns);
        let (mut stack, mut labels) = (Vec::new(), Vec::new());
        for sample in (0..profile.n_samples()).filter(|sample| has_value(profile, *sample, columns)) {
            stack.clear();
            stack.extend(profile.stack(sample).iter().map(|location| locations[*location as usize]));
            labels.clear();
            labels.extend(profile.labels(sample).iter().map(|label| names.label(builder, label)));
            if part.is_base {
                let (key, value) = (builder.text(BASE_LABEL.0), builder.text(BASE_LABEL.1));
                labels.retain(|label: &Label| label.key != key);
                labels.push(Label { key, value: LabelValue::Text(value) });
            }
            let values = profile.values(sample);
            let signed = |&column: &usize| if part.is_base { values[column].saturating_neg() } else { values[column] };
            self.sample(&stack, &labels, columns.iter().map(signed), profile.path(sample));
        }
    }

    fn sample(
        &mut self,
        stack: &[u32],
        labels: &[Label],
        values: impl Iterator<Item = i64>,
        path: &[leakscope_model::PathStep],
    ) {
        let mut hasher = FxHasher::default();
        for &location in stack {
            hasher.write_u32(location);
        }
        hasher.write_usize(labels.len());
        for label in labels {
            std::hash::Hash::hash(label, &mut hasher);
        }
        let hash = hasher.finish();
        let mut at = if path.is_empty() { self.by_hash.get(&hash).copied().unwrap_or(NONE) } else { NONE };
        while at != NONE && (self.stack(at) != stack || self.labels(at) != labels) {
            at = self.alike[at as usize];
        }
        if at != NONE {
            let sums = &mut self.values[at as usize * self.n_columns..][..self.n_columns];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.saturating_add(value));
            return;
        }
        let number = self.stack_ends.len() as u32;
        self.stacks.extend_from_slice(stack);
        self.stack_ends.push(self.stacks.len());
        self.labels.extend_from_slice(labels);
        self.label_ends.push(self.labels.len());
        self.values.extend(values);
        let before = if path.is_empty() { self.by_hash.insert(hash, number) } else { None };
        self.alike.push(before.unwrap_or(NONE));
        if !path.is_empty() {
            self.paths.resize_with(number as usize, Vec::new);
            self.paths.push(path.to_vec());
        }
    }

    fn stack(&self, sample: u32) -> &[u32] {
        &self.stacks[start(&self.stack_ends, sample)..self.stack_ends[sample as usize]]
    }

    fn labels(&self, sample: u32) -> &[Label] {
        &self.labels[start(&self.label_ends, sample)..self.label_ends[sample as usize]]
    }

    /// The location with the same content in what is merged.
    fn location(
        &mut self,
        builder: &mut Builder,
        names: &mut Names<'_>,
        functions: &mut [Option<u32>],
        location: u32,
    ) -> u32 {
        let profile = names.profile;
        let found = profile.locations[location as usize];
        let (mapping, address) = match found.mapping {
            Some(mapping) => {
                let mapping = profile.mappings[mapping as usize];
                let (number, start) = self.mapping(builder, names, &mapping);
                // Programs are not loaded at the same address each time.
                (Some(number), found.address.wrapping_sub(mapping.start).wrapping_add(start))
            }
            None => (None, found.address),
        };
        let mut lines = Vec::with_capacity(profile.lines(location).len());
        for line in profile.lines(location) {
            let function = line.function.map(|function| {
                let known = functions[function as usize];
                let number = known.unwrap_or_else(|| names.function(builder, &profile.functions[function as usize]));
                functions[function as usize] = Some(number);
                number
            });
            lines.push(Line { function, ..*line });
        }
        builder.location(Location { mapping, address, is_folded: found.is_folded }, &lines)
    }

    /// The number and the start of the mapping of the same file and size.
    fn mapping(&mut self, builder: &mut Builder, names: &mut Names<'_>, mapping: &Mapping) -> (u32, u64) {
        let size = mapping.limit.wrapping_sub(mapping.start);
        let size = size.wrapping_add(PAGE_BYTES - 1) / PAGE_BYTES;
        let (file, build_id) = (names.text(builder, mapping.file), names.text(builder, mapping.build_id));
        let name = if build_id == Text::default() { file } else { build_id };
        *self.mappings.entry((size, mapping.offset, name)).or_insert_with(|| {
            let number = builder.mapping(Mapping { file, build_id, ..*mapping });
            (number, mapping.start)
        })
    }

    /// Writes the samples, and says whether some have no value left.
    fn write(self, builder: &mut Builder) -> bool {
        let mut has_zero = false;
        for sample in 0..self.stack_ends.len() {
            let values = &self.values[sample * self.n_columns..(sample + 1) * self.n_columns];
            has_zero |= values.iter().all(|value| *value == 0);
            builder.sample(self.stack(sample as u32), values, self.labels(sample as u32));
            if let Some(path) = self.paths.get(sample).filter(|path| !path.is_empty()) {
                builder.path(path.clone());
            }
        }
        has_zero
    }
}

fn has_value(profile: &Profile, sample: usize, columns: &[usize]) -> bool {
    let values = profile.values(sample);
    columns.iter().any(|&column| values[column] != 0)
}

fn start(ends: &[usize], index: u32) -> usize {
    if index == 0 { 0 } else { ends[index as usize - 1] }
}

/// What a profile's names are called in what is merged, each looked up once.
struct Names<'p> {
    profile: &'p Profile,
    texts: Vec<Option<Text>>,
}

impl<'p> Names<'p> {
    fn of(profile: &'p Profile) -> Self {
        Self { profile, texts: vec![None; profile.texts.len()] }
    }

    fn text(&mut self, builder: &mut Builder, text: Text) -> Text {
        *self.texts[text.0 as usize].get_or_insert_with(|| builder.text(self.profile.text(text)))
    }

    fn function(&mut self, builder: &mut Builder, function: &Function) -> u32 {
        let name = self.text(builder, function.name);
        let system_name = self.text(builder, function.system_name);
        let file = self.text(builder, function.file);
        builder.function(Function { name, system_name, file, start_line: function.start_line })
    }

    fn label(&mut self, builder: &mut Builder, label: &Label) -> Label {
        let key = self.text(builder, label.key);
        let value = match label.value {
            LabelValue::Text(text) => LabelValue::Text(self.text(builder, text)),
            LabelValue::Number { value, unit } => LabelValue::Number { value, unit: self.text(builder, unit) },
        };
        Label { key, value }
    }
}

#[cfg(test)]
mod tests;
