//! Profiles good and bad, written by hand field by field.

use crate::error::HeapError;
use crate::profile::model::{LabelValue, Profile};
use crate::profile::{read, write_pprof};

/// A field with a number.
fn number(field: u8, number: u64) -> Vec<u8> {
    let mut bytes = vec![field << 3];
    let mut left = number;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// A field with bytes; their length fits one byte.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80);
    [&[(field << 3) | 2, length.unwrap()], content].concat()
}

fn message(field: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, &fields.concat())
}

const TEXTS: [&str; 8] = ["", "space", "bytes", "main.put", "main.go", "tenant", "blue", "put"];

fn texts() -> Vec<u8> {
    TEXTS.iter().flat_map(|text| bytes(6, text.as_bytes())).collect()
}

fn column() -> Vec<u8> {
    message(1, &[number(1, 1), number(2, 2)])
}

fn function(id: u64) -> Vec<u8> {
    message(5, &[number(1, id), number(2, 3), number(3, 7), number(4, 4), number(5, 10)])
}

fn location(id: u64) -> Vec<u8> {
    let line = message(4, &[number(1, 1), number(2, 12), number(3, 7)]);
    message(4, &[number(1, id), number(3, 0x40), line])
}

fn profile_with(sample: &[Vec<u8>]) -> Vec<u8> {
    [column(), message(2, sample), location(1), function(1), texts()].concat()
}

fn error(file: &[Vec<u8>]) -> String {
    super::read(&file.concat()).map_or_else(|error| error.to_string(), |_| "no error".to_owned())
}

fn shown(profile: &Profile) -> String {
    let shown = (0..profile.n_samples()).map(|sample| {
        let names = profile.stack(sample).iter().flat_map(|location| profile.lines(*location)).map(|line| {
            let function = &profile.functions()[line.function.unwrap() as usize];
            format!("{}@{}:{}:{}", profile.text(function.name), profile.text(function.file), line.line, line.column)
        });
        let labels = profile.labels(sample).iter().map(|label| match label.value {
            LabelValue::Text(text) => format!("{}={}", profile.text(label.key), profile.text(text)),
            LabelValue::Number { value, unit } => {
                format!("{}={value}{}", profile.text(label.key), profile.text(unit))
            }
        });
        let (names, labels): (Vec<_>, Vec<_>) = (names.collect(), labels.collect());
        format!("{:?} {} {}\n", profile.values(sample), names.join(","), labels.join(","))
    });
    shown.collect()
}

#[test]
fn numbers_are_read_packed_and_one_by_one() {
    let expected = "[300] main.put@main.go:12:7,main.put@main.go:12:7 tenant=blue,tenant=512bytes\n";
    let labels = [message(3, &[number(1, 5), number(2, 6)]), message(3, &[number(1, 5), number(3, 512), number(4, 2)])];
    let packed = [bytes(1, &[1, 1]), bytes(2, &[0xac, 0x02]), labels.concat()];
    let one_by_one = [number(1, 1), labels.concat(), number(2, 300), number(1, 1)];
    let mixed = [number(1, 1), bytes(1, &[1]), bytes(2, &[]), number(2, 300), labels.concat(), vec![0xc8, 0x01, 9]];
    for sample in [&packed[..], &one_by_one, &mixed] {
        assert_eq!(shown(&read(&profile_with(sample)).unwrap()), expected);
    }
}

#[test]
fn the_order_of_fields_does_not_matter_and_unknown_ones_are_passed_over() {
    let sample = message(2, &[number(1, 1), number(2, 7)]);
    let unknown = [number(15, 0), vec![0xfa, 0x01, 2, 7, 7], vec![0xf1, 0x01], vec![0; 8]].concat();
    let parts = [column(), sample, location(1), function(1), texts(), unknown];
    let forward = read(&parts.concat()).unwrap();
    let backward: Vec<u8> = parts.iter().rev().flatten().copied().collect();
    assert_eq!(shown(&super::read(&backward).unwrap()), shown(&forward));
}

