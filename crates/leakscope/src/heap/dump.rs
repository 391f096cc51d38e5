//! Every node of a heap as a row of CSV.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use leakscope_heap::Heap;

const HEADER: &[u8] = b"node_id,self_bytes,retained_bytes,dominator_id\n";
/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// A row holds four numbers of at most 20 digits, each with what follows it.
const ROW_BYTES_MAX: usize = 4 * 21;

/// Writes `node_id,self_bytes,retained_bytes,dominator_id` of every node, in the order of the capture; the root's dominator is itself.
///
/// # Errors
/// When `path` cannot be written.
pub(crate) fn dump(heap: &Heap<'_>, path: &Path) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    out.write_all(HEADER)?;
    for node in heap.nodes() {
        let dominator = heap.dominator(node).unwrap_or(node);
        let mut row = Row { digits: [0; ROW_BYTES_MAX], at: ROW_BYTES_MAX };
        row.prepend(heap.id(dominator), b'\n');
        row.prepend(heap.retained_bytes(node), b',');
        row.prepend(heap.self_bytes(node), b',');
        row.prepend(heap.id(node), b',');
        out.write_all(&row.digits[row.at..])?;
    }
    out.flush()
}

/// A row that is written from its end: numbers come out of their lowest digit.
struct Row {
    digits: [u8; ROW_BYTES_MAX],
    /// Where it begins.
    at: usize,
}

impl Row {
    fn prepend(&mut self, mut number: u64, then: u8) {
        self.at -= 1;
        self.digits[self.at] = then;
        loop {
            self.at -= 1;
            self.digits[self.at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_row_fits() {
        let mut row = Row { digits: [0; ROW_BYTES_MAX], at: ROW_BYTES_MAX };
        for (number, then) in [(u64::MAX, b'\n'), (0, b','), (10, b','), (u64::MAX, b',')] {
            row.prepend(number, then);
        }
        assert_eq!(&row.digits[row.at..], b"18446744073709551615,10,0,18446744073709551615\n");
        let mut row = Row { digits: [0; ROW_BYTES_MAX], at: ROW_BYTES_MAX };
        for then in [b'\n', b',', b',', b','] {
            row.prepend(u64::MAX, then);
        }
        assert_eq!(row.at, 0);
    }
}
