//! One scrape: requests on a connection that is kept, pages read as they arrive, merged into one.

use std::time::Duration;

use leakscope_ingest::{Page, PageReader};

use super::body::{Decoder, Framing};
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::ScrapeError;

/// Bytes of a response's status line and header fields. Beyond: refused.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Header fields of a response. Beyond: refused.
const HEADERS_MAX: usize = 96;
/// Bytes of the body of a refusal that are read for the connection's sake. Beyond: the connection is closed.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;
/// Redirects that one request follows, on the same host only.
const REDIRECTS_MAX: u32 = 5;

/// What one scrape brought: the merged page, and what went wrong with some of its paths.
pub(crate) type Outcome = (Page, Option<ScrapeError>);

/// Reads every path of a target within `allowed` and merges the pages. One page of several that fails is told; only when all fail the scrape does.
/// The connection is left for the next scrape when it can be used again.
pub(crate) async fn scrape(
    endpoint: &Endpoint,
    connection: &mut Option<Connection>,
    allowed: Duration,
) -> Result<Outcome, ScrapeError> {
    let deadline = tokio::time::Instant::now() + allowed;
    let (mut merged, mut failed): (Option<Page>, Option<ScrapeError>) = (None, None);
    for path in &endpoint.paths {
        let read = tokio::time::timeout_at(deadline, read_page(endpoint, path, connection)).await;
        let read = read.unwrap_or_else(|_| {
            // Its answer may still come, and would be taken for the next one's.
            *connection = None;
            Err(ScrapeError::TimedOut(endpoint.timeout))
        });
        match (read, &mut merged) {
            (Ok(page), Some(merged)) => merged.merge(page),
            (Ok(page), None) => merged = Some(page),
            (Err(error), _) => failed = failed.or(Some(error)),
        }
    }
    match (merged, failed) {
        (None, Some(error)) => Err(error),
        (merged, failed) => Ok((merged.unwrap_or_default(), failed)),
    }
}

async fn read_page(endpoint: &Endpoint, path: &str, connection: &mut Option<Connection>) -> Result<Page, ScrapeError> {
    let mut body = Body::page(endpoint);
    follow(endpoint, path, connection, &mut body).await?;
    body.finish_page()
}

/// Status, header fields and body.
type Fetched = (u16, Vec<(String, String)>, Vec<u8>);

/// What is behind one path, for discovery and probes. A status other than 200 comes without its body.
pub(crate) async fn fetch(endpoint: &Endpoint, path: &str) -> Result<Fetched, ScrapeError> {
    let mut bytes = Body::bytes();
    match follow(endpoint, path, &mut None, &mut bytes).await {
        Ok(head) => Ok((head.status, head.fields, bytes.into_bytes())),
        Err(ScrapeError::Status { status }) => Ok((status, Vec::new(), Vec::new())),
        Err(error) => Err(error),
    }
}

/// Where a body goes.
enum Body<'a> {
    Page { endpoint: &'a Endpoint, reader: Option<Box<PageReader>> },
    Bytes(Vec<u8>),
}

impl<'a> Body<'a> {
    fn page(endpoint: &'a Endpoint) -> Self {
        Self::Page { endpoint, reader: None }
    }

    fn bytes() -> Self {
        Self::Bytes(Vec::new())
    }

