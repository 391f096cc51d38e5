//! What the program's file says: the version of Go, where the runtime keeps its buckets, and the tables of functions and lines.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ReadCache};

use super::Refusal;
use crate::proc;

/// Most bytes of a table that are read; large programs have a tenth. Beyond: the table is left out.
const TABLE_BYTES_MAX: u64 = 512 << 20;
/// Versions whose layout was verified in their sources and against their own pprof: go1.21.13, go1.22.10, go1.23.9, go1.24.11,
/// go1.25.5, go1.26.8, go1.27.3. All have the same `bucket`; a `memRecordCycle` is `allocs, frees, alloc_bytes, free_bytes`, from 1.27 on
/// `allocs, frees`.
const VERSIONS: std::ops::RangeInclusive<u32> = 21..=27;

/// Where things are in one running program.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// `go1.26.8`.
    pub(super) version: String,
    /// Words of a `memRecordCycle`.
    pub(super) words: u64,
    /// Addresses of `runtime.mbuckets`, `runtime.MemProfileRate` and `runtime.mProfCycle` in the process.
    pub(super) buckets: u64,
    pub(super) rate: u64,
    pub(super) cycle: u64,
    /// Address of the first function in the process.
    pub(super) text: u64,
    /// The section `.gopclntab`.
    pub(super) table: Vec<u8>,
    /// From the symbol `go:func.*` on, where inlined calls are.
    pub(super) inlined: Vec<u8>,
    /// Of the mapping that has the code: first address, address after the last, offset in the file.
    pub(super) mapping: (u64, u64, u64),
    pub(super) path: String,
}

type Elf<'f> = ElfFile64<'f, LittleEndian, &'f ReadCache<File>>;

impl Program {
    /// Reads the program of a process. Its symbols must be there (`-ldflags=-s` drops them).
    pub(super) fn of(pid: u32) -> Result<Self, Refusal> {
        let refused = |reason: String, remedy: &str| Refusal { reason, remedy: remedy.to_owned() };
        let exe = proc::folder(pid).join("exe");
        let unreadable = |error: std::io::Error| {
            refused(format!("its program cannot be read: {error}"), "run leakscope as the process' user or as root")
        };
        let file = File::open(&exe).map_err(unreadable)?;
        let inode = file.metadata().map_err(unreadable)?.ino();
        let cache = ReadCache::new(file);
        let elf = Elf::parse(&cache).map_err(|_| {
            refused(
                "its program is no 64-bit ELF file".to_owned(),
                "serve `net/http/pprof`: buckets are read on x86-64 and arm64",
            )
        })?;
        let version = version(&elf).ok_or_else(|| {
            refused("its program has no build info of Go".to_owned(), "build it with Go 1.21 or later")
        })?;
        let minor = minor(&version).filter(|minor| VERSIONS.contains(minor)).ok_or_else(|| {
            let known = format!("{} to 1.{}", VERSIONS.start(), VERSIONS.end());
            refused(
                format!("heap buckets are known of Go 1.{known}, and it is built with `{version}`"),
                "serve `net/http/pprof`",
            )
        })?;
        let mut program = Self { version, words: if minor < 27 { 4 } else { 2 }, ..Self::default() };
        program.path = std::fs::read_link(&exe).map(|path| path.display().to_string()).unwrap_or_default();
        let inline_base = program.find(&elf).ok_or_else(|| {
            refused(
                "its program has no symbols".to_owned(),
                "build it without `-ldflags=-s`, or serve `net/http/pprof`",
            )
        })?;
        program.read_tables(&elf, inline_base);
        program.place(pid, inode, &elf).ok_or_else(|| {
            refused("its program is not mapped as its file says".to_owned(), "start it anew: its program was replaced")
        })?;
        Ok(program)
    }

    /// Finds the symbols, and says where `go:func.*` is.
    fn find(&mut self, elf: &Elf<'_>) -> Option<u64> {
        let mut inline_base = 0;
        for symbol in elf.symbols() {
            let Ok(name) = symbol.name_bytes() else { continue };
            match name {
                b"runtime.mbuckets" => self.buckets = symbol.address(),
                b"runtime.MemProfileRate" => self.rate = symbol.address(),
                b"runtime.mProfCycle" => self.cycle = symbol.address(),
                b"runtime.text" => self.text = symbol.address(),
                b"go:func.*" => inline_base = symbol.address(),
                _ => {}
            }
        }
        let found = [self.buckets, self.rate, self.cycle, self.text];
        found.iter().all(|address| *address > 0).then_some(inline_base)
    }

