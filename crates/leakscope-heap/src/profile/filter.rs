//! Parts of a profile by regular expressions on names, as `go tool pprof` cuts them.
//!
//! An expression fits a frame when it is found in the name of the function or in its file, and a location also when it is found in the
//! file of its mapping. Expressions see what those before them left.
//!
//! Source: `filter.go` and `prune.go` of google/pprof.

use regex::Regex;

use super::model::{Line, Profile};
use crate::graph::Offsets;

/// Which part of a profile is looked at. Each is as pprof's option of the name; nothing cuts nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Keeps samples that pass such a location.
    pub focus: Option<Regex>,
    /// Drops samples that pass such a location.
    pub ignore: Option<Regex>,
    /// Takes such frames out of stacks.
    pub hide: Option<Regex>,
    /// Takes all other frames out of stacks.
    pub show: Option<Regex>,
    /// Takes all frames above the highest such frame out of stacks, and drops samples without one.
    pub show_from: Option<Regex>,
}

impl Filter {
    /// Whether it cuts nothing.
    pub fn is_empty(&self) -> bool {
        let Self { focus, ignore, hide, show, show_from } = self;
        [focus, ignore, hide, show, show_from].iter().all(|expression| expression.is_none())
    }

    /// The part of a profile that it keeps. Of an expression that fits nothing, a warning says so.
    ///
    /// Samples of which no frame is left are dropped.
    pub fn apply(&self, profile: &Profile) -> Profile {
        let mut cut = Cut::of(profile);
        let mut warnings = Vec::new();
        if [&self.focus, &self.ignore, &self.hide, &self.show].iter().any(|expression| expression.is_some()) {
            self.by_name(&mut cut, &mut warnings);
        }
        if let Some(from) = &self.show_from {
            show_from(&mut cut, from, &mut warnings);
        }
        let mut kept = cut.finish();
        kept.warnings.extend(warnings);
        kept
    }

    fn by_name(&self, cut: &mut Cut<'_>, warnings: &mut Vec<String>) {
        let profile = cut.profile;
        let fits = |expression: &Option<Regex>| expression.as_ref().map(|expression| Fits::of(profile, expression));
        let (focus, ignore) = (fits(&self.focus), fits(&self.ignore));
        let (hide, show) = (fits(&self.hide), fits(&self.show));
        let n_locations = profile.locations.len();
        let mut verdicts = Vec::with_capacity(n_locations);
        let mut is_hidden = vec![false; n_locations];
        let mut did_fit = [false; 4];
        for (location, is_hidden) in is_hidden.iter_mut().enumerate() {
            verdicts.push(if ignore.as_ref().is_some_and(|ignore| cut.fits(location, ignore)) {
                did_fit[1] = true;
                Verdict::Ignored
            } else if focus.as_ref().is_none_or(|focus| cut.fits(location, focus)) {
                did_fit[0] = true;
                Verdict::Focused
            } else {
                Verdict::Neither
            });
            if let Some(hide) = hide.as_ref().filter(|hide| cut.fits(location, hide)) {
                did_fit[2] = true;
                cut.keep_lines(location, |is_whole, fits| !is_whole && fits != Some(true), hide);
                *is_hidden = cut.lines[location].is_empty();
            }
            if let Some(show) = &show {
                // A frame whose function is not known is nothing that could be asked for, and stays beside those that are.
                cut.keep_lines(location, |is_whole, fits| is_whole || fits != Some(false), show);
                *is_hidden = cut.lines[location].is_empty();
                did_fit[3] |= !*is_hidden;
            }
        }
        cut.stacks(|stack| {
            if !is_kept(stack, &verdicts) {
                return false;
            }
            stack.retain(|location| !is_hidden[*location as usize]);
            !stack.is_empty()
        });
        let options = [("focus", &self.focus), ("ignore", &self.ignore), ("hide", &self.hide), ("show", &self.show)];
        for ((name, expression), did_fit) in options.into_iter().zip(did_fit) {
            warnings.extend(expression.as_ref().filter(|_| !did_fit).map(|expression| fits_nothing(name, expression)));
        }
    }
}

/// What focus and ignore say of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Focused,
    Ignored,
    Neither,
}

/// Whether a stack passes a location in focus and none that is ignored.
fn is_kept(stack: &[u32], verdicts: &[Verdict]) -> bool {
    let mut is_focused = false;
    for location in stack {
        match verdicts[*location as usize] {
            Verdict::Focused => is_focused = true,
            Verdict::Ignored => return false,
            Verdict::Neither => {}
        }
    }
    is_focused
}

fn fits_nothing(name: &str, expression: &Regex) -> String {
    format!("{name} `{expression}` fits no frame of the profile")
}

