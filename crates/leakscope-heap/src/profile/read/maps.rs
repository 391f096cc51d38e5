//! What is mapped into a process, as text profiles end with it: `/proc/PID/maps`, and the shorter forms that pprof knows.
//!
//! ```text
//! 556bd9e6c000-556bd9e6f000 r-xp 00002000 08:01 1234  /srv/app
//! 400000-4a0000 /srv/app (@1000) 1f2e3d4c
//! ```
//!
//! Source: `legacy_profile.go` and `profile.go` (`massageMappings`, `remapMappingIDs`) of google/pprof.

use std::borrow::Cow;

use crate::profile::builder::Builder;
use crate::profile::model::Mapping;

/// Where ld puts a program that is not position independent.
const FIXED_START: u64 = 0x40_0000;

/// Names that lines may give a value; those beyond are not known.
const ATTRIBUTES_MAX: usize = 16;
/// Bytes of a line in which names are replaced, and of a value; longer ones stay as they are.
const ATTRIBUTE_LINE_BYTES_MAX: usize = 4_096;

/// Whether a map of memory begins behind this line.
pub(super) fn is_heading(line: &[u8]) -> bool {
    let is_in = |heading: &[u8]| memchr::memmem::find(line, heading).is_some();
    is_in(b"--- Memory map: ---") || is_in(b"MAPPED_LIBRARIES:")
}

/// Executable mappings, in an order of their own.
#[derive(Debug, Default)]
pub(super) struct Maps {
    maps: Vec<Map>,
    /// `$name`, and what stands for it in the lines that follow.
    attributes: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Map {
    start: u64,
    limit: u64,
    offset: u64,
    file: String,
    build_id: String,
}

impl Maps {
    /// Reads a line. One that is no mapping is passed over, as are mappings without code.
    pub(super) fn line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = self.replaced(without_log_prefix(&line));
        match Entry::of(&line) {
            Entry::Code(map) => self.maps.push(map),
            Entry::Data => {}
            Entry::Other => {
                if let Some((name, value)) = line.split_once('=')
                    && line.len() <= ATTRIBUTE_LINE_BYTES_MAX
                    && self.attributes.len() < ATTRIBUTES_MAX
                {
                    self.attributes.push((format!("${}", name.trim()), value.trim().to_owned()));
                }
            }
        }
    }

    fn replaced<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let mut replaced = Cow::Borrowed(line);
        for (name, value) in &self.attributes {
            if replaced.len() <= ATTRIBUTE_LINE_BYTES_MAX && replaced.contains(name) {
                replaced = Cow::Owned(replaced.replace(name, value));
            }
        }
        replaced
    }

    /// Gives `builder` the mappings, the program first, and returns which of them each address is in.
    ///
    /// Addresses that are in none are in one that stands for all that is not known: pprof has it so, and Go's text names no mapping.
    pub(super) fn place(mut self, builder: &mut Builder, addresses: &[u64]) -> Vec<Option<u32>> {
        self.join_adjacent();
        self.put_program_first();
        self.undo_remapping();
        for map in &self.maps {
            let (file, build_id) = (builder.text(&map.file), builder.text(&map.build_id));
            let (start, limit, offset) = (map.start, map.limit, map.offset);
            builder.mapping(Mapping { start, limit, offset, file, build_id, ..Mapping::default() });
        }
        let mut by_start: Vec<(u64, u64, u32)> =
            self.maps.iter().zip(0..).map(|(map, index)| (map.start, map.limit, index)).collect();
        by_start.sort_unstable();
        let mut unknown = None;
        let mut place = |address: u64| {
            let n_before = by_start.partition_point(|(start, ..)| *start <= address);
            let nearest = n_before.checked_sub(1).map(|last| by_start[last]);
            match nearest {
                _ if address == 0 => None,
                Some((_, limit, index)) if address < limit => Some(index),
                Some(_) | None => Some(
                    *unknown.get_or_insert_with(|| builder.mapping(Mapping { limit: u64::MAX, ..Mapping::default() })),
                ),
            }
        };
        addresses.iter().map(|address| place(*address)).collect()
    }

    /// Makes one of mappings that the kernel split.
    fn join_adjacent(&mut self) {
        let mut joined: Vec<Map> = Vec::with_capacity(self.maps.len());
        for map in self.maps.drain(..) {
            match joined.last_mut() {
                Some(last) if last.continues_in(&map) => {
                    last.limit = map.limit;
                    if !map.file.is_empty() {
                        last.file = map.file;
                    }
                    if !map.build_id.is_empty() {
                        last.build_id = map.build_id;
                    }
                }
                Some(_) | None => joined.push(map),
            }
        }
        self.maps = joined;
    }

    fn put_program_first(&mut self) {
        let is_program = |map: &Map| !map.file.is_empty() && !map.file.starts_with('[') && !is_library(&map.file);
        if let Some(program) = self.maps.iter().position(is_program) {
            self.maps.swap(0, program);
        }
    }

    /// Programs that copy their code to large pages say otherwise where it came from.
    fn undo_remapping(&mut self) {
        if let [first, second, ..] = &self.maps[..]
            && first.file.starts_with("/anon_hugepage")
            && first.limit == second.start
        {
            self.maps.remove(0);
        }
        if let Some(first) = self.maps.first_mut()
            && first.start.wrapping_sub(first.offset) == FIXED_START
        {
            first.start = FIXED_START;
            first.offset = 0;
        }
    }
}