    /// A response with a body to keep begins.
    fn begin(&mut self, head: &Head) {
        match self {
            Self::Page { endpoint, reader } => {
                let page = PageReader::new(endpoint.job.page.clone(), head.field("content-type"), endpoint.job.limits);
                *reader = Some(Box::new(page));
            }
            Self::Bytes(bytes) => bytes.clear(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), ScrapeError> {
        match self {
            Self::Page { reader: Some(reader), .. } => Ok(reader.feed(bytes)?),
            Self::Page { reader: None, .. } => Ok(()),
            Self::Bytes(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn finish_page(self) -> Result<Page, ScrapeError> {
        match self {
            Self::Page { reader: Some(reader), .. } => Ok(reader.finish()?),
            Self::Page { reader: None, .. } | Self::Bytes(_) => Ok(Page::default()),
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Page { .. } => Vec::new(),
        }
    }
}

async fn follow(
    endpoint: &Endpoint,
    path: &str,
    connection: &mut Option<Connection>,
    body: &mut Body<'_>,
) -> Result<Head, ScrapeError> {
    let mut path = path.to_owned();
    for _ in 0..=REDIRECTS_MAX {
        let request = endpoint.request(&path)?;
        let head = ask(endpoint, &request, connection, body).await?;
        match (head.status, head.field("location")) {
            (200, _) => return Ok(head),
            (301 | 302 | 303 | 307 | 308, Some(location)) if endpoint.job.config.http.follow_redirects => {
                path = redirected(endpoint, &path, location)?;
            }
            (status, _) => return Err(ScrapeError::Status { status }),
        }
    }
    Err(ScrapeError::TooManyRedirects { limit: REDIRECTS_MAX })
}

/// The path of a redirect to the same scheme, host and port; any other is refused, since only configured targets are asked.
fn redirected(endpoint: &Endpoint, path: &str, location: &str) -> Result<String, ScrapeError> {
    let foreign = || ScrapeError::ForeignRedirect { location: location.into() };
    if location.starts_with("//") {
        return Err(foreign());
    }
    if location.starts_with('/') {
        return Ok(location.into());
    }
    if let Some((scheme, rest)) = location.split_once("://") {
        let (authority, path) = rest.find('/').map_or((rest, "/"), |place| rest.split_at(place));
        let same =
            scheme.eq_ignore_ascii_case(endpoint.scheme().name()) && authority.eq_ignore_ascii_case(&endpoint.address);
        return if same { Ok(path.into()) } else { Err(foreign()) };
    }
    let folder = path.split('?').next().unwrap_or("/").rsplit_once('/').map_or("", |(folder, _)| folder);
    Ok(format!("{folder}/{location}"))
}

/// Sends one request and reads its response. A kept connection that the target has closed meanwhile is opened anew, once.
async fn ask(
    endpoint: &Endpoint,
    request: &[u8],
    connection: &mut Option<Connection>,
    body: &mut Body<'_>,
) -> Result<Head, ScrapeError> {
    if let Some(mut kept) = connection.take() {
        match exchange(endpoint, request, &mut kept, body).await {
            Ok(head) => {
                *connection = head.keep.then_some(kept);
                return Ok(head);
            }
            Err(ScrapeError::Closed { received: 0 } | ScrapeError::Broken(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let mut fresh = Connection::open(endpoint).await?;
    let head = exchange(endpoint, request, &mut fresh, body).await?;
    *connection = head.keep.then_some(fresh);
    Ok(head)
}

/// What of a response's head matters.
#[derive(Debug)]
struct Head {
    status: u16,
    fields: Vec<(String, String)>,
    keep: bool,
}

impl Head {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// Progress of one response.
struct Response<'a, 'b> {
    head_bytes: Vec<u8>,
    head: Option<(Head, Framing, Decoder)>,
    body: &'a mut Body<'b>,
    received: u64,
    decoded: u64,
    limit: u64,
}

async fn exchange(
    endpoint: &Endpoint,
    request: &[u8],
    connection: &mut Connection,
    body: &mut Body<'_>,
) -> Result<Head, ScrapeError> {
    connection.send(request).await.map_err(ScrapeError::Broken)?;
    let limit = endpoint.job.config.body_size_limit.0;
    let mut response = Response { head_bytes: Vec::new(), head: None, body, received: 0, decoded: 0, limit };
    loop {
        super::worker::note_progress();
        let end = connection.receive(|bytes| response.take(bytes)).await.map_err(ScrapeError::Broken)??;
        if end {
            break;
        }
    }
    response.finish()
}

impl Response<'_, '_> {
    /// Takes what arrived; `true` at the end of the response.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, ScrapeError> {
        self.received += bytes.len() as u64;
        if bytes.is_empty() {
            return self.closed();
        }
        if self.head.is_some() {
            return self.take_body(bytes);
        }
        let seen = self.head_bytes.len();
        let whole: &[u8] = if seen == 0 {
            bytes
        } else {
            self.head_bytes.extend_from_slice(bytes);
            &self.head_bytes
        };
        let Some((head, framing, decoder, head_len)) = parse_last_head(whole)? else {
            if seen == 0 {
                self.head_bytes.extend_from_slice(bytes);
            }
            return Ok(false);
        };
        if head.status == 200 {
            if let Framing::Length(length) = framing
                && length > self.limit
            {
                return Err(ScrapeError::TooLarge { limit: self.limit });
            }
            self.body.begin(&head);
        }
        self.head = Some((head, framing, decoder));
        self.take_body(&bytes[head_len - seen..])
    }

    fn take_body(&mut self, bytes: &[u8]) -> Result<bool, ScrapeError> {
        let Some((head, framing, decoder)) = &mut self.head else { return Ok(false) };
        if head.status != 200 && self.received > REFUSAL_BYTES_MAX {
            head.keep = false;
            return Ok(true);
        }
        let too_large = ScrapeError::TooLarge { limit: self.limit };
        if self.received > self.limit.saturating_add(HEAD_BYTES_MAX as u64) {
            return Err(too_large);
        }
        let (body, decoded, limit, wanted) = (&mut *self.body, &mut self.decoded, self.limit, head.status == 200);
        let mut keep = |bytes: &[u8]| {
            *decoded += bytes.len() as u64;
            if *decoded > limit {
                return Err(ScrapeError::TooLarge { limit });
            }
            if wanted { body.feed(bytes) } else { Ok(()) }
        };
        framing.feed(bytes, &mut |bytes| decoder.feed(bytes, &mut keep))?;
        Ok(framing.complete())
    }

    /// The connection ended: fine where nothing else marks the end of the body.
    fn closed(&mut self) -> Result<bool, ScrapeError> {
        match &self.head {
            Some((_, Framing::UntilClose, _)) => Ok(true),
            _ => Err(ScrapeError::Closed { received: self.received }),
        }
    }

    fn finish(mut self) -> Result<Head, ScrapeError> {
        let Some((head, framing, mut decoder)) = self.head.take() else {
            return Err(ScrapeError::Closed { received: self.received });
        };
        if head.status == 200 {
            let body = &mut *self.body;
            decoder.finish(&mut |bytes| body.feed(bytes))?;
        }
        Ok(Head { keep: head.keep && !matches!(framing, Framing::UntilClose), ..head })
    }
}

/// The head of the response proper and where it ends: interim ones (103, say) come before it. `None` while it is incomplete.
fn parse_last_head(bytes: &[u8]) -> Result<Option<(Head, Framing, Decoder, usize)>, ScrapeError> {
    let mut at = 0;
    // All heads together are bounded, so that a flood of interim ones ends.
    while at <= HEAD_BYTES_MAX {
        match parse_head(&bytes[at..])? {
            None if bytes.len() <= HEAD_BYTES_MAX => return Ok(None),
            None => break,
            Some((head, .., length)) if head.status < 200 => at += length,
            Some((head, framing, decoder, length)) => return Ok(Some((head, framing, decoder, at + length))),
        }
    }
    Err(ScrapeError::NotHttp { reason: format!("a head of more than {HEAD_BYTES_MAX} bytes") })
}

/// The head of a response and its length; `None` while it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, Framing, Decoder, usize)>, ScrapeError> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    let not_http = |reason: String| ScrapeError::NotHttp { reason };
    let length = match parsed.parse(bytes).map_err(|error| not_http(error.to_string()))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let mut head = Head { status: parsed.code.unwrap_or(0), fields: Vec::new(), keep: parsed.version == Some(1) };
    let mut framing = None;
    let mut encoding = String::new();
    for field in parsed.headers.iter() {
        let value = String::from_utf8_lossy(field.value).trim().to_owned();
        match field.name.to_ascii_lowercase().as_str() {
            "content-length" if framing.is_none() => {
                let length = value.parse().map_err(|_| not_http(format!("a content length of `{value}`")))?;
                framing = Some(Framing::Length(length));
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => framing = Some(Framing::chunked()),
            "transfer-encoding" => return Err(not_http(format!("a transfer encoding of `{value}`"))),
            "content-encoding" => encoding = value.to_ascii_lowercase(),
            "connection" if value.eq_ignore_ascii_case("close") => head.keep = false,
            name @ ("content-type" | "location" | "x-prometheus-refresh-interval-seconds") => {
                head.fields.push((name.to_owned(), value));
            }
            _ => {}
        }
    }
    if matches!(head.status, 100..=199 | 204 | 304) {
        framing = Some(Framing::Length(0));
    }
    let decoder = Decoder::of(if head.status == 200 { &encoding } else { "" })?;
    Ok(Some((head, framing.unwrap_or(Framing::UntilClose), decoder, length)))
}
