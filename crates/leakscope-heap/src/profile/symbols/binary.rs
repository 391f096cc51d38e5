//! One ELF file: from an address of a process to its functions and lines.

use std::borrow::Cow;

use addr2line::Context;
use addr2line::gimli::{DwarfSections, EndianSlice, RunTimeEndian, SectionId};
use object::{
    File, Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, Section, SectionKind, SymbolKind,
    SymbolSection,
};

use crate::profile::model::Mapping;

/// Debug information packs to a tenth; a section that says to be so many times what is there is not unpacked.
const UNPACKED_TIMES_MAX: u64 = 200;

/// One function at an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// As the linker knows it.
    pub(super) function: String,
    /// Empty where not known.
    pub(super) file: String,
    /// From 1; 0 where not known.
    pub(super) line: i64,
    /// From 1; 0 where not known.
    pub(super) column: i64,
}

/// What is read of a file.
#[derive(Debug)]
pub(super) struct Binary<'a> {
    /// In hexadecimal digits; empty where the linker wrote none.
    pub(super) build_id: String,
    segments: Vec<Segment>,
    /// Functions in order of their addresses.
    symbols: Vec<Symbol<'a>>,
    sections: DwarfSections<Cow<'a, [u8]>>,
    has_debug_information: bool,
    endian: RunTimeEndian,
}

/// What is loaded from `offset` of the file to `address`.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    n_bytes: u64,
    address: u64,
}

#[derive(Clone, Copy, Debug)]
struct Symbol<'a> {
    address: u64,
    /// 0 where it says none: it goes on to the next.
    n_bytes: u64,
    name: &'a str,
}

impl<'a> Binary<'a> {
    /// # Errors
    /// What is wrong with the file, in words.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, String> {
        let file = File::parse(bytes).map_err(|error| error.to_string())?;
        let build_id = file.build_id().ok().flatten().unwrap_or_default();
        let segments = file.segments().map(|segment| {
            let (offset, n_bytes) = segment.file_range();
            Segment { offset, n_bytes, address: segment.address() }
        });
        let segments = segments.collect();
        // A section that cannot be unpacked is none: the symbols are still there.
        let section = |id: SectionId| -> Result<_, ()> {
            let section = file.section_by_name(id.name());
            Ok(section.and_then(|section| unpacked(&section)).unwrap_or_default())
        };
        let sections = DwarfSections::load(section).unwrap_or_default();
        let has_debug_information = file.section_by_name(SectionId::DebugInfo.name()).is_some();
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        Ok(Self {
            build_id: in_hexadecimal(build_id),
            segments,
            symbols: symbols(&file),
            sections,
            has_debug_information,
            endian,
        })
    }

    /// Where distributions put what was stripped off the file; none where it has debug information of its own or no build id.
    pub(super) fn debug_path(&self) -> Option<String> {
        let (start, rest) = self.build_id.split_at_checked(2)?;
        (!self.has_debug_information).then(|| format!("/usr/lib/debug/.build-id/{start}/{rest}.debug"))
    }

    /// The address in the file of an address in a process that mapped it.
    pub(super) fn address(&self, mapping: &Mapping, address: u64) -> Option<u64> {
        if mapping.start == 0 && mapping.offset == 0 && !self.segments.iter().any(|segment| segment.address == 0) {
            // A program that is not position independent, whose mapping is not known.
            return Some(address);
        }
        let offset = address.checked_sub(mapping.start)?.checked_add(mapping.offset)?;
        let segment = self.segments.iter().find(|segment| offset.wrapping_sub(segment.offset) < segment.n_bytes)?;
        segment.address.checked_add(offset - segment.offset)
    }

    pub(super) fn names(&self) -> Names<'_> {
        let dwarf = self.sections.borrow(|section| EndianSlice::new(section, self.endian));
        Names { symbols: &self.symbols, context: Context::from_dwarf(dwarf).ok() }
    }
}

/// The bytes of a section; none where they cannot be unpacked.
fn unpacked<'a>(section: &Section<'a, '_>) -> Option<Cow<'a, [u8]>> {
    let packed = section.compressed_data().ok()?;
    let max = (packed.data.len() as u64).saturating_mul(UNPACKED_TIMES_MAX);
    if packed.uncompressed_size > max { None } else { packed.decompress().ok() }
}

fn in_hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn symbols<'a>(file: &File<'a>) -> Vec<Symbol<'a>> {
    let is_code = |section| {
        let section = file.section_by_index(section);
        section.is_ok_and(|section| section.kind() == SectionKind::Text)
    };
    let functions = file.symbols().chain(file.dynamic_symbols()).filter(|symbol| match symbol.section() {
        // Code in assembler need not say that it is a function.
        SymbolSection::Section(section) => match symbol.kind() {
            SymbolKind::Text => true,
            SymbolKind::Unknown | SymbolKind::Label => is_code(section),
            _ => false,
        },
        _ => false,
    });
    let mut symbols: Vec<Symbol<'a>> = functions
        .filter_map(|symbol| {
            Some(Symbol { address: symbol.address(), n_bytes: symbol.size(), name: symbol.name().ok()? })
        })
        .filter(|symbol| !symbol.name.is_empty())
        .collect();
    // Of several at one address the longest comes last, and first by name of those.
    symbols.sort_by(|one, other| {
        (one.address, one.n_bytes).cmp(&(other.address, other.n_bytes)).then_with(|| other.name.cmp(one.name))
    });
    symbols
}

