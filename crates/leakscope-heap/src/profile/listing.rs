//! What each line of a function makes, as `go tool pprof -list` has it; the text of the lines is the caller's to read.
//!
//! Source: `printSource` and `getSourceFromFile` of `source.go` in google/pprof.

use std::collections::BTreeMap;

use regex::Regex;

use super::model::Profile;
use super::nodes::{Binaries, Granularity, Nodes};
use super::top::Sums;

/// Lines that are shown around those with values, where it is not known on which line a function begins.
const MARGIN: i64 = 5;

/// One function in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routine {
    /// Its name.
    pub function: String,
    /// Its file; none where the profile does not say.
    pub file: Option<String>,
    /// Sum over its lines.
    pub flat: i64,
    /// Likewise; a sample that passes several of its lines counts for each, as pprof has it.
    pub cum: i64,
    /// Lines to show, from 1.
    pub first_line: i64,
    /// The last of them; a file may be shorter.
    pub last_line: i64,
    /// Lines with values, ascending.
    pub lines: Vec<RoutineLine>,
}

/// Values of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutineLine {
    /// From 1; 0 where not known.
    pub line: i64,
    /// Made by the line itself.
    pub flat: i64,
    /// Made by it and all that it calls.
    pub cum: i64,
}

/// What lines of the functions that `name` fits make in one column, by name and file.
pub fn listing(profile: &Profile, name: &Regex, column: usize) -> Vec<Routine> {
    let nodes = Nodes::of(profile, Granularity::Lines, Binaries::Apart);
    let sums = Sums::of(profile, &nodes);
    let mut routines: BTreeMap<(&str, &str), Vec<(usize, i64)>> = BTreeMap::new();
    for (number, key) in nodes.keys.iter().enumerate() {
        let function = profile.text(key.name);
        let (flat, cum) = sums.of_node(number);
        if (flat[column] != 0 || cum[column] != 0) && name.is_match(function) {
            routines.entry((function, nodes.file(key))).or_default().push((number, key.start_line));
        }
    }
    let routine = |((function, file), found): ((&str, &str), Vec<(usize, i64)>)| {
        let mut lines: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        let (mut first, mut last) = (i64::MAX, 0);
        for (number, start_line) in found {
            let (flat, cum) = sums.of_node(number);
            let line = nodes.keys[number].line;
            let sum = lines.entry(line).or_default();
            *sum = (sum.0.wrapping_add(flat[column]), sum.1.wrapping_add(cum[column]));
            first = first.min(if start_line == 0 { line.saturating_sub(MARGIN) } else { start_line });
            last = last.max(line.saturating_add(MARGIN));
        }
        Routine {
            function: function.to_owned(),
            file: (!file.is_empty()).then(|| file.to_owned()),
            flat: lines.values().fold(0, |sum, line| sum.wrapping_add(line.0)),
            cum: lines.values().fold(0, |sum, line| sum.wrapping_add(line.1)),
            first_line: first.max(1),
            last_line: last,
            lines: lines.into_iter().map(|(line, (flat, cum))| RoutineLine { line, flat, cum }).collect(),
        }
    };
    routines.into_iter().map(routine).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::profile;
    use super::*;

    #[test]
    fn lines_of_a_function_have_their_own_values_and_those_of_what_they_call() {
        let stacks: &[(&str, &[i64])] = &[
            ("main:9;put:20;grow:3", &[10]),
            ("main:9;put:22", &[4]),
            ("main:9;put:20;put:20", &[1]),
            ("main:9;put:20;put:22", &[100]),
            ("input", &[0]),
        ];
        let of = profile(&[("inuse_space", "bytes")], stacks);
        let found = listing(&of, &Regex::new("put").unwrap(), 0);
        let lines = vec![RoutineLine { line: 20, flat: 1, cum: 111 }, RoutineLine { line: 22, flat: 104, cum: 104 }];
        let expected = Routine {
            function: "put".to_owned(),
            file: Some("put.c".to_owned()),
            flat: 105,
            cum: 215,
            first_line: 15,
            last_line: 27,
            lines,
        };
        assert_eq!(found, [expected]);
        assert_eq!(listing(&of, &Regex::new("nothing").unwrap(), 0), []);
    }
}
