//! Which frames are one: the rows of a report at a granularity, with the keys and names that pprof gives them.
//!
//! Source: `graph.go` (`nodeInfo`, `NameComponents`) and `profile.go` (`Aggregate`) of google/pprof.

use rustc_hash::FxHashMap;

use super::model::{Line, Location, Profile, Text};

/// What is one row of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Granularity {
    /// Functions of one name.
    #[default]
    Functions,
    /// Functions of one name in one file.
    FileFunctions,
    /// Files; where pprof does so, also by the lines on which their functions begin.
    Files,
    /// Lines of the source.
    Lines,
    /// Addresses of the program, with all that is known of them.
    Addresses,
}

/// Whether functions of several binaries are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binaries {
    /// One name is one function, whatever binary it is in.
    Merged,
    Apart,
}

/// All that a row is known by. Frames with equal keys are one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) name: Text,
    /// Index into [`Nodes::files`].
    pub(crate) file: u32,
    pub(crate) line: i64,
    pub(crate) column: i64,
    pub(crate) address: u64,
    /// File of the mapping, where the name is not known or [`Binaries::Apart`].
    pub(crate) binary: Text,
    /// Line on which the function begins, likewise.
    pub(crate) start_line: i64,
}

/// The rows of a profile and where they are.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) keys: Vec<Key>,
    /// File of the first function that each stands for, also where the key has none.
    pub(crate) source_files: Vec<u32>,
    /// Paths as they are shown, each once; the first is empty.
    pub(crate) files: Vec<String>,
    /// Of all locations: node of each frame, the innermost first. A location without frames has one all the same.
    frames: Vec<u32>,
    frame_ends: Vec<u32>,
}

impl Nodes {
    pub(crate) fn of(profile: &Profile, granularity: Granularity, binaries: Binaries) -> Self {
        let mut interner = Interner {
            profile,
            granularity,
            binaries,
            numbers: FxHashMap::default(),
            paths: FxHashMap::default(),
            files: FxHashMap::from_iter([(String::new(), 0)]),
            nodes: Self {
                keys: Vec::new(),
                source_files: Vec::new(),
                files: vec![String::new()],
                frames: Vec::with_capacity(profile.lines.len()),
                frame_ends: Vec::with_capacity(profile.locations.len()),
            },
        };
        for (index, location) in profile.locations.iter().enumerate() {
            let lines = profile.lines(index as u32);
            for line in lines {
                interner.frame(location, line);
            }
            if lines.is_empty() {
                interner.frame(location, &Line::default());
            }
            interner.nodes.frame_ends.push(interner.nodes.frames.len() as u32);
        }
        interner.nodes
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Nodes of a location's frames, the innermost first; never empty.
    #[inline]
    pub(crate) fn at(&self, location: u32) -> &[u32] {
        let location = location as usize;
        let start = if location == 0 { 0 } else { self.frame_ends[location - 1] as usize };
        &self.frames[start..self.frame_ends[location] as usize]
    }

    pub(crate) fn file(&self, key: &Key) -> &str {
        &self.files[key.file as usize]
    }

    /// What people read where one word must do: the function, else the file, else the binary.
    pub(crate) fn short_name(&self, profile: &Profile, key: &Key) -> String {
        let file = self.file(key);
        match profile.text(key.name) {
            "" if !file.is_empty() || key.line != 0 => file.to_owned(),
            "" => self.place(profile, key).unwrap_or_default(),
            name => name.to_owned(),
        }
    }

    /// The name with address, file and line, as pprof prints it.
    pub(crate) fn long_name(&self, profile: &Profile, key: &Key) -> String {
        let mut parts = Vec::with_capacity(3);
        if key.address != 0 {
            parts.push(format!("{:016x}", key.address));
        }
        let name = profile.text(key.name);
        if !name.is_empty() {
            parts.push(name.to_owned());
        }
        parts.extend(self.place(profile, key));
        parts.join(" ")
    }

    /// File and line; the binary where nothing else is known.
    fn place(&self, profile: &Profile, key: &Key) -> Option<String> {
        let file = self.file(key);
        if key.line != 0 {
            let column = if key.column == 0 { String::new() } else { format!(":{}", key.column) };
            return Some(format!("{file}:{}{column}", key.line));
        }
        if !file.is_empty() {
            return Some(file.to_owned());
        }
        if !profile.text(key.name).is_empty() {
            return None;
        }
        Some(match profile.text(key.binary) {
            "" => "<unknown>".to_owned(),
            path => format!("[{}]", last_part(path)),
        })
    }
}

/// Numbers of keys and paths while the nodes are made.
struct Interner<'a> {
    profile: &'a Profile,
    granularity: Granularity,
    binaries: Binaries,
    numbers: FxHashMap<Key, u32>,
    /// From the path in the profile to the one that is shown.
    paths: FxHashMap<Text, u32>,
    files: FxHashMap<String, u32>,
    nodes: Nodes,
}

