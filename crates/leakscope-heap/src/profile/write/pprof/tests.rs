//! Whatever a profile says is the same after it was written and read again.

use proptest::collection::vec;
use proptest::prelude::*;

use super::write_pprof;
use crate::format::Format;
use crate::profile::builder::Builder;
use crate::profile::model::{Function, Label, LabelValue, Line, Location, Mapping, Profile};
use crate::profile::read;

/// A function: name, system name, file, line of its declaration.
type Named = (String, String, String, i64);
/// A location: mapping, address, whether it is folded, and its lines by function, line and column.
type Placed = (Option<u8>, u64, bool, Vec<(u8, i64, i64)>);
/// A sample: stack, values, labels with a text, labels with a number.
type Taken = (Vec<u8>, Vec<i64>, Vec<(String, String)>, Vec<(String, i64, String)>);
type Mapped = (u64, u64, u64, String, String, [bool; 4]);

fn profile(
    columns: &[(String, String)],
    mappings: &[Mapped],
    (functions, locations): (&[Named], &[Placed]),
    samples: &[Taken],
    header: (i64, i64, i64, Vec<String>),
) -> Profile {
    let mut builder = Builder::new(Format::Pprof, 0);
    for (kind, unit) in columns {
        builder.sample_type(kind, unit);
    }
    for (start, limit, offset, file, build_id, has) in mappings {
        let (file, build_id) = (builder.text(file), builder.text(build_id));
        builder.mapping(Mapping {
            start: *start,
            limit: *limit,
            offset: *offset,
            file,
            build_id,
            has_functions: has[0],
            has_filenames: has[1],
            has_line_numbers: has[2],
            has_inline_frames: has[3],
        });
    }
    let functions: Vec<u32> = functions
        .iter()
        .map(|(name, system_name, file, start_line)| {
            let (name, system_name) = (builder.text(name), builder.text(system_name));
            let file = builder.text(file);
            builder.function(Function { name, system_name, file, start_line: *start_line })
        })
        .collect();
    let chosen = |choice: u8, from: &[u32]| from[usize::from(choice) % from.len()];
    let locations: Vec<u32> = locations
        .iter()
        .map(|(mapping, address, is_folded, lines)| {
            let mapping = mapping.filter(|_| !mappings.is_empty()).map(|at| u32::from(at) % mappings.len() as u32);
            let line = |(function, line, column): &(u8, i64, i64)| Line {
                function: Some(chosen(*function, &functions)),
                line: *line,
                column: *column,
            };
            let lines: Vec<Line> = lines.iter().map(line).collect();
            builder.location(Location { mapping, address: *address, is_folded: *is_folded }, &lines)
        })
        .collect();
    for (stack, values, texts, numbers) in samples {
        let stack: Vec<u32> = stack.iter().map(|choice| chosen(*choice, &locations)).collect();
        let mut labels = Vec::new();
        for (key, value) in texts {
            labels.push(Label { key: builder.text(key), value: LabelValue::Text(builder.text(value)) });
        }
        for (key, value, unit) in numbers {
            let unit = builder.text(unit);
            labels.push(Label { key: builder.text(key), value: LabelValue::Number { value: *value, unit } });
        }
        let values: Vec<i64> = values.iter().copied().cycle().take(columns.len()).collect();
        builder.sample(&stack, &values, &labels);
    }
    let (time_nanos, duration_nanos, period, texts) = header;
    let period_type = builder.value_type("space", "bytes");
    let comments: Vec<_> = texts.iter().map(|text| builder.text(text)).collect();
    let has_bytes = columns.iter().any(|(_, unit)| unit == "bytes");
    let header = builder.header();
    (header.time_nanos, header.duration_nanos) = (time_nanos, duration_nanos);
    (header.period_type, header.period) = (period_type, period);
    if let [first, .., last] = comments[..] {
        (header.drop_frames, header.keep_frames) = (first, last);
        (header.default_sample_type, header.doc_url) = (last, first);
    }
    header.comments = comments;
    if period > 1 && has_bytes {
        builder.sampled();
    }
    builder.finish()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["", "[a-c]", "bytes|count|space", "\\PC{1,20}"]
}

fn written() -> impl Strategy<Value = Profile> {
    let columns = vec((text(), text()), 1..4);
    let mappings = vec((any::<u64>(), any::<u64>(), any::<u64>(), text(), text(), any::<[bool; 4]>()), 0..3);
    let functions = vec((text(), text(), text(), any::<i64>()), 1..5);
    let lines = vec((any::<u8>(), any::<i64>(), any::<i64>()), 0..4);
    let locations = vec((any::<Option<u8>>(), any::<u64>(), any::<bool>(), lines), 1..6);
    let labels = (vec((text(), "[a-z]{1,3}"), 0..3), vec((text(), any::<i64>(), text()), 0..3));
    let samples = vec((vec(any::<u8>(), 0..40), vec(any::<i64>(), 1..4), labels), 0..8).prop_map(|samples| {
        samples.into_iter().map(|(stack, values, (texts, numbers))| (stack, values, texts, numbers))
    });
    let header = (any::<i64>(), any::<i64>(), any::<i64>(), vec(text(), 0..4));
    (columns, mappings, functions, locations, samples, header).prop_map(
        |(columns, mappings, functions, locations, samples, header)| {
            let samples: Vec<Taken> = samples.collect();
            profile(&columns, &mappings, (&functions, &locations), &samples, header)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(profile in written()) {
        let mut again = read(&write_pprof(&profile)).unwrap();
        again.file_bytes = profile.file_bytes;
        prop_assert_eq!(format!("{again:?}"), format!("{profile:?}"));
    }
}

#[test]
fn a_line_without_function_gets_one_without_name() {
    let profile = crate::profile::testing::profile(&[("space", "bytes")], &[("main;?", &[1])]);
    let again = read(&write_pprof(&profile)).unwrap();
    let names: Vec<&str> = again.functions().iter().map(|function| again.text(function.name)).collect();
    let functions: Vec<Option<u32>> = again.stack(0).iter().map(|at| again.lines(*at)[0].function).collect();
    assert_eq!((names, functions), (vec!["main", ""], vec![Some(1), Some(0)]));
}
