//! Reads a page as it comes from the socket: tells its format and hands it to that format's reader.

use std::sync::Arc;

use crate::error::{IngestError, shown};
use crate::page::Page;
use crate::scan::Scanner;
use crate::spec::{Format, Limits, PageSpec};
use crate::{html, json};

/// Bytes at the start of a page that may be looked at to tell its format.
const SNIFFED_BYTES_MAX: usize = 4 << 10;

/// Incremental reader of one page. Text formats keep at most one line, JSON and HTML the whole body, both bounded by [`Limits`].
#[derive(Debug)]
pub struct PageReader {
    spec: Arc<PageSpec>,
    limits: Limits,
    openmetrics: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Not enough was seen to tell the format.
    Untold(Vec<u8>),
    Text(Box<Scanner>),
    Whole(Whole, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    Json(Format),
    Html,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Text,
    Json,
    Html,
    More,
}

impl PageReader {
    /// A reader for one page. `content_type` is the header as received; it decides between the two text formats, the first bytes decide the rest (services often mislabel).
    pub fn new(spec: Arc<PageSpec>, content_type: Option<&str>, limits: Limits) -> Self {
        let openmetrics = match spec.format {
            Format::OpenMetrics => true,
            Format::Auto => content_type.is_some_and(|kind| {
                kind.trim_start()
                    .get(..28)
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"))
            }),
            _ => false,
        };
        let body = match spec.format {
            Format::Auto => Body::Untold(Vec::new()),
            Format::Prometheus | Format::OpenMetrics => Body::Text(Box::new(Scanner::new(&spec, limits, openmetrics))),
            Format::Html => Body::Whole(Whole::Html, Vec::new()),
            format => Body::Whole(Whole::Json(format), Vec::new()),
        };
        Self { spec, limits, openmetrics, body }
    }

    /// Reads on. However the page is cut into chunks, the outcome is the same.
    ///
    /// # Errors
    /// [`IngestError`]: the page cannot be used; further calls are of no use.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), IngestError> {
        match &mut self.body {
            Body::Text(scanner) => scanner.feed(&self.spec, self.limits, chunk),
            Body::Whole(format, bytes) => keep(*format, bytes, chunk, self.limits),
            Body::Untold(start) if start.is_empty() => {
                let look = look(chunk);
                self.told(look, chunk)
            }
            Body::Untold(start) => {
                start.extend_from_slice(chunk);
                let start = std::mem::take(start);
                let look = look(&start);
                self.told(look, &start)
            }
        }
    }

    /// Ends the page.
    ///
    /// # Errors
    /// [`IngestError`]: the page cannot be used.
    pub fn finish(mut self) -> Result<Page, IngestError> {
        if let Body::Untold(start) = &mut self.body {
            let start = std::mem::take(start);
            self.told(Look::Text, &start)?;
        }
        match self.body {
            Body::Text(scanner) => scanner.finish(&self.spec, self.limits),
            Body::Whole(Whole::Html, bytes) => html::read(&self.spec, &bytes),
            Body::Whole(Whole::Json(format), bytes) => json::read(&self.spec, format, &bytes),
            Body::Untold(_) => Ok(Page::default()),
        }
    }

    fn told(&mut self, look: Look, start: &[u8]) -> Result<(), IngestError> {
        self.body = match look {
            Look::More if start.len() <= SNIFFED_BYTES_MAX => {
                self.body = Body::Untold(start.to_vec());
                return Ok(());
            }
            Look::Json => Body::Whole(Whole::Json(Format::Auto), Vec::new()),
            Look::Html => Body::Whole(Whole::Html, Vec::new()),
            Look::Text | Look::More => Body::Text(Box::new(Scanner::new(&self.spec, self.limits, self.openmetrics))),
        };
        self.feed(start)
    }
}

fn keep(format: Whole, bytes: &mut Vec<u8>, chunk: &[u8], limits: Limits) -> Result<(), IngestError> {
    if bytes.len() + chunk.len() > limits.buffered_bytes {
        let format = match format {
            Whole::Html => "HTML",
            Whole::Json(_) => "JSON",
        };
        return Err(IngestError::BodyTooLarge { format, limit: limits.buffered_bytes });
    }
    bytes.extend_from_slice(chunk);
    Ok(())
}

/// Tells the format from the first bytes. `{"a":` is JSON, `{"a",` and `{"a"}` are a sample with a quoted name.
fn look(start: &[u8]) -> Look {
    let bytes = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    match bytes.first() {
        None => Look::More,
        Some(b'<') => Look::Html,
        Some(b'[') => Look::Json,
        Some(b'{') => look_into_braces(bytes.get(1..).unwrap_or_default().trim_ascii_start()),
        Some(_) => Look::Text,
    }
}

fn look_into_braces(inside: &[u8]) -> Look {
    match inside.split_first() {
        None => Look::More,
        Some((b'}', _)) => Look::Json,
        Some((b'"', rest)) => {
            let Some(end) = closing_quote(rest) else { return Look::More };
            match rest.get(end + 1..).unwrap_or_default().trim_ascii_start().first() {
                None => Look::More,
                Some(b':') => Look::Json,
                Some(_) => Look::Text,
            }
        }
        Some(_) => Look::Text,
    }
}

fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A page whose format is known and of no use.
pub(crate) fn unreadable(expected: &'static str, bytes: &[u8]) -> IngestError {
    IngestError::Shape { expected, found: shown(bytes.trim_ascii_start()) }
}
