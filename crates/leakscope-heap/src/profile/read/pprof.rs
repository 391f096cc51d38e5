//! pprof's `profile.proto`, in two passes over its bytes: one counts (`survey`), one fills the columns of the profile.
//!
//! What `go tool pprof` refuses is refused. Source:
//! <https://github.com/google/pprof/blob/main/proto/profile.proto>.

mod survey;
#[cfg(test)]
mod tests;

use super::otlp;
use super::protobuf::{Broken, Field, Message, Value};
use crate::error::HeapError;
use crate::format::Format;
use crate::graph::Offsets;
use crate::profile::model::{Function, Header, Label, LabelValue, Line, Location, Mapping, Profile, Text, ValueType};
use crate::profile::proto::{function, label, line, location, mapping, profile, sample, value_type};
use survey::{Ids, Survey};

/// Fields that are looked at to know a profile.
const LOOKED_AT_FIELDS: usize = 32;
/// Largest number of a field that a later version of pprof may add.
const LATER_FIELD_MAX: u64 = 100;

/// Whether these are a profile, by itself or as the payload of one of OpenTelemetry.
pub(super) fn knows(bytes: &[u8]) -> bool {
    is_plain(bytes) || otlp::knows(bytes)
}

/// Whether `bytes` begin with fields of a profile, each on the wire as it must be.
fn is_plain(bytes: &[u8]) -> bool {
    let mut message = Message::of(bytes);
    for n_before in 0..LOOKED_AT_FIELDS {
        match message.next() {
            Ok(Some(field)) if is_of_a_profile(field) => {}
            Ok(Some(field)) if n_before > 0 && is_later(field, profile::DOC_URL) => {}
            Ok(Some(_)) => return false,
            Ok(None) => return n_before > 0,
            // One that is cut off is still known, so that its error says so.
            Err(broken) => return n_before > 0 && broken.is_cut(),
        }
    }
    true
}

fn is_of_a_profile(field: Field<'_>) -> bool {
    // What the fields of a message are, in order of their numbers: `n` a number, `r` repeated numbers, `m` a message.
    let fields = match field.number {
        profile::SAMPLE_TYPE | profile::PERIOD_TYPE => "nn",
        profile::SAMPLE => "rrm",
        profile::MAPPING => "nnnnnnnnnn",
        profile::LOCATION => "nnnmn",
        profile::FUNCTION => "nnnnn",
        profile::STRING_TABLE => return field.message().is_ok(),
        profile::COMMENT => return field.numbers().is_ok(),
        number => return number <= profile::DOC_URL && field.number().is_ok(),
    };
    let Ok(mut message) = field.message() else { return false };
    while let Ok(Some(field)) = message.next() {
        let kind = usize::try_from(field.number - 1).ok().and_then(|index| fields.as_bytes().get(index));
        let fits = match (kind, field.value) {
            (Some(b'n'), Value::Number(_)) | (Some(b'r'), _) | (Some(b'm'), Value::Bytes(_)) => true,
            (Some(_), _) => false,
            (None, _) => is_later(field, fields.len() as u64),
        };
        if !fits {
            return false;
        }
    }
    message.next().is_ok()
}

fn is_later(field: Field<'_>, known: u64) -> bool {
    (known + 1..=LATER_FIELD_MAX).contains(&field.number)
}

/// Reads a profile, by itself or as the payload of one of OpenTelemetry.
///
/// # Errors
/// [`HeapError`], with the field and its index.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, HeapError> {
    if !is_plain(bytes) && otlp::knows(bytes) { otlp::read(bytes) } else { read_plain(bytes) }
}

/// Reads a profile by itself.
///
/// # Errors
/// [`HeapError`], with the field and its index. One that is cut off is refused: its texts come last, so that what is there has
/// no names.
pub(super) fn read_plain(bytes: &[u8]) -> Result<Profile, HeapError> {
    let survey = Survey::of(bytes)?;
    let mut reading = Reading::of(survey, bytes.len());
    let mut message = Message::of(bytes);
    while let Some(field) = message.next().map_err(|broken| broken.of("the file"))? {
        reading.field(field)?;
    }
    Ok(reading.finish())
}

/// The second pass.
#[derive(Debug)]
struct Reading {
    profile: Profile,
    text_of: Vec<Text>,
    mapping_ids: Ids,
    location_ids: Ids,
    function_ids: Ids,
    n_sample_types: usize,
    has_labels: bool,
    /// Locations of mappings that are not there, and the first of them with the id.
    n_unmapped: usize,
    first_unmapped: Option<(usize, u64)>,
}