    /// Reads the tables from the file, so that no page of the process is touched for them.
    fn read_tables(&mut self, elf: &Elf<'_>, inline_base: u64) {
        for section in elf.sections() {
            let (start, size) = (section.address(), section.size());
            let is_table = section.name_bytes().is_ok_and(|name| name.ends_with(b".gopclntab"));
            let has_inlined = inline_base > 0 && (start..start.saturating_add(size)).contains(&inline_base);
            if size > TABLE_BYTES_MAX || !is_table && !has_inlined {
                continue;
            }
            let Ok(bytes) = section.data() else { continue };
            if is_table {
                self.table = bytes.to_vec();
            }
            if has_inlined {
                let from = usize::try_from(inline_base - start).unwrap_or(usize::MAX);
                self.inlined = bytes.get(from..).unwrap_or_default().to_vec();
            }
        }
    }

    /// Moves the addresses to where the program is mapped, and finds the mapping of its code.
    fn place(&mut self, pid: u32, inode: u64, elf: &Elf<'_>) -> Option<()> {
        let maps = proc::read(&proc::folder(pid).join("maps"), 64 << 20)?;
        let maps = String::from_utf8_lossy(&maps);
        // The segment that has the code, in the file and in the process.
        let has_code = |start: u64, size: u64| (start..start.saturating_add(size)).contains(&self.text);
        let segment = elf.segments().find(|segment| has_code(segment.address(), segment.size()))?;
        let code_offset = segment.file_range().0.checked_add(self.text - segment.address())?;
        let within = |(start, end, offset, is_code): &(u64, u64, u64, bool)| {
            *is_code && (*offset..offset.saturating_add(end - start)).contains(&code_offset)
        };
        let (start, end, offset, _) = maps.lines().filter_map(|line| mapping(line, inode)).find(within)?;
        let moved = start.wrapping_add(code_offset - offset).wrapping_sub(self.text);
        self.mapping = (start, end, offset);
        for address in [&mut self.buckets, &mut self.rate, &mut self.cycle, &mut self.text] {
            *address = address.wrapping_add(moved);
        }
        Some(())
    }
}

/// First address, address after the last, offset in the file and whether it is code, of a line of `maps` of that file.
fn mapping(line: &str, inode: u64) -> Option<(u64, u64, u64, bool)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_code = words.next()?.contains('x');
    let offset = words.next()?;
    let found: u64 = words.nth(1)?.parse().ok()?;
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let (start, end, offset) = (number(start)?, number(end)?, number(offset)?);
    (found == inode && start < end).then_some((start, end, offset, is_code))
}

/// The version in the section `.go.buildinfo`; from 1.18 on it stands there as a text.
fn version(elf: &Elf<'_>) -> Option<String> {
    let section = elf.section_by_name(".go.buildinfo").filter(|section| section.size() < 16 << 20)?;
    let bytes = section.data().ok()?;
    let is_text = bytes.starts_with(b"\xff Go buildinf:") && bytes.get(15)? & 2 != 0;
    // A length as a varint, of which real versions need one byte.
    let length = usize::from(*bytes.get(32)?);
    let text = bytes.get(33..33 + length).filter(|_| is_text && length < 0x80)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// The number after `go1.`.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known_by_their_second_number() {
        let cases = [
            ("go1.26.8", Some(26)),
            ("go1.27rc1", Some(27)),
            ("go1.25.5 X:nocoverageredesign", Some(25)),
            ("devel go1.28-4711", None),
            ("go2.1", None),
        ];
        for (version, expected) in cases {
            assert_eq!(minor(version), expected, "{version}");
        }
    }

    #[test]
    fn a_mapping_is_of_the_program_when_its_inode_is() {
        let line = "00400000-00701000 r-xp 00001000 fe:01 4711   /srv/a program";
        assert_eq!(mapping(line, 4711), Some((0x40_0000, 0x70_1000, 0x1000, true)));
        assert_eq!(mapping(line, 4712), None);
        assert_eq!(mapping("nonsense", 0), None);
    }
}
