//! Recordings made by hand: what is read of them, and what is said of those that are wrong.

use super::testing::*;
use super::*;
use crate::profile::model::LabelValue;

/// A session in a static field of a shop, allocated in its `open`.
fn session(is_compressed: bool) -> ChunkBuilder {
    let mut chunk = ChunkBuilder::new(is_compressed, &TYPES);
    for (key, name) in [(1, "com/acme/Session"), (2, "java/lang/Class"), (3, "com/acme/Shop")] {
        chunk.add_class(key, name);
    }
    chunk.pooled(OBJECT, 1, chunk.value().long(8).long(1).byte(0).long(1));
    chunk.pooled(OBJECT, 2, chunk.value().long(16).long(2).text("Class Name: com.acme.Shop").long(0));
    chunk.pooled(REFERENCE, 1, chunk.value().long(1).long(2).int(0));
    chunk.pooled(FIELD, 1, chunk.value().byte(2).long(7));
    chunk.pooled(TEXT, 7, chunk.value().text("current"));
    chunk.pooled(ROOT, 1, chunk.value().text("Threads").text("Stack Variable"));
    chunk.pooled(SYMBOL, 4, chunk.value().text("open"));
    chunk.pooled(METHOD, 1, chunk.value().long(3).long(4));
    chunk.pooled(STACK, 1, chunk.value().byte(1).int(2).long(1).int(12).long(1).int(-1));
    chunk.add_sample(1_500, 1, 1, 1);
    chunk
}

/// `com.acme.Shop.open:12`, the innermost first.
fn stack(profile: &Profile, sample: usize) -> Vec<String> {
    let frame = |location: &u32| {
        let line = profile.lines(*location)[0];
        let function = profile.functions()[line.function.unwrap() as usize];
        format!("{}:{}", profile.text(function.name), line.line)
    };
    profile.stack(sample).iter().map(frame).collect()
}

/// `com.acme.Shop@16.current`, from the root on.
fn path(profile: &Profile, sample: usize) -> Vec<String> {
    profile.path(sample).iter().map(|step| format!("{}@{}.{}", step.name, step.id, step.edge)).collect()
}

fn label(profile: &Profile, sample: usize, key: &str) -> Option<String> {
    let label = profile.labels(sample).iter().find(|label| profile.text(label.key) == key)?;
    Some(match label.value {
        LabelValue::Text(text) => profile.text(text).to_owned(),
        LabelValue::Number { value, unit } => format!("{value} {}", profile.text(unit)),
    })
}

