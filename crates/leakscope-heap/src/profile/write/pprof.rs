//! A profile as pprof's `profile.proto`, with all that pprof can say of it.

#[cfg(test)]
mod tests;

use super::protobuf::Fields;
use crate::profile::model::{Label, LabelValue, Line, Mapping, Profile, Text, ValueType};
use crate::profile::proto::{function, label, line, location, mapping, profile, sample, value_type};

/// The profile as `profile.proto`, not compressed; reading it gives the same profile.
///
/// Ids are those of the tables, from 1. What pprof has no place for is left out: what holds the object of a sample
/// ([`Profile::path`]). A line without function gets one without name, since readers refuse it otherwise.
pub fn write_pprof(profile: &Profile) -> Vec<u8> {
    let mut file = Fields::default();
    let mut inner = Fields::default();
    for column in profile.sample_types() {
        value_type(&mut inner, *column);
        file.message(profile::SAMPLE_TYPE, &mut inner);
    }
    samples(&mut file, profile);
    for (mapping, id) in profile.mappings().iter().zip(1..) {
        mapping_fields(&mut inner, mapping, id);
        file.message(profile::MAPPING, &mut inner);
    }
    locations(&mut file, profile);
    functions(&mut file, profile);
    for index in 0..profile.texts.len() {
        file.bytes(profile::STRING_TABLE, profile.text(Text(index as u32)).as_bytes());
    }
    let header = profile.header();
    file.number(profile::DROP_FRAMES, text(header.drop_frames));
    file.number(profile::KEEP_FRAMES, text(header.keep_frames));
    file.number(profile::TIME_NANOS, header.time_nanos as u64);
    file.number(profile::DURATION_NANOS, header.duration_nanos as u64);
    if header.period_type != ValueType::default() {
        value_type(&mut inner, header.period_type);
        file.message(profile::PERIOD_TYPE, &mut inner);
    }
    file.number(profile::PERIOD, header.period as u64);
    file.numbers(profile::COMMENT, header.comments.iter().map(|comment| text(*comment)));
    file.number(profile::DEFAULT_SAMPLE_TYPE, text(header.default_sample_type));
    file.number(profile::DOC_URL, text(header.doc_url));
    file.finish()
}

fn text(text: Text) -> u64 {
    u64::from(text.0)
}

fn value_type(fields: &mut Fields, column: ValueType) {
    fields.number(value_type::TYPE, text(column.kind));
    fields.number(value_type::UNIT, text(column.unit));
}

fn samples(file: &mut Fields, profile: &Profile) {
    let (mut fields, mut inner) = (Fields::default(), Fields::default());
    for index in 0..profile.n_samples() {
        fields.numbers(sample::LOCATION_ID, profile.stack(index).iter().map(|location| u64::from(*location) + 1));
        fields.numbers(sample::VALUE, profile.values(index).iter().map(|value| *value as u64));
        for label in profile.labels(index) {
            label_fields(&mut inner, *label);
            fields.message(sample::LABEL, &mut inner);
        }
        file.message(profile::SAMPLE, &mut fields);
    }
}

fn label_fields(fields: &mut Fields, label: Label) {
    fields.number(label::KEY, text(label.key));
    match label.value {
        LabelValue::Text(value) => fields.number(label::STR, text(value)),
        LabelValue::Number { value, unit } => {
            fields.number(label::NUM, value as u64);
            fields.number(label::NUM_UNIT, text(unit));
        }
    }
}

fn mapping_fields(fields: &mut Fields, mapping: &Mapping, id: u64) {
    fields.number(mapping::ID, id);
    fields.number(mapping::MEMORY_START, mapping.start);
    fields.number(mapping::MEMORY_LIMIT, mapping.limit);
    fields.number(mapping::FILE_OFFSET, mapping.offset);
    fields.number(mapping::FILENAME, text(mapping.file));
    fields.number(mapping::BUILD_ID, text(mapping.build_id));
    fields.number(mapping::HAS_FUNCTIONS, u64::from(mapping.has_functions));
    fields.number(mapping::HAS_FILENAMES, u64::from(mapping.has_filenames));
    fields.number(mapping::HAS_LINE_NUMBERS, u64::from(mapping.has_line_numbers));
    fields.number(mapping::HAS_INLINE_FRAMES, u64::from(mapping.has_inline_frames));
}

fn locations(file: &mut Fields, profile: &Profile) {
    let (mut fields, mut inner) = (Fields::default(), Fields::default());
    let nameless = profile.functions().len() as u64;
    for (location, index) in profile.locations().iter().zip(0..) {
        fields.number(location::ID, u64::from(index) + 1);
        fields.number(location::MAPPING_ID, location.mapping.map_or(0, |mapping| u64::from(mapping) + 1));
        fields.number(location::ADDRESS, location.address);
        for line in profile.lines(index) {
            inner.number(line::FUNCTION_ID, line.function.map_or(nameless, u64::from) + 1);
            inner.number(line::LINE, line.line as u64);
            inner.number(line::COLUMN, line.column as u64);
            fields.message(location::LINE, &mut inner);
        }
        fields.number(location::IS_FOLDED, u64::from(location.is_folded));
        file.message(profile::LOCATION, &mut fields);
    }
}

fn functions(file: &mut Fields, profile: &Profile) {
    let mut fields = Fields::default();
    for (function, id) in profile.functions().iter().zip(1..) {
        fields.number(function::ID, id);
        fields.number(function::NAME, text(function.name));
        fields.number(function::SYSTEM_NAME, text(function.system_name));
        fields.number(function::FILENAME, text(function.file));
        fields.number(function::START_LINE, function.start_line as u64);
        file.message(profile::FUNCTION, &mut fields);
    }
    if profile.lines.iter().any(|Line { function, .. }| function.is_none()) {
        fields.number(function::ID, profile.functions().len() as u64 + 1);
        file.message(profile::FUNCTION, &mut fields);
    }
}