/// Cuts stacks above the highest location that fits, and that location above its outermost frame that fits.
fn show_from(cut: &mut Cut<'_>, from: &Regex, warnings: &mut Vec<String>) {
    let fits = Fits::of(cut.profile, from);
    let mut is_from = vec![false; cut.profile.locations.len()];
    for (location, is_from) in is_from.iter_mut().enumerate() {
        if fits.mapping_of(cut.profile, location) {
            *is_from = true;
            continue;
        }
        let lines = &mut cut.lines[location];
        if let Some(last) = lines.iter().rposition(|line| fits.line(line) == Some(true)) {
            lines.truncate(last + 1);
            *is_from = true;
        }
    }
    if !is_from.contains(&true) {
        warnings.push(fits_nothing("show-from", from));
    }
    cut.stacks(|stack| match stack.iter().rposition(|location| is_from[*location as usize]) {
        Some(highest) => {
            stack.truncate(highest + 1);
            true
        }
        None => false,
    });
}

/// The profile without the frames that its own `drop_frames` names and all below them, as pprof cuts it before any report.
///
/// Frames from the root to the first one to keep stay, so that no stack loses all. A pattern that is no regular expression drops
/// nothing, and a warning says so.
pub fn prune(profile: Profile) -> Profile {
    let pattern = |text| match profile.text(text) {
        "" => Ok(None),
        pattern => Regex::new(&format!("^({pattern})$")).map(Some),
    };
    match (pattern(profile.header.drop_frames), pattern(profile.header.keep_frames)) {
        (Ok(Some(drop)), Ok(keep)) => pruned(&profile, &drop, keep.as_ref()),
        (Ok(None), _) => profile,
        (Err(_), _) | (_, Err(_)) => {
            let mut profile = profile;
            profile.warnings.push(
                "`drop_frames` or `keep_frames` is no regular expression that is known; no frames are dropped"
                    .to_owned(),
            );
            profile
        }
    }
}

fn pruned(profile: &Profile, drop: &Regex, keep: Option<&Regex>) -> Profile {
    let is_dropped: Vec<bool> = profile
        .functions
        .iter()
        .map(|function| match profile.text(function.name) {
            "" => false,
            name => {
                let name = without_arguments(name);
                drop.is_match(name) && !keep.is_some_and(|keep| keep.is_match(name))
            }
        })
        .collect();
    let mut cut = Cut::of(profile);
    let n_locations = profile.locations.len();
    // Of a location: whether it goes with all below it, or stays with its outer frames while all below it goes.
    let mut goes = vec![false; n_locations];
    let mut ends = vec![false; n_locations];
    for location in 0..n_locations {
        let lines = &mut cut.lines[location];
        let is_dropped = |line: &Line| line.function.is_some_and(|function| is_dropped[function as usize]);
        match lines.iter().rposition(is_dropped) {
            Some(outermost) if outermost + 1 == lines.len() => goes[location] = true,
            Some(outermost) => {
                lines.drain(..=outermost);
                ends[location] = true;
            }
            None => {}
        }
    }
    cut.stacks(|stack| {
        let stays = |location: &u32| !goes[*location as usize] && !ends[*location as usize];
        let first_kept = stack.iter().rposition(stays);
        if let Some(at) = first_kept.and_then(|first| stack[..first].iter().rposition(|location| !stays(location))) {
            let below = if goes[stack[at] as usize] { at + 1 } else { at };
            stack.drain(..below);
        }
        true
    });
    cut.finish()
}

/// A name without its arguments, which pprof's own patterns do not expect.
fn without_arguments(name: &str) -> &str {
    let name = name.strip_prefix('.').unwrap_or(name);
    let mut from = 0;
    while let Some(found) = name[from..].find(['(', 'o']) {
        let at = from + found;
        let reserved = ["(anonymous namespace)", "operator()"].iter().find(|word| name[at..].starts_with(**word));
        match reserved {
            Some(word) => from = at + word.len(),
            None if name[at..].starts_with('(') => return &name[..at],
            None => from = at + 1,
        }
    }
    name
}

/// What an expression fits, by index.
struct Fits {
    functions: Vec<bool>,
    mappings: Vec<bool>,
}

impl Fits {
    fn of(profile: &Profile, expression: &Regex) -> Self {
        let fits = |text| expression.is_match(profile.text(text));
        Self {
            functions: profile.functions.iter().map(|function| fits(function.name) || fits(function.file)).collect(),
            mappings: profile.mappings.iter().map(|mapping| fits(mapping.file)).collect(),
        }
    }

    fn mapping_of(&self, profile: &Profile, location: usize) -> bool {
        profile.locations[location].mapping.is_some_and(|mapping| self.mappings[mapping as usize])
    }