#[test]
fn ids_are_any_numbers_that_differ() {
    for ids in [[1, 2], [2, 1], [7, 9], [900, 3], [u64::MAX, 1 << 40]] {
        let place = |id: u64, line: u64| message(4, &[number(1, id), message(4, &[number(1, id), number(2, line)])]);
        let sample = message(2, &[number(1, ids[1]), number(1, ids[0]), number(2, 1)]);
        let places = [place(ids[0], 10), place(ids[1], 20), function(ids[0]), function(ids[1])].concat();
        let profile = super::read(&[column(), sample, places, texts()].concat()).unwrap();
        assert_eq!(shown(&profile), "[1] main.put@main.go:20:0,main.put@main.go:10:0 \n", "{ids:?}");
    }
}

#[test]
fn equal_strings_are_one_text() {
    let sample = message(2, &[number(1, 1), number(2, 1), message(3, &[number(1, 8), number(2, 6)])]);
    let file = [column(), sample, location(1), function(1), texts(), bytes(6, b"tenant")].concat();
    let profile = read(&file).unwrap();
    assert_eq!((profile.texts.len(), profile.labels(0)[0].key.0), (TEXTS.len(), 5));
}

#[test]
fn a_heap_profile_with_a_period_is_sampled() {
    let period = |kind: u64, unit: u64, period: u64| {
        let file = [column(), message(11, &[number(1, kind), number(2, unit)]), number(12, period), texts()];
        super::read(&file.concat()).unwrap().is_sampled
    };
    let cases = [((1, 2, 524_288), true), ((1, 2, 1), false), ((1, 2, 0), false), ((5, 6, 100), false)];
    for ((kind, unit, every), expected) in cases {
        assert_eq!(period(kind, unit, every), expected, "{} {} {every}", TEXTS[kind as usize], TEXTS[unit as usize]);
    }
}

