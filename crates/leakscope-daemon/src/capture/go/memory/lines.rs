//! Addresses to functions and lines by the tables that every program of Go carries for its own stack traces (`.gopclntab`), inlined
//! calls included. Total: what does not fit is unknown.
//!
//! Source: `runtime/symtab.go` and `runtime/symtabinl.go` of Go 1.21 to 1.27, which read these tables alike.

use super::program::Program;

/// First bytes of the table from Go 1.20 on.
const MAGIC: u32 = 0xffff_fff1;
/// Bytes of a `_func` before its tables, and of an `inlinedCall`.
const FUNC_BYTES: usize = 44;
const INLINED_BYTES: usize = 16;
/// The table of inlined calls among those of a function by address, and among those of its data.
const PCDATA_INLINED: usize = 2;
const FUNCDATA_INLINED: usize = 3;
/// Most bytes of a name.
const NAME_BYTES_MAX: usize = 4_096;

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'p> {
    pub(super) function: &'p str,
    pub(super) file: &'p str,
    pub(super) line: i64,
    /// Of the function's declaration.
    pub(super) start_line: i64,
}

/// The tables of one program.
#[derive(Debug)]
pub(super) struct Lines<'p> {
    text: u64,
    names: &'p [u8],
    units: &'p [u8],
    files: &'p [u8],
    values: &'p [u8],
    functions: &'p [u8],
    n_functions: usize,
    inlined: &'p [u8],
}

impl<'p> Lines<'p> {
    pub(super) fn new(program: &'p Program) -> Self {
        let table: &[u8] = &program.table;
        let is_known = u32_at(table, 0) == Some(MAGIC) && table.get(7) == Some(&8);
        // What follows the magic: functions, files, the address of the first, and where the parts begin.
        let part = |index: usize| {
            let from = word(table, 8 + index * 8).and_then(|from| usize::try_from(from).ok());
            from.and_then(|from| table.get(from..)).unwrap_or_default()
        };
        let n_functions = word(table, 8).filter(|_| is_known).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let functions = part(7);
        Self {
            text: program.text,
            names: part(3),
            units: part(4),
            files: part(5),
            values: part(6),
            functions,
            n_functions: n_functions.min(functions.len() / 8),
            inlined: &program.inlined,
        }
    }

    /// Where the call is that returns to an address; of inlined calls, the innermost.
    pub(super) fn place(&self, returns_to: u64) -> Option<Place<'p>> {
        let offset = u32::try_from(returns_to.checked_sub(1)?.checked_sub(self.text)?).ok()?;
        let function = self.function(offset)?;
        let entry = u32_at(function, 0)?;
        let value = |at: usize| self.value(u32_at(function, at)?, entry, offset);
        let (name, start_line) =
            self.inlined_at(function, entry, offset).or_else(|| Some((u32_at(function, 4)?, u32_at(function, 36)?)))?;
        let file = value(20).and_then(|file| self.file(u32_at(function, 32)?, file)).unwrap_or_default();
        let line = value(24).unwrap_or(0);
        let function = text(self.names, name)?;
        Some(Place { function, file, line: i64::from(line), start_line: i64::from(start_line as i32) })
    }

    /// The `_func` that has an address, with what follows it.
    fn function(&self, offset: u32) -> Option<&'p [u8]> {
        let entry = |index: usize| u32_at(self.functions, index * 8);
        let (mut low, mut high) = (0, self.n_functions);
        while low < high {
            let middle = usize::midpoint(low, high);
            if entry(middle)? <= offset { low = middle + 1 } else { high = middle }
        }
        let at = u32_at(self.functions, low.checked_sub(1)? * 8 + 4)?;
        self.functions.get(at as usize..)
    }

    /// The name and first line of the innermost function that was inlined at an address.
    fn inlined_at(&self, function: &[u8], entry: u32, offset: u32) -> Option<(u32, u32)> {
        let n_pcdata = u32_at(function, 28)? as usize;
        let n_funcdata = usize::from(*function.get(FUNC_BYTES - 1)?);
        if n_pcdata <= PCDATA_INLINED || n_funcdata <= FUNCDATA_INLINED {
            return None;
        }
        let index = self.value(u32_at(function, FUNC_BYTES + PCDATA_INLINED * 4)?, entry, offset)?;
        let tree = u32_at(function, FUNC_BYTES.checked_add(n_pcdata.checked_mul(4)?)? + FUNCDATA_INLINED * 4)?;
        let call = (tree as usize).checked_add(usize::try_from(index).ok()?.checked_mul(INLINED_BYTES)?)?;
        let call = self.inlined.get(call..call.checked_add(INLINED_BYTES)?).filter(|_| tree != u32::MAX)?;
        Some((u32_at(call, 4)?, u32_at(call, 12)?))
    }

    /// What a table says at an address: pairs of differences of the value and of the address.
    fn value(&self, table: u32, entry: u32, target: u32) -> Option<i32> {
        let mut bytes = self.values.get(table as usize..).filter(|_| table != 0)?;
        let (mut value, mut at) = (-1_i32, entry);
        let mut is_first = true;
        loop {
            let step = varint(&mut bytes)?;
            if step == 0 && !is_first {
                return None;
            }
            is_first = false;
            value = value.wrapping_add((step >> 1) as i32 ^ -((step & 1) as i32));
            at = at.checked_add(varint(&mut bytes)?)?;
            if target < at {
                return (value >= 0).then_some(value);
            }
        }
    }

    /// The name of a file of a compilation unit.
    fn file(&self, unit: u32, file: i32) -> Option<&'p str> {
        let index = (unit as usize).checked_add(usize::try_from(file).ok()?)?;
        text(self.files, u32_at(self.units, index.checked_mul(4)?)?)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A text that ends with a zero byte.
fn text(bytes: &[u8], at: u32) -> Option<&str> {
    let bytes = bytes.get(at as usize..)?;
    let end = bytes.iter().take(NAME_BYTES_MAX).position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

fn varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