    /// Whether it fits a frame; none where the function is not known.
    fn line(&self, line: &Line) -> Option<bool> {
        line.function.map(|function| self.functions[function as usize])
    }
}

/// A profile being cut: frames of locations and stacks of samples, as they are left.
struct Cut<'a> {
    profile: &'a Profile,
    /// Of each location.
    lines: Vec<Vec<Line>>,
    /// Samples that are left, as indices into the profile, with the ends of their stacks.
    samples: Vec<u32>,
    stacks: Vec<u32>,
    stack_ends: Offsets,
}

impl<'a> Cut<'a> {
    fn of(profile: &'a Profile) -> Self {
        Self {
            profile,
            lines: (0..profile.locations.len()).map(|location| profile.lines(location as u32).to_vec()).collect(),
            samples: (0..profile.n_samples() as u32).collect(),
            stacks: profile.stacks.clone(),
            stack_ends: profile.stack_ends.clone(),
        }
    }

    fn fits(&self, location: usize, fits: &Fits) -> bool {
        self.lines[location].iter().any(|line| fits.line(line) == Some(true)) || fits.mapping_of(self.profile, location)
    }

    /// Keeps the frames of a location that `keep` says: whether the mapping fits, and whether the frame does.
    fn keep_lines(&mut self, location: usize, keep: impl Fn(bool, Option<bool>) -> bool, fits: &Fits) {
        let is_whole = fits.mapping_of(self.profile, location);
        self.lines[location].retain(|line| keep(is_whole, fits.line(line)));
    }

    /// Has `change` cut each stack; samples for which it says no are dropped.
    fn stacks(&mut self, mut change: impl FnMut(&mut Vec<u32>) -> bool) {
        let mut samples = Vec::with_capacity(self.samples.len());
        let mut stacks = Vec::with_capacity(self.stacks.len());
        let mut stack_ends = Offsets::with_capacity(self.samples.len());
        let mut stack = Vec::new();
        let mut start = 0;
        for (index, sample) in self.samples.iter().enumerate() {
            let end = self.stack_ends.get(index);
            stack.clear();
            stack.extend_from_slice(&self.stacks[start..end]);
            start = end;
            if change(&mut stack) {
                samples.push(*sample);
                stacks.extend_from_slice(&stack);
                stack_ends.push(stacks.len());
            }
        }
        (self.samples, self.stacks, self.stack_ends) = (samples, stacks, stack_ends);
    }