fn error(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn an_object_is_read_with_what_holds_it_and_where_it_was_allocated() {
    for is_compressed in [true, false] {
        let profile = read(&session(is_compressed).finish()).unwrap();
        assert_eq!((profile.n_samples(), profile.values(0)), (1, &[1, 48][..]));
        assert_eq!(stack(&profile, 0), ["com.acme.Shop.open:12", "com.acme.Shop.open:0"]);
        assert_eq!(path(&profile, 0), ["com.acme.Shop@16.current", "com.acme.Session@8."]);
        assert_eq!(label(&profile, 0, "age").as_deref(), Some("500 nanoseconds"));
        assert_eq!(label(&profile, 0, "type").as_deref(), Some("com.acme.Session"));
        assert_eq!(label(&profile, 0, "gc_root").as_deref(), Some("Threads: Stack Variable"));
        assert_eq!(profile.warnings(), ["1 of 1 samples have a stack that is cut off"]);
        assert_eq!((profile.header().time_nanos, profile.header().duration_nanos), (1_001_000, 1_000));
        assert_eq!(profile.text(profile.sample_types()[profile.default_column()].kind), "objects");
    }
}

#[test]
fn an_object_is_one_sample_however_often_it_is_written() {
    let mut chunk = session(true);
    chunk.add_sample(1_500, 1, 1, 1);
    chunk.add_sample(1_600, 1, 1, 1);
    assert_eq!(read(&chunk.finish()).unwrap().n_samples(), 2);
}

#[test]
fn the_last_dump_with_paths_is_read() {
    let with_paths = session(true).finish();
    let mut later = session(true);
    later.add_sample(1_600, 1, 1, 1);
    let mut without = ChunkBuilder::new(true, &TYPES);
    without.add_sample(1_500, 0, 0, 0);
    let (later, without) = (later.finish(), without.finish());
    let cases: [(&[&[u8]], usize, &str); 4] = [
        (&[&with_paths, &later], 2, ""),
        (&[&without, &with_paths], 1, ""),
        (&[&without, &without], 1, ""),
        (&[&later, &without], 2, "samples are of the last dump with what holds them; of 1 later it is not known"),
    ];
    for (chunks, n_samples, warning) in cases {
        let profile = read(&chunks.concat()).unwrap();
        let warnings: Vec<&String> = profile.warnings().iter().filter(|text| !text.contains("cut off")).collect();
        assert_eq!(profile.n_samples(), n_samples);
        assert_eq!(warnings.first().map_or("", |text| text.as_str()), warning);
    }
}

#[test]
fn a_recording_without_samples_says_so() {
    let profile = read(&ChunkBuilder::new(true, &TYPES).finish()).unwrap();
    assert_eq!(profile.n_samples(), 0);
    let said = "the recording has no `jdk.OldObjectSample`: no dump of it found an object that outlived a collection";
    assert_eq!(profile.warnings(), [said]);
}

#[test]
fn objects_that_hold_each_other_in_a_circle_end_the_path() {
    let mut chunk = session(true);
    for key in [31, 32, 33] {
        chunk.add_object(key, 1, key);
        chunk.pooled(REFERENCE, key, chunk.value().long(1).long(if key == 33 { 31 } else { key + 1 }).int(0));
    }
    chunk.add_sample(1_600, 31, 0, 1);
    let profile = read(&chunk.finish()).unwrap();
    let name = "com.acme.Session";
    let expected = [format!("{name}@264.current"), format!("{name}@256.current"), format!("{name}@248.")];
    assert_eq!(path(&profile, 1), expected);
    assert!(profile.warnings().contains(&"1 of 2 samples have a path that is cut off towards the root".to_owned()));
}

#[test]
fn objects_that_the_jvm_left_out_of_a_path_are_a_gap() {
    let mut chunk = session(true);
    chunk.pooled(REFERENCE, 9, chunk.value().long(0).long(2).int(3_698));
    chunk.add_object(9, 1, 9);
    chunk.add_sample(1_600, 9, 0, 1);
    let profile = read(&chunk.finish()).unwrap();
    assert_eq!(path(&profile, 1), ["com.acme.Shop@16.\u{2026}", "com.acme.Session@72."]);
}

#[test]
fn what_a_key_stands_for_and_is_not_there_is_not_known() {
    let mut chunk = ChunkBuilder::new(true, &TYPES);
    chunk.add_sample(1_600, 99, 98, 97);
    let profile = read(&chunk.finish()).unwrap();
    assert_eq!((profile.n_samples(), stack(&profile, 0).len(), path(&profile, 0).len()), (1, 0, 0));
}

#[test]
fn a_chain_longer_than_any_recorded_is_cut_off() {
    let mut chunk = session(true);
    for key in 100..1_300 {
        chunk.add_object(key, 1, key);
        chunk.pooled(REFERENCE, key, chunk.value().long(1).long(key + 1).int(0));
    }
    chunk.add_sample(1_600, 100, 0, 1);
    let profile = read(&chunk.finish()).unwrap();
    assert_eq!(profile.path(1).len(), 1_025);
}

#[test]
fn what_is_read_and_kept_of_values_named_again_and_again_is_bounded() {
    let bytes = session(true).finish();
    let chunk = Chunk::read(&bytes, 0, Header::read(&bytes, 0).unwrap()).unwrap();
    let dumped = Dumped::of(chunk).unwrap().unwrap();
    let pools = Pools::read(&dumped.chunk, dumped.of, samples::FIELDS).unwrap();
    let source = Source::new(&dumped.chunk, pools, 3);
    let mut builder = Builder::new(Format::Jfr, 0);
    for column in ["objects", "bytes"] {
        builder.sample_type(column, "count");
    }
    let mut samples = Samples::new(&source, &mut builder, 4);
    samples.add(dumped.record(&source, dumped.events[0])).unwrap();
    samples.finish();
    let profile = builder.finish();
    assert_eq!((profile.n_samples(), profile.stack(0).len(), profile.path(0).len()), (1, 0, 0));
    let said = "1 of 1 samples have neither stack nor path here, since those before have too much of them";
    assert_eq!(profile.warnings(), [said]);
}

#[test]
fn chunks_that_are_not_whole_are_read_as_far_as_they_go() {
    let whole = session(true).finish();
    let n = whole.len();
    let mut written = whole.clone();
    // The size is not yet known, and the writer has the file open.
    written[8..16].fill(0);
    written[64] = 1;
    let still = "a chunk was still being written: it is read as far as it was";
    let cases: [(Vec<u8>, String); 5] = [
        (written.clone(), still.to_owned()),
        ([&written[..], &[0; 300]].concat(), format!("a chunk is not whole: it is read up to byte {n}")),
        (
            [&whole[..], b"junk"].concat(),
            format!("a chunk is left out: expected 68 bytes of a chunk's header at byte {n}, found 4 before the end"),
        ),
        (
            [&whole[..], &[7; 80]].concat(),
            format!("a chunk is left out: expected a chunk, `FLR\\x00` at byte {n}, found `\\x07\\x07\\x07\\x07`"),
        ),
        (
            [&whole[..], &whole[..n - 1]].concat(),
            format!(
                "a chunk is left out: expected a chunk with an event that describes its types at byte {n}, found none"
            ),
        ),
    ];
    for (bytes, expected) in cases {
        let profile = read(&bytes).unwrap();
        assert_eq!((profile.n_samples(), profile.warnings().first()), (1, Some(&expected)));
    }
}

#[test]
fn of_many_chunks_that_are_left_out_the_first_are_told() {
    let whole = session(true).finish();
    let bare = header(68, true);
    let profile = read(&[&whole[..], &bare.repeat(20)].concat()).unwrap();
    let left_out: Vec<&String> =
        profile.warnings().iter().filter(|text| text.contains("a chunk is left out")).collect();
    assert_eq!((left_out.len(), profile.warnings().contains(&"the same of 12 more chunks".to_owned())), (8, true));
}

#[test]
fn what_is_no_recording_is_refused_with_its_place() {
    let whole = session(true).finish();
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let cases = [
        (b"FLR\0".to_vec(), "expected 68 bytes of a chunk's header at byte 0, found 4 before the end"),
        (changed(5, &[1]), "expected version 2 of the format at byte 4, found 1.1"),
        (changed(56, &[0; 8]), "expected more than 0 ticks a second at byte 56, found 0"),
        // An event of no bytes.
        (changed(68, &[0]), "expected an event at byte 68, found one of another size"),
        (whole[..68].to_vec(), "expected a chunk with an event that describes its types at byte 0, found none"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(error(&bytes), expected);
    }
}

#[test]
fn metadata_that_lies_is_refused_with_its_place() {
    let mut strings = session(true);
    strings.claimed_strings = Some(i32::MAX);
    let mut few = session(true);
    few.claimed_strings = Some(3);
    let loops: TypeOf<'_> = (50, "Loop", &[("self", 50, false, false)]);
    let strange: TypeOf<'_> = (51, "Strange", &[("field", 99, false, false)]);
    let with_type = |of: TypeOf<'_>| {
        let types = [&TYPES[..], &[of]].concat();
        let mut chunk = ChunkBuilder::new(true, &types);
        chunk.pooled(of.0, 1, chunk.value().int(1));
        chunk.add_sample(1, 1, 1, 1);
        chunk
    };
    let mut unknown = session(true);
    unknown.pooled(77, 1, unknown.value());
    let mut many = session(true);
    many.pool(OBJECT, i32::MAX, many.value().long(1));
    let mut long = session(true);
    long.pooled(TEXT, 1, long.value().byte(3).int(i32::MAX));
    let mut negative = session(true);
    negative.pooled(STACK, 2, negative.value().byte(0).int(-1));
    let cases = [
        (strings, "expected how metadata.strings is encoded, 0 to 5 at byte "),
        (few, "strings of the metadata at byte "),
        (with_type(loops), "expected `Loop` of known types, at most 8 inside of each other at byte "),
        (with_type(strange), "expected `Strange` of known types, at most 8 inside of each other at byte "),
        (unknown, "expected a pool of a type that the metadata describes at byte "),
        (many, "before the end"),
        (long, "expected 2147483647 bytes of java.lang.String at byte "),
        (negative, "expected the number of frames at byte "),
    ];
    for (chunk, expected) in cases {
        let error = error(&chunk.finish());
        assert!(error.contains(expected), "{error}\n{expected}");
    }
}

#[test]
fn fields_of_other_types_than_the_jdk_gives_them_are_refused() {
    let cases: [(FieldOf<'_>, &str); 3] = [
        (("objectSize", TEXT, false, false), "expected a number as `jdk.OldObjectSample.objectSize` at byte "),
        (("object", OBJECT, true, true), "expected a value with fields as `jdk.OldObjectSample.object` at byte "),
        (("startTime", LONG, false, true), "expected a number as `jdk.OldObjectSample.startTime` at byte "),
    ];
    for (field, expected) in cases {
        let fields = [field];
        let mut types = TYPES;
        types[13] = (OLD_OBJECT, "jdk.OldObjectSample", &fields);
        let mut chunk = ChunkBuilder::new(true, &types);
        chunk.event(OLD_OBJECT, chunk.value().byte(1).byte(1).byte(1));
        let error = error(&chunk.finish());
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn however_many_values_without_bytes_there_are_they_are_passed() {
    let types = [&TYPES[..], &[(60, "Empty", &[][..]), (61, "Empties", &[("all", 60, false, true)][..])]].concat();
    let mut chunk = ChunkBuilder::new(true, &types);
    chunk.pooled(61, 1, chunk.value().int(i32::MAX));
    chunk.add_sample(1_600, 1, 1, 1);
    assert_eq!(read(&chunk.finish()).unwrap().n_samples(), 1);
}