#[test]
fn a_location_of_a_missing_mapping_is_read_without_and_said() {
    let location = message(4, &[number(1, 1), number(2, 9)]);
    let profile = read(&[column(), location, texts()].concat()).unwrap();
    let said = "location[0].mapping_id: no mapping has the id 9; read without mapping, 1 in all";
    assert_eq!((profile.locations()[0].mapping, profile.warnings()), (None, &[said.to_owned()][..]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let sample = |fields: &[Vec<u8>]| [column(), message(2, fields), location(1), function(1), texts()];
    let cases: [(&[Vec<u8>], &str); 24] = [
        (
            &sample(&[bytes(1, &[1, 17]), number(2, 1)]),
            "sample[0].location_id[1]: expected the id of a location, found 17",
        ),
        (&sample(&[number(1, 0), number(2, 1)]), "sample[0].location_id[0]: expected the id of a location, found 0"),
        (&sample(&[number(1, 1)]), "number of sample[0].value: expected 1, one for each sample_type, found 0"),
        (&sample(&[bytes(2, &[1, 2])]), "number of sample[0].value: expected 1, one for each sample_type, found 2"),
        (
            &sample(&[number(2, 1), message(3, &[number(1, 99)])]),
            "sample[0].label[0].key: expected an index into string_table of 8 texts, found 99",
        ),
        (
            &sample(&[number(2, 1), message(3, &[number(2, u64::MAX)])]),
            "sample[0].label[0].str: expected an index into string_table of 8 texts, found -1",
        ),
        (
            &sample(&[number(2, 1), number(3, 1)]),
            "expected bytes with their length in sample[0].label[0] at byte 11, found another wire type",
        ),
        (&sample(&[vec![0x0d, 0, 0, 0, 0]]), "expected a number in sample[0] at byte 9, found another wire type"),
        (&sample(&[bytes(1, &[1, 0x80])]), "expected the rest of a number at byte 11, found the end of sample[0]"),
        (&sample(&[vec![0x12, 9, 1]]), "expected 9 bytes at byte 10, found 1 before the end of sample[0]"),
        (
            &sample(&[[vec![0x08], vec![0xff; 11]].concat()]),
            "expected a number of at most 10 bytes in sample[0] at byte 9, found more",
        ),
        (&[column(), vec![0x13, 0x14]], "expected a field of the file at byte 6, found a group"),
        (&[column(), vec![0x0f]], "expected a field of the file at byte 6, found wire type 7"),
        (&[column(), vec![0x00]], "expected a field of the file at byte 6, found field number 0"),
        (
            &[column(), vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]],
            "expected 4294967295 bytes at byte 12, found 0 before the end of the file",
        ),
        (&[column()], "string_table: expected the empty text first, found no strings"),
        (&[column(), bytes(6, b"x")], "string_table[0]: expected the empty text, found 1 bytes"),
        (&[column(), texts(), bytes(6, b"a\xff")], "string_table[8]: expected UTF-8, found 0xff at byte 1 of 2"),
        (&[texts()], "sample_type: expected at least one, found none"),
        (
            &[message(1, &[number(1, 8)]), texts()],
            "sample_type[0].type: expected an index into string_table of 8 texts, found 8",
        ),
        (
            &[column(), location(1), function(2), texts()],
            "location[0].line[0].function_id: expected the id of a function, found 1",
        ),
        (
            &[column(), function(3), function(1), function(3), texts()],
            "function[2].id: expected an id that no other has, found 3, which is that of function[0]",
        ),
        (&[column(), function(1), location(0), texts()], "location[0].id: expected a number from 1, found 0"),
        (
            &[column(), texts(), number(9, 5), number(9, 6)],
            "time_nanos: expected it once, found it again: several profiles in one file",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(error(file), expected);
    }
}

#[test]
fn a_profile_cut_off_anywhere_is_an_error_or_whole() {
    let file = profile_with(&[number(1, 1), number(2, 7), message(3, &[number(1, 5), number(2, 6)])]);
    let starts_of_texts: Vec<usize> = (0..=TEXTS.len())
        .map(|n| file.len() - texts().len() + TEXTS[..n].iter().map(|text| 2 + text.len()).sum::<usize>())
        .collect();
    for end in 0..file.len() {
        match read(&file[..end]) {
            Ok(_) => assert!(starts_of_texts.contains(&end), "{end}"),
            Err(HeapError::UnknownFormat { .. }) => assert!(end < column().len(), "{end}"),
            Err(_) => {}
        }
    }
}

#[test]
fn billions_of_claimed_samples_take_no_memory() {
    // Each of many columns wants a value of each of many samples.
    let wide = [[0x0a, 0].repeat(100_000), [0x12, 0].repeat(100_000), texts()];
    assert_eq!(error(&wide), "number of sample[0].value: expected 100000, one for each sample_type, found 0");
    let claimed = [column(), vec![0x12, 0x80, 0xd0, 0xac, 0xf3, 0x0e], texts()];
    assert_eq!(error(&claimed), "expected 4000000000 bytes at byte 12, found 54 before the end of the file");
}

#[test]
fn other_formats_are_not_taken_for_a_profile() {
    let others: [&[u8]; 9] = [
        b"",
        b"{}",
        b"\n\nheap profile: 1: 2 [3: 4] @ heap/1048576\n",
        b"heap profile: 1: 2 [3: 4] @ heap/1048576\n",
        b"goroutine profile: total 4\n",
        b"2 main;serve;put 12\n",
        b"\"name\",\"bytes\"\n",
        b"FLR\0\0\x02\0\0",
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0],
    ];
    for other in others {
        assert!(!super::knows(other), "{}", other.escape_ascii());
    }
    assert!(super::knows(&profile_with(&[number(1, 1), number(2, 1)])));
}

#[test]
fn what_is_written_is_read_again() {
    let label = message(3, &[number(1, 5), number(3, 512), number(4, 2)]);
    let sample = message(2, &[number(1, 1), number(2, -5_i64 as u64), label]);
    let mapping = message(3, &[number(1, 1), number(2, 0x10), number(3, 0x90), number(5, 4), number(7, 1)]);
    let rest =
        [message(11, &[number(1, 1), number(2, 2)]), number(12, 512), number(9, 77), bytes(13, &[3, 4]), number(14, 1)];
    let file = [column(), sample, mapping, location(1), function(1), texts(), rest.concat()].concat();
    let first = read(&file).unwrap();
    let mut again = read(&write_pprof(&first)).unwrap();
    again.file_bytes = first.file_bytes;
    assert_eq!(format!("{again:?}"), format!("{first:?}"));
}
