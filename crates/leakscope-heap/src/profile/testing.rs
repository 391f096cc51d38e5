//! Small profiles for tests, written as text.

use super::builder::Builder;
use super::model::{Function, Line, Location, Mapping, Profile, Text};
use crate::format::Format;

/// One location a part: `main;outer>inner@app` is `main`, which calls what is in the binary `app`, where `inner` was inlined into
/// `outer`; `name:7` is on line 7 of `name.c`; `?` has no function and `-` no frames at all. Root first, one value for each of `columns`.
pub(super) fn profile(columns: &[(&str, &str)], stacks: &[(&str, &[i64])]) -> Profile {
    let mut builder = Builder::new(Format::Pprof, 0);
    for (kind, unit) in columns {
        builder.sample_type(kind, unit);
    }
    let mut binaries: Vec<&str> = Vec::new();
    for (stack, values) in stacks {
        let mut locations = Vec::new();
        for part in stack.split(';').filter(|part| !part.is_empty()).rev() {
            let (frames, binary) = part.split_once('@').map_or((part, None), |(frames, binary)| (frames, Some(binary)));
            let mapping = binary.map(|binary| {
                if let Some(known) = binaries.iter().position(|known| *known == binary) {
                    return known as u32;
                }
                binaries.push(binary);
                let file = builder.text(binary);
                builder.mapping(Mapping { file, ..Mapping::default() })
            });
            let lines: Vec<Line> =
                frames.split('>').rev().filter(|frame| *frame != "-").map(|frame| line(&mut builder, frame)).collect();
            locations.push(builder.location(Location { mapping, ..Location::default() }, &lines));
        }
        builder.sample(&locations, values, &[]);
    }
    builder.finish()
}

fn line(builder: &mut Builder, frame: &str) -> Line {
    if frame == "?" {
        return Line::default();
    }
    let (name, line) = frame.split_once(':').map_or((frame, 0), |(name, line)| (name, line.parse().unwrap()));
    let file = if line == 0 { Text::default() } else { builder.text(&format!("{name}.c")) };
    let name = builder.text(name);
    let function = builder.function(Function { name, system_name: name, file, start_line: 0 });
    Line { function: Some(function), line, column: 0 }
}

/// Values of the first column with their stacks, written as they are given to [`profile`].
pub(super) fn stacks(profile: &Profile) -> Vec<(String, i64)> {
    let location = |location: &u32| {
        let name = |line: &Line| match line.function {
            Some(function) => {
                let name = profile.text(profile.functions[function as usize].name).to_owned();
                if line.line == 0 { name } else { format!("{name}:{}", line.line) }
            }
            None => "?".to_owned(),
        };
        let names: Vec<String> = profile.lines(*location).iter().rev().map(name).collect();
        let names = if names.is_empty() { "-".to_owned() } else { names.join(">") };
        match profile.locations[*location as usize].mapping {
            Some(mapping) => format!("{names}@{}", profile.text(profile.mappings[mapping as usize].file)),
            None => names,
        }
    };
    let stack = |sample| profile.stack(sample).iter().rev().map(location).collect::<Vec<_>>().join(";");
    (0..profile.n_samples()).map(|sample| (stack(sample), profile.values(sample)[0])).collect()
}