fn invalid(place: String, expected: &str, found: String) -> HeapError {
    HeapError::Invalid { place, expected: expected.to_owned(), found }
}

impl Reading {
    fn of(survey: Survey, n_bytes: usize) -> Self {
        let n_locations = survey.location_ids.len();
        let n_label_ends = if survey.n_labels > 0 { survey.n_samples } else { 0 };
        let profile = Profile {
            format: Format::Pprof,
            file_bytes: n_bytes as u64,
            header: Header::default(),
            texts: survey.texts,
            sample_types: Vec::with_capacity(survey.n_sample_types),
            mappings: Vec::with_capacity(survey.mapping_ids.len()),
            functions: Vec::with_capacity(survey.function_ids.len()),
            locations: Vec::with_capacity(n_locations),
            lines: Vec::with_capacity(survey.n_lines),
            line_ends: Vec::with_capacity(n_locations),
            stacks: Vec::with_capacity(survey.n_stacked),
            stack_ends: Offsets::with_capacity(survey.n_samples),
            values: Vec::with_capacity(survey.n_values),
            labels: Vec::with_capacity(survey.n_labels),
            label_ends: Vec::with_capacity(n_label_ends),
            paths: Vec::new(),
            is_sampled: false,
            warnings: Vec::new(),
        };
        Self {
            profile,
            text_of: survey.text_of,
            mapping_ids: survey.mapping_ids,
            location_ids: survey.location_ids,
            function_ids: survey.function_ids,
            n_sample_types: survey.n_sample_types,
            has_labels: survey.n_labels > 0,
            n_unmapped: 0,
            first_unmapped: None,
        }
    }

    fn field(&mut self, field: Field<'_>) -> Result<(), HeapError> {
        match field.number {
            profile::SAMPLE_TYPE => {
                let place = format!("sample_type[{}]", self.profile.sample_types.len());
                let column = self.value_type(field, &place)?;
                self.profile.sample_types.push(column);
            }
            profile::SAMPLE => self.sample(field)?,
            profile::MAPPING => self.mapping(field)?,
            profile::LOCATION => self.location(field)?,
            profile::FUNCTION => self.function(field)?,
            profile::DROP_FRAMES => self.profile.header.drop_frames = self.text(field, || "drop_frames".to_owned())?,
            profile::KEEP_FRAMES => self.profile.header.keep_frames = self.text(field, || "keep_frames".to_owned())?,
            profile::TIME_NANOS => self.time(field)?,
            profile::DURATION_NANOS => self.profile.header.duration_nanos = number(field, "duration_nanos")? as i64,
            profile::PERIOD_TYPE => self.profile.header.period_type = self.value_type(field, "period_type")?,
            profile::PERIOD => self.profile.header.period = number(field, "period")? as i64,
            profile::COMMENT => self.comments(field)?,
            profile::DEFAULT_SAMPLE_TYPE => {
                let default = self.text(field, || "default_sample_type".to_owned())?;
                self.profile.header.default_sample_type = default;
            }
            profile::DOC_URL => self.profile.header.doc_url = self.text(field, || "doc_url".to_owned())?,
            _ => {}
        }
        Ok(())
    }

    fn time(&mut self, field: Field<'_>) -> Result<(), HeapError> {
        if self.profile.header.time_nanos != 0 {
            let found = "it again: several profiles in one file".to_owned();
            return Err(invalid("time_nanos".to_owned(), "it once", found));
        }
        self.profile.header.time_nanos = number(field, "time_nanos")? as i64;
        Ok(())
    }

    fn comments(&mut self, field: Field<'_>) -> Result<(), HeapError> {
        for index in field.numbers().map_err(|broken| broken.of("comment"))? {
            let index = index.map_err(|broken| broken.of("comment"))?;
            let comment = self.text_at(index, || format!("comment[{}]", self.profile.header.comments.len()))?;
            self.profile.header.comments.push(comment);
        }
        Ok(())
    }

    fn text(&self, field: Field<'_>, place: impl Fn() -> String) -> Result<Text, HeapError> {
        let index = field.number().map_err(|broken| broken.of(&place()))?;
        self.text_at(index, place)
    }

    #[inline]
    fn text_at(&self, index: u64, place: impl Fn() -> String) -> Result<Text, HeapError> {
        let text = usize::try_from(index).ok().and_then(|index| self.text_of.get(index));
        text.copied().ok_or_else(|| {
            let expected = format!("an index into string_table of {} texts", self.text_of.len());
            invalid(place(), &expected, (index as i64).to_string())
        })
    }