/// What a line says.
enum Entry {
    Code(Map),
    Data,
    /// No mapping.
    Other,
}

impl Entry {
    fn of(line: &str) -> Self {
        match Range::of(line) {
            Some(Range { permissions: Some(permissions), .. }) if !permissions.contains('x') => Self::Data,
            Some(range) => Self::Code(Map::of(&range)),
            None => Self::Other,
        }
    }
}

/// The beginning of a line: what all forms have.
struct Range<'a> {
    start: u64,
    limit: u64,
    permissions: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Range<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (start, rest) = hex_prefix(line.trim_start())?;
        let rest = rest.strip_prefix([' ', '\t', '-'])?.trim_start();
        let (limit, rest) = hex_prefix(rest)?;
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            return None;
        }
        let (permissions, rest) = match word(rest) {
            (first, after) if !first.is_empty() && first.bytes().all(|byte| b"-rwxp".contains(&byte)) => {
                (Some(first), after)
            }
            _ => (None, rest),
        };
        Some(Self { start, limit, permissions, rest })
    }
}

impl Map {
    fn of(range: &Range<'_>) -> Self {
        let (offset, file, build_id) = long_form(range.rest).unwrap_or_else(|| brief_form(range.rest));
        Self { start: range.start, limit: range.limit, offset, file: file.to_owned(), build_id: build_id.to_owned() }
    }

    fn continues_in(&self, next: &Self) -> bool {
        let differ = |one: &str, other: &str| !one.is_empty() && !other.is_empty() && one != other;
        if differ(&self.file, &next.file) || differ(&self.build_id, &next.build_id) || self.limit != next.start {
            return false;
        }
        let end = self.offset.wrapping_add(self.limit.wrapping_sub(self.start));
        self.offset == 0 || next.offset == 0 || end == next.offset
    }
}

/// `00002000 08:01 1234  /srv/app`: offset, device, inode, file.
fn long_form(rest: &str) -> Option<(u64, &str, &str)> {
    let (first, after) = word(rest);
    let (offset, after) = match u64::from_str_radix(first, 16) {
        Ok(offset) => (offset, after),
        Err(_) => (0, rest),
    };
    let (device, after) = word(after);
    let (inode, file) = word(after);
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_device = device.split_once(':').is_some_and(|(major, minor)| is_hex(major) && is_hex(minor));
    let is_inode = !inode.is_empty() && inode.bytes().all(|byte| byte.is_ascii_digit());
    let file = file.trim();
    (is_device && is_inode).then(|| (offset, file.strip_suffix(" (deleted)").unwrap_or(file), ""))
}

/// `/srv/app (@1000) 1f2e3d4c`: file, offset, build id; each may be missing.
fn brief_form(rest: &str) -> (u64, &str, &str) {
    let (file, mut rest) = word(rest);
    let (second, after) = word(rest);
    let offset = second.strip_prefix("(@").and_then(|hex| hex.strip_suffix(')'));
    let offset = offset.and_then(|hex| u64::from_str_radix(hex, 16).ok());
    if offset.is_some() {
        rest = after;
    }
    let (build_id, _) = word(rest);
    let is_hex = build_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (offset.unwrap_or(0), file, if is_hex { build_id } else { "" })
}

/// The first word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find([' ', '\t']).unwrap_or(text.len()))
}

