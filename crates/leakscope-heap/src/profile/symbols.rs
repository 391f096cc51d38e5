//! Names for addresses without any, from the symbols and debug information of the files that were mapped there.
//!
//! Opens nothing itself: the caller gives the bytes of a file. Frames of allocators stay; what is the user's own is decided elsewhere.

mod binary;
mod demangle;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::model::{Function, Line, Location, Mapping, Profile, Text};
use binary::{Binary, Frame};
use demangle::demangled;

/// Names the locations that have no lines, as far as the files that they are mapped from can be opened.
///
/// `open` is asked with a path and, where the profile knows it, the build id in hexadecimal digits (else with an empty text) for the
/// bytes of a file, and again, with the path of its debug information under `/usr/lib/debug`, where a file has none. A file with
/// another build id than the profile's is not used. Inlined frames become several lines of one location. What stays without names
/// is said in [`Profile::warnings`].
///
/// Addresses are taken as pprof has them: inside the call, not behind it.
pub fn symbolize(profile: &mut Profile, open: &mut dyn FnMut(&str, &str) -> Option<Vec<u8>>) {
    let mut naming = Naming::of(profile);
    for ((file, build_id), locations) in without_lines(profile) {
        let (path, build_id) = (profile.text(file).to_owned(), profile.text(build_id).to_owned());
        let warning = match frames(profile, &path, &build_id, &locations, open) {
            Ok(frames) => naming.take(profile, &path, &locations, &frames),
            Err(reason) => Some(format!("{reason}: {} addresses stay without names", locations.len())),
        };
        profile.warnings.extend(warning);
    }
    naming.finish(profile);
}

/// Locations without lines, by the path and build id of the file they are mapped from.
fn without_lines(profile: &Profile) -> BTreeMap<(Text, Text), Vec<u32>> {
    let mut files: BTreeMap<(Text, Text), Vec<u32>> = BTreeMap::new();
    for (location, index) in profile.locations().iter().zip(0..) {
        let Some(mapping) = location.mapping else { continue };
        let Mapping { file, build_id, .. } = profile.mappings()[mapping as usize];
        let path = profile.text(file);
        // `[vdso]` and `//anon` are no files.
        let is_file = !path.is_empty() && !path.starts_with('[') && !path.starts_with("//");
        if is_file && profile.lines(index).is_empty() {
            files.entry((file, build_id)).or_default().push(index);
        }
    }
    files
}

/// The frames of each location, the innermost inlined one first; empty where nothing is known.
fn frames(
    profile: &Profile,
    path: &str,
    build_id: &str,
    locations: &[u32],
    open: &mut dyn FnMut(&str, &str) -> Option<Vec<u8>>,
) -> Result<Vec<Vec<Frame>>, String> {
    let bytes = open(path, build_id).ok_or_else(|| format!("`{path}` cannot be opened"))?;
    let binary = Binary::of(&bytes).map_err(|reason| format!("`{path}` has no symbols that can be read ({reason})"))?;
    if !build_id.is_empty() && !binary.build_id.is_empty() && !binary.build_id.eq_ignore_ascii_case(build_id) {
        let found = &binary.build_id;
        return Err(format!("`{path}` is another build: expected the build id {build_id}, found {found}"));
    }
    let apart = binary.debug_path().and_then(|path| open(&path, &binary.build_id));
    let apart = apart.as_deref().and_then(|bytes| Binary::of(bytes).ok()).filter(|it| it.build_id == binary.build_id);
    let (names, names_apart) = (binary.names(), apart.as_ref().map(Binary::names));
    let frames = locations.iter().map(|location| {
        let Location { mapping, address, .. } = profile.locations()[*location as usize];
        let mapping = mapping.map(|mapping| profile.mappings()[mapping as usize]).unwrap_or_default();
        let Some(address) = binary.address(&mapping, address) else { return Vec::new() };
        let named = names_apart.as_ref().map(|apart| apart.frames(address)).filter(|frames| !frames.is_empty());
        named.unwrap_or_else(|| names.frames(address))
    });
    Ok(frames.collect())
}

/// New names beside those of a profile.
#[derive(Debug, Default)]
struct Naming {
    texts: FxHashMap<String, Text>,
    functions: FxHashMap<Function, u32>,
    /// By location.
    lines: FxHashMap<u32, Vec<Line>>,
}

impl Naming {
    fn of(profile: &Profile) -> Self {
        let texts = (0..profile.texts.len()).map(|index| Text(index as u32));
        Self {
            texts: texts.map(|text| (profile.text(text).to_owned(), text)).collect(),
            functions: profile.functions.iter().copied().zip(0..).collect(),
            lines: FxHashMap::default(),
        }
    }

    /// Keeps the frames of each location, and says how many have none.
    fn take(&mut self, profile: &mut Profile, path: &str, locations: &[u32], frames: &[Vec<Frame>]) -> Option<String> {
        for (location, frames) in locations.iter().zip(frames).filter(|(_, frames)| !frames.is_empty()) {
            let lines = frames.iter().map(|frame| self.line(profile, frame)).collect();
            self.lines.insert(*location, lines);
            if let Some(mapping) = profile.locations[*location as usize].mapping {
                let mapping = &mut profile.mappings[mapping as usize];
                mapping.has_functions = true;
                mapping.has_filenames |= frames.iter().any(|frame| !frame.file.is_empty());
                mapping.has_line_numbers |= frames.iter().any(|frame| frame.line > 0);
                mapping.has_inline_frames |= frames.len() > 1;
            }
        }
        let n_without = frames.iter().filter(|frames| frames.is_empty()).count();
        let n = locations.len();
        (n_without > 0).then(|| format!("`{path}` has no names for {n_without} of {n} addresses"))
    }

    fn line(&mut self, profile: &mut Profile, frame: &Frame) -> Line {
        let name = self.text(profile, &demangled(&frame.function));
        let system_name = self.text(profile, &frame.function);
        let file = self.text(profile, &frame.file);
        let function = Function { name, system_name, file, start_line: 0 };
        let functions = &mut profile.functions;
        let function = *self.functions.entry(function).or_insert_with(|| {
            functions.push(function);
            functions.len() as u32 - 1
        });
        Line { function: Some(function), line: frame.line, column: frame.column }
    }

    fn text(&mut self, profile: &mut Profile, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = profile.texts.push(text);
        self.texts.insert(text.to_owned(), number);
        number
    }

    /// Puts the new lines among those that were there.
    fn finish(self, profile: &mut Profile) {
        if self.lines.is_empty() {
            return;
        }
        let (mut lines, mut line_ends) = (Vec::new(), Vec::with_capacity(profile.locations.len()));
        for location in 0..profile.locations.len() as u32 {
            lines.extend_from_slice(self.lines.get(&location).map_or(profile.lines(location), Vec::as_slice));
            line_ends.push(lines.len() as u32);
        }
        (profile.lines, profile.line_ends) = (lines, line_ends);
    }
}