    fn value_type(&self, field: Field<'_>, place: &str) -> Result<ValueType, HeapError> {
        let broken = |broken: Broken| broken.of(place);
        let mut message = field.message().map_err(broken)?;
        let mut column = ValueType::default();
        while let Some(field) = message.next().map_err(broken)? {
            match field.number {
                value_type::TYPE => column.kind = self.text(field, || format!("{place}.type"))?,
                value_type::UNIT => column.unit = self.text(field, || format!("{place}.unit"))?,
                _ => {}
            }
        }
        Ok(column)
    }

    fn sample(&mut self, field: Field<'_>) -> Result<(), HeapError> {
        let index = self.profile.n_samples();
        let broken = |broken: Broken| broken.of(&format!("sample[{index}]"));
        let (n_stacked, n_values) = (self.profile.stacks.len(), self.profile.values.len());
        let n_labels = self.profile.labels.len();
        let mut message = field.message().map_err(broken)?;
        while let Some(field) = message.next().map_err(broken)? {
            match field.number {
                sample::LOCATION_ID => {
                    let (stacks, ids) = (&mut self.profile.stacks, &self.location_ids);
                    let n_before = stacks.len();
                    stacks.resize(n_before + field.n_numbers(), 0);
                    let mut places = stacks[n_before..].iter_mut();
                    let mut missing = None;
                    let read = field.each_number(|id| match (places.next(), ids.index(id)) {
                        (Some(place), Some(location)) => *place = location,
                        (rest, _) => missing = missing.or(Some((usize::from(rest.is_some()) + places.len(), id))),
                    });
                    if let Some((n_left, id)) = missing {
                        let at = stacks.len() - n_left - n_stacked;
                        let place = format!("sample[{index}].location_id[{at}]");
                        return Err(invalid(place, "the id of a location", id.to_string()));
                    }
                    read.map_err(broken)?;
                }
                sample::VALUE => {
                    let values = &mut self.profile.values;
                    field.each_number(|value| values.push(value as i64)).map_err(broken)?;
                }
                sample::LABEL => {
                    let label = self
                        .label(field, || format!("sample[{index}].label[{}]", self.profile.labels.len() - n_labels))?;
                    self.profile.labels.push(label);
                }
                _ => {}
            }
        }
        let found = self.profile.values.len() - n_values;
        if found != self.n_sample_types {
            let expected = format!("{}, one for each sample_type", self.n_sample_types);
            return Err(invalid(format!("number of sample[{index}].value"), &expected, found.to_string()));
        }
        self.profile.stack_ends.push(self.profile.stacks.len());
        if self.has_labels {
            self.profile.label_ends.push(self.profile.labels.len() as u32);
        }
        Ok(())
    }

    fn label(&self, field: Field<'_>, place: impl Fn() -> String) -> Result<Label, HeapError> {
        let broken = |broken: Broken| broken.of(&place());
        let mut message = field.message().map_err(broken)?;
        let (mut key, mut text, mut value, mut unit) = (Text::default(), None, 0, Text::default());
        while let Some(field) = message.next().map_err(broken)? {
            match field.number {
                label::KEY => key = self.text(field, || format!("{}.key", place()))?,
                label::STR => {
                    // Index 0 says that the label is a number.
                    let index = field.number().map_err(broken)?;
                    text = (index != 0).then(|| self.text_at(index, || format!("{}.str", place()))).transpose()?;
                }
                label::NUM => value = field.number().map_err(broken)? as i64,
                label::NUM_UNIT => unit = self.text(field, || format!("{}.num_unit", place()))?,
                _ => {}
            }
        }
        let value = text.map_or(LabelValue::Number { value, unit }, LabelValue::Text);
        Ok(Label { key, value })
    }

    fn mapping(&mut self, field: Field<'_>) -> Result<(), HeapError> {
        let index = self.profile.mappings.len();
        let broken = |broken: Broken| broken.of(&format!("mapping[{index}]"));
        let mut message = field.message().map_err(broken)?;
        let mut mapping = Mapping::default();
        while let Some(field) = message.next().map_err(broken)? {
            let number = || field.number().map_err(broken);
            match field.number {
                mapping::MEMORY_START => mapping.start = number()?,
                mapping::MEMORY_LIMIT => mapping.limit = number()?,
                mapping::FILE_OFFSET => mapping.offset = number()?,
                mapping::FILENAME => mapping.file = self.text(field, || format!("mapping[{index}].filename"))?,
                mapping::BUILD_ID => mapping.build_id = self.text(field, || format!("mapping[{index}].build_id"))?,
                mapping::HAS_FUNCTIONS => mapping.has_functions = number()? != 0,
                mapping::HAS_FILENAMES => mapping.has_filenames = number()? != 0,
                mapping::HAS_LINE_NUMBERS => mapping.has_line_numbers = number()? != 0,
                mapping::HAS_INLINE_FRAMES => mapping.has_inline_frames = number()? != 0,
                _ => {}
            }
        }
        self.profile.mappings.push(mapping);
        Ok(())
    }