fn hex_prefix(text: &str) -> Option<(u64, &str)> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let end = digits.find(|char: char| !char.is_ascii_hexdigit()).unwrap_or(digits.len());
    Some((u64::from_str_radix(&digits[..end], 16).ok()?, &digits[end..]))
}

/// `libc.so`, `libc.so.6`, `libc.so_1`.
fn is_library(file: &str) -> bool {
    let is_version = |after: &str| {
        let version = after.strip_prefix(['.', '_']);
        after.is_empty() || version.is_some_and(|version| version.starts_with(|char: char| char.is_ascii_digit()))
    };
    file.match_indices(".so").any(|(at, found)| is_version(&file[at + found.len()..]))
}

/// Drops what glog writes before a line: `I0101 main.cc:12] `.
fn without_log_prefix(line: &str) -> &str {
    let Some((prefix, rest)) = line.split_once(']') else { return line };
    let number = prefix.rsplit_once(':').map_or("", |(_, number)| number);
    let is_place = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_place && !prefix.contains('[') && rest.starts_with([' ', '\t']) { &rest[1..] } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    /// Mappings as `start-limit+offset file build_id`, and the mapping of each address.
    fn placed(text: &str, addresses: &[u64]) -> (Vec<String>, Vec<Option<u32>>) {
        let mut maps = Maps::default();
        text.lines().for_each(|line| maps.line(line.as_bytes()));
        let mut builder = Builder::new(Format::PprofText, 0);
        let places = maps.place(&mut builder, addresses);
        let profile = builder.finish();
        let shown = profile.mappings().iter().map(|map| {
            let (file, build_id) = (profile.text(map.file), profile.text(map.build_id));
            format!("{:x}-{:x}+{:x} {file} {build_id}", map.start, map.limit, map.offset).trim_end().to_owned()
        });
        (shown.collect(), places)
    }

    #[test]
    fn each_form_of_a_line_is_a_mapping() {
        let cases = [
            ("7f10-7f20 r-xp 00002000 08:01 1234   /srv/app", "7f10-7f20+2000 /srv/app"),
            ("7f10-7f20 r-xp 00002000 08:01 1234   /srv/my app (deleted)", "7f10-7f20+2000 /srv/my app"),
            ("7f10-7f20 r-xp 00002000 08:01 1234", "7f10-7f20+2000"),
            ("7f10-7f20 rw-p 00002000 08:01 1234 /srv/app", ""),
            ("0x7f10-0x7f20 /srv/app (@ff00) abc123456", "7f10-7f20+ff00 /srv/app abc123456"),
            ("7f10 7f20: /srv/app", "7f10-7f20+0 /srv/app"),
            ("I0101 12:00 main.cc:12] 7f10-7f20 r-xp 00002000 08:01 1234 /srv/app", "7f10-7f20+2000 /srv/app"),
            ("build=/srv\n7f10-7f20 r-xp 00002000 08:01 1234 $build/app", "7f10-7f20+2000 /srv/app"),
            ("deadbeef", ""),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(placed(text, &[]).0.join(","), expected, "{text}");
        }
    }

    #[test]
    fn the_program_comes_first_and_addresses_find_their_mapping() {
        let text = "1000-2000 r-xp 0 08:01 1 /lib/libc.so.6\n2000-3000 r-xp 0 00:00 0 [vdso]\n5000-6000 r-xp 1000 08:01 2 /srv/app\n\
                    6000-7000 r-xp 2000 08:01 2 /srv/app\n401000-402000 r-xp 1000 08:01 3 /lib/b.so";
        let (maps, places) = placed(text, &[0x1000, 0x6fff, 0x7000, 0, 0x40_1fff]);
        let expected = [
            "5000-7000+1000 /srv/app",
            "2000-3000+0 [vdso]",
            "1000-2000+0 /lib/libc.so.6",
            "401000-402000+1000 /lib/b.so",
            "0-ffffffffffffffff+0",
        ];
        assert_eq!(maps, expected);
        assert_eq!(places, [Some(2), Some(0), Some(4), None, Some(3)]);
    }

    #[test]
    fn a_program_at_its_fixed_place_begins_there() {
        assert_eq!(placed("401000-402000 r-xp 1000 08:01 3 /srv/app", &[]).0, ["400000-402000+0 /srv/app"]);
        let huge = "400000-600000 r-xp 0 08:01 3 /anon_hugepage\n600000-700000 r-xp 200000 08:01 3 /srv/app";
        assert_eq!(placed(huge, &[]).0, ["400000-700000+0 /srv/app"]);
    }
}
