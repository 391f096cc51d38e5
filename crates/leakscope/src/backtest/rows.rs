//! One recording as rows: a total reader of CSV with a header. Any bytes give rows or an error that names file, line, column and what was found.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use leakscope_model::{Readings, Signal};

/// The column that every recording has: seconds, of any epoch.
pub(crate) const TIME_COLUMN: &str = "t_s";

/// The columns that are read, with their meaning.
pub(crate) const COLUMNS: [(&str, Signal); 10] = [
    ("rss_bytes", Signal::Rss),
    ("anon_bytes", Signal::AnonRss),
    ("heap_bytes", Signal::HeapUsed),
    ("heap_after_gc_bytes", Signal::HeapAfterGc),
    ("external_bytes", Signal::External),
    ("requests_total", Signal::Requests),
    ("limit_bytes", Signal::Limit),
    ("start_s", Signal::StartTime),
    ("tasks", Signal::Tasks),
    ("fds", Signal::FileDescriptors),
];

/// Bytes of one line. Beyond: refused, so that a file without line ends cannot fill the memory.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Limits from here on are what the kernel says for "none".
const LIMIT_MAX: f64 = (1_u64 << 60) as f64;
/// Seconds on either side of the epoch that a time may reach, after multiplication: some ten thousand years.
const TIME_S_MAX: f64 = 3.0e11;
/// Characters of a cell that a message repeats.
const SHOWN_MAX: usize = 40;

/// Why a file gives no rows, or no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is empty, expected a header that begins like `t_s,rss_bytes`")]
    Empty,
    #[error("line {line}: expected a header with a column `{TIME_COLUMN}`, found {found}")]
    NoTime { line: u64, found: Shown },
    #[error("line {line}: expected at least one column of {}, found {found}", known_columns())]
    NoSignal { line: u64, found: Shown },
    #[error("line {line}: column `{column}` is there twice")]
    Duplicate { line: u64, column: String },
    #[error("has a header and no rows")]
    NoRows,
    #[error("line {line}: expected at most {LINE_BYTES_MAX} bytes in a line, found more")]
    LongLine { line: u64 },
    #[error("line {line}: expected {want} cells, found {found}")]
    ManyCells { line: u64, want: usize, found: usize },
    #[error("line {line}, column `{column}`: expected a number, found {found}")]
    NotANumber { line: u64, column: &'static str, found: Shown },
    #[error("line {line}, column `{TIME_COLUMN}`: expected seconds within {TIME_S_MAX:e} of 0, found {found}")]
    NoSuchTime { line: u64, found: f64 },
}

/// What was found, cut to a length that a message bears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown(String);

impl Shown {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
        if text.chars().nth(SHOWN_MAX).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("nothing") } else { write!(f, "`{}`", self.0) }
    }
}

fn known_columns() -> String {
    COLUMNS.map(|(name, _)| format!("`{name}`")).join(", ")
}

/// What was strange and did not stop the reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddities {
    /// Columns that nobody knows.
    pub(crate) unknown_columns: Vec<String>,
    /// Rows with fewer cells than the header, and the first one's line.
    pub(crate) short_rows: Option<(u64, u64)>,
    /// Values that no signal can have (NaN, infinite, negative), and the first one's line.
    pub(crate) implausible: Option<(u64, u64)>,
}

fn count(at: &mut Option<(u64, u64)>, line: u64) {
    at.get_or_insert((0, line)).0 += 1;
}

/// What one column means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Time,
    Value(&'static str, Signal),
    Unknown,
}

/// The rows of one recording.
pub(crate) struct Rows<R> {
    input: R,
    columns: Vec<Column>,
    time_scale: f64,
    line: Vec<u8>,
    line_number: u64,
    /// Rows so far.
    read: u64,
    pub(crate) oddities: Oddities,
}

impl Rows<Box<dyn BufRead>> {
    /// Opens a recording; gzip and zstd are known by their first bytes, whatever the name.
    ///
    /// # Errors
    /// [`ReadError`] of the file and of its header.
    pub(crate) fn open(path: &Path, time_scale: f64) -> Result<Self, ReadError> {
        Self::unpacked(BufReader::new(File::open(path)?), time_scale)
    }

    /// As [`Self::open`], of bytes from anywhere.
    pub(crate) fn unpacked(mut input: impl BufRead + 'static, time_scale: f64) -> Result<Self, ReadError> {
        let head = input.fill_buf()?;
        let input: Box<dyn BufRead> = if head.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(input)))
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(input)?))
        } else {
            Box::new(input)
        };
        Self::new(input, time_scale)
    }
}

impl<R: BufRead> Rows<R> {
    /// Reads the header; every time is multiplied by `time_scale`.
    pub(crate) fn new(input: R, time_scale: f64) -> Result<Self, ReadError> {
        let mut rows = Self {
            input,
            columns: Vec::new(),
            time_scale,
            line: Vec::new(),
            line_number: 0,
            read: 0,
            oddities: Oddities::default(),
        };
        rows.read_header()?;
        Ok(rows)
    }