    fn location(&mut self, field: Field<'_>) -> Result<(), HeapError> {
        let index = self.profile.locations.len();
        let broken = |broken: Broken| broken.of(&format!("location[{index}]"));
        let mut message = field.message().map_err(broken)?;
        let mut location = Location::default();
        let n_lines = self.profile.lines.len();
        while let Some(field) = message.next().map_err(broken)? {
            match field.number {
                location::MAPPING_ID => location.mapping = self.mapping_at(field.number().map_err(broken)?, index),
                location::ADDRESS => location.address = field.number().map_err(broken)?,
                location::LINE => {
                    let line =
                        self.line(field, || format!("location[{index}].line[{}]", self.profile.lines.len() - n_lines))?;
                    self.profile.lines.push(line);
                }
                location::IS_FOLDED => location.is_folded = field.number().map_err(broken)? != 0,
                _ => {}
            }
        }
        self.profile.locations.push(location);
        self.profile.line_ends.push(self.profile.lines.len() as u32);
        Ok(())
    }

    /// A mapping that is not there is none, as for `go tool pprof`: names and values do without.
    fn mapping_at(&mut self, id: u64, location: usize) -> Option<u32> {
        let mapping = self.mapping_ids.index(id);
        if mapping.is_none() && id != 0 {
            self.n_unmapped += 1;
            self.first_unmapped.get_or_insert((location, id));
        }
        mapping
    }

    fn line(&self, field: Field<'_>, place: impl Fn() -> String) -> Result<Line, HeapError> {
        let broken = |broken: Broken| broken.of(&place());
        let mut message = field.message().map_err(broken)?;
        let (mut id, mut line) = (0, Line::default());
        while let Some(field) = message.next().map_err(broken)? {
            match field.number {
                line::FUNCTION_ID => id = field.number().map_err(broken)?,
                line::LINE => line.line = field.number().map_err(broken)? as i64,
                line::COLUMN => line.column = field.number().map_err(broken)? as i64,
                _ => {}
            }
        }
        let function = self.function_ids.index(id);
        let missing = || invalid(format!("{}.function_id", place()), "the id of a function", id.to_string());
        line.function = Some(function.ok_or_else(missing)?);
        Ok(line)
    }

    fn function(&mut self, field: Field<'_>) -> Result<(), HeapError> {
        let index = self.profile.functions.len();
        let broken = |broken: Broken| broken.of(&format!("function[{index}]"));
        let mut message = field.message().map_err(broken)?;
        let mut function = Function::default();
        while let Some(field) = message.next().map_err(broken)? {
            let text = |name: &str| self.text(field, || format!("function[{index}].{name}"));
            match field.number {
                function::NAME => function.name = text("name")?,
                function::SYSTEM_NAME => function.system_name = text("system_name")?,
                function::FILENAME => function.file = text("filename")?,
                function::START_LINE => function.start_line = field.number().map_err(broken)? as i64,
                _ => {}
            }
        }
        self.profile.functions.push(function);
        Ok(())
    }

    fn finish(mut self) -> Profile {
        if let Some((location, id)) = self.first_unmapped {
            let n = self.n_unmapped;
            self.profile.warnings.push(format!(
                "location[{location}].mapping_id: no mapping has the id {id}; read without mapping, {n} in all"
            ));
        }
        self.profile.is_sampled = is_sampled(&self.profile);
        self.profile
    }
}

fn number(field: Field<'_>, place: &str) -> Result<u64, HeapError> {
    field.number().map_err(|broken| broken.of(place))
}

/// Heap profiles count every so many bytes, and their writers scale what they counted.
fn is_sampled(profile: &Profile) -> bool {
    let is = |column: &ValueType, kind: &str, unit: &str| {
        (kind.is_empty() || profile.text(column.kind) == kind) && profile.text(column.unit) == unit
    };
    let header = &profile.header;
    is(&header.period_type, "space", "bytes")
        && header.period > 1
        && profile.sample_types.iter().any(|column| is(column, "", "bytes"))
}
