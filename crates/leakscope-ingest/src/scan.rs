//! The hot path: a page of text in chunks to a harvest. A line is decided by its name; unwanted lines cost a search for the line end and one for the name's, and no allocation.

use crate::error::{Fault, IngestError};
use crate::harvest::Harvest;
use crate::page::Page;
use crate::prometheus::{Label, SampleLine, ends_name, name_len, parse_sample, starts_name};
use crate::relabel::{Labels, Relabel, relabel};
use crate::spec::{Limits, PageSpec};

/// Reads one page of Prometheus text or OpenMetrics. Holds at most one line that is spread over chunks.
#[derive(Debug)]
pub(crate) struct Scanner {
    harvest: Harvest,
    /// The start of a line whose end has not come yet.
    carry: Vec<u8>,
    /// Lines ended so far.
    line: u64,
    samples: u64,
    /// Samples that relabelling kept.
    kept: u64,
    eof: Eof,
    relabelled: Relabelled,
}

/// Where an OpenMetrics page stands; 0.0.4 knows no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eof {
    NotAsked,
    Missing,
    Seen,
}

/// Which samples metric relabelling runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relabelled {
    None,
    /// Rules that neither rename nor change what is counted need only see what is wanted.
    Wanted,
    All,
}

impl Scanner {
    pub(crate) fn new(spec: &PageSpec, limits: Limits, openmetrics: bool) -> Self {
        let counted = limits.sample_limit > 0 && spec.relabel.iter().any(Relabel::may_drop);
        let relabelled = match &spec.relabel[..] {
            [] => Relabelled::None,
            rules if counted || rules.iter().any(Relabel::may_rename) => Relabelled::All,
            _ => Relabelled::Wanted,
        };
        Self {
            harvest: Harvest::new(),
            carry: Vec::new(),
            line: 0,
            samples: 0,
            kept: 0,
            eof: if openmetrics { Eof::Missing } else { Eof::NotAsked },
            relabelled,
        }
    }

    /// Reads on. Whole lines are taken in place.
    pub(crate) fn feed(&mut self, spec: &PageSpec, limits: Limits, chunk: &[u8]) -> Result<(), IngestError> {
        let mut rest = chunk;
        if !self.carry.is_empty() {
            let Some(end) = memchr::memchr(b'\n', chunk) else { return self.keep(limits, chunk) };
            let (head, tail) = chunk.split_at(end);
            self.keep(limits, head)?;
            self.carried_line(spec, limits)?;
            rest = tail.get(1..).unwrap_or_default();
        }
        let mut start = 0;
        let mut unwanted: &[u8] = b"";
        for end in memchr::memchr_iter(b'\n', rest) {
            let line = rest.get(start..end).unwrap_or_default();
            start = end + 1;
            unwanted = self.line(spec, limits, line, unwanted)?;
        }
        self.keep(limits, rest.get(start..).unwrap_or_default())
    }

    /// Ends the page; a last line without line end counts.
    pub(crate) fn finish(mut self, spec: &PageSpec, limits: Limits) -> Result<Page, IngestError> {
        if !self.carry.is_empty() {
            self.carried_line(spec, limits)?;
        }
        if self.eof == Eof::Missing {
            return Err(IngestError::Truncated { line: self.line });
        }
        let mut page = self.harvest.settle(&spec.table);
        page.series = self.samples;
        Ok(page)
    }

    fn keep(&mut self, limits: Limits, part: &[u8]) -> Result<(), IngestError> {
        if self.carry.len() + part.len() > limits.line_bytes {
            return Err(IngestError::LineTooLong { line: self.line + 1, limit: limits.line_bytes });
        }
        self.carry.extend_from_slice(part);
        Ok(())
    }

    fn carried_line(&mut self, spec: &PageSpec, limits: Limits) -> Result<(), IngestError> {
        let mut line = std::mem::take(&mut self.carry);
        self.line(spec, limits, &line, b"")?;
        line.clear();
        self.carry = line;
        Ok(())
    }