    fn finish(self) -> Profile {
        let profile = self.profile;
        let mut lines = Vec::with_capacity(profile.lines.len());
        let mut line_ends = Vec::with_capacity(self.lines.len());
        for of_location in &self.lines {
            lines.extend_from_slice(of_location);
            line_ends.push(lines.len() as u32);
        }
        let mut values = Vec::with_capacity(self.samples.len() * profile.sample_types.len());
        let (mut labels, mut label_ends, mut paths) = (Vec::new(), Vec::new(), Vec::new());
        for sample in &self.samples {
            let sample = *sample as usize;
            values.extend_from_slice(profile.values(sample));
            if !profile.label_ends.is_empty() {
                labels.extend_from_slice(profile.labels(sample));
                label_ends.push(labels.len() as u32);
            }
            if !profile.paths.is_empty() {
                paths.push(profile.path(sample).to_vec());
            }
        }
        Profile {
            format: profile.format,
            file_bytes: profile.file_bytes,
            header: profile.header.clone(),
            texts: profile.texts.clone(),
            sample_types: profile.sample_types.clone(),
            mappings: profile.mappings.clone(),
            functions: profile.functions.clone(),
            locations: profile.locations.clone(),
            lines,
            line_ends,
            stacks: self.stacks,
            stack_ends: self.stack_ends,
            values,
            labels,
            label_ends,
            paths,
            is_sampled: profile.is_sampled,
            warnings: profile.warnings.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{profile, stacks};
    use super::*;

    const BYTES: &[(&str, &str)] = &[("inuse_space", "bytes")];

    fn filter(options: &str) -> Filter {
        let mut filter = Filter::default();
        for option in options.split_whitespace() {
            let (name, expression) = option.split_once('=').unwrap();
            let expression = Some(Regex::new(expression).unwrap());
            match name {
                "focus" => filter.focus = expression,
                "ignore" => filter.ignore = expression,
                "hide" => filter.hide = expression,
                "show" => filter.show = expression,
                _ => filter.show_from = expression,
            }
        }
        filter
    }

    fn filtered(options: &str, from: &[(&str, i64)]) -> Vec<(String, i64)> {
        let values: Vec<[i64; 1]> = from.iter().map(|(_, value)| [*value]).collect();
        let samples: Vec<(&str, &[i64])> =
            from.iter().zip(&values).map(|((stack, _), value)| (*stack, &value[..])).collect();
        stacks(&filter(options).apply(&profile(BYTES, &samples)))
    }

    #[test]
    fn expressions_cut_samples_and_frames_as_those_of_pprof_do() {
        let whole = [("main;serve;put", 1), ("main;serve;get>read", 2), ("main;gc@runtime", 4), ("", 8)];
        let cases: [(&str, &[(&str, i64)]); 17] = [
            ("", &[("main;serve;put", 1), ("main;serve;get>read", 2), ("main;gc@runtime", 4), ("", 8)]),
            ("focus=serve", &[("main;serve;put", 1), ("main;serve;get>read", 2)]),
            ("focus=read", &[("main;serve;get>read", 2)]),
            ("focus=runtime", &[("main;gc@runtime", 4)]),
            // Whoever asks for anything asks for samples that have a frame.
            ("ignore=nothing", &[("main;serve;put", 1), ("main;serve;get>read", 2), ("main;gc@runtime", 4)]),
            ("ignore=runtime|put", &[("main;serve;get>read", 2)]),
            ("focus=serve ignore=get", &[("main;serve;put", 1)]),
            ("hide=serve|get", &[("main;put", 1), ("main;read", 2), ("main;gc@runtime", 4)]),
            ("hide=runtime", &[("main;serve;put", 1), ("main;serve;get>read", 2), ("main", 4)]),
            ("hide=.", &[]),
            ("show=read|main", &[("main", 1), ("main;read", 2), ("main", 4)]),
            ("show=runtime", &[("gc@runtime", 4)]),
            // What is hidden still decides whether a sample is in focus.
            ("focus=put hide=put", &[("main;serve", 1)]),
            ("hide=main show=main|put", &[("put", 1)]),
            ("show_from=serve", &[("serve;put", 1), ("serve;get>read", 2)]),
            ("show_from=read", &[("read", 2)]),
            ("show_from=get", &[("get>read", 2)]),
        ];
        for (options, kept) in cases {
            let kept: Vec<(String, i64)> = kept.iter().map(|(stack, value)| ((*stack).to_owned(), *value)).collect();
            assert_eq!(filtered(options, &whole), kept, "{options}");
        }
    }

    #[test]
    fn the_highest_frame_decides_where_a_recursive_stack_begins() {
        assert_eq!(filtered("show_from=b", &[("a;b;c;b", 1)]), [("b;c;b".to_owned(), 1)]);
    }

    #[test]
    fn frames_without_a_function_stay_beside_those_that_are_shown() {
        assert_eq!(
            filtered("show=put", &[("main;?;put", 1), ("-;?", 2)]),
            [("?;put".to_owned(), 1), ("?".to_owned(), 2)]
        );
        assert_eq!(
            filtered("hide=put", &[("main;?;put", 1), ("-", 2)]),
            [("main;?".to_owned(), 1), ("-".to_owned(), 2)]
        );
    }

    #[test]
    fn an_expression_that_fits_nothing_is_told() {
        let of = profile(BYTES, &[("main;put", &[1])]);
        assert_eq!(filter("focus=put hide=main").apply(&of).warnings, Vec::<String>::new());
        let warnings = filter("focus=x ignore=y hide=z show=w show_from=v").apply(&of).warnings;
        let names = ["focus `x`", "ignore `y`", "hide `z`", "show `w`", "show-from `v`"];
        assert_eq!(warnings, names.map(|name| format!("{name} fits no frame of the profile")));
    }

    #[test]
    fn frames_that_the_profile_drops_go_with_all_below_them() {
        let cases = [
            ("main;put;malloc;brk", "main;put"),
            // Not before the first frame to keep: a stack of allocators alone stays.
            ("malloc;brk", "malloc;brk"),
            ("malloc;main;malloc", "malloc;main"),
            ("main;put>malloc>brk;x", "main;put"),
            ("main;malloc(unsigned long);x", "main"),
            ("main;malloc_kept;x", "main;malloc_kept;x"),
            ("main;operator()(int);x", "main"),
            ("main;?;x", "main;?;x"),
        ];
        for (stack, left) in cases {
            let mut of = profile(BYTES, &[(stack, &[1])]);
            of.header.drop_frames = of.texts.push(r"malloc.*|operator\(\)");
            of.header.keep_frames = of.texts.push("malloc_kept");
            assert_eq!(stacks(&prune(of)), [(left.to_owned(), 1)], "{stack}");
        }
    }

    #[test]
    fn arguments_are_no_part_of_a_name() {
        for (name, without) in [
            ("f(int)", "f"),
            (".f", "f"),
            ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            ("a::operator()(int) const", "a::operator()"),
            ("operator new(unsigned long)", "operator new"),
            ("öo(x)", "öo"),
        ] {
            assert_eq!(without_arguments(name), without);
        }
    }
}