impl Interner<'_> {
    fn frame(&mut self, location: &Location, line: &Line) {
        let (key, source_file) = self.key(location, line);
        let nodes = &mut self.nodes;
        let number = *self.numbers.entry(key).or_insert_with(|| {
            nodes.keys.push(key);
            nodes.source_files.push(source_file);
            nodes.keys.len() as u32 - 1
        });
        nodes.frames.push(number);
    }

    fn key(&mut self, location: &Location, line: &Line) -> (Key, u32) {
        use Granularity::{Addresses, Files, Functions, Lines};
        let address = if self.granularity == Addresses { location.address } else { 0 };
        let binary = location.mapping.map_or(Text::default(), |mapping| self.profile.mappings[mapping as usize].file);
        let Some(function) = line.function else { return (Key { address, binary, ..Key::default() }, 0) };
        let function = self.profile.functions[function as usize];
        let source_file = self.path(function.file);
        let mut key = Key {
            name: if self.granularity == Files { Text::default() } else { function.name },
            file: if self.granularity == Functions { 0 } else { source_file },
            line: if matches!(self.granularity, Lines | Addresses) { line.line } else { 0 },
            column: if self.granularity == Addresses { line.column } else { 0 },
            address,
            ..Key::default()
        };
        if self.binaries == Binaries::Apart || key.name == Text::default() {
            key.binary = binary;
            key.start_line = function.start_line;
        }
        (key, source_file)
    }

    fn path(&mut self, text: Text) -> u32 {
        if let Some(known) = self.paths.get(&text) {
            return *known;
        }
        let shown = shown_path(self.profile.text(text));
        let files = &mut self.nodes.files;
        let number = *self.files.entry(shown).or_insert_with_key(|path| {
            files.push(path.clone());
            files.len() as u32 - 1
        });
        self.paths.insert(text, number);
        number
    }
}

/// A path as pprof shows it: without the folder of a build in a sandbox, and clean.
fn shown_path(path: &str) -> String {
    let sandbox = ["/proc/self/cwd/./", "/proc/self/cwd/"];
    let path = sandbox.iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
    if path.is_empty() { String::new() } else { clean_path(path) }
}

/// The shortest path that means the same, by the text alone. `path` is not empty.
///
/// Source: `path/filepath.Clean` of Go, on Unix.
fn clean_path(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    let root = if is_rooted { "/" } else { "" };
    let clean = format!("{root}{}", parts.join("/"));
    if clean.is_empty() { ".".to_owned() } else { clean }
}

/// The last part of a path: `/` of `/`, `b` of `a/b/`.
fn last_part(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_go_cleans_them() {
        for (path, shown) in [
            ("", ""),
            ("a/b", "a/b"),
            ("a//b/./c/..", "a/b"),
            ("/../a", "/a"),
            ("../../a", "../../a"),
            ("a/../..", ".."),
            ("./", "."),
            ("/", "/"),
            ("/proc/self/cwd/src/a.cc", "src/a.cc"),
            ("/proc/self/cwd/./src/a.cc", "src/a.cc"),
        ] {
            assert_eq!(shown_path(path), shown, "{path}");
        }
    }

    #[test]
    fn the_last_part_of_a_path_is_the_name_of_a_binary() {
        for (path, name) in [("/usr/bin/app", "app"), ("app", "app"), ("a/b/", "b"), ("//", "/")] {
            assert_eq!(last_part(path), name);
        }
    }
}