/// Whether a name has its module or namespace in it, as linkers need it.
fn is_mangled(name: &str) -> bool {
    name.starts_with("_Z") || name.starts_with("_R")
}

/// What answers for the addresses of one file.
pub(super) struct Names<'b> {
    symbols: &'b [Symbol<'b>],
    context: Option<Context<EndianSlice<'b, RunTimeEndian>>>,
}

impl Names<'_> {
    /// The functions at an address, the innermost inlined one first; empty where none is known.
    pub(super) fn frames(&self, address: u64) -> Vec<Frame> {
        let mut frames = self.inlined_frames(address).unwrap_or_default();
        if let Some(outermost) = frames.last_mut()
            && !outermost.function.is_empty()
        {
            // Debug information of lines alone has names without the module or namespace that they are in.
            let in_full = self.symbol(address).filter(|symbol| is_mangled(symbol) && !is_mangled(&outermost.function));
            if let Some(symbol) = in_full {
                symbol.clone_into(&mut outermost.function);
            }
            return frames;
        }
        // The line table may know the line where nothing knows the function.
        let place = frames.pop().unwrap_or_default();
        if let Some(symbol) = self.symbol(address) {
            frames.push(Frame { function: symbol.to_owned(), ..place });
        }
        frames.retain(|frame| !frame.function.is_empty());
        frames
    }

    fn inlined_frames(&self, address: u64) -> Option<Vec<Frame>> {
        let mut found = self.context.as_ref()?.find_frames(address).skip_all_loads().ok()?;
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = found.next() {
            let function = frame.function.as_ref().and_then(|function| function.raw_name().ok()).unwrap_or_default();
            let place = frame.location.as_ref();
            frames.push(Frame {
                function: function.into_owned(),
                file: place.and_then(|place| place.file).unwrap_or_default().to_owned(),
                line: place.and_then(|place| place.line).map_or(0, i64::from),
                column: place.and_then(|place| place.column).map_or(0, i64::from),
            });
        }
        Some(frames)
    }

    fn symbol(&self, address: u64) -> Option<&str> {
        let n_before = self.symbols.partition_point(|symbol| symbol.address <= address);
        let symbol = self.symbols[..n_before].last()?;
        let is_inside = symbol.n_bytes == 0 || address - symbol.address < symbol.n_bytes;
        is_inside.then_some(symbol.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file of 64 bits with one section beside that of the names: `.debug_abbrev`, packed, which says to be `n_bytes` long.
    fn with_packed_section(n_bytes: u64) -> Vec<u8> {
        let names = b"\0.shstrtab\0.debug_abbrev\0";
        // Ten zeros.
        let zeros = *b"\x78\x9c\x63\x60\x80\x01\x00\x00\x0a\x00\x01";
        let zlib = [&[1_u64.to_le_bytes(), n_bytes.to_le_bytes(), 1_u64.to_le_bytes()].concat()[..], &zeros].concat();
        let section = |name: u32, kind: u32, flags: u64, offset: usize, size: usize| {
            let numbers = [flags, 0, offset as u64, size as u64, 0, 1, 0].map(u64::to_le_bytes).concat();
            [&name.to_le_bytes()[..], &kind.to_le_bytes(), &numbers].concat()
        };
        let (names_at, zlib_at) = (64, 64 + names.len());
        let headers_at = zlib_at + zlib.len();
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
        file.extend([0, 0, headers_at as u64].map(u64::to_le_bytes).concat());
        // Flags; sizes of headers; three sections, of which the second has the names.
        file.extend([0_u16, 0, 64, 56, 0, 64, 3, 1].map(u16::to_le_bytes).concat());
        file.extend(names);
        file.extend(&zlib);
        file.extend(section(0, 0, 0, 0, 0));
        file.extend(section(1, 3, 0, names_at, names.len()));
        file.extend(section(11, 1, 0x800, zlib_at, zlib.len()));
        file
    }

    #[test]
    fn a_packed_section_is_not_believed_how_long_it_is() {
        let cases = [(10, Some(10)), (2_201, None), (1 << 33, None), (0x5f00_0000_0106, None), (u64::MAX, None)];
        for (n_bytes, expected) in cases {
            let bytes = with_packed_section(n_bytes);
            let file = File::parse(&*bytes).unwrap();
            let section = file.section_by_name(".debug_abbrev").unwrap();
            assert_eq!(unpacked(&section).map(|bytes| bytes.len()), expected, "{n_bytes}");
            assert!(Binary::of(&bytes).is_ok(), "{n_bytes}");
        }
    }
}