    /// The next row: seconds and values. `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(f64, Readings)>, ReadError> {
        if !self.read_line()? {
            return if self.read == 0 { Err(ReadError::NoRows) } else { Ok(None) };
        }
        self.read += 1;
        let line = self.line_number;
        let mut time = None;
        let mut readings = Readings::default();
        let mut n_cells = 0;
        for cell in cells(&self.line) {
            let column = self.columns.get(n_cells);
            n_cells += 1;
            match column {
                None if cell.is_empty() => {}
                None => {
                    let (want, found) = (self.columns.len(), cells(&self.line).count());
                    return Err(ReadError::ManyCells { line, want, found });
                }
                Some(Column::Unknown) => {}
                Some(Column::Time) => time = number(cell, line, TIME_COLUMN)?,
                Some(Column::Value(name, signal)) => {
                    let value = number(cell, line, name)?;
                    if !value.is_none_or(|value| set(&mut readings, *signal, value)) {
                        count(&mut self.oddities.implausible, line);
                    }
                }
            }
        }
        if n_cells < self.columns.len() {
            count(&mut self.oddities.short_rows, line);
        }
        let Some(time) = time else {
            return Err(ReadError::NotANumber { line, column: TIME_COLUMN, found: Shown::of(b"") });
        };
        let scaled = time * self.time_scale;
        if scaled.abs() <= TIME_S_MAX {
            Ok(Some((scaled, readings)))
        } else {
            Err(ReadError::NoSuchTime { line, found: scaled })
        }
    }

    fn read_header(&mut self) -> Result<(), ReadError> {
        if !self.read_line()? {
            return Err(ReadError::Empty);
        }
        let line = self.line_number;
        for cell in cells(&self.line) {
            let name = String::from_utf8_lossy(cell);
            let known = COLUMNS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
            let column = match known {
                Some((name, signal)) => Column::Value(name, *signal),
                None if name.eq_ignore_ascii_case(TIME_COLUMN) => Column::Time,
                None => Column::Unknown,
            };
            if column != Column::Unknown && self.columns.contains(&column) {
                return Err(ReadError::Duplicate { line, column: name.into_owned() });
            }
            if column == Column::Unknown {
                self.oddities.unknown_columns.push(Shown::of(cell).0);
            }
            self.columns.push(column);
        }
        if !self.columns.contains(&Column::Time) {
            return Err(ReadError::NoTime { line, found: Shown::of(&self.line) });
        }
        if !self.columns.iter().any(|column| matches!(column, Column::Value(..))) {
            return Err(ReadError::NoSignal { line, found: Shown::of(&self.line) });
        }
        Ok(())
    }

    /// Reads the next line that is not blank, without its end and a byte-order mark; `false` at the end of the file.
    fn read_line(&mut self) -> Result<bool, ReadError> {
        loop {
            self.line.clear();
            let n_read = (&mut self.input).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut self.line)?;
            if n_read == 0 {
                return Ok(false);
            }
            self.line_number += 1;
            if n_read as u64 > LINE_BYTES_MAX {
                return Err(ReadError::LongLine { line: self.line_number });
            }
            if self.line_number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            let end = self.line.trim_ascii_end().len();
            self.line.truncate(end);
            if !self.line.is_empty() {
                return Ok(true);
            }
        }
    }
}

/// The cells of a line without spaces and quotes around them.
fn cells(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(|cell| {
        let cell = cell.trim_ascii();
        let unquoted = cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\""));
        unquoted.unwrap_or(cell).trim_ascii()
    })
}

/// The number of a cell; `None` for an empty one.
fn number(cell: &[u8], line: u64, column: &'static str) -> Result<Option<f64>, ReadError> {
    if cell.is_empty() {
        return Ok(None);
    }
    let parsed = std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| ReadError::NotANumber { line, column, found: Shown::of(cell) })
}

/// Sets a value; `false` when no signal can have it. A limit that means "none" is left out.
fn set(readings: &mut Readings, signal: Signal, value: f64) -> bool {
    if signal == Signal::Limit && (value <= 0.0 || value >= LIMIT_MAX) {
        return true;
    }
    readings.set(signal, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<(Vec<(f64, Vec<(Signal, f64)>)>, Oddities), String> {
        let mut rows = Rows::new(text, 1.0).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        while let Some((time, readings)) = rows.next().map_err(|error| error.to_string())? {
            all.push((time, readings.iter().collect()));
        }
        Ok((all, rows.oddities))
    }

    #[test]
    fn byte_order_mark_crlf_spaces_quotes_and_exponents_are_read() {
        let (rows, oddities) =
            read(b"\xef\xbb\xbfT_S, \"rss_bytes\" ,tasks\r\n\r\n 0 , 1.5e3 ,\r\n60,\"2\",7\r\n").unwrap();
        assert_eq!(rows, [(0.0, vec![(Signal::Rss, 1_500.0)]), (60.0, vec![(Signal::Rss, 2.0), (Signal::Tasks, 7.0)])]);
        assert_eq!(oddities, Oddities::default());
    }

    #[test]
    fn what_is_strange_is_counted_and_left_out() {
        let (rows, oddities) =
            read(b"t_s,cpu,rss_bytes,limit_bytes\n0,x,NaN,-1\n1,,2,9e18\n2\n3,,-1,10\n4,,inf,\n").unwrap();
        let times: Vec<f64> = rows.iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(rows[3].1, [(Signal::Limit, 10.0)]);
        assert_eq!(rows[1].1, [(Signal::Rss, 2.0)]);
        assert_eq!(
            oddities,
            Oddities { unknown_columns: vec!["cpu".into()], short_rows: Some((1, 4)), implausible: Some((3, 2)) }
        );
    }

    #[test]
    fn any_bytes_give_rows_or_an_error() {
        let mut seed = 1_u64;
        for _ in 0..2_000 {
            let mut text = b"t_s,rss_bytes\n".to_vec();
            for _ in 0..40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push(b"0123456789,\n\r\"-.eE\xff\0 nN"[(seed >> 40) as usize % 22]);
            }
            let _ = read(&text);
        }
    }
}