    /// Takes one line. Returns the name that turned out unwanted last: neighbours mostly share theirs, and comparing is cheaper than looking up.
    #[inline]
    fn line<'a>(
        &mut self,
        spec: &PageSpec,
        limits: Limits,
        line: &'a [u8],
        unwanted: &'a [u8],
    ) -> Result<&'a [u8], IngestError> {
        self.line += 1;
        if line.len() > limits.line_bytes {
            return Err(IngestError::LineTooLong { line: self.line, limit: limits.line_bytes });
        }
        let Some(&first) = line.first() else { return Ok(unwanted) };
        if self.eof == Eof::Seen {
            return Err(IngestError::AfterEof { line: self.line });
        }
        if first == b'#' {
            self.comment(line);
            return Ok(unwanted);
        }
        if !starts_name(first) {
            self.odd_line(spec, limits, line)?;
            return Ok(unwanted);
        }
        self.samples += 1;
        if self.relabelled == Relabelled::All {
            self.relabelled_sample(spec, limits, line)?;
            return Ok(unwanted);
        }
        self.count(limits)?;
        if line.get(unwanted.len()).is_some_and(|&byte| ends_name(byte)) && line.starts_with(unwanted) {
            return Ok(unwanted);
        }
        let name = line.get(..name_len(line)).unwrap_or(line);
        let Some(rows) = spec.table.rows_of(name) else { return Ok(name) };
        self.wanted(spec, rows, line)?;
        Ok(unwanted)
    }

    fn comment(&mut self, line: &[u8]) {
        if self.eof == Eof::Missing && trimmed(line) == b"# EOF" {
            self.eof = Eof::Seen;
        }
    }

    fn count(&mut self, limits: Limits) -> Result<(), IngestError> {
        self.kept += 1;
        if limits.sample_limit > 0 && self.kept > u64::from(limits.sample_limit) {
            return Err(IngestError::TooManySamples { line: self.line, limit: limits.sample_limit });
        }
        Ok(())
    }

    /// Blank lines, indented lines and quoted names.
    #[cold]
    fn odd_line(&mut self, spec: &PageSpec, limits: Limits, line: &[u8]) -> Result<(), IngestError> {
        let line = trimmed(line);
        match line.first() {
            None => Ok(()),
            Some(b'#') => {
                self.comment(line);
                Ok(())
            }
            Some(&first) if starts_name(first) || first == b'{' => {
                self.samples += 1;
                if self.relabelled == Relabelled::All {
                    return self.relabelled_sample(spec, limits, line);
                }
                self.count(limits)?;
                let sample = self.parse(line)?;
                if let Some(rows) = spec.table.rows_of(sample.name.as_bytes()) {
                    self.relabel_and_take(spec, rows, &sample);
                }
                Ok(())
            }
            Some(_) => Err(Fault::new(line, 0, "a metric name, `{` or `#`").on_line(self.line)),
        }
    }

    fn wanted(&mut self, spec: &PageSpec, rows: &[u16], line: &[u8]) -> Result<(), IngestError> {
        let sample = self.parse(trimmed(line))?;
        self.relabel_and_take(spec, rows, &sample);
        Ok(())
    }

    fn relabel_and_take(&mut self, spec: &PageSpec, rows: &[u16], sample: &SampleLine<'_>) {
        if self.relabelled == Relabelled::None {
            self.harvest.take(&spec.table, rows, sample, self.line);
        } else {
            self.take_relabelled(spec, sample);
        }
    }

    fn relabelled_sample(&mut self, spec: &PageSpec, limits: Limits, line: &[u8]) -> Result<(), IngestError> {
        let sample = self.parse(trimmed(line))?;
        if self.take_relabelled(spec, &sample) { self.count(limits) } else { Ok(()) }
    }

    /// Runs the rules and takes what is left under its new name; `false` when it was dropped.
    fn take_relabelled(&mut self, spec: &PageSpec, sample: &SampleLine<'_>) -> bool {
        let mut labels: Labels =
            sample.labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect();
        labels.insert("__name__".to_owned(), sample.name.to_string());
        if !relabel(&spec.relabel, &mut labels) {
            return false;
        }
        // A rule may have removed the name; such a sample exists but means nothing here.
        let name = labels.remove("__name__").unwrap_or_default();
        let Some(rows) = spec.table.rows_of(name.as_bytes()) else { return true };
        let labels = labels.into_iter().map(|(name, value)| Label { name: name.into(), value: value.into() }).collect();
        let renamed = SampleLine { name: name.as_str().into(), labels, ..*sample };
        self.harvest.take(&spec.table, rows, &renamed, self.line);
        true
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<SampleLine<'a>, IngestError> {
        parse_sample(line).map_err(|fault| fault.on_line(self.line))
    }
}

/// Without blanks around it and without the carriage return of a CRLF line end.
fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}
